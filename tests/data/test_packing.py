import numpy as np
import pytest
from keras_kd.data import tokenizer as tokenizer_module
from keras_kd.data.packing import bucket_lengths, lined, packed

# Ids: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, a 5, b 6, ..., z 30.
DOCUMENTS = ["a b c", "d e f g h i j", "k l"]


@pytest.fixture(scope="module")
def tokenizer(letters):
    return letters


def pack(documents, tokenizer, block_length, blocks_at_once=1024):
    found = packed(documents, tokenizer, block_length, blocks_at_once)
    return [row for (blocks,), _, _ in found for row in blocks.tolist()]


def pack_by_hand(documents, tokenizer, block_length):
    """One document, then one block, after the other; plain lists."""
    running = []
    for ids in tokenizer.encode_batch(documents):
        running += [*ids.tolist(), 3] if len(ids) else []
    running, inner, blocks = running[:-1], block_length - 2, []
    while len(running) >= inner:
        blocks.append([2, *running[:inner], 3])
        running = running[inner:]
    if len(running) >= 6:
        blocks.append([2, *running, 3] + [0] * (inner - len(running)))
    return blocks


def test_blocks_by_hand(tokenizer):
    assert pack(DOCUMENTS, tokenizer, 10) == [
        [2, 5, 6, 7, 3, 8, 9, 10, 11, 3],  # [CLS] a b c [SEP] d e f g [SEP]
        [2, 12, 13, 14, 3, 15, 16, 3, 0, 0],  # h i j [SEP] k l, padded
    ]


def test_a_block_that_is_just_full_is_not_padded(tokenizer):
    assert pack(["a b c d e f g h"], tokenizer, 10) == [
        [2, 5, 6, 7, 8, 9, 10, 11, 12, 3]
    ]


@pytest.mark.parametrize("left_over, blocks", [(5, 1), (6, 2), (7, 2)])
def test_fewer_than_six_tokens_left_over_are_no_block(
    tokenizer, left_over, blocks
):
    documents = [" ".join("a" * (8 + left_over))]
    rows = pack(documents, tokenizer, 10)
    assert len(rows) == blocks
    assert rows[0] == [2, *[5] * 8, 3]
    assert (
        rows[1:]
        == [[2, *[5] * left_over, 3, *[0] * (8 - left_over)]][: blocks - 1]
    )


def test_documents_without_a_token_leave_no_separator(tokenizer):
    documents = ["", "a b c", " ", "\u200b", "d e f g h i j", "", "k l", ""]
    assert pack(documents, tokenizer, 10) == pack(DOCUMENTS, tokenizer, 10)


@pytest.mark.parametrize("block_length", [8, 9, 16, 33])
@pytest.mark.parametrize("blocks_at_once", [1, 2, 1024])
def test_packing_in_pieces_is_packing_at_once(
    tokenizer, block_length, blocks_at_once, random_documents
):
    for count in range(1, 20):
        documents = random_documents(count, seed=count)
        rows = pack(documents, tokenizer, block_length, blocks_at_once)
        assert rows == pack_by_hand(documents, tokenizer, block_length)


def test_packing_streams(tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer_module, "DOCUMENTS_AT_ONCE", 1000)
    asked = []

    def documents():
        for number in range(5000):
            asked.append(number)
            yield "a b c d e f"

    # 7 ids a document; a thousand are tokenised, a thousand are on their way.
    (blocks,), *_ = next(packed(documents(), tokenizer, 9, 10))
    assert blocks.shape == (10, 9)
    assert blocks.dtype == np.int32
    assert len(asked) == 2000


@pytest.mark.parametrize("cut", [1, 3])
def test_packing_goes_on_from_what_was_left_over(
    tokenizer, cut, random_documents
):
    documents = random_documents(60)
    whole = list(packed(documents, tokenizer, 10, 4))
    assert len(whole) > 4
    done = sum(count for _, count, _ in whole[:cut])
    again = list(
        packed(documents[done:], tokenizer, 10, 4, left_over=whole[cut - 1][2])
    )
    for ((a,), i, x), ((b,), j, y) in zip(whole[cut:], again, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(x, y)
        assert i == j


# Line by line


def by_length(found):
    """Rows of each length, over all that was yielded."""
    rows = {}
    for arrays, *_ in found:
        for array in arrays:
            rows.setdefault(array.shape[1], []).extend(array.tolist())
    return rows


def test_five_lengths_of_eight_at_least():
    assert bucket_lengths(128) == [16, 32, 64, 96, 128]
    assert bucket_lengths(512) == [64, 128, 256, 384, 512]
    assert bucket_lengths(20) == [8, 10, 15, 20]
    assert bucket_lengths(8) == [8]


def test_lines_by_hand(tokenizer):
    documents = ["a b c d e f g h\n\n  \ni j", "", "k l m n o p q r s t u", " "]
    found = list(lined(documents, tokenizer, 11, 1000))  # 8 and 11 tokens
    assert by_length(found) == {
        8: [
            [2, 13, 14, 3, 0, 0, 0, 0],  # i j
            [2, 24, 25, 3, 0, 0, 0, 0],  # t u: what is left of the long line
        ],
        11: [
            [2, 5, 6, 7, 8, 9, 10, 11, 12, 3, 0],  # a to h
            [2, 15, 16, 17, 18, 19, 20, 21, 22, 23, 3],  # k to s
        ],
    }
    assert [(done, len(left_over)) for _, done, left_over in found] == [(4, 0)]


@pytest.mark.parametrize("line", [1, 6, 7, 8, 13, 14, 15, 30])
def test_a_line_stands_in_the_shortest_block_that_holds_it(tokenizer, line):
    rows = by_length(lined([" ".join("a" * line)], tokenizer, 16, 1000))
    lengths = bucket_lengths(16)  # 8, 12, 16
    expected = [14] * (line // 14) + [line % 14] * (line % 14 > 0)
    found = sorted(
        (sum(id == 5 for id in row), t) for t in rows for row in rows[t]
    )
    assert found == sorted(
        (n, min(t for t in lengths if t - 2 >= n)) for n in expected
    )


@pytest.mark.parametrize("tokens_at_once", [1, 50, 10**6])
def test_lines_in_pieces_are_lines_at_once(
    tokenizer, tokens_at_once, random_documents
):
    texts = random_documents(60)
    documents = ["\n".join(texts[i : i + i % 4]) for i in range(60)]
    found = list(lined(documents, tokenizer, 16, tokens_at_once))
    assert by_length(found) == by_length(lined(documents, tokenizer, 16, 500))
    assert sum(done for _, done, _ in found) == 60
    for cut in (0, len(found) // 2):
        first = sum(done for _, done, _ in found[:cut])
        again = lined(documents[first:], tokenizer, 16, tokens_at_once)
        assert by_length(again) == by_length(found[cut:])
