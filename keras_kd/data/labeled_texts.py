"""read_labeled_texts: texts, or pairs of texts, and what each is labelled."""

import csv
import dataclasses
import math
import pathlib

from keras_kd.data.dataset_sources import (
    names_dataset,
    names_of_ids,
    read_rows,
)
from keras_kd.data.file_lines import (
    kind_of,
    read_json_lines,
    read_lines,
    unix_lines,
)
from keras_kd.data.row_labels import read_labels

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
        class_names: Tuple of str or None. All classes of where it is from, in
            the order of their ids, where that says so.
        weight: Float >= 0. How much it counts, where it has a label.
    """

    text: str
    pair: str | None = None
    label: str | float | None = None
    place: str = ""
    class_names: tuple[str, ...] | None = dataclasses.field(
        default=None, repr=False, compare=False
    )
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class TaskColumns:
    """Which columns of a file hold what.

    Attributes:
        text: Str, the column of the text.
        pair: Str or None, that of the second text.
        label: Str or None, that of the label; None: nothing is labelled.
        header: Tuple of str, the columns in order, of a .tsv whose first line
            does not say so; or None.
        labels: Dict of the file's label to the name of its class, in the order
            of their ids; or None, to take the file's as they are.
        regression: Bool. Whether labels are numbers.
        weight: Str or None, the column of each row's weight; None: 1 each.
    """

    text: str = "text"
    pair: str | None = None
    label: str | None = "label"
    header: tuple[str, ...] | None = None
    labels: dict | None = None
    regression: bool = False
    weight: str | None = None


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
            too many or no text: the message names file and line. If labels are
            missing, lists (several labels a text are not supported yet),
            unknown, no numbers, or spelt in more ways than one, " positive"
            beside "positive": one message names all of them by their lines.
        OSError: If a dataset is not to be had.
    """
    columns = columns or TaskColumns()
    names, rows = _rows(str(source), columns)
    places, texts, labels, weights = [], [], [], []
    for place, row in rows:
        texts.append(_texts_of(row, place, columns))
        labels.append(row.get(columns.label))
        weights.append(_weight_of(row, place, columns))
        places.append(place)
    if not texts:
        raise ValueError(
            f"`source` must hold texts. Received: no row in {source}"
        )
    if columns.label is None:
        labels = [None] * len(texts)
    else:
        labels = read_labels(labels, places, columns, names)
    if columns.labels is not None:
        names = dict.fromkeys(columns.labels.values())
    names = tuple(names) if names and not columns.regression else None
    return [
        LabeledText(*pair, label, place, names, weight)
        for pair, label, place, weight in zip(
            texts, labels, places, weights, strict=True
        )
    ]


def _rows(source, columns):
    """Names of the ids of classes or None; the place of each row, and the row.

    Rows are dicts.
    """
    if names_dataset(source):
        features, rows = read_rows(source)
        return names_of_ids(features.get(columns.label)), rows
    path = pathlib.Path(source)
    suffix = kind_of(path)[0]
    if suffix not in SUFFIXES:
        raise ValueError(
            f"`source` must end in {', '.join(SUFFIXES)}, or be 'hf:...'. "
            f"Received: {source}"
        )
    if not path.exists():
        raise FileNotFoundError(
            f"`source` must be an existing file. Received: {source}"
        )
    if suffix == ".tsv":
        return None, _read_tsv(path, columns.header)
    return None, _read_csv(path) if suffix == ".csv" else read_json_rows(path)


def _read_tsv(path, header):
    for number, line in enumerate(unix_lines(read_lines(path)), start=1):
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


def _texts_of(row, place, columns):
    """A row's text, and its second one or None."""
    named = columns.text, columns.pair, columns.label, columns.weight
    wanted = [column for column in named if column]
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
    return texts[0], texts[1] if columns.pair else None


def _weight_of(row, place, columns):
    if columns.weight is None:
        return 1.0
    try:
        weight = float(row[columns.weight])
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise ValueError(
            f"column {columns.weight!r} must hold a weight, a number of 0 or "
            f"more. Received: {row[columns.weight]!r} in {place}"
        )
    return weight
