"""What a BERT tokenizer does to each character, as ranges and a table.

BERT's normaliser and its splitting into words look at one character at a time.
So that TensorFlow's own operations can do the same, the tokenizer is asked
about every character there is.
"""

import dataclasses
import functools
import json

import numpy as np
from keras_kd.data.tokenizer_files import other_than_bert
from tokenizers import Tokenizer

# Kinds of characters: it stays, goes, is a word by itself, ends a word, or
# turns into other characters.
KEEP, DROP, SURROUND, BREAK, REPLACE = range(5)
CODES = 0x110000  # of Unicode
SURROGATES = range(0xD800, 0xE000)  # no characters
CHUNK = 2048
BETWEEN = "0"  # between characters: no other one turns into it
LIKE_BETWEEN = "1"


@dataclasses.dataclass(frozen=True)
class CharacterRules:
    """What happens to every character.

    Attributes:
        starts: int32 array (R,), the first code point of each range.
        kinds: int32 array (R,), what happens to the characters of each.
        replacements: Dict of code point to str, of those of kind `REPLACE`.
    """

    starts: np.ndarray
    kinds: np.ndarray
    replacements: dict[int, str]


def why_not_by_characters(tokenizer):
    """Why a tokenizer cannot be said by rules for characters.

    Args:
        tokenizer: `WordPieceTokenizer`.

    Returns:
        Str, or None where it can.
    """
    reason = other_than_bert(tokenizer.backend)
    if reason is not None:
        return reason
    added = tokenizer.backend.get_added_tokens_decoder().values()
    whole = [token.content for token in added if token.single_word]
    if whole:
        return f"its tokens {whole} are for whole words alone"
    return None


def character_rules(tokenizer):
    """The rules of a tokenizer; spaces stand between words in what they give.

    Args:
        tokenizer: `WordPieceTokenizer`.

    Returns:
        `CharacterRules`.
    """
    empty = json.loads(tokenizer.backend.to_str())
    empty["added_tokens"] = []
    empty["model"]["vocab"] = {empty["model"]["unk_token"]: 0}
    empty["post_processor"] = None
    return _rules(json.dumps(empty))


@functools.lru_cache(maxsize=8)
def _rules(description):
    backend = Tokenizer.from_str(description)
    kinds = np.full(CODES, DROP, "int32")
    replacements = {}
    for start in range(0, CODES, CHUNK):
        if start in SURROGATES:
            continue
        characters = [chr(code) for code in range(start, start + CHUNK)]
        images = _images(backend, characters)
        if images == characters:  # most of the 17 planes
            kinds[start : start + CHUNK] = KEEP
            continue
        for code, (character, image) in enumerate(
            zip(characters, images, strict=True), start
        ):
            kinds[code] = {
                character: KEEP,
                "": DROP,
                f" {character} ": SURROUND,
                " ": BREAK,
            }.get(image, REPLACE)
            if kinds[code] == REPLACE:
                replacements[code] = image
    starts = np.flatnonzero(np.diff(kinds, prepend=-1)).astype("int32")
    return CharacterRules(starts, kinds[starts], replacements)


def _images(backend, characters):
    """What becomes of each, with spaces where words end."""
    stand_in = [LIKE_BETWEEN if c == BETWEEN else c for c in characters]
    line = backend.normalizer.normalize_str(BETWEEN.join(stand_in))
    images = line.split(BETWEEN)
    letters = set(line)
    line = "".join(f"{BETWEEN}{letter}" for letter in letters) + BETWEEN
    words = [w for w, _ in backend.pre_tokenizer.pre_tokenize_str(line)]
    shown = {letter: " " for letter in letters - set("".join(words))}
    alone = {word for word in words if len(word) == 1} & letters - {BETWEEN}
    shown |= {letter: f" {letter} " for letter in alone}
    if not shown and images == characters:
        return characters
    images = ["".join(shown.get(c, c) for c in image) for image in images]
    if BETWEEN in characters:
        images[characters.index(BETWEEN)] = BETWEEN
    return images
