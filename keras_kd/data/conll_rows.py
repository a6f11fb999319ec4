"""Rows of a file as those of CoNLL: a word a line, comments left out."""

import re

from keras_kd.data.file_lines import read_lines

DOCUMENT_START = "-DOCSTART-"
LONGEST_ALONE = 100  # words of a file's one sentence
LONGEST = 1000  # words of a file's sentences, on average
# "# text = It is.", "# newdoc id = d0", "# id 3f-1", "#begin document (a)".
_COMMENT = re.compile(
    r"#\s*[\w.:-]+(\s+\w+)?\s*=|#\s*(new(doc|par)|sent_id)\b"
    r"|#\s+id\b|#\s*(begin|end) document\b"
)
# CoNLL-U's numbers of words that are written as one, and of unwritten ones.
_NO_WORD = re.compile(r"[0-9]+[-.][0-9]+")


def read_conll_rows(path, word, tag):
    """Yields lists of rows, each a place and its cells: a sentence.

    Columns are parted by tabs where the first row has one, else by spaces.
    Lines end as on any system. Comments at a sentence's head are left out:
    what begins with "#" and has not the columns of a row, or no tag that other
    rows have. So are, where words are numbered, rows of "1-2" and "1.1", as
    CoNLL-U's.

    Args:
        path: `pathlib.Path`.
        word: Int. Column of the word.
        tag: Int, that of the tag; or None.

    Raises:
        ValueError: If a column is missing, or a row has another number of them
            than the first; a comment stands within a sentence; or all reads as
            one giant sentence: the message names file and line.
    """
    blocks = list(_blocks(path))
    first = _first_row(blocks)
    if first is None:
        return
    separator = re.compile("\t" if "\t" in first[1] else " +")
    cells = _cells(first[1], separator)
    _check_columns(word, tag, cells, first[0])
    _check_lengths(blocks, path)
    judge = _Judge(blocks, separator, word, tag, cells)
    for block in blocks:
        rows = judge.rows_of(block)
        for place, row in rows:
            if len(row) != len(cells):
                raise ValueError(
                    f"a row must have {len(cells)} columns, as the file's "
                    f"first. Received: {len(row)}, {row}, in {place}"
                )
        if rows:
            yield rows


def _blocks(path):
    """Yields lists of lines that no blank line parts, each with its place."""
    block, number = [], 0
    for text in read_lines(path):
        for line in text.rstrip("\r\n").split("\r"):
            number += 1
            if line.strip() and not line.startswith(DOCUMENT_START):
                block.append((f"{path}, line {number}", line))
                continue
            if block:
                yield block
            block = []
    if block:
        yield block


def _first_row(blocks):
    """Place and text of the first line that is surely no comment."""
    lines = [line for block in blocks for line in block]
    others = (line for line in lines if not line[1].startswith("#"))
    return next(others, lines[0] if lines else None)


def _cells(line, separator):
    if separator.pattern != "\t":
        return separator.split(line.strip(" "))
    return [cell.strip(" ") for cell in line.split("\t")]


class _Judge:
    """Tells comments from rows whose word is "#", and numbers of no word.

    Args:
        blocks: List of lists of pairs, place and line.
        separator: Pattern that parts columns.
        word: Int. Column of the word.
        tag: Int, that of the tag; or None.
        first: List of str, the first row's cells.
    """

    def __init__(self, blocks, separator, word, tag, first):
        self.separator = separator
        self.columns = columns = len(first)
        self.numbered = word % columns > 0 and first[0][:1].isdigit()
        self.tag = -1 if tag is None and columns > 1 else tag
        self.tags = set()
        is_needed = any(block[0][1].startswith("#") for block in blocks)
        if is_needed and self.tag is not None:
            self.tags = {
                cells[self.tag]
                for block in blocks
                for index, (_, line) in enumerate(block)
                if index > 0 or not line.startswith("#")
                if len(cells := _cells(line, separator)) == columns
            }

    def rows_of(self, block):
        """A block's rows, without the comments at its head."""
        rows = []
        for place, line in block:
            cells = _cells(line, self.separator)
            if not rows and self.is_comment(cells):
                continue
            is_suspect = rows and cells[0].startswith("#")
            if is_suspect and _COMMENT.match(" ".join(cells)):
                raise ValueError(
                    "a comment must stand at a sentence's head, after a blank "
                    f"line. Received: {' '.join(cells)!r} in {place}"
                )
            if not (self.numbered and _NO_WORD.fullmatch(cells[0])):
                rows.append((place, cells))
        return rows

    def is_comment(self, cells):
        """Whether a line at a sentence's head is one."""
        if not cells[0].startswith("#"):
            return False
        if len(cells) != self.columns or _COMMENT.match(" ".join(cells)):
            return True
        if cells[0].strip("#") or self.tag is None:  # "#tag", a word
            return False
        return cells[self.tag] not in self.tags


def _check_columns(word, tag, cells, place):
    """Refuses a file that lacks a column, or has one for word and tag."""
    wanted = [word] if tag is None else [word, tag]
    there = range(len(cells))
    found = {there[c] for c in wanted if -len(there) <= c < len(there)}
    if len(found) < len(wanted):
        raise ValueError(
            "`word` and `tag` must be two columns of the file, here "
            f"{word} and {tag}. Received: {len(cells)} columns, {cells}, in "
            f"{place}"
        )


def _check_lengths(blocks, path):
    """Refuses a file whose sentences nothing parts."""
    lengths = [
        sum(not line.startswith("#") for _, line in block) for block in blocks
    ]
    words, sentences = sum(lengths), sum(map(bool, lengths))
    most = LONGEST_ALONE if sentences == 1 else LONGEST * sentences
    if words > most:
        raise ValueError(
            "`source` must have blank lines between sentences (texts that are "
            "meant to be so long may be given as .jsonl). Received: "
            f"{words:,} words in {sentences} sentences in {path}"
        )
