"""Documents to blocks of T token ids."""

import numpy as np

SHORTEST_BLOCK = 8  # tokens, [CLS] and [SEP] included


def pack_blocks(documents, tokenizer, block_length, blocks_at_once=1024):
    """Yields arrays (n, T) of packed blocks; the last block may be padded."""
    for blocks, *_ in packed(
        documents, tokenizer, block_length, blocks_at_once
    ):
        yield blocks


def packed(documents, tokenizer, block_length, blocks_at_once, left_over=()):
    """Packs documents, `blocks_at_once` blocks at a time.

    Args:
        documents: Iterable of str.
        tokenizer: `WordPieceTokenizer`.
        block_length: Int (T).
        blocks_at_once: Int (n).
        left_over: int32 array, ids of documents before these.

    Yields:
        Triple of blocks (n, T) int32, how many documents have been taken
        since the last time, and the ids that are left over. The last block of
        the last triple may be padded, and it has no more than (n, T).
    """
    inner = block_length - 2
    buffer = [left_over] if len(left_over) else []
    length, done = sum(map(len, buffer)), 0
    for ids in tokenizer.encode_documents(documents):
        done += 1
        if not len(ids):
            continue
        buffer.append(np.append(ids, tokenizer.sep_id))
        length += len(ids) + 1
        # One more than is needed: the last [SEP] may be that of the frame.
        while length > inner * blocks_at_once:
            running = np.concatenate(buffer)
            rows, running = np.split(running, [inner * blocks_at_once])
            yield _frame(rows.reshape(-1, inner), tokenizer), done, running
            buffer, length, done = [running], len(running), 0
    running = np.concatenate([np.zeros(0, "int32"), *buffer])[:-1]
    whole = len(running) // inner * inner
    blocks = []
    if whole:
        blocks.append(_frame(running[:whole].reshape(-1, inner), tokenizer))
    rest = running[whole:]
    if len(rest) >= SHORTEST_BLOCK - 2:
        block = _frame(rest[None], tokenizer)
        padding = block_length - block.shape[1]
        pad = tokenizer.pad_id
        edges = [(0, 0), (0, padding)]
        blocks.append(np.pad(block, edges, constant_values=pad))
    if blocks:
        yield np.concatenate(blocks), done, running[:0]


def _frame(rows, tokenizer):
    """[CLS] before and [SEP] after each row."""
    edges = [(0, 0), (1, 1)]
    values = [(0, 0), (tokenizer.cls_id, tokenizer.sep_id)]
    return np.pad(rows, edges, constant_values=values).astype("int32")
