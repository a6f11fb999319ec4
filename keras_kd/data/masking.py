"""Masked-LM masking: which tokens are hidden, and what is put instead."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class MaskedLMMasking:
    """Hides a share of each block's tokens, a fixed number K at most.

    Of the tokens chosen, 80 % become [MASK], 10 % a random token that is not
    special, 10 % stay. Special tokens are never chosen. The number chosen is
    the share of the block's own tokens, rounded up, and K is that of a whole
    block, so that shapes are static; positions left over have weight 0. What
    is hidden is a pure function of (seed, epoch, block index): any batch can
    be made again.
    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805

    Args:
        vocabulary_size: Int (V).
        special_ids: Ids never chosen and never put in.
        pad_id: Int.
        mask_id: Int.
        rate: Float in (0, 1). Share of tokens chosen.
        mask_share: Float. Share of those that become [MASK].
        random_share: Float. Share of those that become a random token.
        seed: Int >= 0.

    Raises:
        ValueError: If a rate or share is out of range.
    """

    vocabulary_size: int
    special_ids: tuple
    pad_id: int
    mask_id: int
    rate: float = 0.15
    mask_share: float = 0.8
    random_share: float = 0.1
    seed: int = 0

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
        if self.seed < 0:
            raise ValueError(f"`seed` must be 0 or more. Received: {self.seed}")

    def positions_per_block(self, block_length):
        """K: the most positions hidden in a block of T tokens."""
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
        batch, length = blocks.shape
        slots = self.positions_per_block(length)
        eligible = ~np.isin(blocks, self.special_ids)
        wanted = np.ceil(self.rate * eligible.sum(axis=1)).astype(int)
        wanted = np.minimum(wanted, slots)

        draws = np.empty((batch, length + 2 * slots))
        for row, index in enumerate(indices):
            bits = np.random.Philox(key=self.seed, counter=[0, 0, epoch, index])
            draws[row] = np.random.Generator(bits).random(draws.shape[1])
        order, fate, other = np.split(draws, [length, length + slots], axis=1)

        order = np.where(eligible, order, 2.0)  # special tokens come last
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

    def _random_ids(self, draws):
        """Uniform draws in [0, 1) to ids that are not special."""
        ordinary = np.setdiff1d(
            np.arange(self.vocabulary_size), self.special_ids
        )
        return ordinary[(draws * len(ordinary)).astype(int)]
