"""Lines of files, compressed or not; what is wrong is named by its place."""

import codecs
import gzip
import json
import lzma
import pathlib
import zlib

COMPRESSIONS = {".gz": gzip.open, ".xz": lzma.open}
UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error)


def kind_of(file):
    """Suffix that tells the format, and the compression's or None.

    Both in lower case, however they are written: .TXT.GZ is .txt and .gz.
    """
    suffix = file.suffix.lower()
    if suffix in COMPRESSIONS:
        return pathlib.Path(file.stem).suffix.lower(), suffix
    return suffix, None


def open_file(file):
    """The file's bytes, decompressed."""
    compression = kind_of(file)[1]
    return COMPRESSIONS[compression](file) if compression else file.open("rb")


def read_lines(file):
    """Yields lines of text; says where a byte is that is not UTF-8."""
    offset = 0
    try:
        with open_file(file) as lines:
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
    except UNREADABLE as error:
        raise ValueError(
            f"`source` could not be read: {file}, after byte {offset}: {error}"
        ) from error


def unix_lines(lines):
    """Yields lines of text, those of old Macs (carriage returns alone) too.

    Args:
        lines: Iterable of str, as of `read_lines`: such a file is one line.
    """
    for line in lines:
        if line.endswith("\n") or "\r" not in line:
            yield line
        else:
            yield from (
                f"{part}\n" for part in line.removesuffix("\r").split("\r")
            )


def read_json(text):
    """What JSON says.

    Raises:
        ValueError: If it is none, or nested or of numbers beyond what Python
            takes.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json_lines(file):
    """Yields the place of each line of JSON, and what it says."""
    for number, line in enumerate(unix_lines(read_lines(file)), start=1):
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        try:
            row = read_json(line)
        except ValueError as error:
            raise ValueError(
                "`source` must hold one JSON object a line. "
                f"Received: {place}: {error}"
            ) from None
        yield place, row
