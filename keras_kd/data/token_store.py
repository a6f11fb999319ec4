"""TokenStore: documents as blocks of token ids on disk, memory-mapped."""

import hashlib
import json
import os
import pathlib
import shutil

import numpy as np

_FILES = {"blocks.bin", "token_counts.npy", "manifest.json"}


class TokenStore:
    """Blocks of exactly T token ids, packed from documents, on disk.

    A block is [CLS], T - 2 tokens of running text, [SEP]; where one document
    ends inside a block, a [SEP] stands between it and the next. Only the last
    block may be shorter; it is padded. Reading maps the file: memory does not
    grow with the corpus. The manifest says what made the store, and a
    tokenizer other than that one is refused.

    Open one with `TokenStore(folder)`, make one with `TokenStore.write`.

    Args:
        folder: Str or path of a written store.

    Raises:
        FileNotFoundError: If there is no whole store.
    """

    SHORTEST_BLOCK = 8  # tokens, [CLS] and [SEP] included

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        manifest = self.folder / "manifest.json"
        if not manifest.exists():
            raise FileNotFoundError(
                f"`folder` must hold a token store. Received: {folder}"
            )
        self.manifest = json.loads(manifest.read_text("utf-8"))
        shape = self.manifest["blocks"], self.manifest["block_length"]
        self.blocks = np.memmap(
            self.folder / "blocks.bin", self.manifest["dtype"], "r", shape=shape
        )
        self.block_length = shape[1]

    @classmethod
    def write(cls, folder, documents, tokenizer, block_length):
        """Tokenises and packs documents, streaming.

        Args:
            folder: Str or path. A store that is there already is replaced
                once the new one is whole.
            documents: Iterable of str.
            tokenizer: `WordPieceTokenizer`.
            block_length: Int (T), at least 8.

        Returns:
            The `TokenStore`.

        Raises:
            ValueError: If T is too small, the folder holds anything but a
                store, or the documents hold fewer tokens than one short block
                needs.
        """
        if block_length < cls.SHORTEST_BLOCK:
            raise ValueError(
                f"`block_length` must be at least {cls.SHORTEST_BLOCK}. "
                f"Received: {block_length}"
            )
        folder = pathlib.Path(folder)
        if folder.exists() and {f.name for f in folder.iterdir()} - _FILES:
            raise ValueError(
                "`folder` must be new, empty or a token store: it is "
                f"replaced. Received: {folder}"
            )
        beside = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            _write_files(beside, documents, tokenizer, block_length)
        except BaseException:
            shutil.rmtree(beside)
            raise
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(beside, folder)
        return cls(folder)

    def __len__(self):
        return len(self.blocks)

    @property
    def token_counts(self):
        """How often each token id occurs, (V,) int."""
        return np.load(self.folder / "token_counts.npy")

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


def _write_files(folder, documents, tokenizer, block_length):
    """The files of a store, into a folder that is there."""
    dtype = "uint16" if tokenizer.vocabulary_size <= 2**16 else "int32"
    counts = np.zeros(tokenizer.vocabulary_size, "int64")
    blocks = 0
    with (folder / "blocks.bin").open("wb") as out:
        for some in pack_blocks(documents, tokenizer, block_length):
            out.write(some.astype(dtype).tobytes())
            counts += np.bincount(some.ravel(), minlength=len(counts))
            blocks += len(some)
    if not blocks:
        raise ValueError(
            f"`documents` must hold at least {TokenStore.SHORTEST_BLOCK - 2} "
            f"tokens. Received: fewer, in {repr(documents)[:1000]}"
        )
    np.save(folder / "token_counts.npy", counts)
    manifest = {
        "block_length": block_length,
        "blocks": blocks,
        "dtype": dtype,
        "documents": repr(documents)[:1000],
        "tokenizer": _fingerprint(tokenizer),
        "tokens": int(counts.sum() - counts[list(tokenizer.special_ids)].sum()),
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (folder / "manifest.json").write_text(text, "utf-8")


def pack_blocks(documents, tokenizer, block_length, blocks_at_once=1024):
    """Yields arrays (n, T) of packed blocks; the last block may be padded."""
    inner = block_length - 2
    buffer, length = [], 0
    for ids in tokenizer.encode_documents(documents):
        if not len(ids):
            continue
        buffer.append(np.append(ids, tokenizer.sep_id))
        length += len(ids) + 1
        if length > inner * blocks_at_once:
            running = np.concatenate(buffer)
            # Short of the last [SEP]: this may have been the last document.
            whole = (len(running) - 1) // inner * inner
            yield _frame(running[:whole].reshape(-1, inner), tokenizer)
            buffer, length = [running[whole:]], len(running) - whole
    if not buffer:
        return
    running = np.concatenate(buffer)[:-1]  # the frame ends with a [SEP]
    whole = len(running) // inner * inner
    if whole:
        yield _frame(running[:whole].reshape(-1, inner), tokenizer)
    rest = running[whole:]
    if len(rest) >= TokenStore.SHORTEST_BLOCK - 2:
        block = _frame(rest[None], tokenizer)
        padding = block_length - block.shape[1]
        yield np.pad(
            block, [(0, 0), (0, padding)], constant_values=tokenizer.pad_id
        )


def _frame(rows, tokenizer):
    """[CLS] before and [SEP] after each row."""
    edges = [(0, 0), (1, 1)]
    values = [(0, 0), (tokenizer.cls_id, tokenizer.sep_id)]
    return np.pad(rows, edges, constant_values=values).astype("int32")
