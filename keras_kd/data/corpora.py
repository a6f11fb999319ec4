"""read_documents: the built-in corpus, files or datasets, split by content."""

import hashlib
import pathlib
import re

from keras_kd.data.dataset_sources import find_dataset
from keras_kd.data.docstrings import read_docstrings
from keras_kd.data.text_files import StandardInput, find_files

# Share of the documents in each split, in parts of a hundred.
SPLITS = {
    "train": range(0, 90),
    "validation": range(90, 95),
    "test": range(95, 100),
}

# Wiki40B's marks of what begins; a new line in a paragraph.
_MARKS = re.compile(r"_START_(ARTICLE|SECTION|PARAGRAPH)_\n?|_NEWLINE_")


def read_documents(source, split=None, text_column="text"):
    """The documents of a corpus, one str each, streamed.

    Files:
        .txt, .raw, .tokens: WikiText's layout (` = Title = ` starts an
            article) is recognised; else blank lines separate documents; else,
            without blank lines, each line is a document.
        .jsonl, .csv, .parquet: one row a document, from `text_column`.
        Each may be compressed: .gz, .xz. Wiki40B's marks, such as
        _START_ARTICLE_, are left out, as of a dataset's texts.

    Args:
        source: One of these, or a list of them, read in order:
            "docstrings": the built-in corpus;
            a file, a folder (all such files in it), or a glob such as
            "texts/*.txt.gz";
            "-": standard input, as a .txt;
            "hf:OWNER/NAME", "hf:OWNER/NAME/CONFIG", either with ":SPLIT"
            (default: train): a dataset of the Hugging Face hub, streamed, or
            from its cache where `HF_HUB_OFFLINE` is set;
            a folder written by its `save_to_disk`;
            "tfds:NAME", "tfds:NAME/CONFIG", either with ":SPLIT": a dataset
            of TensorFlow Datasets.
            A dataset that is WikiText line by line gives its articles.
        split: None for all documents, or "train", "validation", "test"
            (90 / 5 / 5 %), decided by a hash of each document's text alone:
            the same text is never in two splits, whatever the file.
        text_column: Str. Column or key of the text.

    Returns:
        `Documents`, an iterable of str that starts anew each time.

    Raises:
        ValueError: At once, if the source, its suffix or the split is
            unknown; while reading, if a file is binary or not UTF-8, or a row
            has no text: the message names file and line; if it is empty, and
            not one of many in a folder or glob.
        FileNotFoundError: At once, if a file is not there or nothing matches.
        OSError: While reading, if a dataset is not to be had.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(
            f"`split` must be None or one of {list(SPLITS)}. "
            f"Received: {split!r}"
        )
    sources = [source] if isinstance(source, (str, pathlib.Path)) else source
    if not sources:
        raise ValueError(f"`source` must name a corpus. Received: {source!r}")
    found = [part for one in sources for part in _find(str(one))]
    return Documents(found, split, text_column)


class Documents:
    """What `read_documents` returns: iterate it as often as needed.

    Args:
        sources: List of what has `read`.
        split: As of `read_documents`.
        text_column: Likewise.
        whole: Bool. False: these are some of a folder's files, and each may be
            without text.

    Attributes:
        empty_files: List of the files without text that the last iteration
            passed over, of a folder or a glob.
    """

    def __init__(self, sources, split, text_column, whole=True):
        self.sources = sources
        self.split = split
        self.text_column = text_column
        self.whole = whole
        self.empty_files = []

    def __iter__(self):
        parts = SPLITS.get(self.split)
        empty_files = []
        for source in self.sources:
            empty = True
            for document in source.read(self.text_column):
                document = without_marks(document)
                if not document.strip():
                    continue
                empty = False
                if parts is None or part_of(document) in parts:
                    yield document
            if empty:
                _check_is_one_of_many(source)
                empty_files.append(source)
        self.pass_over(empty_files)

    def pass_over(self, empty_files):
        """Notes files without text; refuses a folder of such alone.

        Raises:
            ValueError: If all of a folder, or a glob, are.
        """
        self.empty_files = empty_files
        passed_over = set(empty_files)
        empty = {file.folder for file in empty_files}
        full = {
            getattr(source, "folder", None)
            for source in self.sources
            if source not in passed_over
        }
        if self.whole and empty - full:
            raise _no_text(", ".join(sorted(empty - full)))

    def __repr__(self):
        sources = [str(source) for source in self.sources]
        return f"Documents({sources}, split={self.split!r})"


def without_marks(document):
    """A document without Wiki40B's marks, wherever it was had from."""
    if "_START_" not in document and "_NEWLINE_" not in document:
        return document
    return _MARKS.sub("\n", document).strip()


def part_of(document):
    """Which of a hundred parts a document is in, by its text alone."""
    digest = hashlib.blake2b(document.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 100


class Docstrings:
    """The built-in corpus."""

    def __str__(self):
        return "docstrings"

    def read(self, text_column):
        """Yields the documents."""
        return read_docstrings()


def _find(source):
    """What one source names: a list of things with `read`."""
    if source == "docstrings":
        return [Docstrings()]
    if source == "-":
        return [StandardInput()]
    dataset = find_dataset(source)
    return find_files(source) if dataset is None else [dataset]


def _check_is_one_of_many(source):
    """Refuses a source without text that is no file of a folder."""
    if getattr(source, "folder", None) is None:
        raise _no_text(source)


def _no_text(source):
    return ValueError(f"`source` must hold text. Received: no text in {source}")
