"""The files of a token store, written so that an interruption costs little."""

import contextlib
import hashlib
import itertools
import json
import logging
import os
import pathlib
import re
import shutil

import numpy as np
from keras_kd.data.packing import SHORTEST_BLOCK, lined, packed
from keras_kd.data.shard_files import ShardFiles, short_digest

logger = logging.getLogger(__name__)

COUNTS = "token_counts.npy"
MANIFEST = "manifest.json"
PROGRESS = "progress.json"
TOKENS_AT_ONCE = 2**18  # between text and shards
MOST_UNKNOWN = 0.01  # share of [UNK] that is not worth a word
_OURS = re.compile(r"blocks-[\d-]+\.bin|token_counts\.npy|manifest\.json")


@contextlib.contextmanager
def written_beside(folder, layout, resume=False):
    """A folder to write a store's files in, which takes its place at the end.

    Args:
        folder: Str or path of the store.
        layout: Dict of `block_length` and `line_by_line`.
        resume: Bool. Whether what is there is kept, also after an error.

    Raises:
        ValueError: If blocks are too short, or the folder holds anything but
            a store.
    """
    if layout["block_length"] < SHORTEST_BLOCK:
        raise ValueError(
            f"`block_length` must be at least {SHORTEST_BLOCK}. "
            f"Received: {layout['block_length']}"
        )
    folder = pathlib.Path(folder)
    if folder.exists() and not all(
        _OURS.fullmatch(file.name) for file in folder.iterdir()
    ):
        raise ValueError(
            "`folder` must be new, empty or a token store: it is replaced. "
            f"Received: {folder}"
        )
    beside = folder.with_name(f"{folder.name}.partial")
    if not resume:
        shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True, exist_ok=True)
    try:
        yield beside
    except BaseException:
        if not resume:
            shutil.rmtree(beside)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(beside, folder)


def write_files(folder, documents, tokenizer, layout, shard_tokens):
    """Writes a store's files into a folder that may hold the first of them.

    Args:
        folder: `pathlib.Path`.
        documents: Iterable of str.
        tokenizer: `WordPieceTokenizer`.
        layout: Dict of `block_length` and `line_by_line`.
        shard_tokens: Int. Tokens in a shard; after so many it is written down
            how far the store is.

    Raises:
        ValueError: As `TokenStore.write`.
    """
    made_of = identity(documents, tokenizer, layout)
    progress = {
        **made_of,
        "done": 0,
        "shards": {},
        "left_over": [],
        "counts": [0] * tokenizer.vocabulary_size,
    }
    if (folder / PROGRESS).exists():
        progress = _read_progress(folder, progress)
    files = ShardFiles(
        folder, dtype_of(tokenizer), shard_tokens, progress["shards"]
    )
    counts = np.array(progress["counts"], "int64")
    documents = itertools.islice(documents, progress["done"], None)
    saved = counts.sum()
    for rows, done, left_over in _rows(
        documents, tokenizer, layout, progress["left_over"]
    ):
        for blocks in rows:
            files.append(blocks)
            counts += np.bincount(blocks.ravel(), minlength=len(counts))
        progress["done"] += done
        if counts.sum() - saved >= shard_tokens:
            saved = counts.sum()
            progress["shards"] = files.shards
            progress["counts"] = counts.tolist()
            progress["left_over"] = left_over.tolist()
            _replace(folder / PROGRESS, json.dumps(progress))
    files.close()
    write_manifest(folder, made_of, tokenizer, counts, files.shards)
    for name in (PROGRESS, f"{PROGRESS}.partial"):
        (folder / name).unlink(missing_ok=True)


def identity(documents, tokenizer, layout):
    """What makes a store what it is, a dict."""
    return {
        **layout,
        "documents": repr(documents)[:1000],
        "tokenizer": fingerprint(tokenizer),
    }


def fingerprint(tokenizer):
    """Tells one tokenizer from another, a str."""
    digest = hashlib.sha256(tokenizer.backend.to_str().encode()).hexdigest()
    return f"{digest[:16]}, {tokenizer.vocabulary_size} tokens"


def dtype_of(tokenizer):
    """Of a token id on disk."""
    return "uint16" if tokenizer.vocabulary_size <= 2**16 else "int32"


def write_manifest(folder, identity, tokenizer, counts, shards):
    """Writes the counts, and the manifest last.

    Args:
        folder: `pathlib.Path`.
        identity: Dict of `block_length`, `line_by_line`, `documents` and
            `tokenizer`.
        tokenizer: `WordPieceTokenizer`.
        counts: (V,) int64, how often each token occurs.
        shards: Dict, as `ShardFiles.shards`.

    Raises:
        ValueError: If there is no block.
    """
    if not shards:
        raise ValueError(
            f"`documents` must hold at least {SHORTEST_BLOCK - 2} tokens. "
            f"Received: fewer, in {identity['documents']}"
        )
    np.save(folder / COUNTS, counts)
    special = counts[list(tokenizer.special_ids)].sum()
    tokens = int(counts.sum() - special)
    _say_unknown(folder, int(counts[tokenizer.unknown_id]), tokens)
    manifest = {
        **identity,
        "blocks": sum(shard["blocks"] for shard in shards.values()),
        "dtype": dtype_of(tokenizer),
        "tokens": tokens,
        "token_counts": short_digest(folder / COUNTS),
        "shards": shards,
    }
    _replace(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def _say_unknown(folder, unknown, tokens):
    """Says it where the tokenizer does not know many of the words."""
    share = unknown / max(1, unknown + tokens)
    if share > MOST_UNKNOWN:
        logger.warning(
            "%s: %.1f %% of its tokens are [UNK], words that the tokenizer "
            "does not know. Train a vocabulary on this text "
            "(`WordPieceTokenizer.train`) or a larger one (`vocabulary_size`), "
            "look at the case (`lowercase`), or leave such documents out "
            "(`most_unknown` of `DocumentFilter`)",
            str(folder).removesuffix(".partial"),
            100 * share,
        )


def _rows(documents, tokenizer, layout, left_over):
    """From `packed` or `lined`."""
    length = layout["block_length"]
    if layout["line_by_line"]:
        return lined(documents, tokenizer, length, TOKENS_AT_ONCE)
    at_once = max(1, TOKENS_AT_ONCE // length)
    left_over = np.array(left_over, "int32")
    return packed(documents, tokenizer, length, at_once, left_over)


def _replace(path, text):
    beside = path.with_name(f"{path.name}.partial")
    beside.write_text(text, "utf-8")
    os.replace(beside, path)


def _read_progress(folder, expected):
    """How far an interrupted store is; refuses what is of another."""
    progress = json.loads((folder / PROGRESS).read_text("utf-8"))
    for name in ("block_length", "line_by_line", "documents", "tokenizer"):
        if progress[name] != expected[name]:
            raise ValueError(
                f"`{name}` must be that of the store that is gone on with, "
                f"{folder}. Expected: {progress[name]}. "
                f"Received: {expected[name]}"
            )
    return progress
