"""Documents to blocks of token ids: running text, or a sequence a line."""

import collections

import numpy as np

SHORTEST_BLOCK = 8  # tokens, [CLS] and [SEP] included
BUCKETS = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)  # shares of the longest block


def packed(documents, tokenizer, block_length, blocks_at_once, left_over=()):
    """Packs documents as running text, `blocks_at_once` blocks at a time.

    Args:
        documents: Iterable of str.
        tokenizer: `WordPieceTokenizer`.
        block_length: Int (T).
        blocks_at_once: Int (n).
        left_over: int32 array, ids of documents before these.

    Yields:
        Triple of a list with blocks (n, T) int32, how many documents have
        been taken since the last time, and the ids that are left over. The
        last block of the last triple may be padded, and it has no more than
        (n, T).
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
            yield [frame_running(rows, tokenizer, block_length)], done, running
            buffer, length, done = [running], len(running), 0
    running = np.concatenate([np.zeros(0, "int32"), *buffer])[:-1]
    blocks = frame_running(running, tokenizer, block_length)
    if len(blocks):
        yield [blocks], done, running[:0]


def frame_running(running, tokenizer, block_length):
    """Running ids to blocks (n, T) int32, the last one padded.

    Fewer ids than the shortest block wants are left out at the end.
    """
    inner = block_length - 2
    whole = len(running) // inner * inner
    ids = [*running[:whole].reshape(-1, inner)]
    if len(running) - whole >= SHORTEST_BLOCK - 2:
        ids.append(running[whole:])
    return frame(ids, tokenizer, block_length)


def frame(ids, tokenizer, block_length):
    """Sequences of ids to blocks: [CLS] before, [SEP] after, then padding.

    Args:
        ids: List of N int32 arrays, of T - 2 ids at most.
        tokenizer: `WordPieceTokenizer`.
        block_length: Int (T).

    Returns:
        (N, T) int32.
    """
    lengths = np.array([len(some) for some in ids], "int64")
    blocks = np.full((len(ids), block_length), tokenizer.pad_id, "int32")
    blocks[:, 0] = tokenizer.cls_id
    if len(ids):
        here = np.arange(block_length - 2) < lengths[:, None]
        blocks[:, 1:-1][here] = np.concatenate(ids)
    blocks[np.arange(len(ids)), lengths + 1] = tokenizer.sep_id
    return blocks


def lined(documents, tokenizer, block_length, tokens_at_once):
    """Makes a sequence of each line, in blocks of a handful of lengths.

    A line stands in the shortest block that holds it; one that is longer
    than T - 2 tokens is split in chunks of so many, as DistilBERT's scripts
    do with long texts.

    Args:
        documents: Iterable of str.
        tokenizer: `WordPieceTokenizer`.
        block_length: Int (T), the longest.
        tokens_at_once: Int, about.

    Yields:
        Triple of a list of blocks (n, t) int32, one for each length t that
        there is; how many documents have been taken since the last time; and
        no ids.
    """
    lengths = bucket_lengths(block_length)
    lines, tokens, done = [], 0, 0
    counts = collections.deque()  # lines of each document on its way

    def all_lines():
        for document in documents:
            some = lines_of(document)
            counts.append(len(some))
            yield from some

    def take():
        return bucketed(lines, tokenizer, lengths), done, np.zeros(0, "int32")

    open_lines = 0  # that are still to come of the document
    for ids in tokenizer.encode_documents(all_lines()):
        while not open_lines:
            open_lines, done = counts.popleft(), done + 1
        open_lines -= 1
        lines += chunks(ids, block_length)
        tokens += len(ids)
        if tokens >= tokens_at_once and not open_lines:
            yield take()
            lines, tokens, done = [], 0, 0
    done += len(counts)
    yield take()


def lines_of(document):
    """The lines that hold something, a list of str."""
    return [line for line in document.splitlines() if line.strip()]


def bucket_lengths(block_length):
    """The lengths of blocks of lines: T, and a few that are shorter."""
    lengths = {
        max(SHORTEST_BLOCK, round(block_length * share)) for share in BUCKETS
    }
    return sorted(lengths)


def chunks(ids, block_length):
    """The ids of one line in pieces that a block holds, a list of arrays."""
    inner = block_length - 2
    return [ids[start : start + inner] for start in range(0, len(ids), inner)]


def bucketed(lines, tokenizer, lengths):
    """Sequences of ids to blocks of the shortest lengths that hold them.

    Args:
        lines: List of int32 arrays.
        tokenizer: `WordPieceTokenizer`.
        lengths: List of int, rising.

    Returns:
        List of int32 arrays (n, t), in the order of their lengths; none is
        empty.
    """
    sizes = np.array([len(line) for line in lines], "int64")
    which = np.searchsorted(np.array(lengths) - 2, sizes)
    return [
        frame([lines[i] for i in np.flatnonzero(which == j)], tokenizer, t)
        for j, t in enumerate(lengths)
        if np.any(which == j)
    ]
