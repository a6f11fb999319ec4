import json

import numpy as np
import pytest
from keras_kd.data.packing import packed
from keras_kd.data.token_store import TokenStore
from keras_kd.data.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer

# Ids: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, a 5, b 6, ..., z 30.
DOCUMENTS = ["a b c", "d e f g h i j", "k l"]


@pytest.fixture(scope="module")
def tokenizer(letters):
    return letters


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
    (shard,) = store.blocks.shards
    assert isinstance(shard, np.memmap)
    assert store.blocks.dtype == np.uint16
    file = tmp_path / "store" / "blocks-10-00000.bin"
    assert file.stat().st_size == 2 * 10 * 2
    with pytest.raises(ValueError, match="read-only"):
        shard[0, 0] = 1


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


def test_an_open_store_outlives_a_renamed_folder(tokenizer, tmp_path):
    store = TokenStore.write(tmp_path / "store", DOCUMENTS, tokenizer, 10)
    blocks, counts = store.blocks[:].tolist(), store.token_counts
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    assert store.blocks[:].tolist() == blocks
    np.testing.assert_array_equal(store.token_counts, counts)
    counts[5] = 99  # a copy: the store's own stay
    assert store.token_counts[5] == 1


def test_the_manifest_says_what_made_the_store(tokenizer, tmp_path):
    store = TokenStore.write(tmp_path / "store", DOCUMENTS, tokenizer, 10)
    text = (tmp_path / "store" / "manifest.json").read_text("utf-8")
    manifest = json.loads(text)
    assert manifest == store.manifest
    fingerprint = manifest.pop("tokenizer")
    assert fingerprint.endswith(", 31 tokens")
    assert len(manifest.pop("token_counts")) == 32
    shards = manifest.pop("shards")
    assert len(shards["blocks-10-00000.bin"].pop("digest")) == 32
    assert shards == {"blocks-10-00000.bin": {"length": 10, "blocks": 2}}
    assert manifest == {
        "block_length": 10,
        "blocks": 2,
        "dtype": "uint16",
        "line_by_line": False,
        "documents": "['a b c', 'd e f g h i j', 'k l']",
        "tokens": 12,  # special ones not counted
    }


def test_the_manifest_keeps_a_thousand_characters_of_the_documents(
    tokenizer, tmp_path, random_documents
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
    tokenizer, tmp_path, interruption, random_documents
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


# Shards


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(TokenStore, "SHARD_TOKENS", 50)  # of 5 blocks


def test_shards_hold_what_one_file_would(
    tokenizer, tmp_path, small_shards, random_documents
):
    documents = random_documents(40)
    store = TokenStore.write(tmp_path / "store", documents, tokenizer, 10)
    (((expected,), *_),) = packed(documents, tokenizer, 10, 1000)
    np.testing.assert_array_equal(store.blocks, expected)
    assert len(store.blocks.shards) == -(-len(expected) // 5) > 3
    assert [len(shard) for shard in store.blocks.shards[:-1]] == [5] * (
        len(store.blocks.shards) - 1
    )
    np.testing.assert_array_equal(
        store.token_counts, np.bincount(expected.ravel(), minlength=31)
    )


def damage(path, kind):
    content = bytearray(path.read_bytes())
    if kind == "a flipped bit":
        content[-1] ^= 1
    if kind == "an end that is missing":
        content = content[:-2]
    path.write_bytes(content)
    if kind == "a file that is missing":
        path.unlink()


@pytest.mark.parametrize("name", ["blocks-10-00002.bin", "token_counts.npy"])
@pytest.mark.parametrize(
    "kind",
    ["a flipped bit", "an end that is missing", "a file that is missing"],
)
def test_a_damaged_file_is_refused_by_name(
    tokenizer, tmp_path, small_shards, name, kind, random_documents
):
    documents = random_documents(40)
    TokenStore.write(tmp_path / "store", documents, tokenizer, 10)
    damage(tmp_path / "store" / name, kind)
    with pytest.raises((ValueError, OSError), match=name):
        TokenStore(tmp_path / "store")


def test_who_does_not_verify_has_sizes_looked_at_alone(
    tokenizer, tmp_path, small_shards, random_documents
):
    documents = random_documents(40)
    TokenStore.write(tmp_path / "store", documents, tokenizer, 10)
    damage(tmp_path / "store" / "blocks-10-00002.bin", "a flipped bit")
    TokenStore(tmp_path / "store", verify=False)
    damage(tmp_path / "store" / "blocks-10-00002.bin", "an end that is missing")
    with pytest.raises(ValueError, match=r"blocks-10-00002.bin.*of 98"):
        TokenStore(tmp_path / "store", verify=False)


# Line by line


def test_a_store_of_lines_has_a_few_block_lengths(tokenizer, tmp_path):
    documents = [
        "a b c\n" + " ".join("d" * 9),
        "e\n\nf g " + " ".join("h" * 30),
    ]
    store = TokenStore.write(tmp_path / "s", documents, tokenizer, 16, True)
    assert {t: blocks.shape for t, blocks in store.buckets.items()} == {
        8: (3, 8),  # a b c; e; and four h
        12: (1, 12),
        16: (2, 16),  # f g and twelve h; fourteen h
    }
    assert store.buckets[8].tolist() == [
        [2, 5, 6, 7, 3, 0, 0, 0],
        [2, 9, 3, 0, 0, 0, 0, 0],
        [2, 12, 12, 12, 12, 3, 0, 0],
    ]
    assert store.block_length == 16
    assert len(store) == 6
    assert store.tokens == 3 + 9 + 1 + 2 + 30
    assert store.token_counts[[2, 3, 12]].tolist() == [6, 6, 30]
    assert TokenStore(tmp_path / "s").manifest == store.manifest
    with pytest.raises(ValueError, match=r"running text.*\[8, 12, 16\] tokens"):
        _ = store.blocks


def test_ids_without_a_token_are_counted_as_the_file_numbers_them(tmp_path):
    file = tmp_path / "vocab.txt"  # "a" is 7, "" is 5 and 8, "d" is 9
    lines = [*SPECIAL_TOKENS, "a", "b", "a", "", "d"]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    tokenizer = WordPieceTokenizer.load(file)
    store = TokenStore.write(tmp_path / "s", ["a d d b d d"], tokenizer, 8)
    assert store.blocks[0].tolist() == [2, 7, 9, 9, 6, 9, 9, 3]
    assert store.token_counts.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 0, 4]
    assert store.tokens == 6
