"""Which training texts train, and which choose. Not a recipe."""

import sys

import numpy as np

SPLIT_SEED = 0  # the same texts choose for all runs


def hold_out(texts, share, groups=None, seed=SPLIT_SEED):
    """Training texts and those that choose: rate, epoch, layers.

    Args:
        texts: List.
        share: Float in (0, 1), of those that choose.
        groups: List, what each text belongs to: one side has all texts of a
            group; or None, each text is one of its own.
        seed: Int.

    Returns:
        Pair of lists, each in the order of `texts`.
    """
    random = np.random.default_rng(seed)
    if groups is None:
        chosen = random.random(len(texts)) < share
    else:
        names = random.permutation(list(dict.fromkeys(groups)))
        drawn = set(names[: max(1, round(share * len(names)))])
        chosen = np.array([name in drawn for name in groups])
    if not 0 < chosen.sum() < len(texts):
        sys.exit(
            "`--hold-out` must leave texts on both sides. "
            f"Received: {share} of {len(texts)} texts"
        )
    pairs = list(zip(texts, chosen, strict=True))
    return [t for t, c in pairs if not c], [t for t, c in pairs if c]


def draw(texts, number, seed):
    """So many texts, drawn by a seed, in their order."""
    if not 1 <= number <= len(texts):
        sys.exit(
            f"`--train-rows` must be from 1 to {len(texts)}. Received: {number}"
        )
    rows = np.random.default_rng(seed).permutation(len(texts))[:number]
    return [texts[row] for row in sorted(rows)]


def hold_out_whole(texts, share, seed=SPLIT_SEED):
    """Whole texts that choose; texts that are no part of them, to train.

    For rows that are parts of one another, as SST-2's phrases are of its
    sentences: of a text whose every part is trained on, a score says little.

    Args:
        texts: List of `LabeledText`.
        share: Float in (0, 1), of those that choose, out of the texts that no
            other contains.
        seed: Int.

    Returns:
        Pair of lists, each in the order of `texts`. Those that a text on the
        second contains are on neither.
    """
    rows = [words_of(text) for text in texts]
    holders = holders_by_word(rows)
    whole = [n for n, row in enumerate(rows) if not is_part(row, rows, holders)]
    _, chosen = hold_out(whole, share, seed=seed)
    chosen = dict.fromkeys(chosen)
    holders = {
        word: [n for n in numbers if n in chosen]
        for word, numbers in holders.items()
    }
    train = [
        text
        for number, (text, row) in enumerate(zip(texts, rows, strict=True))
        if number not in chosen and not is_part(row, rows, holders, same=True)
    ]
    if not train:
        sys.exit(
            "`--hold-out` must leave texts on both sides. Received: "
            f"{share} of texts that contain all others"
        )
    return train, [texts[number] for number in chosen]


def words_of(text):
    """A text, and its pair, as words with a space around each."""
    parts = [text.text] if text.pair is None else [text.text, text.pair]
    return tuple(f" {' '.join(part.split())} " for part in parts)


def holders_by_word(rows):
    """The rows whose first text has a word, by the word: dict of lists."""
    holders = {}
    for number, row in enumerate(rows):
        for word in set(row[0].split()):
            holders.setdefault(word, []).append(number)
    return holders


def is_part(row, rows, holders, same=False):
    """Whether one of the rows contains a row.

    Args:
        row: Tuple, of `words_of`.
        rows: List of such.
        holders: Dict, of `holders_by_word`: which rows may contain it.
        same: Bool. A row contains one that is the same.
    """
    # One that has all the words has the rarest, too.
    by_word = [holders.get(word, ()) for word in row[0].split()]
    for number in min(by_word, key=len, default=()):
        pairs = zip(row, rows[number], strict=True)
        if (same or rows[number] != row) and all(a in b for a, b in pairs):
            return True
    return False
