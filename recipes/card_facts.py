"""What the evidence card says besides scores. Not a recipe.

How a run was made, by its config.json; fine-tuned runs, by their metrics.json
or their study's report.json; hidden tokens by frequency, calibration, latency;
the machine.
"""

import functools
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import sys

import keras_kd as kd
import keras
import numpy as np
from keras_kd.evaluation.frequency import (
    by_frequency,
    frequency_borders,
    score_hidden_tokens,
)

from run_folder import find_model

# A field that the config.json of one recipe alone has.
RECIPES = {
    "alpha_ce": "distill_masked_lm.py",
    "preset": "train_teacher.py",
    "teacher_layers": "quickstart.py",
    "pooling": "shrink_encoder.py",
}
ROUNDS = {"rounds": 5, "seconds": 1.0}  # of timing, models taking turns


def run_facts(folder, model, teacher):
    """Role, start, shape and settings of a run, of its config.json.

    Args:
        folder: Str, the run's.
        model: Its `kd.BertMaskedLM`.
        teacher: Str, the folder of the teacher's run, or None.
    """
    path = pathlib.Path(folder, "config.json")
    config = json.loads(path.read_text("utf-8")) if path.exists() else {}
    recipe = next((r for f, r in RECIPES.items() if f in config), None)
    replay = ""
    if recipe:
        run = str(path.parent)
        command = f"uv run recipes/{recipe} --config {shlex.quote(str(path))}"
        replay = f"{command} --run {shlex.quote(f'{run}_again')}"
    names = ("num_layers", "hidden_dim", "num_heads", "vocabulary_size")
    role = role_of(config, recipe)
    other = other_teacher(config, teacher) if role == "distilled" else None
    return {
        "role": "teacher" if is_teacher(folder, teacher) else role,
        "start": start_of(config, recipe),
        "shape": {name: getattr(model.config, name) for name in names},
        "run": {"folder": str(folder), "config": config, "replay": replay},
        "other_teacher": other,
    }


def is_teacher(folder, teacher):
    """Whether a run folder is the teacher's, or that of another teacher."""
    path = find_model(folder)
    return folder == teacher or (path and path.name == "teacher.keras")


def other_teacher(config, teacher):
    """The teacher that a run learnt from, where it is not the one given."""
    own = config.get("teacher")
    if not (own and teacher):
        return None
    same = pathlib.Path(own).resolve() == pathlib.Path(teacher).resolve()
    return None if same else own


def role_of(config, recipe):
    """Whether a run learnt from a teacher."""
    if recipe != "distill_masked_lm.py":
        return "unknown"
    alphas = [config.get(f"alpha_{term}", 0) for term in ("ce", "cos", "mse")]
    return "distilled" if any(alphas) else "not distilled"


def start_of(config, recipe):
    """What a run's weights started from."""
    plan = config.get("plan")
    if isinstance(plan, list):
        return f"layers {' '.join(map(str, plan))}"
    if recipe == "train_teacher.py":
        return config.get("from_checkpoint") or "random"
    return plan or "unknown"


# Fine-tuned runs.


def read_tasks(folder):
    """The metrics.json of a fine-tuned run; or the report.json of a study.

    Of a study of tasks, every student that it reports is one. Another shape
    ends the program.

    Returns:
        List of dict, as `kd.evidence_card` takes them.
    """
    of_study = pathlib.Path(folder, "report.json")
    of_run = pathlib.Path(folder, "metrics.json")
    path = of_study if of_study.exists() else of_run
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(
            "`--tasks` must be run folders of a fine-tuning recipe, with "
            "metrics.json, or of study_tasks.py, with report.json. "
            f"Received: {path}: {error}"
        )
    tasks = runs_of_study(found, path) if path == of_study else [found]
    for task in tasks:
        check_task(task, path)
    if path == of_run:  # of one shape, they are told apart by their folders
        [task] = tasks
        task["model"]["name"] += f", {path.resolve().parent.name}"
    return tasks


def runs_of_study(found, path):
    """Each student that a study of tasks reports, as a run's results.

    The teacher is the baseline of its seed.

    Args:
        found: Dict, of report.json.
        path: Of it.
    """
    metric = field_of(found, path, str, "metric")
    seeds = field_of(found, path, list, "seeds")
    teacher = field_of(found, path, list, "models", "teacher", "scores")
    shared = field_of(found, path, dict, "baselines")
    tasks = []
    for name in found["models"]:
        scores = field_of(found, path, list, "models", name, "scores")
        if len(scores) != len(seeds):
            sys.exit(
                "`--tasks` must have a score of each seed. Received: "
                f"{len(seeds)} and {len(scores)} as `models.{name}.scores` in "
                f"{path}"
            )
        if name == "teacher":
            continue
        size = field_of(found, path, int, "models", name, "parameters")
        for seed, score, theirs in zip(seeds, scores, teacher, strict=True):
            baselines = {**shared, "teacher": theirs}
            tasks.append(
                {
                    "task": found.get("task"),
                    "metric": metric,
                    "model": {"name": name, "parameters": size},
                    "seed": seed,
                    "scores": {metric: score},
                    "baselines": {k: {metric: v} for k, v in baselines.items()},
                    "rows": found.get("rows"),
                }
            )
    return tasks


def check_task(task, path):
    """Ends the program where a run's results have another shape."""
    field_of(task, path, str, "task")
    metric = field_of(task, path, str, "metric")
    field_of(task, path, str, "model", "name")
    field_of(task, path, int, "model", "parameters")
    field_of(task, path, (int, float), "scores", metric)
    for name in field_of(task, path, dict, "baselines"):
        field_of(task, path, (int, float), "baselines", name, metric)
    field_of(task, path, int, "seed")
    for part in field_of(task, path, dict, "rows"):
        field_of(task, path, int, "rows", part)


def field_of(task, path, kind, *keys):
    """A field within fields, of the type it must have."""
    value = task
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    wrong = isinstance(value, bool) or not isinstance(value, kind)
    if wrong or value != value:  # NaN is a number that is none
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join(k.__name__ for k in kinds)
        sys.exit(
            f"`--tasks` must have {names} as `{'.'.join(keys)}` of its "
            f"{path.name}. Received: {value!r} in {path}"
        )
    return value


# What a model makes of held-out text, and how fast.


def hidden_token_results(models, batches, token_counts, special_ids):
    """Buckets of frequency and calibration of each model, over one pass.

    Args:
        models: Dict of name to `kd.BertMaskedLM`.
        batches: Held out, with fixed masks.
        token_counts: (V,) of the training text.
        special_ids: Ids that are never hidden.
    """
    borders = frequency_borders(token_counts, special_ids)
    found = {}
    for name, model in models.items():
        scores = score_hidden_tokens(model, batches)
        found[name] = {
            "by_frequency": by_frequency(
                scores, token_counts, special_ids, borders
            ),
            "calibration": kd.calibration(
                scores["confidence"], scores["correct"], scores["weights"]
            ),
        }
    return found


def latencies(models, batches, rounds):
    """`Timing` of one sequence of each model; they take turns.

    Latencies that were measured one after another tell more of what else the
    machine did.
    """
    x = next(iter(batches))[0]
    functions = {}
    for name, model in models.items():
        inputs = {tensor.name: tensor for tensor in model.inputs}
        alone = keras.Model(inputs, model.output["logits"])
        one = {key: np.asarray(x[key])[:1] for key in inputs}
        functions[name] = functools.partial(alone.predict_on_batch, one)
    return kd.time_in_turns(functions, **rounds)


def rounds_of(config):
    """How long models are timed."""
    return {"rounds": 1, "seconds": 0.05} if config.smoke else ROUNDS


# The machine.


def environment():
    """Where latency was measured, and by which versions; dict of str."""
    import tensorflow as tf

    device = platform.processor() or platform.machine()
    accelerators = tf.config.list_physical_devices("GPU")
    if not accelerators:
        device = f"CPU, {device}, {os.cpu_count()} cores"
    else:
        details = tf.config.experimental.get_device_details(accelerators[0])
        name = details.get("device_name", "GPU")
        on_mac = platform.system() == "Darwin"
        device = f"Metal, {name}" if on_mac else f"GPU, {name}"
    names = ("keras", "tensorflow", "numpy")
    return {
        "device": device,
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
    }


def held_out_facts(config, batches):
    """What the held-out text is, and how much of it was looked at."""
    text = config.store or config.validation_corpus or config.corpus
    kind = "its documents of the validation part"
    if config.store:
        kind = "the store's held-out part"
    elif config.validation_corpus:
        kind = ""
    weights = [np.asarray(weights) > 0 for _, _, weights in batches.held_out]
    return {
        "text": ", ".join([*text, kind] if kind else text),
        "counted": ", ".join(config.store or config.corpus),
        "sequences": int(sum(w.any(axis=1).sum() for w in weights)),
        "block_length": config.block_length,
        "hidden": int(sum(w.sum() for w in weights)),
    }
