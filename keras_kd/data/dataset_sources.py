"""Documents and rows of datasets: Hugging Face's, TensorFlow Datasets'."""

import collections.abc
import contextlib
import dataclasses
import itertools
import pathlib
import re

import numpy as np
from keras_kd.data.text_files import SNIFF_LINES, group_lines, is_title
from keras_kd.quiet import import_tensorflow

NAMED = re.compile(r"(?P<kind>hf|tfds):(?P<name>[^:]+)(:(?P<split>.+))?")
SAVED = ("dataset_info.json", "dataset_dict.json")


def find_dataset(source):
    """The dataset that a source names; None where it names none.

    Args:
        source: Str, as of `read_documents`.

    Raises:
        ValueError: If the name is none that there can be.
    """
    if any((pathlib.Path(source) / name).exists() for name in SAVED):
        return SavedDataset(pathlib.Path(source))
    if not names_dataset(source):
        return None
    found = NAMED.fullmatch(source)
    kind = (
        found and {"hf": HubDataset, "tfds": TensorFlowDataset}[found["kind"]]
    )
    if not found or not found["name"].strip("/"):
        raise ValueError(
            "`source` must be as 'hf:OWNER/NAME/CONFIG:SPLIT' or "
            f"'tfds:NAME/CONFIG:SPLIT'. Received: {source!r}"
        )
    return kind(found["name"], found["split"] or "train")


def names_dataset(source):
    """Whether a source is a dataset's name, and no file's."""
    return str(source).startswith(("hf:", "tfds:"))


def read_rows(source):
    """Rows of a dataset that is had by its name, in plain Python.

    Args:
        source: Str, as `names_dataset` has it.

    Returns:
        Pair: the dataset's features by column, a dict, empty where it does not
        tell; and an iterator of pairs, the place of a row and the row, a dict.

    Raises:
        ValueError: If the name is none that there can be.
        OSError: If the dataset is not to be had, at once or in its midst.
    """
    dataset = find_dataset(source)
    features, rows = dataset.rows()
    return features, (
        (f"{dataset}, row {number}", _plain(row))
        for number, row in enumerate(rows)
    )


def names_of_ids(feature):
    """Names of a column's ids, or of those in its lists; None without such."""
    return getattr(getattr(feature, "feature", feature), "names", None)


def _plain(value):
    """Dicts, lists, text and numbers of Python, of arrays and bytes too."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    return value


@dataclasses.dataclass(frozen=True)
class NamedDataset:
    """Base: a dataset that is had by its name.

    One overrides `kind`, and `load`, which gives its rows.
    """

    name: str
    split: str

    kind = ""

    def __str__(self):
        return f"{self.kind}:{self.name}:{self.split}"

    def read(self, text_column):
        """Yields the documents."""
        with self._named():
            found = self.load()
        return documents_of(self._each(found), text_column, self)

    def rows(self):
        """Its features, a dict that may be empty; and its rows, an iterator.

        Raises:
            OSError: If the dataset is not to be had, at once or in its midst.
        """
        with self._named():
            found = self.load()
            features = getattr(found, "features", None) or {}
        return features, self._each(found)

    def _each(self, found):
        with self._named():
            yield from found

    @contextlib.contextmanager
    def _named(self):
        try:
            yield
        except Exception as error:  # of many kinds, by what is missing
            raise OSError(
                f"`source` must be a dataset that can be had: {self}: {error}"
                f"{_hint(error)}"
            ) from error


def _hint(error):
    """What to install, where the error is that Apache Beam is not there."""
    while error is not None:
        if re.search(r"apache.?beam", str(error)):
            return (
                ". This dataset is made by Apache Beam: pip install "
                "'apache-beam[gcp]'"
            )
        error = error.__cause__ or error.__context__
    return ""


class HubDataset(NamedDataset):
    """A dataset of the Hugging Face hub, streamed."""

    kind = "hf"

    def load(self):
        """Its rows, dicts."""
        import datasets
        from huggingface_hub import constants

        owner, _, rest = self.name.partition("/")
        name, _, config = rest.partition("/")
        return datasets.load_dataset(
            f"{owner}/{name}" if name else owner,
            config or None,
            split=self.split,
            streaming=not constants.HF_HUB_OFFLINE,
        )


class TensorFlowDataset(NamedDataset):
    """A dataset of TensorFlow Datasets."""

    kind = "tfds"

    def load(self):
        """Its rows, dicts."""
        import_tensorflow(f"{self}")
        import tensorflow_datasets

        rows = tensorflow_datasets.load(self.name, split=self.split)
        return _TensorFlowRows(self.name, tensorflow_datasets.as_numpy(rows))


@dataclasses.dataclass(frozen=True)
class _TensorFlowRows:
    """Rows, and what the dataset says of their columns."""

    name: str
    rows: collections.abc.Iterable

    def __iter__(self):
        return iter(self.rows)

    @property
    def features(self):
        import tensorflow_datasets

        found = tensorflow_datasets.builder(self.name).info.features
        return dict(found.items())


@dataclasses.dataclass(frozen=True)
class SavedDataset:
    """A folder that `datasets` wrote with `save_to_disk`."""

    folder: pathlib.Path

    def __str__(self):
        return str(self.folder)

    def read(self, text_column):
        """Yields the documents; those of all splits, where it has such."""
        import datasets

        try:
            found = datasets.load_from_disk(str(self.folder))
        except Exception as error:  # damaged, in one of many ways
            raise ValueError(
                f"`source` must be a dataset as `save_to_disk` writes it. "
                f"Received: {self.folder}: {error}"
            ) from error
        parts = found.values() if isinstance(found, dict) else [found]
        for rows in parts:
            yield from documents_of(rows, text_column, self)


def documents_of(rows, text_column, source):
    """Yields a document of each row; of WikiText's lines, its articles.

    Args:
        rows: Iterable of dicts.
        text_column: Str.
        source: What they are of, for errors.

    Raises:
        ValueError: If a row has no such text.
    """
    texts = (_text_of(row, text_column, source) for row in rows)
    head = list(itertools.islice(texts, SNIFF_LINES))
    texts = itertools.chain(head, texts)
    yield from group_lines(texts) if any(map(is_title, head)) else texts


def _text_of(row, text_column, source):
    text = row.get(text_column)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str):
        raise ValueError(
            f"`text_column` must be a column of text of {source}: "
            f"{sorted(row)}. Received: {text_column!r}"
        )
    return text
