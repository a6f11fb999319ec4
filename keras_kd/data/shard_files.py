"""ShardFiles: blocks to files of some 16 MB."""

import os

import numpy as np
from keras_kd.file_digest import digest_of

DIGITS = 32  # of a digest, in the manifest


class ShardFiles:
    """The shards of a store while it is written, of all its block lengths.

    Args:
        folder: `pathlib.Path`, in which they lie.
        dtype: Of a token id on disk.
        shard_tokens: Int. Tokens in a shard, about.
        shards: Dict of what is there, of a store that is gone on with: what
            `shards` was. Files are cut back to that, and others removed.

    Attributes:
        shards: Dict of file name to `length` (t), `blocks` and `digest`; that
            of a shard that is not full is None, until `close`.

    Raises:
        ValueError: If a file is shorter than it was.
    """

    def __init__(self, folder, dtype, shard_tokens, shards=None):
        self.folder = folder
        self.dtype = np.dtype(dtype)
        self.shard_tokens = shard_tokens
        self.shards = shards or {}
        for path in folder.glob("blocks-*.bin"):
            if path.name not in self.shards:
                path.unlink()
        for name, shard in self.shards.items():
            row = shard["length"] * self.dtype.itemsize
            check_size(folder / name, shard["blocks"] * row, at_least=True)
            os.truncate(folder / name, shard["blocks"] * row)

    def append(self, blocks):
        """Adds blocks (n, t), behind those of their length."""
        length = blocks.shape[1]
        capacity = blocks_in_shard(length, self.shard_tokens)
        while len(blocks):
            name = self.open_shard(length)
            shard = self.shards[name]
            some, blocks = np.split(blocks, [capacity - shard["blocks"]])
            with (self.folder / name).open("ab") as file:
                file.write(some.astype(self.dtype).tobytes())
            shard["blocks"] += len(some)
            if shard["blocks"] == capacity:
                shard["digest"] = sealed_digest(self.folder / name)

    def open_shard(self, length):
        """Name of the shard of a length that is not full, of a new one else."""
        names = [n for n, s in self.shards.items() if s["length"] == length]
        if names and self.shards[names[-1]]["digest"] is None:
            return names[-1]
        name = shard_name(length, len(names))
        self.shards[name] = {"length": length, "blocks": 0, "digest": None}
        return name

    def close(self):
        """Seals those that are not full, and puts all in order."""
        for name, shard in self.shards.items():
            if shard["digest"] is None:
                shard["digest"] = sealed_digest(self.folder / name)
        self.shards = in_order(self.shards)


def shard_name(length, index):
    """Its file's."""
    return f"blocks-{length}-{index:05d}.bin"


def blocks_in_shard(length, shard_tokens):
    """How many a full one holds."""
    return max(1, shard_tokens // length)


def in_order(shards):
    """Shards from the shortest blocks to the longest, a dict."""
    key = sorted(shards, key=lambda name: (shards[name]["length"], name))
    return {name: shards[name] for name in key}


def sealed_digest(path):
    """Digest of a file that lies on disk, whatever the machine does next."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return short_digest(path)


def short_digest(path):
    """As it stands in the manifest."""
    return digest_of(path)[:DIGITS]


def check_size(path, size, at_least=False):
    """Refuses a file that is not there, or of another size."""
    if not path.exists():
        raise ValueError(f"`folder` must hold {path.name}. Received: {path}")
    found = path.stat().st_size
    if found != size and not (at_least and found > size):
        raise ValueError(
            f"`folder` must hold {path.name} as it was written, of {size} "
            f"bytes. Received: {path}, of {found}"
        )
