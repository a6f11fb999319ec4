import json
import string

import numpy as np
import pytest
from keras_kd.data.token_store import TokenStore, pack_blocks
from keras_kd.data.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer

# Ids: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, a 5, b 6, ..., z 30.
DOCUMENTS = ["a b c", "d e f g h i j", "k l"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    file = tmp_path_factory.mktemp("tokenizer") / "vocab.txt"
    tokens = [*SPECIAL_TOKENS, *string.ascii_lowercase]
    file.write_text("\n".join(tokens), "utf-8")
    return WordPieceTokenizer.load(file)


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


def random_documents(count, seed=0):
    generator = np.random.default_rng(seed)
    letters = list(string.ascii_lowercase)
    lengths = generator.integers(1, 30, count)
    return [" ".join(generator.choice(letters, n)) for n in lengths]


# pack_blocks


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
    tokenizer, block_length, blocks_at_once
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


# TokenStore


def test_a_store_holds_the_blocks(tokenizer, tmp_path):
    store = TokenStore.write(tmp_path / "store", DOCUMENTS, tokenizer, 10)
    assert len(store) == 2
    assert store.block_length == 10
    assert store.blocks.tolist() == [
        [2, 5, 6, 7, 3, 8, 9, 10, 11, 3],
        [2, 12, 13, 14, 3, 15, 16, 3, 0, 0],
    ]
    opened = TokenStore(str(tmp_path / "store"))
    assert opened.blocks.tolist() == store.blocks.tolist()
    assert opened.manifest == store.manifest


def test_the_file_is_mapped_two_bytes_a_token_and_read_only(
    tokenizer, tmp_path
):
    store = TokenStore.write(tmp_path / "store", DOCUMENTS, tokenizer, 10)
    assert isinstance(store.blocks, np.memmap)
    assert store.blocks.dtype == np.uint16
    assert (tmp_path / "store" / "blocks.bin").stat().st_size == 2 * 10 * 2
    with pytest.raises(ValueError, match="read-only"):
        store.blocks[0, 0] = 1


def test_a_vocabulary_beyond_65536_takes_four_bytes_a_token(tmp_path):
    words = [f"w{number}" for number in range(2**16 - 4)]
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join([*SPECIAL_TOKENS, *words]), "utf-8")
    large = WordPieceTokenizer.load(file)
    assert large.vocabulary_size == 2**16 + 1
    documents = [" ".join(words[-6:])]
    store = TokenStore.write(tmp_path / "store", documents, large, 8)
    assert store.blocks.dtype == np.int32
    assert store.blocks.tolist() == [
        [2, 65531, 65532, 65533, 65534, 65535, 65536, 3]
    ]


def test_token_counts_by_hand(tokenizer, tmp_path):
    store = TokenStore.write(tmp_path / "store", DOCUMENTS, tokenizer, 10)
    expected = np.zeros(31, int)
    expected[[0, 2, 3]] = 2, 2, 4  # [PAD], [CLS], [SEP]
    expected[5:17] = 1  # a to l
    np.testing.assert_array_equal(store.token_counts, expected)


def test_the_manifest_says_what_made_the_store(tokenizer, tmp_path):
    store = TokenStore.write(tmp_path / "store", DOCUMENTS, tokenizer, 10)
    text = (tmp_path / "store" / "manifest.json").read_text("utf-8")
    manifest = json.loads(text)
    assert manifest == store.manifest
    fingerprint = manifest.pop("tokenizer")
    assert fingerprint.endswith(", 31 tokens")
    assert manifest == {
        "block_length": 10,
        "blocks": 2,
        "dtype": "uint16",
        "documents": "['a b c', 'd e f g h i j', 'k l']",
        "tokens": 12,  # special ones not counted
    }


def test_the_manifest_keeps_a_thousand_characters_of_the_documents(
    tokenizer, tmp_path
):
    documents = random_documents(100)
    store = TokenStore.write(tmp_path / "store", documents, tokenizer, 10)
    assert store.manifest["documents"] == repr(documents)[:1000]


def test_a_store_takes_the_tokenizer_that_made_it_loaded_anew(
    tokenizer, tmp_path
):
    store = TokenStore.write(tmp_path / "store", DOCUMENTS, tokenizer, 10)
    tokenizer.save(tmp_path / "tokenizer")
    for name in ("vocab.txt", "tokenizer.json"):
        loaded = WordPieceTokenizer.load(tmp_path / "tokenizer" / name)
        assert store.check_tokenizer(loaded) is None


def test_a_store_refuses_another_tokenizer(tokenizer, tmp_path):
    store = TokenStore.write(tmp_path / "store", DOCUMENTS, tokenizer, 10)
    tokenizer.save(tmp_path)
    cased = WordPieceTokenizer.load(tmp_path / "vocab.txt", lowercase=False)
    with pytest.raises(ValueError, match=r"made .*Expected: \w{16}, 31 tokens"):
        store.check_tokenizer(cased)  # as many tokens, other ids for capitals


def test_a_folder_without_a_store_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"token store.*{tmp_path}"):
        TokenStore(tmp_path)


@pytest.mark.parametrize("block_length", [-1, 0, 7])
def test_a_block_too_short_is_refused(tokenizer, tmp_path, block_length):
    with pytest.raises(ValueError, match=f"at least 8. Rec.*: {block_length}"):
        TokenStore.write(tmp_path / "s", DOCUMENTS, tokenizer, block_length)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("documents", [[], ["a b c d e"], [""] * 20])
def test_too_little_text_is_refused_and_leaves_nothing(
    tokenizer, tmp_path, documents
):
    with pytest.raises(ValueError, match="at least 6 tokens. Received: fewer"):
        TokenStore.write(tmp_path / "store", documents, tokenizer, 10)
    assert list(tmp_path.iterdir()) == []


def test_writing_again_replaces_the_store(tokenizer, tmp_path):
    folder = tmp_path / "store"
    TokenStore.write(folder, DOCUMENTS, tokenizer, 10)
    TokenStore.write(folder, ["z z z z z z"], tokenizer, 8)
    assert TokenStore(folder).blocks.tolist() == [[2, *[30] * 6, 3]]
    assert [file.name for file in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt])
def test_documents_that_raise_leave_nothing_and_the_old_store_stays(
    tokenizer, tmp_path, interruption
):
    def documents():
        yield from random_documents(3000)  # more than are tokenised at once
        raise interruption

    with pytest.raises(interruption):
        TokenStore.write(tmp_path / "store", documents(), tokenizer, 10)
    assert list(tmp_path.iterdir()) == []

    store = TokenStore.write(tmp_path / "store", DOCUMENTS, tokenizer, 10)
    with pytest.raises(interruption):
        TokenStore.write(tmp_path / "store", documents(), tokenizer, 10)
    assert [file.name for file in tmp_path.iterdir()] == ["store"]
    opened = TokenStore(tmp_path / "store")
    assert opened.blocks.tolist() == store.blocks.tolist()


def test_a_folder_with_other_files_is_not_replaced(tokenizer, tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("mine", "utf-8")
    with pytest.raises(ValueError, match=f"`folder` must be.*{tmp_path}"):
        TokenStore.write(tmp_path, DOCUMENTS, tokenizer, 10)
    assert precious.read_text("utf-8") == "mine"
    (tmp_path / "empty").mkdir()
    store = TokenStore.write(tmp_path / "empty", DOCUMENTS, tokenizer, 10)
    assert len(store) == 2
