import numpy as np
import pytest
from keras_kd.data.packing import pack_blocks, packed

# Ids: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, a 5, b 6, ..., z 30.
DOCUMENTS = ["a b c", "d e f g h i j", "k l"]


@pytest.fixture(scope="module")
def tokenizer(letters):
    return letters


def pack(documents, tokenizer, block_length, **options):
    packed = pack_blocks(documents, tokenizer, block_length, **options)
    return [row for array in packed for row in array.tolist()]


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
    packed = pack(documents, tokenizer, 10)
    assert len(packed) == blocks
    assert packed[0] == [2, *[5] * 8, 3]
    assert (
        packed[1:]
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
        packed = pack(
            documents, tokenizer, block_length, blocks_at_once=blocks_at_once
        )
        assert packed == pack_by_hand(documents, tokenizer, block_length)


def test_packing_streams(tokenizer):
    asked = []

    def documents():
        for number in range(5000):
            asked.append(number)
            yield "a b c d e f"

    # 7 ids a document; 1000 documents are tokenised at once.
    blocks = next(pack_blocks(documents(), tokenizer, 9, blocks_at_once=10))
    assert blocks.shape == (10, 9)
    assert blocks.dtype == np.int32
    assert len(asked) == 1000


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
    for (a, i, x), (b, j, y) in zip(whole[cut:], again, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(x, y)
        assert i == j
