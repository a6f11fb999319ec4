"""GLUE's tasks by name: their files, columns, classes, metrics and sizes.

Source: Wang et al., 2018, https://arxiv.org/abs/1804.07461
"""

import dataclasses
import pathlib

from keras_kd.data.labeled_texts import TaskColumns, read_labeled_texts


@dataclasses.dataclass(frozen=True)
class GlueTask:
    """One of GLUE's tasks.

    Attributes:
        columns: `TaskColumns` of its TSV files.
        class_names: Tuple of str, in the order of their ids; none of a number.
        metrics: Tuple of str, the official ones; students are chosen by the
            first.
        rows: Dict of split to how many rows are published.
        hub: `TaskColumns` of the task in `datasets`.
        splits: Dict of a split's name here to that of its file.
    """

    columns: TaskColumns
    class_names: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: dict
    hub: TaskColumns
    splits: dict


def _task(
    columns,
    classes,
    metrics,
    rows,
    header=None,
    hub=None,
    dev="dev",
):
    text, pair, label = columns
    regression = not classes
    shared = {"labels": classes or None, "regression": regression}
    names = list(dict.fromkeys(classes.values())) if classes else ()
    hub = hub or ("sentence1", "sentence2", "label")
    return GlueTask(
        TaskColumns(text, pair, label, header, **shared),
        tuple(names),
        metrics,
        dict(zip(("train", "validation"), rows, strict=True)),
        # Whose labels may have other names for the same ids: those are ours.
        TaskColumns(*hub, **shared),
        {"train": "train", "validation": dev},
    )


_SENTENCES = ("sentence1", "sentence2", "label")
_ENTAILMENT = {
    "entailment": "entailment",
    "not_entailment": "not_entailment",
}

GLUE = {
    "CoLA": _task(
        ("sentence", None, "label"),
        {"0": "unacceptable", "1": "acceptable"},
        ("matthews",),
        (8551, 1043),
        header=("source", "label", "mark", "sentence"),
        hub=("sentence", None, "label"),
    ),
    "SST-2": _task(
        ("sentence", None, "label"),
        {"0": "negative", "1": "positive"},
        ("accuracy",),
        (67349, 872),
        hub=("sentence", None, "label"),
    ),
    "MRPC": _task(
        ("#1 String", "#2 String", "Quality"),
        {"0": "not_equivalent", "1": "equivalent"},
        ("f1", "accuracy"),
        (3668, 408),
    ),
    "STS-B": _task(
        ("sentence1", "sentence2", "score"),
        {},
        ("pearson", "spearman"),
        (5749, 1500),
    ),
    "MNLI": _task(
        ("sentence1", "sentence2", "gold_label"),
        {n: n for n in ("entailment", "neutral", "contradiction")},
        ("accuracy",),
        (392702, 9815),
        hub=("premise", "hypothesis", "label"),
        dev="dev_matched",
    ),
    "QNLI": _task(
        ("question", "sentence", "label"),
        _ENTAILMENT,
        ("accuracy",),
        (104743, 5463),
        hub=("question", "sentence", "label"),
    ),
    "RTE": _task(_SENTENCES, _ENTAILMENT, ("accuracy",), (2490, 277)),
    "WNLI": _task(
        _SENTENCES,
        {"0": "not_entailment", "1": "entailment"},
        ("accuracy",),
        (635, 71),
    ),
}


def glue_task(name):
    """A task of `GLUE`.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in GLUE:
        raise ValueError(
            f"`task` must be one of {sorted(GLUE)}. Received: {name!r}"
        )
    return GLUE[name]


def read_glue(name, split, source="hf:nyu-mll/glue"):
    """A split of one of GLUE's tasks, whole.

    Args:
        name: Str, such as "SST-2".
        split: "train" or "validation" (the dev set; of MNLI the matched one).
            The labels of the test sets are not public.
        source: Folder with the task's folder of TSV files, as GLUE gave them
            out, such as SOURCE/SST-2/dev.tsv; or the dataset's name on the
            Hugging Face hub.

    Returns:
        List of `LabeledText`.

    Raises:
        ValueError: If there is no such task or split, the file is cut (has
            another number of rows than published), or as
            `read_labeled_texts`.
        FileNotFoundError: If there is no such file.
        OSError: If the hub does not give it.
    """
    task = glue_task(name)
    if split not in task.splits:
        raise ValueError(
            f"`split` must be one of {sorted(task.splits)}. Received: {split!r}"
        )
    if str(source).startswith("hf:"):
        config = name.lower().replace("-", "")
        part = task.splits[split].replace("dev", "validation")
        place = f"{source}/{config}:{part}"
        found = read_labeled_texts(place, task.hub)
    else:
        place = pathlib.Path(source, name, f"{task.splits[split]}.tsv")
        found = read_labeled_texts(place, task.columns)
    if len(found) != task.rows[split]:
        raise ValueError(
            f"{place} must hold all {task.rows[split]:,} rows of {name}. "
            f"Received: {len(found):,}, so it may be cut"
        )
    return found
