"""Which tokens of a block are one word, and which words fit."""

import numpy as np


def words_of(blocks, eligible, continues):
    """Where the word of each token starts, (B, T) int.

    Args:
        blocks: (B, T) int token ids.
        eligible: (B, T) bool, False for special tokens: each is a word.
        continues: (V,) bool, which tokens go on a word.
    """
    goes_on = continues[blocks] & eligible
    goes_on[:, 1:] &= eligible[:, :-1]
    goes_on[:, 0] = False
    places = np.arange(blocks.shape[1])
    return np.maximum.accumulate(np.where(goes_on, 0, places), axis=1)


def word_means(values, words):
    """The mean over the tokens of its word, for each token: (B, T)."""
    rows = np.arange(len(words))[:, None]
    sums, sizes = np.zeros_like(values), np.zeros_like(values)
    np.add.at(sums, (rows, words), values)
    np.add.at(sizes, (rows, words), 1.0)
    return np.take_along_axis(sums / np.maximum(sizes, 1), words, axis=1)


def whole_words_that_fit(order, words, share):
    """Chooses words by their order, each that fits into what is left.

    Args:
        order: (B, T) keys, the same for all tokens of a word.
        words: (B, T) int, where each token's word starts.
        share: (B,) int, the most tokens of each block.

    Returns:
        (B, T) keys, at infinity for tokens of words that are not chosen.
    """
    rows = np.arange(len(words))[:, None]
    sizes = np.zeros(words.shape, int)
    np.add.at(sizes, (rows, words), 1)
    starts = np.where(sizes > 0, order, np.inf)
    ranked = np.argsort(starts, axis=1)
    left = share.copy()
    taken = np.zeros(words.shape, bool)
    for rank in range(words.shape[1]):
        place = ranked[:, rank]
        size = sizes[rows[:, 0], place]
        fits = (size <= left) & np.isfinite(starts[rows[:, 0], place])
        left -= np.where(fits, size, 0)
        taken[rows[:, 0], place] = fits
        if not left.any():
            break
    chosen = np.take_along_axis(taken, words, axis=1)
    return np.where(chosen, order, np.inf)
