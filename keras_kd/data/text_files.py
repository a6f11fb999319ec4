"""Documents of files: text, JSON lines, CSV, Parquet, compressed or not."""

import csv
import dataclasses
import functools
import glob
import itertools
import pathlib
import shutil
import sys
import tempfile

import pyarrow
import pyarrow.parquet
from keras_kd.data.file_lines import (
    COMPRESSIONS,
    UNREADABLE,
    kind_of,
    open_file,
    read_json_lines,
    read_lines,
    unix_lines,
)

TEXT_SUFFIXES = (".txt", ".raw", ".tokens")  # the last two are WikiText's
SUFFIXES = (*TEXT_SUFFIXES, ".jsonl", ".csv", ".parquet")
SNIFF_LINES = 2000

csv.field_size_limit(sys.maxsize)


@dataclasses.dataclass(frozen=True)
class TextFile:
    """A file of documents.

    Attributes:
        path: `pathlib.Path`.
        folder: Str or None. The folder, or glob, that it was found by.
    """

    path: pathlib.Path
    folder: str | None = None

    def __str__(self):
        return str(self.path)

    def read(self, text_column):
        """Yields the documents."""
        suffix = kind_of(self.path)[0]
        if suffix in TEXT_SUFFIXES:
            return group_lines(unix_lines(read_lines(self.path)))
        readers = {
            ".jsonl": _read_jsonl,
            ".csv": _read_csv,
            ".parquet": _read_parquet,
        }
        return readers[suffix](self.path, text_column)


class StandardInput:
    """Text that is piped in, kept in a temporary file to be read again."""

    def __str__(self):
        return "standard input"

    def read(self, text_column):
        """Yields the documents, as of a .txt file."""
        lines = read_lines(pathlib.Path(piped_in().name))
        return group_lines(unix_lines(lines))


@functools.cache  # it comes but once
def piped_in():
    """A temporary file of all that standard input had."""
    kept = tempfile.NamedTemporaryFile(suffix=".txt")
    shutil.copyfileobj(sys.stdin.buffer, kept)
    kept.flush()
    return kept


def find_files(source):
    """Files of a path, a folder or a glob, sorted.

    Args:
        source: Str. Of a folder all files of a known suffix are taken, those
            in folders below too; hidden ones are not.

    Returns:
        List of `TextFile`.

    Raises:
        ValueError, FileNotFoundError: As `read_documents`.
    """
    path = pathlib.Path(source)
    if path.is_dir():
        return [TextFile(file, source) for file in _files_below(path)]
    folder = source if _is_glob(source) else None
    return [TextFile(file, folder) for file in _find(source)]


def _files_below(folder):
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and kind_of(file)[0] in SUFFIXES
        and not any(
            part.startswith(".") for part in file.relative_to(folder).parts
        )
    ]
    if not files:
        raise ValueError(
            f"`source` must be a folder with files ending in "
            f"{', '.join(SUFFIXES)}. Received: {folder}"
        )
    return files


def _is_glob(source):
    return glob.has_magic(source) and not pathlib.Path(source).exists()


def _find(source):
    """Files of a path or a glob, sorted."""
    if _is_glob(source):
        files = sorted(map(pathlib.Path, glob.glob(source, recursive=True)))
        if not files:
            raise FileNotFoundError(
                f"`source` must match at least one file. Received: {source!r}"
            )
    else:
        files = [pathlib.Path(source)]
    for file in files:
        if file.exists() and kind_of(file)[0] in SUFFIXES and file.is_file():
            continue
        if not file.exists():
            looks_like_file = file.suffix or len(file.parts) > 1
            kind = FileNotFoundError if looks_like_file else ValueError
            raise kind(
                "`source` must be 'docstrings', an existing file or folder, "
                "'hf:...', 'tfds:...' or '-' for standard input. "
                f"Received: {source!r}"
            )
        raise ValueError(
            f"`source` must be files ending in {', '.join(SUFFIXES)}, or in "
            f"one of these and {', '.join(COMPRESSIONS)}. Received: {file}"
        )
    return files


def group_lines(lines):
    """Yields documents of lines of text.

    WikiText's titles start documents; else blank lines stand between them;
    else each line is one.
    """
    lines = iter(lines)
    head = list(itertools.islice(lines, SNIFF_LINES))
    wikitext = any(map(is_title, head))
    blank_lines = any(not line.strip() for line in head)

    def starts_document(line):
        if wikitext:
            return is_title(line)
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


def is_title(line):
    """Whether a line is an article's title in WikiText: ` = Title = `."""
    return (
        line.startswith(" = ")
        and line.rstrip().endswith(" =")
        and not line.startswith(" = =")
    )


def _read_jsonl(file, text_column):
    for place, row in read_json_lines(file):
        text = row.get(text_column) if isinstance(row, dict) else row
        if not isinstance(text, str):
            there = row
            if isinstance(row, dict):
                there = {text_column: text} if text_column in row else [*row]
            raise ValueError(
                f"`text_column` must be a key with text. Expected "
                f"{text_column!r} in {place}. Received: {there!r:.200}"
            )
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:  # half of an escaped pair
            raise ValueError(
                f"`source` must be UTF-8. Received: {place}: {error}"
            ) from None
        yield text


def _read_csv(file, text_column):
    rows = csv.DictReader(read_lines(file), strict=True)
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
        with open_file(file) as compressed:
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
    except UNREADABLE as error:
        raise ValueError(
            f"`source` could not be read: {file}: {error}"
        ) from error


def _check_column(text_column, columns, file):
    if text_column not in columns:
        raise ValueError(
            f"`text_column` must be one of the columns of {file}: "
            f"{list(columns)}. Received: {text_column!r}"
        )
