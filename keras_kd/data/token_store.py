"""TokenStore: documents as blocks of token ids on disk, memory-mapped."""

import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil

import numpy as np
from keras_kd.data.blocks import Blocks
from keras_kd.data.packing import SHORTEST_BLOCK, packed
from keras_kd.file_digest import digest_of

COUNTS = "token_counts.npy"
PROGRESS = "progress.json"
DIGITS = 32  # of a digest, in the manifest
_OURS = re.compile(r"blocks-\d+\.bin|token_counts\.npy|manifest\.json")


class TokenStore:
    """Blocks of exactly T token ids, packed from documents, on disk.

    A block is [CLS], T - 2 tokens of running text, [SEP]; where one document
    ends inside a block, a [SEP] stands between it and the next. Only the last
    block may be shorter; it is padded. The blocks lie in shards, files of
    some 16 MB that are mapped: memory does not grow with the corpus. The
    manifest says what made the store, and the digest of each file. A damaged
    file, and a tokenizer other than that one, are refused.

    Open one with `TokenStore(folder)`, make one with `TokenStore.write`.

    Args:
        folder: Str or path of a written store.
        verify: Bool. Whether the files are read once and compared with their
            digests, some seconds for 10 GB; else only their sizes are.

    Attributes:
        blocks: `Blocks`, (N, T), to be indexed like an array.
        manifest: Dict.

    Raises:
        FileNotFoundError: If there is no whole store.
        ValueError: If a file is missing, or not as it was written; by name.
    """

    SHORTEST_BLOCK = SHORTEST_BLOCK
    SHARD_TOKENS = 2**23

    def __init__(self, folder, verify=True):
        self.folder = pathlib.Path(folder)
        manifest = self.folder / "manifest.json"
        if not manifest.exists():
            raise FileNotFoundError(
                f"`folder` must hold a token store. Received: {folder}"
            )
        self.manifest = json.loads(manifest.read_text("utf-8"))
        self.block_length = self.manifest["block_length"]
        dtype = np.dtype(self.manifest["dtype"])
        shards = self.manifest["shards"]
        row = self.block_length * dtype.itemsize
        for name, shard in shards.items():
            _check_size(self.folder / name, shard["blocks"] * row)
        if verify:
            for name, digest in self.digests().items():
                _check_digest(self.folder / name, digest)
        self.blocks = Blocks(
            [
                np.memmap(
                    self.folder / name,
                    dtype,
                    "r",
                    shape=(shard["blocks"], self.block_length),
                )
                for name, shard in shards.items()
            ]
        )

    def digests(self):
        """Digest of each file but the manifest, a dict."""
        shards = self.manifest["shards"].items()
        digests = {name: shard["digest"] for name, shard in shards}
        return {**digests, COUNTS: self.manifest["token_counts"]}

    @classmethod
    def write(cls, folder, documents, tokenizer, block_length, resume=False):
        """Tokenises and packs documents, streaming.

        The store is written beside, in `<folder>.partial`, and renamed.

        Args:
            folder: Str or path. A store that is there already is replaced
                once the new one is whole.
            documents: Iterable of str.
            tokenizer: `WordPieceTokenizer`.
            block_length: Int (T), at least 8.
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
        if block_length < cls.SHORTEST_BLOCK:
            raise ValueError(
                f"`block_length` must be at least {cls.SHORTEST_BLOCK}. "
                f"Received: {block_length}"
            )
        folder = pathlib.Path(folder)
        if folder.exists() and not all(
            _OURS.fullmatch(file.name) for file in folder.iterdir()
        ):
            raise ValueError(
                "`folder` must be new, empty or a token store: it is "
                f"replaced. Received: {folder}"
            )
        beside = folder.with_name(f"{folder.name}.partial")
        if not resume:
            shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True, exist_ok=True)
        try:
            _write_files(beside, documents, tokenizer, block_length)
        except BaseException:
            if not resume:
                shutil.rmtree(beside)
            raise
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(beside, folder)
        return cls(folder, verify=False)

    def __len__(self):
        return len(self.blocks)

    @property
    def tokens(self):
        """Number of tokens, special ones left out."""
        return self.manifest["tokens"]

    @property
    def token_counts(self):
        """How often each token id occurs, (V,) int."""
        return np.load(self.folder / COUNTS)

    def check_tokenizer(self, tokenizer):
        """Refuses a tokenizer that did not make this store."""
        expected, received = self.manifest["tokenizer"], _fingerprint(tokenizer)
        if expected != received:
            raise ValueError(
                f"`tokenizer` must be the one that made {self.folder}. "
                f"Expected: {expected}. Received: {received}"
            )


def _fingerprint(tokenizer):
    digest = hashlib.sha256(tokenizer.backend.to_str().encode()).hexdigest()
    return f"{digest[:16]}, {tokenizer.vocabulary_size} tokens"


def _check_size(path, size):
    if not path.exists():
        raise ValueError(f"`folder` must hold {path.name}. Received: {path}")
    if path.stat().st_size != size:
        raise ValueError(
            f"`folder` must hold {path.name} as it was written, of {size} "
            f"bytes. Received: {path}, of {path.stat().st_size}"
        )


def _check_digest(path, digest):
    if _digest(path) != digest:
        raise ValueError(
            f"`folder` must hold {path.name} as it was written. Received: "
            f"{path}, with another digest"
        )


def _digest(path):
    return digest_of(path)[:DIGITS]


def _write_files(folder, documents, tokenizer, block_length):
    """The files of a store, into a folder that may hold the first of them."""
    dtype = "uint16" if tokenizer.vocabulary_size <= 2**16 else "int32"
    progress = {
        "block_length": block_length,
        "documents": repr(documents)[:1000],
        "tokenizer": _fingerprint(tokenizer),
        "done": 0,
        "shards": {},
        "left_over": [],
        "counts": [0] * tokenizer.vocabulary_size,
    }
    if (folder / PROGRESS).exists():
        progress = _read_progress(folder, progress)
    counts = np.array(progress["counts"], "int64")
    for blocks, done, left_over in packed(
        itertools.islice(documents, progress["done"], None),
        tokenizer,
        block_length,
        max(1, TokenStore.SHARD_TOKENS // block_length),
        np.array(progress["left_over"], "int32"),
    ):
        name = f"blocks-{len(progress['shards']):05d}.bin"
        (folder / name).write_bytes(blocks.astype(dtype).tobytes())
        counts += np.bincount(blocks.ravel(), minlength=len(counts))
        progress["shards"][name] = {
            "blocks": len(blocks),
            "digest": _digest(folder / name),
        }
        progress["done"] += done
        progress["counts"] = counts.tolist()
        progress["left_over"] = left_over.tolist()
        beside = folder / f"{PROGRESS}.partial"
        beside.write_text(json.dumps(progress), "utf-8")
        os.replace(beside, folder / PROGRESS)
    if not progress["shards"]:
        raise ValueError(
            f"`documents` must hold at least {TokenStore.SHORTEST_BLOCK - 2} "
            f"tokens. Received: fewer, in {repr(documents)[:1000]}"
        )
    np.save(folder / COUNTS, counts)
    special = counts[list(tokenizer.special_ids)].sum()
    shards = progress["shards"]
    manifest = {
        "block_length": block_length,
        "blocks": sum(shard["blocks"] for shard in shards.values()),
        "dtype": dtype,
        "documents": progress["documents"],
        "tokenizer": progress["tokenizer"],
        "tokens": int(counts.sum() - special),
        "token_counts": _digest(folder / COUNTS),
        "shards": shards,
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (folder / "manifest.json").write_text(text, "utf-8")
    for name in (PROGRESS, f"{PROGRESS}.partial"):
        (folder / name).unlink(missing_ok=True)


def _read_progress(folder, expected):
    """How far an interrupted store is; refuses what is of another."""
    progress = json.loads((folder / PROGRESS).read_text("utf-8"))
    for name in ("block_length", "documents", "tokenizer"):
        if progress[name] != expected[name]:
            raise ValueError(
                f"`{name}` must be that of the store that is gone on with, "
                f"{folder}. Expected: {progress[name]}. "
                f"Received: {expected[name]}"
            )
    return progress
