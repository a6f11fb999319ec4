"""What every recipe shares: its run folder. Not a recipe."""

import contextlib
import dataclasses
import glob
import json
import os
import pathlib
import shutil
import sys

import keras_kd as kd
import keras
from rich.console import Console

from run_logs import check_loggers

LOG_COLUMNS = 160  # of a file, where rich takes a terminal of 80


@contextlib.contextmanager
def new_run_folder(config):
    """Makes the folder of a run: written beside, renamed when it is whole.

    The block under `with` prepares the run (tokenizer, tokens). Where it
    fails, nothing of it is left, and a run to be replaced is still there.
    `config.json`, which `--config` reads, is written last. With `resume` a run
    that is there is gone on with: its files stay.

    Yields:
        The folder to write into; after the block it is `config.run`.
    """
    check_loggers(config)
    folder = pathlib.Path(config.run)
    if is_resumed(config):
        yield folder
        return
    check_run_folder(folder, config)
    place = folder.resolve()  # a link to a folder stays a link
    beside = place.with_name(f".{place.name}-{os.getpid()}")
    old = place.with_name(f".{place.name}-{os.getpid()}-old")
    beside.mkdir(parents=True)
    try:
        yield beside
        fields = dataclasses.asdict(config)
        for name in ("overwrite", "resume", "replay"):  # said anew each time
            fields.pop(name, None)
        write_json(beside / "config.json", fields)
        if place.exists():
            os.replace(place, old)
        os.replace(beside, place)
    finally:
        if old.exists() and not place.exists():
            os.replace(old, place)
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def is_resumed(config):
    """Whether there is a run to go on with, and it is to be gone on with."""
    there = pathlib.Path(config.run, "config.json").exists()
    return getattr(config, "resume", False) and there


def check_run_folder(folder, config):
    """Ends the program where a run folder may not be made or replaced."""
    if not folder.exists():
        return
    if not folder.is_dir():
        sys.exit(f"`--run` must be a folder. Received: {folder}, a file")
    if pathlib.Path.cwd().is_relative_to(folder.resolve()):
        sys.exit(
            "`--run` must not be the current folder or one around it. "
            f"Received: {folder}"
        )
    if not any(folder.iterdir()):
        return
    if not config.overwrite:
        on = " or, to go on with it, --resume" * hasattr(config, "resume")
        sys.exit(
            f"`--run` must be a new folder, or be given with --overwrite{on}. "
            f"Received: {folder}, which already holds files"
        )
    if not (folder / "config.json").exists():
        sys.exit(
            "`--overwrite` replaces a run, a folder with config.json. "
            f"Received: {folder}, which holds something else"
        )
    in_use = []
    for name in (
        "teacher",
        "encoder",
        "from_checkpoint",
        "train",
        "validation",
        "unlabeled",
        "tokenizer",
        "store",
        "corpus",
        "validation_corpus",
    ):
        inputs = getattr(config, name, None) or ()
        inputs = [inputs] if isinstance(inputs, str) else inputs
        for path in inputs:
            found = glob.glob(path, recursive=True)
            in_use.extend(map(pathlib.Path, [path, *found]))
    for path in in_use:
        if path.resolve().is_relative_to(folder.resolve()):
            sys.exit(
                "`--overwrite` must not replace what is in use. "
                f"Received: --run {folder}, which holds {path}"
            )


def keep_config(config, folder, free):
    """Writes the config.json of a study, which the same command goes on with.

    Ends the program where the folder holds another study, or something else.

    Args:
        config: The recipe's.
        folder: `pathlib.Path`.
        free: Names of fields that may be otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    fields = json.loads(json.dumps(dataclasses.asdict(config)))
    if not path.exists() and any(folder.iterdir()):
        sys.exit(
            "`--run` must be a new folder, or that of a study. "
            f"Received: {folder}, which holds something else"
        )
    there = json.loads(path.read_text("utf-8")) if path.exists() else fields
    other = {
        name: (there.get(name), value)
        for name, value in fields.items()
        if name not in free and there.get(name) != value
    }
    if other:
        sys.exit(
            "`--run` is gone on with by the arguments it was begun with. "
            f"Received others: {list(other)} differ (there, here): {other}"
        )
    write_json(path, fields)


def write_json(path, content):
    """Writes JSON beside and renames it into place."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path, text):
    """Writes text beside and renames it into place."""
    beside = path.with_name(f"{path.name}.partial")
    beside.write_text(text, "utf-8")
    os.replace(beside, path)


def find_model(folder):
    """The file of a run folder's student, or else its teacher; or None."""
    files = [
        pathlib.Path(folder, name)
        for name in ("student.keras", "teacher.keras")
    ]
    return next((file for file in files if file.exists()), None)


def short_names(folders, taken=()):
    """Folder to its last part, or to itself where that is taken."""
    last = [pathlib.Path(folder).resolve().name for folder in folders]
    return {
        folder: name if [*last, *taken].count(name) == 1 else folder
        for folder, name in zip(folders, last, strict=True)
    }


def save_model(model, path):
    """Writes a model beside and renames it into place."""
    beside = path.with_name(f"{path.stem}.partial.keras")
    model.save(beside)
    os.replace(beside, path)


def load_teacher(folder):
    """The teacher and its tokenizer, from a run folder."""
    path = pathlib.Path(folder, "teacher.keras")
    if not path.exists():
        sys.exit(
            "`--teacher` must be a run folder of train_teacher.py, with "
            f"teacher.keras in it. Received: {folder}"
        )
    teacher = keras.saving.load_model(path, compile=False)
    return teacher, kd.WordPieceTokenizer.load(folder)


def make_optimizer(name, learning_rate, steps=None):
    """Muon or AdamW, warmed up and decayed over `steps`; or "distilbert".

    Without `steps` the rate of the first two stays, for a callback to move.

    Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/)
    moves the matrices of the layers, AdamW at a third of its rate the rest.
    "distilbert" is `kd.distilbert_optimizer`. Updates that are no numbers are
    left out.
    """
    if name == "distilbert":
        optimizer = kd.distilbert_optimizer(steps, learning_rate)
        return kd.SkipNonFinite(optimizer)
    schedule = learning_rate
    if steps is not None:
        schedule = warmed_up_and_decayed(learning_rate, steps)
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
        optimizer = kd.AdamW(schedule, beta_2=0.98, **shared)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return kd.SkipNonFinite(optimizer)


def warmed_up_and_decayed(learning_rate, steps):
    """From 0 to a rate in a twentieth of the steps, to 0 by a cosine."""
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, steps - steps // 20),
        warmup_target=learning_rate,
        warmup_steps=steps // 20,
    )


def jit_compile(config):
    """What the config says; where it says nothing, what suits the machine."""
    suits = kd.choose_jit_compile()
    return suits if config.jit_compile is None else config.jit_compile


def wide_console():
    """A console for wide tables: outside a terminal it cuts none of them."""
    console = Console()
    return console if console.is_terminal else Console(width=LOG_COLUMNS)
