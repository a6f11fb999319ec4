"""Blocks: several arrays as one."""

import numpy as np


class Blocks:
    """The blocks of several shards, (N, T), to be indexed like an array.

    Args:
        shards: List of arrays (n, T), or of `Blocks`.
        counts: List of int, how many blocks of each are taken: with more than
            it has one begins again at its first. Default: all, once.
    """

    def __init__(self, shards, counts=None):
        self.shards = shards
        self.starts = np.cumsum([0, *(counts or map(len, shards))])
        self.dtype = np.result_type(*(shard.dtype for shard in shards))
        self.shape = int(self.starts[-1]), shards[0].shape[1]

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        index = np.asarray(index)
        if index.ndim == 0:
            return self[index[None]][0]
        if index.size and not (0 <= index.min() and index.max() < len(self)):
            raise IndexError(
                f"`index` must be from 0 to {len(self) - 1}. Received: {index}"
            )
        which = np.searchsorted(self.starts, index, side="right") - 1
        found = np.empty((*index.shape, self.shape[1]), self.dtype)
        for shard in np.unique(which):
            here = which == shard
            blocks = self.shards[shard]
            inside = index[here] - self.starts[shard]
            found[here] = blocks[inside % len(blocks)]
        return found

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)

    def tolist(self):
        """All blocks, a list of lists."""
        return np.asarray(self).tolist()
