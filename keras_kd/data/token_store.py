"""TokenStore: documents as blocks of token ids on disk, memory-mapped."""

import json
import pathlib

import numpy as np
from keras_kd.data.blocks import Blocks
from keras_kd.data.packing import SHORTEST_BLOCK
from keras_kd.data.shard_files import check_size, short_digest
from keras_kd.data.store_writer import (
    COUNTS,
    MANIFEST,
    fingerprint,
    write_files,
    written_beside,
)


class TokenStore:
    """Blocks of token ids, made of documents, on disk.

    Of running text, a block is [CLS], T - 2 tokens, [SEP]; where one document
    ends inside a block, a [SEP] stands between it and the next. Only the last
    block may be shorter; it is padded. Line by line, each line of a document
    is a sequence of its own, [CLS] before and [SEP] after it, in the shortest
    of five lengths that holds it (T / 8, T / 4, T / 2, 3 T / 4, T; 8 at
    least), padded; a line of more than T - 2 tokens is split in chunks.

    The blocks lie in shards, files of some 16 MB that are mapped: memory does
    not grow with the corpus. The manifest says what made the store, and the
    digest of each file. A damaged file, and a tokenizer other than that one,
    are refused.

    Open one with `TokenStore(folder)`, make one with `TokenStore.write`.

    Args:
        folder: Str or path of a written store.
        verify: Bool. Whether the files are read once and compared with their
            digests, some seconds for 10 GB; else only their sizes are.

    Attributes:
        block_length: Int (T), of the longest blocks.
        buckets: Dict of block length to `Blocks`, (n, t), to be indexed like
            an array; of running text there is one.
        manifest: Dict.

    Raises:
        FileNotFoundError: If there is no whole store.
        ValueError: If a file is missing, or not as it was written; by name.
    """

    SHORTEST_BLOCK = SHORTEST_BLOCK
    SHARD_TOKENS = 2**23

    def __init__(self, folder, verify=True):
        self.folder = pathlib.Path(folder)
        manifest = self.folder / MANIFEST
        if not manifest.exists():
            raise FileNotFoundError(
                f"`folder` must hold a token store. Received: {folder}"
            )
        self.manifest = json.loads(manifest.read_text("utf-8"))
        self.block_length = self.manifest["block_length"]
        dtype = np.dtype(self.manifest["dtype"])
        shards = self.manifest["shards"]
        for name, shard in shards.items():
            row = shard["length"] * dtype.itemsize
            check_size(self.folder / name, shard["blocks"] * row)
        if verify:
            for name, digest in self.digests().items():
                _check_digest(self.folder / name, digest)
        buckets = {}
        for name, shard in shards.items():
            shape = shard["blocks"], shard["length"]
            blocks = np.memmap(self.folder / name, dtype, "r", shape=shape)
            buckets.setdefault(shard["length"], []).append(blocks)
        self.buckets = {t: Blocks(found) for t, found in buckets.items()}
        # Now, as the blocks are: an open store outlives a renamed folder.
        self._token_counts = np.load(self.folder / COUNTS)

    def digests(self):
        """Digest of each file but the manifest, a dict."""
        shards = self.manifest["shards"].items()
        digests = {name: shard["digest"] for name, shard in shards}
        return {**digests, COUNTS: self.manifest["token_counts"]}

    @classmethod
    def write(
        cls,
        folder,
        documents,
        tokenizer,
        block_length,
        line_by_line=False,
        resume=False,
    ):
        """Tokenises and packs documents, streaming.

        The store is written beside, in `<folder>.partial`, and renamed. More
        than 1 % [UNK] in it is logged, with what to do.

        Args:
            folder: Str or path. A store that is there already is replaced
                once the new one is whole.
            documents: Iterable of str.
            tokenizer: `WordPieceTokenizer`.
            block_length: Int (T), at least 8.
            line_by_line: Bool. Whether each line is a sequence of its own.
            resume: Bool. Whether what an interruption leaves stays, and is
                gone on with: the documents that were done are passed over.

        Returns:
            The `TokenStore`.

        Raises:
            ValueError: If T is too small, the folder holds anything but a
                store, or the documents hold fewer tokens than one short block
                needs; if what is to be gone on with was of other documents,
                another tokenizer or block length.
        """
        layout = {"block_length": block_length, "line_by_line": line_by_line}
        with written_beside(folder, layout, resume) as beside:
            write_files(beside, documents, tokenizer, layout, cls.SHARD_TOKENS)
        return cls(folder, verify=False)

    def __len__(self):
        return sum(map(len, self.buckets.values()))

    @property
    def blocks(self):
        """`Blocks` of running text, (N, T), to be indexed like an array."""
        if self.manifest["line_by_line"]:
            raise ValueError(
                f"`store` must be of running text. Received: {self.folder}, "
                f"with blocks of {list(self.buckets)} tokens: see `buckets`"
            )
        return self.buckets[self.block_length]

    @property
    def tokens(self):
        """Number of tokens, special ones left out."""
        return self.manifest["tokens"]

    @property
    def token_counts(self):
        """How often each token id occurs, (V,) int."""
        return self._token_counts.copy()

    def check_tokenizer(self, tokenizer):
        """Refuses a tokenizer that did not make this store."""
        expected, received = self.manifest["tokenizer"], fingerprint(tokenizer)
        if expected != received:
            raise ValueError(
                f"`tokenizer` must be the one that made {self.folder}. "
                f"Expected: {expected}. Received: {received}"
            )


def _check_digest(path, digest):
    if short_digest(path) != digest:
        raise ValueError(
            f"`folder` must hold {path.name} as it was written. Received: "
            f"{path}, with another digest"
        )
