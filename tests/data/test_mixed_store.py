import numpy as np
import pytest
from keras_kd.data.batches import masked_lm_batches
from keras_kd.data.mixed_store import MixedStore
from keras_kd.data.token_store import TokenStore
from keras_kd.data.tokenizer import WordPieceTokenizer


@pytest.fixture(scope="module")
def tokenizer(letters):
    return letters


@pytest.fixture
def make(tmp_path, tokenizer):
    """A store of so many blocks of one letter."""

    def make(letter, blocks, length=8):
        text = " ".join(letter * (blocks * (length - 2)))
        return TokenStore.write(tmp_path / letter, [text], tokenizer, length)

    return make


def test_each_has_its_share_and_none_is_left_out(make):
    a, b = make("a", 6), make("b", 2)
    mixed = MixedStore([a, b], [1, 1])
    assert len(mixed) == 12
    found = mixed.buckets[8][np.arange(12)][:, 1]
    assert found.tolist() == [5] * 6 + [6] * 6
    assert len(MixedStore([a, b], [3, 1])) == 8
    assert len(MixedStore([a, b], [0.1, 0.9])) == 60
    counts = MixedStore([a, b], [1, 1]).token_counts
    assert counts[[5, 6]].tolist() == [36, 36]
    assert MixedStore([a, b], [1, 1]).tokens == 72


def test_its_batches_are_those_of_one_store(make, tokenizer):
    mixed = MixedStore([make("a", 6), make("b", 2)], [1, 2])
    batches = masked_lm_batches(mixed, tokenizer, 6, smoothing=0.7)
    y = np.concatenate([y for _, y, _ in batches.as_numpy_iterator()])
    assert len(y) == len(mixed) == 18
    assert [(y == letter).sum() for letter in (5, 6)] == [6, 12]


def test_stores_of_lines_are_mixed_length_by_length(tokenizer, tmp_path):
    one = ["\n".join(["a"] * 4 + ["b c d e f g h"] * 2)]
    two = ["\n".join(["i"] * 3 + [" ".join("j" * 14)])]
    stores = [
        TokenStore.write(tmp_path / str(i), texts, tokenizer, 16, True)
        for i, texts in enumerate((one, two))
    ]
    mixed = MixedStore(stores, [1, 2])  # once and three times
    assert {t: b.shape for t, b in mixed.buckets.items()} == {
        8: (13, 8),
        12: (2, 12),
        16: (3, 16),
    }
    assert mixed.buckets[8][:][:, 1].tolist() == [5] * 4 + [13] * 9
    assert len(mixed) == 18
    assert mixed.token_counts[[5, 6, 13, 14]].tolist() == [4, 2, 9, 42]
    running = TokenStore.write(tmp_path / "r", one, tokenizer, 16)
    with pytest.raises(ValueError, match=r"one line_by_line.*False.*True"):
        MixedStore([running, stores[1]], [1, 1])


def test_stores_that_do_not_go_together_are_refused(make):
    a, b = make("a", 6), make("b", 2, length=9)
    with pytest.raises(ValueError, match=r"one block_length.*\['8', '9'\]"):
        MixedStore([a, b], [1, 1])
    for stores, weights in (([], []), ([a], [1, 2]), ([a], [0])):
        with pytest.raises(ValueError, match="`weights` must be"):
            MixedStore(stores, weights)


def test_another_tokenizer_is_refused(make, tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer")
    cased = WordPieceTokenizer.load(tmp_path / "tokenizer", lowercase=False)
    with pytest.raises(ValueError, match="`tokenizer` must be the one"):
        MixedStore([make("a", 6)], [1]).check_tokenizer(cased)
