"""Ids word by word are those of the whole text by the tokenizer itself."""

import json
import pathlib
import string

import numpy as np
import pytest
from keras_kd.data.tokenizer import WordPieceTokenizer
from keras_kd.data.word_cache import WordCache, goes_by_words
from tokenizers import AddedToken, normalizers, pre_tokenizers

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "checkpoints"
FOLDERS = sorted(path.name for path in GOLDEN.glob("tokenizer_*"))


@pytest.fixture
def tokenizer():
    words = ["über", "uber", "Uber", "a cat sat on the mat, x 中 é"] * 9
    return WordPieceTokenizer.train(words, 80)


def whole(tokenizer, texts):
    encode = tokenizer.backend.encode
    return [encode(text, add_special_tokens=False).ids for text in texts]


def check(tokenizer, texts, cache=None):
    cache = cache or WordCache(tokenizer.backend, "[PAD]")
    found = cache.encode_batch(texts)
    for text, ids, expected in zip(
        texts, found, whole(tokenizer, texts), strict=True
    ):
        assert ids.dtype == np.int32
        assert ids.tolist() == expected, text


@pytest.mark.parametrize("name", FOLDERS)
def test_ids_of_a_nasty_text(name):
    """Each alone, all together, and each after the others."""
    examples = json.loads((GOLDEN / name / "expected.json").read_text("utf-8"))
    tokenizer = WordPieceTokenizer.load(GOLDEN / name)
    assert tokenizer.word_cache() is not None
    for some in (examples, examples[::-1]):
        texts = [example["text"] for example in some]
        found = tokenizer.encode_batch(texts)
        assert [ids.tolist() for ids in found] == [e["ids"] for e in some]
        for example in some:
            (ids,) = tokenizer.encode_batch([example["text"]])
            assert ids.tolist() == example["ids"]


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("lowercase", [True, False])
def test_every_character_within_a_word_and_between_words(
    tokenizer, lowercase, clean
):
    tokenizer.backend.normalizer = normalizers.BertNormalizer(
        lowercase=lowercase, clean_text=clean
    )
    codes = [c for c in range(0x11000) if not 0xD800 <= c < 0xE000]
    texts = [f"a{chr(code)}cat {chr(code)} sat{chr(code)}" for code in codes]
    check(tokenizer, texts)


def test_what_only_python_takes_for_space_goes_the_long_way(tokenizer):
    texts = ["a\x1ccat", "a\x0bcat", "a\x85cat", "a\u2028cat", "a\tcat\r\nsat"]
    check(tokenizer, [*texts, " ".join(texts), "a cat"])
    cache = WordCache(tokenizer.backend, "[PAD]")
    texts = ["a cat", "a\x0bcat", "a b\tc\nd\u3000e", "[MASK]", "\x1c,a"]
    assert cache.split(texts).whole == [1, 3]


def test_texts_with_special_tokens_go_the_long_way(tokenizer):
    texts = ["a [PAD] cat[PAD]sat [PAD][PAD] mat", "[PAD]", "[MASK]x [CLS]"]
    check(tokenizer, texts)
    check(tokenizer, ["[pad] [ PAD ] [mask]", "[ Mask]", "[PAD", "[[UNK]]"])


def test_punctuation_parts_words(tokenizer):
    """Each ASCII one, alone, doubled, and with a combining accent after it."""
    marks = string.punctuation
    texts = [f"a{m}cat {m}{m} sat{m} {m}\u0301a {m}\u0338" for m in marks]
    check(tokenizer, texts)
    cache = WordCache(tokenizer.backend, "[PAD]")
    words = cache.split(["the mat, the mat.", "(the)"])
    assert set(words.distinct) == {"the", "mat", ",", ".", "(", ")", ""}


def test_no_text_and_no_words(tokenizer):
    check(tokenizer, [])
    check(tokenizer, ["", " ", "a cat", "", "\u200b"])


def test_many_new_words_at_once(tokenizer):
    check(tokenizer, [" ".join(f"x{i}" for i in range(1700)), "cat x7 x1699"])


def test_it_begins_anew_when_it_is_full(tokenizer):
    cache = WordCache(tokenizer.backend, "[PAD]", largest=3)
    for texts in (["a cat sat on"], ["the mat"], ["a cat"]):
        check(tokenizer, texts, cache)
    assert set(cache.rows) == {"the", "mat", "a", "cat"}


@pytest.mark.parametrize(
    "token, by_words, by_punctuation",
    [
        (AddedToken("<new>"), True, False),
        (AddedToken("<new>", normalized=False), True, True),
        (AddedToken("new"), True, True),
        (AddedToken("new", single_word=True), True, False),
        (AddedToken("two words", normalized=False), False, True),
    ],
)
def test_which_tokenizers_go_by_words(
    tokenizer, token, by_words, by_punctuation
):
    assert goes_by_words(tokenizer.backend, "[PAD]")
    assert not goes_by_words(tokenizer.backend, "cat")
    tokenizer.backend.add_tokens([token])
    assert goes_by_words(tokenizer.backend, "[PAD]") is by_words
    cache = WordCache(tokenizer.backend, "[PAD]")
    assert cache.parts_punctuation is by_punctuation
    texts = ["a <new> b<new>c <NEW>", "NEW newa _new_ two words", "é,new"]
    found = [ids.tolist() for ids in tokenizer.encode_batch(texts)]
    assert found == whole(tokenizer, texts)


@pytest.mark.parametrize(
    "part, other",
    [
        ("normalizer", normalizers.NFKC()),
        ("pre_tokenizer", pre_tokenizers.Whitespace()),
    ],
)
def test_other_parts_have_texts_tokenised_whole(
    tokenizer, tmp_path, part, other
):
    setattr(tokenizer.backend, part, other)
    assert not goes_by_words(tokenizer.backend, "[PAD]")
    tokenizer.save(tmp_path)
    again = WordPieceTokenizer.load(tmp_path)
    assert again.word_cache() is None
    texts = ["a cat, ½ ﬁ", "über"]
    found = [ids.tolist() for ids in again.encode_batch(texts)]
    assert found == whole(again, texts)


def test_a_backend_that_is_changed_is_followed(tokenizer):
    texts = ["a CAT sat <new> x"]
    for change in (
        lambda backend: backend.add_tokens(["<new>"]),
        lambda backend: setattr(
            backend, "normalizer", normalizers.BertNormalizer(lowercase=False)
        ),
        lambda backend: setattr(backend, "normalizer", normalizers.NFKC()),
    ):
        tokenizer.encode_batch(texts)
        change(tokenizer.backend)
        found = [ids.tolist() for ids in tokenizer.encode_batch(texts)]
        assert found == whole(tokenizer, texts)
