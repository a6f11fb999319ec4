"""read_tagged_words: sentences in words, and a tag for each word."""

import collections
import dataclasses
import pathlib

import numpy as np
from keras_kd.data.class_names import (
    grows_with_text,
    names_in_order,
    rows_by_label,
)
from keras_kd.data.conll_rows import read_conll_rows
from keras_kd.data.dataset_sources import (
    names_dataset,
    names_of_ids,
    read_rows,
)
from keras_kd.data.file_lines import kind_of
from keras_kd.data.labeled_texts import read_json_rows
from keras_kd.data.row_labels import is_nothing, look_alikes

JSON_TAGS = ("tags", "ner_tags")


@dataclasses.dataclass(frozen=True)
class TaggedWords:
    """A sentence in words, and what each is tagged.

    Attributes:
        words: Tuple of str.
        tags: Tuple of str, one a word; None where nobody has tagged them.
        place: Str. Where it begins, for errors: file and line.
        tag_names: Tuple of str or None. All tags of where it is from, in the
            order of their ids, where that says so.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    place: str = ""
    tag_names: tuple[str, ...] | None = dataclasses.field(
        default=None, repr=False, compare=False
    )


def read_tagged_words(source, word=0, tag=-1, tag_names=None):
    """All sentences of a file or a dataset, with their tags.

    A .jsonl has a sentence a line: a list of words, `tokens`, and one of
    their tags, `tags` or `ner_tags`; a dataset of the Hugging Face hub has
    rows of this form, and names for its ids. Any other file is as those of
    CoNLL: a word a line, and blank lines between sentences. Columns are parted
    by tabs where the first row has one, else by spaces; `-DOCSTART-` rows are
    left out, and comments ("# newdoc") at a sentence's head. Which scheme tags
    follow does not matter, nor whether they do.
    Source: Tjong Kim Sang & De Meulder, 2003,
    https://arxiv.org/abs/cs/0306050

    Args:
        source: Str or path of a file, also .gz or .xz; or
            "hf:OWNER/NAME/CONFIG:SPLIT", "tfds:NAME/CONFIG:SPLIT".
        word: Int. Column of the word; below 0, counted from the last.
        tag: Int. Column of the tag, likewise; None: nothing is tagged, and a
            .jsonl needs `tokens` alone.
        tag_names: List of str or None. All tags there are, in the order of
            their ids; needed where tags are ids and no dataset names them
            itself.

    Returns:
        List of `TaggedWords`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no sentence or is not UTF-8, a column is
            missing or empty, a row has another number of columns than the
            first, or a sentence another number of tags than words: the
            message names file and line. If a file reads as one giant sentence,
            or tags grow with the text, as a column of words does, and are not
            given as `tag_names`; or if tags look alike, "b-per" beside "B-PER".
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
    if found[0].tag_names is None:
        _check_tags_are_a_set(found, source)
    return found


def _check_tags_are_a_set(sentences, source):
    """Refuses a column of what are no tags, and tags that look alike."""
    there = collections.Counter(t for s in sentences for t in s.tags or ())
    words = there.total()
    if grows_with_text(len(there), words):
        raise ValueError(
            "`tag` must be the column of the tags, or `tag_names` all of them. "
            f"Received: {len(there):,} tags of {words:,} words in {source}, "
            f"such as {', '.join(map(repr, sorted(there)[:5]))}"
        )
    meant = look_alikes(there)
    faults = {
        tag: f"{tag!r} beside {meant[tag]!r}" if tag in meant else repr(tag)
        for tag in there
        if tag in meant or is_nothing(tag)
    }
    rows = {}
    for sentence in sentences:
        for tag in faults.keys() & set(sentence.tags or ()):
            rows.setdefault(faults[tag], []).append(sentence.place)
    if rows:
        raise ValueError(
            "tags must be there, and each spelt in one way; or give all of "
            "them as `tag_names`, to take them as they are. Received: "
            f"{rows_by_label(rows)}"
        )


def _sentences_of_file(path, word, tag, tag_names):
    if not path.is_file():
        raise FileNotFoundError(
            f"`source` must be an existing file. Received: {path}"
        )
    if kind_of(path)[0] == ".jsonl":
        return _json_sentences(read_json_rows(path), tag is not None, tag_names)
    return [
        _conll_sentence(rows, word, tag, tag_names)
        for rows in read_conll_rows(path, word, tag)
    ]


def tag_names_of(sentences):
    """The tags that sentences have, in order.

    Those of a dataset, or of an explicit list, in its order; else "O" first,
    then as `class_names_of`.
    """
    known = dict.fromkeys(n for s in sentences for n in s.tag_names or ())
    found = {tag for s in sentences for tag in s.tags or ()}
    return names_in_order(found, known or ("O",))


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


def _conll_sentence(rows, word, tag, tag_names):
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
    return TaggedWords(words, tags, rows[0][0], _tuple(tag_names))


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
    return TaggedWords(tuple(words), tuple(named), place, _tuple(tag_names))


def _tuple(names):
    return tuple(names) if names else None


def _is_text(value):
    """Whether it is text with a letter, and not half of an escaped pair."""
    if not isinstance(value, str) or not value.strip():
        return False
    return value == value.encode("utf-8", "replace").decode("utf-8")
