"""What every recipe shares: its command line and its run folder.

Not a recipe. Flags are the fields of the recipe's frozen `Config`; defaults
are overridden by `--config run.json`, and that by flags.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import sys

import keras_kd as kd
import keras
import tyro


def read_config(config_class, description):
    """The recipe's `Config`: defaults < `--config run.json` < flags.

    An unknown flag, or an unknown field in the file, ends the program.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config", type=pathlib.Path)
    found, flags = first.parse_known_args()
    fields = {}
    if found.config:
        try:
            fields = json.loads(found.config.read_text("utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            sys.exit(f"`--config` must be a JSON file: {error}")
        known = [field.name for field in dataclasses.fields(config_class)]
        unknown = sorted(set(fields) - set(known))
        if unknown:
            sys.exit(
                f"`--config` must hold fields of this recipe: {known}. "
                f"Received: {unknown} in {found.config}"
            )
    default = config_class(**fields)
    usage = f"{description}\n\n--config FILE reads fields from a JSON file."
    return tyro.cli(
        config_class, args=flags, default=default, description=usage
    )


def open_run_folder(config):
    """Makes `config.run`, writes `config.json` into it, and returns it.

    A folder that already holds a run is refused without `--overwrite`.
    """
    folder = pathlib.Path(config.run)
    if folder.exists() and any(folder.iterdir()):
        if not config.overwrite:
            sys.exit(
                "`--run` must be a new folder, or be given with --overwrite. "
                f"Received: {folder}, which already holds a run"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", dataclasses.asdict(config))
    return folder


def write_json(path, content):
    """Writes JSON beside and renames it into place."""
    beside = path.with_name(f"{path.name}.partial")
    beside.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    os.replace(beside, path)


def log_callbacks(folder):
    """Keras's own logs of a run: `history.csv` and TensorBoard's."""
    return [
        keras.callbacks.CSVLogger(str(folder / "history.csv")),
        keras.callbacks.TensorBoard(str(folder / "logs"), profile_batch=0),
    ]


def make_optimizer(name, learning_rate, steps):
    """Muon or AdamW, warmed up and decayed over `steps`.

    Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/)
    moves the matrices of the layers, AdamW at a third of its rate the rest.
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, steps - steps // 20),
        warmup_target=learning_rate,
        warmup_steps=steps // 20,
    )
    shared = {"weight_decay": 0.01, "epsilon": 1e-6, "global_clipnorm": 1.0}
    if name == "muon":
        optimizer = keras.optimizers.Muon(
            schedule,
            adam_lr_ratio=1 / 3,
            adam_weight_decay=0.01,
            adam_beta_2=0.98,
            **shared,
        )
    else:
        optimizer = keras.optimizers.AdamW(schedule, beta_2=0.98, **shared)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def jit_compile(config):
    """What the config says; where it says nothing, whether XLA works here."""
    works = kd.choose_jit_compile()
    return works if config.jit_compile is None else config.jit_compile
