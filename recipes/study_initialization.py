"""Is a LayerDrop teacher's sub-network the better start? The study.

    uv run recipes/study_initialization.py --store saved_models/corpus
    uv run recipes/study_initialization.py --store saved_models/corpus \
        --scale gpu --run saved_models/study_gpu

Teachers without and with LayerDrop, and one that distils its own sub-networks
(`study_arms.py` lists all arms and, beforehand, the comparisons). Every
sub-network of each is measured. Students start from either and learn from
either, beside a random start, embeddings alone, and the student's shape
trained from scratch for the FLOPs of both stages. All arms of a seed have the
same first weights, order of text and masks. Layers are chosen on one half of
the held-out text, everything is reported on the other; learning rates are
tuned on a seed that is not reported (teachers for half their steps; the shape
from scratch has the plain teacher's).

The text is a folder of prepare_corpus.py. A study that was interrupted goes on
when the command is given again. It leaves results.csv (every run),
subnetworks.csv, robustness_curve.png, init_vs_final.png,
steps_to_quality.png, report.md and report.html in the run folder, and makes
the reports of the seeds that are there after each seed. Runs on JAX too, where
TensorFlow need not be installed. What it found: recipes/README.md.
"""

import dataclasses
import pathlib
import sys
from typing import Literal

from command_line import read_config

import keras_kd as kd

from run_folder import keep_config
from run_precision import set_precision
from study_arms import STUDENTS, TEACHERS
from study_report import write_report
from study_runs import Runs


@dataclasses.dataclass(frozen=True)
class Config:
    """Compares what students start from.

    Args:
        store: Folder of prepare_corpus.py.
        run: Folder of the study; one that is there is gone on with.
        scale: "cpu", hours of two cores; "gpu", a larger model, more seeds.
            Fields that are left out are its.
        seeds: Those that are reported.
        tuning_seed: Not one of them; learning rates are tuned on it.
        num_layers: Of the teachers.
        kept: Layers of the students.
        hidden_dim: Of both.
        num_heads: Of both.
        initializer_range: Standard deviation of the first weights.
        mask_rate: Share of the tokens that are hidden.
        batch_size: Sequences in a step.
        teacher_steps: Of a teacher.
        continued_steps: Of a plain teacher that goes on with LayerDrop.
        student_steps: Of a student.
        points: How often held-out text is looked at in a run.
        held_out_batches: Of each half of the held-out text.
        calibration_batches: Of the first half, to compensate by.
        teacher_rates: Learning rates that are tried for teachers.
        student_rates: Learning rates that are tried for students.
        precision: Keras's policy, such as mixed_bfloat16; auto tries which is
            faster on this machine, and says it.
        jit_compile: XLA; default: what suits this machine.
        verbose: Keras's bars: 0, 1 or 2.
        smoke: Tiny sizes and a few steps, to see that everything runs.
    """

    store: str = "saved_models/stores/docstrings"
    run: str = "saved_models/study"
    scale: Literal["cpu", "gpu"] = "cpu"
    seeds: tuple[int, ...] | None = None
    tuning_seed: int = 100
    num_layers: int | None = None
    kept: int | None = None
    hidden_dim: int | None = None
    num_heads: int | None = None
    initializer_range: float = 0.05
    mask_rate: float = 0.2
    batch_size: int | None = None
    teacher_steps: int | None = None
    continued_steps: int | None = None
    student_steps: int | None = None
    points: int = 10
    held_out_batches: int = 24
    calibration_batches: int = 10
    teacher_rates: tuple[float, ...] = (2e-3, 4e-3)
    student_rates: tuple[float, ...] = (1e-3, 3e-3)
    precision: str = "float32"
    jit_compile: bool | None = None
    verbose: int = 2
    smoke: bool = False


SCALES = {
    "cpu": {
        "seeds": (0, 1, 2, 3),
        "num_layers": 6,
        "kept": 3,
        "hidden_dim": 96,
        "num_heads": 4,
        "batch_size": 128,
        "teacher_steps": 2000,
        "continued_steps": 400,
        "student_steps": 150,
    },
    "gpu": {
        "seeds": (0, 1, 2, 3, 4, 5, 6, 7),
        "num_layers": 8,
        "kept": 4,
        "hidden_dim": 256,
        "num_heads": 4,
        "batch_size": 64,
        "teacher_steps": 3000,
        "continued_steps": 1000,
        "student_steps": 400,
    },
}
SMOKE = {
    "seeds": (0, 1),
    "num_layers": 3,
    "kept": 2,
    "hidden_dim": 8,
    "num_heads": 2,
    "batch_size": 4,
    "teacher_steps": 2,
    "continued_steps": 2,
    "student_steps": 2,
    "points": 1,
    "held_out_batches": 2,
    "calibration_batches": 1,
    "teacher_rates": (4e-3,),
    "student_rates": (1e-3, 2e-3),
}
FREE = ("run", "seeds", "jit_compile", "verbose")  # may change later


def main(config):
    """Tunes; trains teachers and students seed by seed; reports."""
    config = complete(config)
    config = set_precision(config)
    folder = pathlib.Path(config.run)
    keep_config(config, folder, FREE)
    store, tokenizer = open_store(config)
    runs = Runs(config, folder, store, tokenizer)
    unigram = kd.evaluate_unigram(
        store["train"].token_counts, tokenizer.special_ids, runs.test.arrays()
    )
    tune(config, runs)
    report = None
    for index, seed in enumerate(config.seeds):
        do_seed(runs, seed)
        if index:  # intervals want two seeds
            report = write_report(
                folder, config, config.seeds[: index + 1], unigram
            )
    return report


def tune(config, runs):
    """All learning rates, on the seed that is not reported."""
    seed = config.tuning_seed
    for name, arm in TEACHERS.items():
        if arm.tuned_as is None:
            for rate in config.teacher_rates:
                runs.train_teacher(arm, seed, rate, keep=False)
            runs.measure(name, seed, runs.teacher_steps(arm))
    for arm in STUDENTS:
        if arm.tuned_as == arm:
            for rate in config.student_rates:
                runs.train_student(arm, seed, rate, keep=False)


def do_seed(runs, seed):
    """All runs of a seed."""
    for name, arm in TEACHERS.items():
        rate = runs.best_rate("teacher", arm.tuned_as or name)
        runs.train_teacher(arm, seed, rate)
        runs.measure(name, seed, runs.teacher_steps(arm))
    for arm in STUDENTS:
        rate = runs.best_rate("student", arm.tuned_as.name)
        runs.train_student(arm, seed, rate)
    runs.train_alone(seed, runs.best_rate("teacher", "plain"))
    runs.continue_teacher(seed, runs.best_rate("teacher", "late") / 2)


def complete(config):
    """The config, with the scale's sizes where it has none."""
    sizes = SCALES[config.scale]
    fields = {
        name: value
        for name, value in sizes.items()
        if getattr(config, name) is None
    }
    config = dataclasses.replace(config, **fields)
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    if len(set(config.seeds)) < 2 or config.tuning_seed in config.seeds:
        sys.exit(
            "`--seeds` must be two at least, and --tuning-seed none of them. "
            f"Received: {config.seeds} and {config.tuning_seed}"
        )
    if not 1 <= config.kept < config.num_layers:
        sys.exit(
            f"`--kept` must be from 1 to {config.num_layers - 1}. "
            f"Received: {config.kept}"
        )
    for name in ("teacher_steps", "continued_steps", "student_steps"):
        steps = getattr(config, name)
        if config.points < 1 or steps < 1 or steps % config.points:
            sys.exit(
                f"`--{name.replace('_', '-')}` must be a multiple of --points, "
                f"both at least 1. Received: {steps} and {config.points}"
            )
    return config


def open_store(config):
    """Both parts of what prepare_corpus.py made, and the tokenizer."""
    try:
        tokenizer = kd.WordPieceTokenizer.load(config.store)
        store = {
            part: kd.TokenStore(f"{config.store}/{part}")
            for part in ("train", "held_out")
        }
        store["train"].check_tokenizer(tokenizer)
    except (OSError, ValueError) as error:
        sys.exit(f"`--store`: {error}")
    for part, blocks in (("train", 1), ("held_out", 2)):
        if len(store[part]) < blocks * config.batch_size:
            sys.exit(
                f"`--store` must have {blocks * config.batch_size} blocks in "
                f"its {part} part. Received: {len(store[part])}"
            )
    return store, tokenizer


if __name__ == "__main__":
    main(read_config(Config, __doc__))
