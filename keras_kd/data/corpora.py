"""read_documents: the built-in corpus or files, split by content."""

import codecs
import csv
import glob
import gzip
import hashlib
import json
import lzma
import pathlib
import sys
import zlib

import pyarrow
import pyarrow.parquet
from keras_kd.data.docstrings import read_docstrings

# Share of the documents in each split, in parts of a hundred.
SPLITS = {
    "train": range(0, 90),
    "validation": range(90, 95),
    "test": range(95, 100),
}
SUFFIXES = (".txt", ".jsonl", ".csv", ".parquet")
COMPRESSIONS = {".gz": gzip.open, ".xz": lzma.open}
_SNIFF_LINES = 2000
_UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error)

csv.field_size_limit(sys.maxsize)


def read_documents(source, split=None, text_column="text"):
    """The documents of a corpus, one str each, streamed.

    Files:
        .txt: WikiText's layout (` = Title = ` starts an article) is
            recognised; else blank lines separate documents; else, without
            blank lines, each line is a document.
        .jsonl, .csv, .parquet: one row a document, from `text_column`.
        Each may be compressed: .gz, .xz.

    Args:
        source: "docstrings" (the built-in corpus), a file, a glob such as
            "texts/*.txt.gz", or a list of these, read in order.
        split: None for all documents, or "train", "validation", "test"
            (90 / 5 / 5 %), decided by a hash of each document's text alone:
            the same text is never in two splits, whatever the file.
        text_column: Str. Column or key of the text.

    Returns:
        `Documents`, an iterable of str that starts anew each time.

    Raises:
        ValueError: At once, if the source, its suffix or the split is
            unknown; while reading, if a file is empty, binary or not UTF-8,
            or a row has no text: the message names file and line.
        FileNotFoundError: At once, if a file is not there or nothing matches.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(
            f"`split` must be None or one of {list(SPLITS)}. "
            f"Received: {split!r}"
        )
    sources = [source] if isinstance(source, (str, pathlib.Path)) else source
    if not sources:
        raise ValueError(f"`source` must name a corpus. Received: {source!r}")
    files = [file for one in sources for file in _find(str(one))]
    return Documents(files, split, text_column)


class Documents:
    """What `read_documents` returns: iterate it as often as needed."""

    def __init__(self, files, split, text_column):
        self.files = files
        self.split = split
        self.text_column = text_column

    def __iter__(self):
        parts = SPLITS.get(self.split)
        for file in self.files:
            for document in _read(file, self.text_column):
                if parts is None or part_of(document) in parts:
                    yield document

    def __repr__(self):
        files = [str(file) for file in self.files]
        return f"Documents({files}, split={self.split!r})"


def part_of(document):
    """Which of a hundred parts a document is in, by its text alone."""
    digest = hashlib.blake2b(document.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 100


def _find(source):
    """Files of one source, sorted; or the built-in corpus by its name."""
    if source == "docstrings":
        return [source]
    if glob.has_magic(source) and not pathlib.Path(source).exists():
        files = sorted(map(pathlib.Path, glob.glob(source, recursive=True)))
        if not files:
            raise FileNotFoundError(
                f"`source` must match at least one file. Received: {source!r}"
            )
    else:
        files = [pathlib.Path(source)]
    for file in files:
        if file.exists() and _kind(file)[0] in SUFFIXES and file.is_file():
            continue
        if not file.exists():
            looks_like_file = file.suffix or len(file.parts) > 1
            kind = FileNotFoundError if looks_like_file else ValueError
            raise kind(
                "`source` must be 'docstrings' or an existing file. "
                f"Received: {source!r}"
            )
        raise ValueError(
            f"`source` must be files ending in {', '.join(SUFFIXES)}, or in "
            f"one of these and {', '.join(COMPRESSIONS)}. Received: {file}"
        )
    return files


def _kind(file):
    """Suffix that tells the format, and the compression's or None."""
    if file.suffix in COMPRESSIONS:
        return pathlib.Path(file.stem).suffix, file.suffix
    return file.suffix, None


def _read(file, text_column):
    """Yields the documents of one file; refuses an empty one."""
    if file == "docstrings":
        yield from read_docstrings()
        return
    readers = {
        ".txt": _read_text,
        ".jsonl": _read_jsonl,
        ".csv": _read_csv,
        ".parquet": _read_parquet,
    }
    empty = True
    for document in readers[_kind(file)[0]](file, text_column):
        if document.strip():
            empty = False
            yield document
    if empty:
        raise ValueError(
            f"`source` must hold text. Received: no text in {file}"
        )


def _open(file):
    """The file's bytes, decompressed."""
    compression = _kind(file)[1]
    return COMPRESSIONS[compression](file) if compression else file.open("rb")


def _lines(file):
    """Yields lines of text; says where a byte is that is not UTF-8."""
    offset = 0
    try:
        with _open(file) as lines:
            for number, line in enumerate(lines, start=1):
                if b"\0" in line:
                    raise ValueError(
                        "`source` must be text. Received: a binary file, "
                        f"{file} (a zero byte at byte "
                        f"{offset + line.index(0)}, line {number})"
                    )
                if number == 1 and line.startswith(codecs.BOM_UTF8):
                    line = line.removeprefix(codecs.BOM_UTF8)
                    offset += len(codecs.BOM_UTF8)
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise ValueError(
                        f"`source` must be UTF-8. Received: {file}, byte "
                        f"{offset + error.start} (line {number}) is "
                        f"0x{line[error.start]:02x}"
                    ) from None
                offset += len(line)
                yield text
    except _UNREADABLE as error:
        raise ValueError(
            f"`source` could not be read: {file}, after byte {offset}: {error}"
        ) from error


def _read_text(file, _):
    lines = _lines(file)
    head = [line for _, line in zip(range(_SNIFF_LINES), lines, strict=False)]
    wikitext = any(map(_is_title, head))
    blank_lines = any(not line.strip() for line in head)

    def starts_document(line):
        if wikitext:
            return _is_title(line)
        return not blank_lines or not line.strip()

    document = []
    for some in (head, lines):
        for line in some:
            if starts_document(line) and document:
                yield "\n".join(document)
                document = []
            if line.strip():
                document.append(line.strip())
    yield "\n".join(document)


def _is_title(line):
    """Whether a line is an article's title in WikiText: ` = Title = `."""
    return (
        line.startswith(" = ")
        and line.rstrip().endswith(" =")
        and not line.startswith(" = =")
    )


def _read_jsonl(file, text_column):
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"`source` must hold one JSON object a line. Received: {file}, "
                f"line {number}: {error}"
            ) from None
        text = row.get(text_column) if isinstance(row, dict) else row
        if not isinstance(text, str):
            raise ValueError(
                f"`text_column` must be a key with text. Expected "
                f"{text_column!r} in {file}, line {number}. Received: "
                f"{sorted(row) if isinstance(row, dict) else row!r}"
            )
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:  # half of an escaped pair
            raise ValueError(
                f"`source` must be UTF-8. Received: {file}, line {number}: "
                f"{error}"
            ) from None
        yield text


def _read_csv(file, text_column):
    rows = csv.DictReader(_lines(file), strict=True)
    try:
        if rows.fieldnames is None:
            return
        _check_column(text_column, rows.fieldnames, file)
        for row in rows:
            yield row[text_column] or ""
    except csv.Error as error:
        raise ValueError(
            f"`source` must be CSV. Received: {file}, line "
            f"{rows.reader.line_num}: {error}"
        ) from error


def _read_parquet(file, text_column):
    try:
        with _open(file) as compressed:
            table = pyarrow.parquet.ParquetFile(compressed)
            _check_column(text_column, table.schema_arrow.names, file)
            for batch in table.iter_batches(columns=[text_column]):
                for text in batch.column(0).to_pylist():
                    if not isinstance(text, str | None):
                        raise ValueError(
                            "`text_column` must be a column of text. "
                            f"Received: {text_column!r} of {file}, which "
                            f"holds {text!r}"
                        )
                    yield text or ""
    except pyarrow.ArrowException as error:
        raise ValueError(
            f"`source` must be Parquet. Received: {file}: {error}"
        ) from error
    except _UNREADABLE as error:
        raise ValueError(
            f"`source` could not be read: {file}: {error}"
        ) from error


def _check_column(text_column, columns, file):
    if text_column not in columns:
        raise ValueError(
            f"`text_column` must be one of the columns of {file}: "
            f"{list(columns)}. Received: {text_column!r}"
        )
