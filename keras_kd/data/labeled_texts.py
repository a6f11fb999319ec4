"""read_labeled_texts: texts, or pairs of texts, and what each is labelled."""

import csv
import dataclasses
import math
import pathlib

import numpy as np
from keras_kd.data.dataset_sources import (
    names_dataset,
    names_of_ids,
    read_rows,
)
from keras_kd.data.text_files import read_json_lines, read_lines

SUFFIXES = (".tsv", ".csv", ".jsonl")


@dataclasses.dataclass(frozen=True)
class LabeledText:
    """A text, or a pair, and its label.

    Attributes:
        text: Str.
        pair: Str or None. The second text.
        label: Str, a class; float, where the task is a number; None where
            nobody has labelled it.
        place: Str. Where it stands, for errors: file and line.
    """

    text: str
    pair: str | None = None
    label: str | float | None = None
    place: str = ""


@dataclasses.dataclass(frozen=True)
class TaskColumns:
    """Which columns of a file hold what.

    Attributes:
        text: Str, the column of the text.
        pair: Str or None, that of the second text.
        label: Str or None, that of the label; None: nothing is labelled.
        header: Tuple of str, the columns in order, of a .tsv whose first line
            does not say so; or None.
        labels: Dict of the file's label to the name of its class; or None, to
            take the file's as they are.
        regression: Bool. Whether labels are numbers.
    """

    text: str = "text"
    pair: str | None = None
    label: str | None = "label"
    header: tuple[str, ...] | None = None
    labels: dict | None = None
    regression: bool = False


def read_labeled_texts(source, columns=None):
    """All texts of a source, with their labels.

    A .tsv has no quotes, as GLUE's: a quotation mark is a letter, and a tab
    parts columns wherever it stands.

    Args:
        source: Str or path of a .tsv, .csv or .jsonl, each also .gz or .xz; or
            "hf:OWNER/NAME/CONFIG:SPLIT", "tfds:NAME/CONFIG:SPLIT", whose ids
            of classes become their names.
        columns: `TaskColumns`; default: `text` and `label`.

    Returns:
        List of `LabeledText`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If its suffix is unknown, a column is missing, or a row has
            too many, no text, an unknown label or one that is no number: the
            message names file and line.
        OSError: If a dataset is not to be had.
    """
    columns = columns or TaskColumns()
    found = [
        _labeled_text(row, place, columns)
        for place, row in _rows(str(source), columns)
    ]
    if not found:
        raise ValueError(
            f"`source` must hold texts. Received: no row in {source}"
        )
    return found


def class_names_of(texts):
    """The labels that texts have, sorted."""
    return sorted({t.label for t in texts if t.label is not None})


def check_classes(texts, class_names):
    """Refuses training texts that lack a class.

    Args:
        texts: List of `LabeledText`.
        class_names: List of str.

    Raises:
        ValueError: If a class is empty, or as `label_ids`.
    """
    label_ids(texts, class_names)
    there = {text.label for text in texts}
    empty = [name for name in class_names if name not in there]
    if empty:
        raise ValueError(
            f"`texts` must hold a text of every class of {list(class_names)}. "
            f"Received: none of {', '.join(map(repr, empty))}"
        )


def label_ids(texts, class_names):
    """Labels of texts as an array, (N,): int32 ids or float32 numbers.

    Raises:
        ValueError: If a label is no class.
    """
    if class_names is None:
        labels = [0.0 if text.label is None else text.label for text in texts]
        return np.array(labels, "float32")
    ids = {name: index for index, name in enumerate(class_names)}
    for text in texts:
        if text.label is not None and text.label not in ids:
            raise ValueError(
                f"labels must be one of `class_names`, {list(class_names)}. "
                f"Received: {text.label!r} in {text.place or 'a text'}"
            )
    return np.array([ids.get(text.label, 0) for text in texts], "int32")


def _rows(source, columns):
    """Yields the place of each row, and the row, a dict."""
    if names_dataset(source):
        yield from _dataset_rows(source, columns)
        return
    path = pathlib.Path(source)
    suffixes = [s for s in path.suffixes if s not in (".gz", ".xz")]
    if not suffixes or suffixes[-1] not in SUFFIXES:
        raise ValueError(
            f"`source` must end in {', '.join(SUFFIXES)}, or be 'hf:...'. "
            f"Received: {source}"
        )
    if not path.exists():
        raise FileNotFoundError(
            f"`source` must be an existing file. Received: {source}"
        )
    if suffixes[-1] == ".tsv":
        yield from _read_tsv(path, columns.header)
    elif suffixes[-1] == ".csv":
        yield from _read_csv(path)
    else:
        yield from read_json_rows(path)


def _read_tsv(path, header):
    for number, line in enumerate(read_lines(path), start=1):
        cells = line.rstrip("\r\n").split("\t")
        if header is None:
            header = cells
            continue
        place = f"{path}, line {number}"
        if len(cells) != len(header):
            raise ValueError(
                f"a row must have the {len(header)} columns {list(header)}; a "
                ".tsv has no quotes, so that a tab parts columns even within "
                f"them. Received: {len(cells)} in {place}"
            )
        yield place, dict(zip(header, cells, strict=True))


def _read_csv(path):
    rows = csv.DictReader(read_lines(path), strict=True)
    try:
        for row in rows:
            place = f"{path}, line {rows.line_num}"
            if None in row or None in row.values():
                raise ValueError(
                    f"a row must have the columns {list(rows.fieldnames)}, "
                    "texts with commas in quotes. Received: "
                    f"{'more' if None in row else 'fewer'} in {place}"
                )
            yield place, row
    except csv.Error as error:
        raise ValueError(
            f"`source` must be CSV. Received: {path}, line "
            f"{rows.reader.line_num}: {error}"
        ) from error


def read_json_rows(path):
    """Yields the place and the dict of each line of a .jsonl.

    Raises:
        ValueError: If a line is no JSON object, by file and line.
    """
    for place, row in read_json_lines(path):
        if not isinstance(row, dict):
            raise ValueError(
                "`source` must hold one JSON object a line. Received: "
                f"{place}: {row}"
            )
        yield place, row


def _dataset_rows(source, columns):
    features, rows = read_rows(source)
    names = names_of_ids(features.get(columns.label))
    for place, row in rows:
        label = row.get(columns.label)
        if names and isinstance(label, int) and label >= 0:
            row[columns.label] = names[label]
        yield place, row


def _labeled_text(row, place, columns):
    """A row as a `LabeledText`."""
    wanted = [c for c in (columns.text, columns.pair, columns.label) if c]
    missing = [name for name in wanted if name not in row]
    if missing:
        raise ValueError(
            f"columns must be there: {wanted}. Received: {sorted(row)}, "
            f"without {missing}, in {place}"
        )
    texts = [row[name] for name in (columns.text, columns.pair) if name]
    for name, text in zip((columns.text, columns.pair), texts, strict=False):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f"column {name!r} must hold text. Received: {text!r} in {place}"
            )
    pair = texts[1] if columns.pair else None
    return LabeledText(texts[0], pair, _label_of(row, place, columns), place)


def _label_of(row, place, columns):
    if columns.label is None:
        return None
    label = row[columns.label]
    if columns.regression:
        try:
            number = float(label)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(
                f"column {columns.label!r} must hold a finite number. "
                f"Received: {label!r} in {place}"
            )
        return number
    label = "" if label is None else str(label)
    if columns.labels is not None and label not in columns.labels.values():
        if label not in columns.labels:
            raise ValueError(
                f"column {columns.label!r} must be one of "
                f"{list(columns.labels)}. Received: {label!r} in {place}"
            )
        return columns.labels[label]
    if not label:
        raise ValueError(
            f"column {columns.label!r} must hold a label. Received: "
            f"{row[columns.label]!r} in {place}"
        )
    return label
