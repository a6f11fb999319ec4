"""Texts with a class or a number, from files to scores. Not a recipe.

From a frozen `Config`'s fields: task, data, train, validation, unlabeled, text,
pair, label, classes, regression, hold_out, hold_out_whole, train_rows,
max_length, batch_size, seed, jit_compile.
"""

import dataclasses
import sys

import keras_kd as kd
from idle_flags import refuse_idle

from finetuning import PARTS, check_unlabeled, run_results
from run_folder import jit_compile
from splits import draw, hold_out, hold_out_whole

PUBLIC = "SST-2"  # the task where none is named and no files are given
# Flags about files of labelled texts, and about those of any texts.
OF_FILES = ("label", "regression")
COLUMNS = ("text", "pair")


@dataclasses.dataclass(frozen=True)
class Task:
    """A task's texts: those that train, choose, report; those without label.

    Attributes:
        name: Str.
        metrics: Tuple of str; students are chosen by the first.
        class_names: List of str; None where labels are numbers.
        train: List of `LabeledText`.
        hold_out: List, of those that choose the epoch.
        validation: List, of those that report.
        unlabeled: List.
    """

    name: str
    metrics: tuple[str, ...]
    class_names: list | None
    train: list
    hold_out: list
    validation: list
    unlabeled: list

    def model(self):
        """Pair: the class of its models, and their arguments."""
        if self.class_names is None:
            return kd.BertRegressor, {}
        return kd.BertClassifier, {"class_names": self.class_names}


def with_task(config):
    """The config with its task named, which files of one's own are too.

    Ends the program where both are given, or flags that would do nothing.
    """
    files = [f"--{n}" for n in ("train", "validation") if getattr(config, n)]
    if files and config.task not in (None, "none"):
        sys.exit(
            "`--task` must be left out, or be none, with --train and "
            "--validation: the files given are the task. Received: "
            f"--task {config.task} with {' and '.join(files)}"
        )
    name = config.task or ("none" if files else PUBLIC)
    if name == "none":
        refuse_idle(config, ("data",), "with files of your own")
    else:
        refuse_idle(config, OF_FILES, f"with --task {name}")
        if not config.unlabeled:
            refuse_idle(config, COLUMNS, f"with --task {name}")
    return dataclasses.replace(config, task=name)


def read_task(config):
    """All texts of a task, checked; ends the program where one is wrong."""
    config = with_task(config)
    try:
        if config.task == "none":
            name, metrics, names, train, validation = read_own(config)
        else:
            name, metrics, names, train, validation = read_public(config)
        if names is not None:  # of all: a few may lack a rare class
            kd.check_classes(train, names)
            kd.label_ids(validation, names)
        if config.train_rows:
            train = draw(train, config.train_rows, config.seed)
        split = hold_out_whole if config.hold_out_whole else hold_out
        train, choosing = split(train, config.hold_out)
        unlabeled = []
        if config.unlabeled:
            columns = kd.TaskColumns(config.text, config.pair, label=None)
            unlabeled = kd.read_labeled_texts(config.unlabeled, columns)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(str(error))
    check_unlabeled(config)
    return Task(name, metrics, names, train, choosing, validation, unlabeled)


def read_public(config):
    """One of GLUE's: name, metrics, classes, both splits."""
    if config.classes:
        sys.exit(
            "`--classes` are those of files of your own, with --task none. "
            f"Received: {', '.join(config.classes)} and {config.task}"
        )
    train, validation = (
        kd.read_glue(config.task, split, config.data)
        for split in ("train", "validation")
    )
    found = kd.GLUE[config.task]
    names = list(found.class_names) or None
    return config.task, found.metrics, names, train, validation


def read_own(config):
    """A user's: likewise."""
    if not (config.train and config.validation):
        sys.exit(
            "`--train` and `--validation` must be given, both, where the task "
            "is files of your own. "
            f"Received: {config.train} and {config.validation}"
        )
    if config.classes and config.regression:
        sys.exit(
            "`--classes` must be left out with --regression. Received: "
            f"{', '.join(config.classes)}"
        )
    columns = kd.TaskColumns(
        config.text,
        config.pair,
        config.label,
        labels={name: name for name in config.classes or ()} or None,
        regression=config.regression,
    )
    train, validation = (
        kd.read_labeled_texts(source, columns)
        for source in (config.train, config.validation)
    )
    if config.regression:
        return config.train, ("pearson", "spearman"), None, train, validation
    names = list(config.classes or kd.class_names_of(train))
    metrics = ("accuracy", "matthews")
    return config.train, metrics, names, train, validation


def make_batches(config, task, tokenizer):
    """Batches that train, choose and report: a dict of datasets."""
    shared = {
        "batch_size": config.batch_size,
        "class_names": task.class_names,
        "max_length": config.max_length,
        # Without XLA nothing is compiled for a width: the least padding.
        "width_multiple": 8 if jit_compile(config) else 1,
    }
    parts = {
        "train": task.train + task.unlabeled,
        "hold_out": task.hold_out,
        "validation": task.validation,
    }
    try:
        return {
            name: kd.labeled_batches(
                texts,
                tokenizer,
                seed=config.seed,
                shuffle=name == "train",
                **shared,
            )
            for name, texts in parts.items()
        }
    except ValueError as error:
        sys.exit(str(error))


def baselines(task):
    """Scores of what needs no encoder, on the texts that report."""
    classes = None if task.class_names is None else len(task.class_names)
    known, labels = (
        kd.label_ids(texts, task.class_names)
        for texts in (task.train, task.validation)
    )
    return {
        "majority class" if classes else "mean": kd.majority_scores(
            task.metrics, known, labels, classes
        ),
        "TF-IDF and a linear model": kd.tfidf_scores(
            task.metrics, task.train, known, task.validation, labels, classes
        ),
    }


def score(task, model, batches):
    """Scores of a model on batches of the task."""
    return kd.task_scores(task.metrics, *kd.predict_task(model, batches))


def measure(config, task, student, teacher, batches):
    """All that is known of a run's student, for metrics.json."""
    beside = baselines(task)
    if teacher is not None:
        beside["teacher"] = score(task, teacher, batches["validation"])
    return run_results(
        config,
        task.name,
        task.metrics[0],
        student,
        scores=score(task, student, batches["validation"]),
        hold_out_scores=score(task, student, batches["hold_out"]),
        baselines=beside,
        rows={name: len(getattr(task, name)) for name in PARTS},
    )
