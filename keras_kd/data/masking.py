"""Masked-LM masking: which tokens are hidden, and what is put instead."""

import dataclasses
import functools
import math
import numbers

import numpy as np
from keras_kd.data.whole_words import (
    whole_words_that_fit,
    word_means,
    words_of,
)


def smoothed_token_probs(token_counts, special_ids, smoothing=0.7):
    """How likely each token is to be hidden: the rarer, the likelier.

    max(count, 1) ** -smoothing, and 0 for special tokens. Common words are
    learned early; hiding them less leaves more of the share to rare ones.
    Source: Sanh et al., 2019, https://arxiv.org/abs/1910.01108 (its scripts'
    `--mlm_smoothing`)

    Args:
        token_counts: (V,) int. Occurrences, as `TokenStore.token_counts`.
        special_ids: Ids never hidden.
        smoothing: Float >= 0; 0 makes all tokens equally likely.

    Returns:
        (V,) float64, for `MaskedLMMasking(token_probs=...)`.

    Raises:
        ValueError: If `smoothing` is negative or not finite.
    """
    if not 0 <= smoothing < math.inf:
        raise ValueError(
            f"`smoothing` must be 0 or more, and finite. Received: {smoothing}"
        )
    probs = np.maximum(token_counts, 1.0) ** -smoothing
    probs[list(special_ids)] = 0.0
    return probs


def check_seed(seed):
    """Refuses a seed that batches cannot be a function of.

    Raises:
        ValueError: If `seed` is None, no whole number, or negative.
    """
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(
            "`seed` must be a whole number of 0 or more, of which batches are "
            f"a function. Received: {seed!r}"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class MaskedLMMasking:
    """Hides a share of each block's tokens, a fixed number K at most.

    Of the tokens chosen, 80 % become [MASK], 10 % a random token that is not
    special, 10 % stay. Special tokens are never chosen. The number chosen is
    the share of the block's own tokens, rounded up, and K is that of a whole
    block, so that shapes are static; positions left over have weight 0. What
    is hidden is a pure function of (seed, epoch, block index): any batch can
    be made again.
    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805

    With `across_batch` the share is that of the whole batch, [CLS] and [SEP]
    counted in, drawn from all its tokens at once, as DistilBERT's scripts do:
    a block of rare words has more hidden, another less. Masks are then a
    function of (seed, epoch, index of the first block) and of the blocks. K is
    twice a block's share, or the share and six times its root where that is
    more; what is drawn beyond K in one block stays as it was. On the built-in
    corpus with smoothing 0.7 (blocks of 32 to 512 tokens, batches of 5 and 32)
    that was 1 token in 90,000 at most.

    With `whole_words` all pieces of a word are hidden, or none: words come in
    a random order, each that still fits into the share is taken, and one that
    would be more is passed over, as in BERT's own scripts. What is at the
    start of a block, cut off from its word, counts as one.

    With `independent` each token (or word) is hidden by itself, with the
    probability `rate`, as Hugging Face's collator does: the number varies from
    block to block, and K is the share and six times its root.

    Args:
        vocabulary_size: Int (V).
        special_ids: Ids never chosen and never put in.
        pad_id: Int.
        mask_id: Int.
        rate: Float in (0, 1). Share of tokens chosen.
        mask_share: Float. Share of those that become [MASK].
        random_share: Float. Share of those that become a random token.
        seed: Int >= 0.
        token_probs: (V,) float >= 0, how likely each token is to be chosen
            beside the others of its block or batch (they need no sum of 1);
            0 for never. Drawn one after another, without replacement.
            Default: all alike. See `smoothed_token_probs`.
        across_batch: Bool. The share is drawn from the whole batch.
        whole_words: (V,) bool, which tokens go on a word
            (`WordPieceTokenizer.continuations`); with `token_probs` a word has
            the mean of its tokens. Default: tokens are chosen one by one.
        independent: Bool. Each is hidden by itself.

    Raises:
        ValueError: If a rate, share or probability is out of range, or
            `across_batch` and `whole_words`, `independent` and `across_batch`
            or `token_probs` are asked for together.
    """

    vocabulary_size: int
    special_ids: tuple
    pad_id: int
    mask_id: int
    rate: float = 0.15
    mask_share: float = 0.8
    random_share: float = 0.1
    seed: int = 0
    token_probs: np.ndarray | None = dataclasses.field(default=None, repr=False)
    across_batch: bool = False
    whole_words: np.ndarray | None = dataclasses.field(default=None, repr=False)
    independent: bool = False

    def __post_init__(self):
        if not 0 < self.rate < 1:
            raise ValueError(f"`rate` must be in (0, 1). Received: {self.rate}")
        shares = self.mask_share, self.random_share
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError(
                "`mask_share` and `random_share` must be 0 or more and 1 at "
                f"most together. Received: {self.mask_share} and "
                f"{self.random_share}"
            )
        check_seed(self.seed)
        if self.token_probs is not None:
            probs = np.asarray(self.token_probs, "float64")
            allowed = np.all((probs >= 0) & (probs < np.inf))
            if probs.shape != (self.vocabulary_size,) or not allowed:
                raise ValueError(
                    "`token_probs` must be finite numbers of 0 or more, one "
                    f"for each of {self.vocabulary_size} tokens. Received: "
                    f"{probs.min()} to {probs.max()}, shape {probs.shape}"
                )
            object.__setattr__(self, "token_probs", probs)
        if self.whole_words is not None:
            words = np.asarray(self.whole_words, bool)
            if words.shape != (self.vocabulary_size,):
                raise ValueError(
                    "`whole_words` must say of each of "
                    f"{self.vocabulary_size} tokens whether it goes on a word. "
                    f"Received: shape {words.shape}"
                )
            object.__setattr__(self, "whole_words", words)
        self._check_together()

    def _check_together(self):
        """Refuses what cannot hold at once."""
        given = {
            "across_batch": self.across_batch,
            "independent": self.independent,
            "whole_words": self.whole_words is not None,
            "token_probs": self.token_probs is not None,
        }
        for one, other in (
            ("across_batch", "whole_words"),
            ("across_batch", "independent"),
            ("token_probs", "independent"),
        ):
            if given[one] and given[other]:
                raise ValueError(
                    f"`{other}` must be left out with `{one}`. Received: both"
                )

    @functools.cached_property
    def ordinary_ids(self):
        """Ids that are not special, in order."""
        return np.setdiff1d(np.arange(self.vocabulary_size), self.special_ids)

    def positions_per_block(self, block_length):
        """K: the most positions hidden in a block of T tokens."""
        share = math.ceil(self.rate * block_length)
        root = math.ceil(6 * share**0.5)
        if self.across_batch:
            return min(block_length - 2, share + max(share, root))
        if self.independent:
            return min(block_length - 2, share + root)
        return max(1, math.ceil(self.rate * (block_length - 2)))

    def __call__(self, blocks, indices, epoch):
        """Masks a batch.

        Args:
            blocks: (B, T) int token ids.
            indices: (B,) int. Index of each block in its corpus.
            epoch: Int.

        Returns:
            Triple `x`, `y`, `sample_weight` of NumPy arrays: `x` is a dict of
            `token_ids`, `segment_ids`, `padding_mask` (B, T) and
            `mask_positions` (B, K), all int32; `y` is `mask_ids` (B, K)
            int32; `sample_weight` is `mask_weights` (B, K) float32.
        """
        blocks = np.asarray(blocks, "int32")
        indices = np.asarray(indices)
        batch, length = blocks.shape
        slots = self.positions_per_block(length)
        draws = self._draws(indices, epoch, length + 2 * slots)
        order, fate, other = np.split(draws, [length, length + slots], axis=1)
        order = self._order(blocks, order)
        wanted = np.minimum(self._wanted(blocks, order), slots)

        chosen = np.argpartition(order, slots - 1, axis=1)[:, :slots]
        rank = np.take_along_axis(order, chosen, axis=1).argsort(axis=1)
        chosen = np.take_along_axis(chosen, rank, axis=1)
        weights = np.arange(slots) < wanted[:, None]
        positions = np.where(weights, chosen, 0)

        rows = np.arange(batch)[:, None]
        ids = np.where(weights, blocks[rows, positions], 0)
        new = np.where(
            fate < self.mask_share, self.mask_id, self._random_ids(other)
        )
        new = np.where(fate >= self.mask_share + self.random_share, ids, new)
        masked = blocks.copy()
        where_row, where_slot = np.nonzero(weights)
        masked[where_row, positions[weights]] = new[where_row, where_slot]
        x = {
            "token_ids": masked,
            "segment_ids": np.zeros_like(masked),
            "padding_mask": (blocks != self.pad_id).astype("int32"),
            "mask_positions": positions.astype("int32"),
        }
        return x, ids.astype("int32"), weights.astype("float32")

    def _draws(self, indices, epoch, columns):
        """Uniform draws in [0, 1), a row for each block: (B, `columns`)."""
        bits = np.random.Philox(key=self.seed, counter=[0, 0, epoch, 0])
        generator, state = np.random.Generator(bits), bits.state
        draws = np.empty((len(indices), columns))
        rows = draws[None] if self.across_batch else draws
        for row, index in zip(rows, indices.tolist(), strict=False):
            # As of a generator made for the index, in a third of the time.
            state["state"]["counter"][3] = index
            bits.state = state
            generator.random(out=row)
        return draws

    def _order(self, blocks, draws):
        """Keys, (B, T): the lowest are chosen, those at infinity never.

        Exponential draws, each of its token's rate, stand in the order in
        which tokens come one after another, without replacement.
        Source: Efraimidis & Spirakis, 2006,
        https://doi.org/10.1016/j.ipl.2005.11.003
        """
        eligible = ~np.isin(blocks, self.special_ids)
        probs = None
        if self.token_probs is not None:
            probs = np.where(eligible, self.token_probs[blocks], 0.0)
        if self.whole_words is not None:
            words = words_of(blocks, eligible, self.whole_words)
            draws = np.take_along_axis(draws, words, axis=1)
            if probs is not None:
                probs = word_means(probs, words)
        if probs is not None:
            eligible &= probs > 0
            draws = -np.log1p(-draws) / np.where(eligible, probs, 1.0)
        order = np.where(eligible, draws, np.inf)
        if self.whole_words is None or self.independent:
            return order
        return whole_words_that_fit(order, words, self._share(order))

    def _share(self, order):
        """How many tokens of each block the share is: (B,)."""
        eligible = np.isfinite(order).sum(axis=1)
        return np.ceil(self.rate * eligible).astype(int)

    def _wanted(self, blocks, order):
        """How many tokens of each block are to be hidden: (B,)."""
        if self.independent:
            return (order < self.rate).sum(axis=1)
        if self.whole_words is not None:
            return np.isfinite(order).sum(axis=1)
        if not self.across_batch:
            return self._share(order)
        eligible = np.isfinite(order).sum()
        share = math.ceil(self.rate * (blocks != self.pad_id).sum())
        share = min(share, eligible)
        lowest = np.argpartition(order.ravel(), share - 1)[:share]
        rows = lowest // blocks.shape[1]
        return np.bincount(rows, minlength=len(blocks))

    def _random_ids(self, draws):
        """Uniform draws in [0, 1) to ids that are not special."""
        ordinary = self.ordinary_ids
        return ordinary[(draws * len(ordinary)).astype(int)]
