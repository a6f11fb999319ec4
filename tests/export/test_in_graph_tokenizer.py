"""Ids in the graph are the tokenizer's, which are those of `transformers`."""

import json
import pathlib

import keras_kd as kd
import numpy as np
import pytest
import tensorflow as tf
from keras_kd.export.in_graph_tokenizer import STAND_INS, InGraphTokenizer
from tokenizers import AddedToken, normalizers

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "checkpoints"
FOLDERS = sorted(path.name for path in GOLDEN.glob("tokenizer_*"))
TEXTS = [
    "The cat's mat, naïve café: (x + y) = 12.5!",
    "a [MASK] and[MASK]. [mask] [CLS]x [MA\u200bSK]",
    "日本 “quotes” — dash… " + "x" * 120,
    "ﬁle ½ ´ ÅNGSTRÖM ŒUVRE İstanbul ẞ no\u00a0break zero\u200bwidth",
    "tab\tline\r\nnul\x00 bad\ufffd private\U0010ff04 soft\u00adhyphen",
    "",
]


def check(tokenizer, texts):
    """All of a batch, in one function that was traced once."""
    in_graph = tf.function(
        InGraphTokenizer(tokenizer),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    found = in_graph(tf.constant(texts)).to_list()
    for text, ids, expected in zip(
        texts, found, tokenizer.encode_batch(texts), strict=True
    ):
        assert ids == expected.tolist(), text


@pytest.mark.parametrize("name", FOLDERS)
def test_ids_of_a_nasty_text(name):
    examples = json.loads((GOLDEN / name / "expected.json").read_text("utf-8"))
    tokenizer = kd.WordPieceTokenizer.load(GOLDEN / name)
    check(tokenizer, [example["text"] for example in examples])


@pytest.mark.parametrize("lowercase", [True, False])
def test_ids_of_a_trained_vocabulary(lowercase):
    tokenizer = kd.WordPieceTokenizer.train(TEXTS * 4, 140, lowercase=lowercase)
    check(tokenizer, TEXTS)


@pytest.mark.parametrize(
    "clean", [True, pytest.param(False, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("strip_accents", [True, False])
@pytest.mark.parametrize("lowercase", [True, False])
def test_every_character_there_is(lowercase, strip_accents, clean):
    """Between two letters, all of Unicode, under every normaliser."""
    words = ["über", "uber", "Über", "Uber", "ÜBER", "x 中 é"] * 9
    tokenizer = kd.WordPieceTokenizer.train(words, 80, lowercase=False)
    tokenizer.backend.normalizer = normalizers.BertNormalizer(
        lowercase=lowercase, strip_accents=strip_accents, clean_text=clean
    )
    random = np.random.default_rng(0)
    codes = np.r_[0:0x3400, random.integers(0x3400, STAND_INS, 3000)]
    codes = codes[(codes < 0xD800) | (codes >= 0xE000)]
    check(tokenizer, [f"u{chr(code)}b ÜBER" for code in codes])


def test_of_tokens_that_begin_alike_the_longest_counts():
    tokenizer = kd.WordPieceTokenizer.train(["ab ba abc"] * 9, 20)
    tokenizer.backend.add_tokens(
        ["ab!", "AB!c", AddedToken("b!", special=True)]
    )
    check(tokenizer, ["xab!cx", "ab! ab !", "b!", "aab!ba b!c AB!C ab!cab!"])


def test_an_added_token_of_which_nothing_is_left_is_nowhere():
    tokenizer = kd.WordPieceTokenizer.train(["ab ba"] * 9, 9)
    texts = ["ab ba", "a\u0301b"]
    expected = [ids.tolist() for ids in tokenizer.encode_batch(texts)]
    tokenizer.backend.add_tokens(["\u0301"])
    found = InGraphTokenizer(tokenizer)(tf.constant(texts))
    assert found.to_list() == expected


def test_added_tokens_may_come_after_a_large_vocabulary(tmp_path):
    words = [f"w{number}" for number in range(70_000)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    tokenizer = kd.WordPieceTokenizer.load(tmp_path)
    tokenizer.backend.add_tokens(["<new>"])
    check(tokenizer, ["w7 <new> w69999", "[MASK]<new>"])


def test_a_word_of_many_pieces_and_one_with_none():
    tokenizer = kd.WordPieceTokenizer.train(["a b ab"] * 9, 9)
    check(tokenizer, ["a" * 99, "a" * 100, "a" * 101, "aaz", "zaa", "ab b"])


def test_no_text_and_no_words():
    tokenizer = kd.WordPieceTokenizer.train(["ab ba"] * 9, 9)
    in_graph = InGraphTokenizer(tokenizer)
    assert in_graph(tf.constant([], tf.string)).shape[0] == 0
    assert in_graph(tf.constant(["", " "])).to_list() == [[], []]


def test_another_way_with_text_is_refused():
    tokenizer = kd.WordPieceTokenizer.train(["ab ba"] * 9, 9)
    tokenizer.backend.normalizer = normalizers.NFKC()
    with pytest.raises(ValueError, match="`tokenizer` must normalise.*NFKC"):
        InGraphTokenizer(tokenizer)
