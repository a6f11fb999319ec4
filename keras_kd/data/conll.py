"""read_tagged_words: sentences in words, and a tag for each word."""

import dataclasses
import pathlib
import re

import numpy as np
from keras_kd.data.dataset_sources import (
    names_dataset,
    names_of_ids,
    read_rows,
)
from keras_kd.data.labeled_texts import read_json_rows
from keras_kd.data.text_files import COMPRESSIONS, read_lines

DOCUMENT_START = "-DOCSTART-"
JSON_TAGS = ("tags", "ner_tags")


@dataclasses.dataclass(frozen=True)
class TaggedWords:
    """A sentence in words, and what each is tagged.

    Attributes:
        words: Tuple of str.
        tags: Tuple of str, one a word; None where nobody has tagged them.
        place: Str. Where it begins, for errors: file and line.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    place: str = ""


def read_tagged_words(source, word=0, tag=-1, tag_names=None):
    """All sentences of a file or a dataset, with their tags.

    A .jsonl has a sentence a line: a list of words, `tokens`, and one of
    their tags, `tags` or `ner_tags`; a dataset of the Hugging Face hub has
    rows of this form, and names for its ids. Any other file is as those of
    CoNLL: a word a line, and blank lines between sentences. Columns are parted
    by tabs where the first row has one, else by spaces; `-DOCSTART-` rows are
    left out. Which scheme tags follow does not matter, nor whether they do.
    Source: Tjong Kim Sang & De Meulder, 2003,
    https://arxiv.org/abs/cs/0306050

    Args:
        source: Str or path of a file, also .gz or .xz; or
            "hf:OWNER/NAME/CONFIG:SPLIT", "tfds:NAME/CONFIG:SPLIT".
        word: Int. Column of the word; below 0, counted from the last.
        tag: Int. Column of the tag, likewise; None: nothing is tagged, and a
            .jsonl needs `tokens` alone.
        tag_names: List of str or None. Names of ids, where tags are such and
            no dataset names them itself.

    Returns:
        List of `TaggedWords`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no sentence or is not UTF-8, a column is
            missing or empty, a row has another number of columns than the
            first, or a sentence another number of tags than words: the
            message names file and line.
        OSError: If a dataset is not to be had.
    """
    if names_dataset(source):
        features, rows = read_rows(source)
        key = _tags_key(features)
        names = names_of_ids(features.get(key)) or tag_names
        found = _json_sentences(rows, tag is not None, names)
    else:
        found = _sentences_of_file(pathlib.Path(source), word, tag, tag_names)
    if not found:
        raise ValueError(
            f"`source` must hold sentences. Received: no word in {source}"
        )
    return found


def _sentences_of_file(path, word, tag, tag_names):
    if not path.is_file():
        raise FileNotFoundError(
            f"`source` must be an existing file. Received: {path}"
        )
    name = path.stem if path.suffix in COMPRESSIONS else path.name
    if name.endswith(".jsonl"):
        return _json_sentences(read_json_rows(path), tag is not None, tag_names)
    return [
        _conll_sentence(rows, word, tag)
        for rows in _conll_rows(path, word, tag)
    ]


def tag_names_of(sentences):
    """The tags that sentences have: "O" first, the others sorted."""
    found = {tag for s in sentences for tag in s.tags or ()}
    return sorted(found, key=lambda tag: (tag != "O", tag))


def check_tags(sentences, tag_names):
    """Refuses training sentences that lack a tag.

    Args:
        sentences: List of `TaggedWords`.
        tag_names: List of str.

    Raises:
        ValueError: If a tag has no word, or as `tag_ids`.
    """
    tag_ids(sentences, tag_names)
    there = set(tag_names_of(sentences))
    empty = [name for name in tag_names if name not in there]
    if empty:
        raise ValueError(
            f"`sentences` must hold a word of every tag of {list(tag_names)}. "
            f"Received: none of {', '.join(map(repr, empty))}"
        )


def tag_ids(sentences, tag_names):
    """Tags of each sentence as ids: list of int32 arrays, 0 where untagged.

    Raises:
        ValueError: If a tag is none of the names: the message names the file,
            the line at which the sentence begins, and the word.
    """
    ids = {name: index for index, name in enumerate(tag_names)}
    found = []
    for sentence in sentences:
        tags = sentence.tags or [tag_names[0]] * len(sentence.words)
        for index, tag in enumerate(tags):
            if tag not in ids:
                raise ValueError(
                    f"tags must be one of `tag_names`, {list(tag_names)}. "
                    f"Received: {tag!r} of {sentence.words[index]!r}, word "
                    f"{index + 1} of the sentence at "
                    f"{sentence.place or 'no known place'}"
                )
        found.append(np.array([ids[tag] for tag in tags], "int32"))
    return found


def _conll_rows(path, word, tag):
    """Yields lists of rows, each a place and its cells: a sentence."""
    rows, separator, columns = [], None, 0
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip() or line.startswith(DOCUMENT_START):
            if rows:
                yield rows
            rows = []
            continue
        place = f"{path}, line {number}"
        line = line.rstrip("\r\n")
        first = separator is None
        if first:
            separator = "\t" if "\t" in line else " +"
        if separator != "\t":
            line = line.strip(" ")
        cells = [cell.strip(" ") for cell in re.split(separator, line)]
        if first:
            _check_columns(word, tag, cells, place)
            columns = len(cells)
        if len(cells) != columns:
            raise ValueError(
                f"a row must have {columns} columns, as the file's first. "
                f"Received: {len(cells)}, {cells}, in {place}"
            )
        rows.append((place, cells))
    if rows:
        yield rows


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


def _conll_sentence(rows, word, tag):
    for place, cells in rows:
        if not cells[word] or (tag is not None and not cells[tag]):
            raise ValueError(
                "a row must have a word and its tag. "
                f"Received: {cells} in {place}"
            )
    tags = None
    if tag is not None:
        tags = tuple(cells[tag] for _, cells in rows)
    words = tuple(cells[word] for _, cells in rows)
    return TaggedWords(words, tags, rows[0][0])


def _json_sentences(rows, is_tagged, tag_names):
    return [
        _json_sentence(row, place, is_tagged, tag_names) for place, row in rows
    ]


def _tags_key(row):
    """The column of the tags: the first of `JSON_TAGS` that is there."""
    return next((key for key in JSON_TAGS if key in row), JSON_TAGS[0])


def _json_sentence(row, place, is_tagged, tag_names):
    words = row.get("tokens")
    if (
        not isinstance(words, list)
        or not words
        or not all(map(_is_text, words))
    ):
        raise ValueError(
            f"`tokens` must be a list of words. Received: {words!r} in {place}"
        )
    if not is_tagged:
        return TaggedWords(tuple(words), None, place)
    key = _tags_key(row)
    tags = row.get(key)
    if not isinstance(tags, list) or len(tags) != len(words):
        raise ValueError(
            f"`{key}` must be a list of tags, one for each of the "
            f"{len(words)} words. Received: {tags!r} in {place}"
        )
    names = dict(enumerate(tag_names or ()))
    named = [names.get(t) if type(t) is int else t for t in tags]
    if not all(map(_is_text, named)):
        wrong = tags[[_is_text(tag) for tag in named].index(False)]
        raise ValueError(
            f"`{key}` must be text, or ids of `tag_names`, "
            f"{tag_names and list(tag_names)}. Received: {wrong!r} in {place}"
        )
    return TaggedWords(tuple(words), tuple(named), place)


def _is_text(value):
    """Whether it is text with a letter, and not half of an escaped pair."""
    if not isinstance(value, str) or not value.strip():
        return False
    return value == value.encode("utf-8", "replace").decode("utf-8")
