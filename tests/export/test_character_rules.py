import keras_kd as kd
import numpy as np
import pytest
from keras_kd.export.character_rules import (
    BREAK,
    CODES,
    DROP,
    KEEP,
    REPLACE,
    SURROUND,
    character_rules,
    why_not_by_characters,
)
from tokenizers import AddedToken, normalizers, pre_tokenizers

WORDS = ["ab ba"] * 9


def kind_of(rules, character):
    place = np.searchsorted(rules.starts, ord(character), side="right") - 1
    return rules.kinds[place]


@pytest.mark.parametrize(
    "character, kind, replacement",
    [
        ("a", KEEP, None),
        ("A", REPLACE, "a"),
        ("é", REPLACE, "e"),
        ("\u0301", DROP, None),
        ("\u200b", DROP, None),
        ("\ufffd", DROP, None),
        ("\t", BREAK, None),
        (" ", BREAK, None),
        ("\u3000", BREAK, None),
        ("0", KEEP, None),
        ("1", KEEP, None),
        ("中", SURROUND, None),
        ("!", SURROUND, None),
        ("—", SURROUND, None),
        ("\u037e", REPLACE, " ; "),  # the Greek question mark
        ("\uf900", REPLACE, " 豈 "),
        ("한", REPLACE, "\u1112\u1161\u11ab"),
        ("🙂", KEEP, None),
    ],
)
def test_what_becomes_of_a_character(character, kind, replacement):
    rules = character_rules(kd.WordPieceTokenizer.train(WORDS, 9))
    assert kind_of(rules, character) == kind
    assert rules.replacements.get(ord(character)) == replacement


def test_the_settings_of_the_normalizer_count():
    tokenizer = kd.WordPieceTokenizer.train(WORDS, 9, lowercase=False)
    assert kind_of(character_rules(tokenizer), "É") == KEEP
    tokenizer.backend.normalizer = normalizers.BertNormalizer(
        lowercase=True, strip_accents=False, handle_chinese_chars=False
    )
    rules = character_rules(tokenizer)
    assert rules.replacements[ord("É")] == "é"
    assert kind_of(rules, "中") == KEEP


def test_ranges_go_from_the_first_character_to_the_last_and_differ():
    rules = character_rules(kd.WordPieceTokenizer.train(WORDS, 9))
    assert rules.starts[0] == 0
    assert (np.diff(rules.starts) > 0).all()
    assert (np.diff(rules.kinds) != 0).all()
    assert rules.starts[-1] < CODES


def test_other_ways_with_text_are_named():
    tokenizer = kd.WordPieceTokenizer.train(WORDS, 9)
    assert why_not_by_characters(tokenizer) is None
    tokenizer.backend.add_tokens([AddedToken("ab", single_word=True)])
    assert why_not_by_characters(tokenizer) == (
        "its tokens ['ab'] are for whole words alone"
    )
    tokenizer.backend.pre_tokenizer = pre_tokenizers.Whitespace()
    assert why_not_by_characters(tokenizer) == (
        "its pre_tokenizer is a Whitespace, and not a BertPreTokenizer"
    )
    tokenizer.backend.normalizer = None
    assert why_not_by_characters(tokenizer) == (
        "its normalizer is a None, and not a BertNormalizer"
    )
