import numpy as np
from keras_kd.data.masking import MaskedLMMasking
from keras_kd.data.whole_words import (
    whole_words_that_fit,
    word_means,
    words_of,
)

# Ids: [CLS] 2, [SEP] 3; 5 and 6 begin words, 7 and 8 go on.
CONTINUES = np.arange(10) >= 7


def test_words_by_hand():
    blocks = np.array(
        [
            [2, 5, 7, 7, 6, 5, 8, 3],
            [2, 7, 8, 5, 3, 7, 6, 3],  # begins within a word; so after [SEP]
            [8, 7, 5, 5, 5, 5, 5, 7],
        ]
    )
    words = words_of(blocks, blocks >= 5, CONTINUES)
    assert words.tolist() == [
        [0, 1, 1, 1, 4, 5, 5, 7],
        [0, 1, 1, 3, 4, 5, 6, 7],
        [0, 0, 2, 3, 4, 5, 6, 6],
    ]


def test_means_by_hand():
    words = np.array([[0, 1, 1, 1, 4]])
    values = np.array([[0.0, 1.0, 2.0, 6.0, 5.0]])
    assert word_means(values, words).tolist() == [[0, 3, 3, 3, 5]]


def test_words_that_fit_by_hand():
    """In the order of their keys; one that is too long is passed over."""
    inf = np.inf
    words = np.array([[0, 1, 1, 1, 4, 5, 5, 7]] * 4)
    order = np.array([[inf, 0.1, 0.1, 0.1, 0.3, 0.2, 0.2, inf]] * 4)
    found = whole_words_that_fit(order, words, np.array([2, 4, 5, 0]))
    assert np.isfinite(found).astype(int).tolist() == [
        [0, 0, 0, 0, 0, 1, 1, 0],  # three do not fit, two do, one no more
        [0, 1, 1, 1, 1, 0, 0, 0],
        [0, 1, 1, 1, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert found[1, 4] == 0.3


def test_words_that_fit_are_those_of_berts_loop():
    """Against the loop of its create_pretraining_data.py, word after word."""
    generator = np.random.default_rng(0)
    blocks = generator.integers(2, 9, (200, 40))
    words = words_of(blocks, blocks >= 5, CONTINUES)
    keys = generator.random((200, 40))
    order = np.where(blocks >= 5, np.take_along_axis(keys, words, 1), np.inf)
    share = generator.integers(0, 9, 200)
    found = np.isfinite(whole_words_that_fit(order, words, share))
    for row in range(200):
        ordinary = [i for i in range(40) if blocks[row, i] >= 5]
        groups = {}
        for i in ordinary:
            groups.setdefault(words[row, i], []).append(i)
        chosen = []
        for start in sorted(groups, key=lambda start: keys[row, start]):
            if len(chosen) + len(groups[start]) <= share[row]:
                chosen += groups[start]
        assert sorted(chosen) == np.flatnonzero(found[row]).tolist()


# Masks

PAD, CLS, SEP, MASK = 0, 2, 3, 4


def make_masking(**options):
    return MaskedLMMasking(
        31, (0, 1, 2, 3, 4), PAD, MASK, mask_share=1, random_share=0, **options
    )


def pieces():
    """Blocks of 5 to 9 (they begin words) and 10 to 30 (they go on)."""
    generator = np.random.default_rng(2)
    blocks = generator.integers(5, 15, (1000, 64))
    blocks[:, 0], blocks[:, -1] = CLS, SEP
    return blocks, np.arange(31) >= 10


def test_whole_words_are_hidden_whole():
    blocks, continues = pieces()
    masking = make_masking(rate=0.2, whole_words=continues)
    x, y, weights = masking(blocks, range(1000), 0)
    hidden = x["token_ids"] == MASK
    words = words_of(blocks, blocks >= 5, continues)
    share = np.take_along_axis(hidden, words, axis=1)
    np.testing.assert_array_equal(hidden, share & (blocks >= 5))
    assert 0.15 < hidden.sum() / (1000 * 62) <= 0.21
    assert hidden.sum(axis=1).max() == 13  # ceil(0.2 * 62)
    assert weights.sum() == hidden.sum()
    np.testing.assert_array_equal(
        np.sort(y[weights == 1]), np.sort(blocks[hidden])
    )


def test_words_are_as_likely_whatever_their_length():
    """One word of a token and one of three, room for either."""
    blocks = np.tile([CLS, 5, 6, 20, 20, SEP], (4000, 1))
    masking = make_masking(rate=0.7, whole_words=np.arange(31) >= 10)
    x, _, _ = masking(blocks, range(4000), 0)
    hidden = x["token_ids"] == MASK
    # Three of four tokens: the long word where it comes first, else the short.
    assert abs(hidden[:, 2].mean() - 0.5) < 0.03
    assert abs(hidden[:, 1].mean() - 0.5) < 0.03


def test_a_words_probability_is_the_mean_of_its_tokens():
    blocks = np.tile([CLS, 5, 6, 20, SEP], (4000, 1))
    probs = np.zeros(31)
    probs[[5, 6, 20]] = 1, 2, 4
    masking = make_masking(
        rate=0.5, whole_words=np.arange(31) >= 10, token_probs=probs
    )
    x, _, _ = masking(blocks, range(4000), 0)
    hidden = x["token_ids"] == MASK
    # Room for two: "6 20" if it comes first, 3 : 1; else "5" and no more.
    assert abs(hidden[:, 2].mean() - 0.75) < 0.03


def test_each_word_by_itself_is_hidden_with_the_rate():
    blocks, continues = pieces()
    masking = make_masking(independent=True, whole_words=continues)
    x, _, _ = masking(blocks, range(1000), 0)
    hidden = x["token_ids"] == MASK
    words = words_of(blocks, blocks >= 5, continues)
    starts = (words == np.arange(64)) & (blocks >= 5)
    np.testing.assert_array_equal(
        hidden, np.take_along_axis(hidden, words, axis=1)
    )
    assert abs(hidden[starts].mean() - 0.15) < 0.01
