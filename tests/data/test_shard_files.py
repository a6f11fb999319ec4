import numpy as np
import pytest
from keras_kd.data.shard_files import ShardFiles, check_size
from keras_kd.file_digest import digest_of


def blocks(count, length, first=0):
    ids = np.arange(first, first + count * length, dtype="int32")
    return ids.reshape(count, length)


def test_shards_by_hand(tmp_path):
    files = ShardFiles(tmp_path, "uint16", 30)
    files.append(blocks(2, 10))
    files.append(blocks(1, 8))
    files.append(blocks(5, 10, first=20))
    sizes = {name: shard["blocks"] for name, shard in files.shards.items()}
    assert sizes == {
        "blocks-10-00000.bin": 3,
        "blocks-8-00000.bin": 1,
        "blocks-10-00001.bin": 3,
        "blocks-10-00002.bin": 1,
    }
    full = {n for n, shard in files.shards.items() if shard["digest"]}
    assert full == {"blocks-10-00000.bin", "blocks-10-00001.bin"}
    files.close()
    assert list(files.shards) == ["blocks-8-00000.bin"] + [
        f"blocks-10-0000{i}.bin" for i in range(3)
    ]
    for name, shard in files.shards.items():
        assert shard["digest"] == digest_of(tmp_path / name)[:32]
    ids = [
        np.fromfile(tmp_path / name, "uint16")
        for name in list(files.shards)[1:]
    ]
    assert np.concatenate(ids).tolist() == list(range(70))


def test_files_are_cut_back_to_what_was_written_down(tmp_path):
    files = ShardFiles(tmp_path, "uint16", 30)
    files.append(blocks(4, 10))
    kept = {name: dict(shard) for name, shard in files.shards.items()}
    files.append(blocks(4, 10, first=40))
    (tmp_path / "blocks-8-00000.bin").write_bytes(b"half")
    (tmp_path / "another.bin").write_bytes(b"not ours")
    again = ShardFiles(tmp_path, "uint16", 30, kept)
    found = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert found == {
        "blocks-10-00000.bin": 60,
        "blocks-10-00001.bin": 20,
        "another.bin": 8,
    }
    again.append(blocks(4, 10, first=40))
    again.close()
    files.close()
    assert again.shards == files.shards


def test_blocks_longer_than_a_shard_have_one_each(tmp_path):
    files = ShardFiles(tmp_path, "int32", 5)
    files.append(blocks(2, 10))
    assert [shard["blocks"] for shard in files.shards.values()] == [1, 1]


def test_what_is_missing_or_of_another_size_is_named(tmp_path):
    path = tmp_path / "blocks-10-00000.bin"
    with pytest.raises(ValueError, match=f"must hold {path.name}. Received"):
        check_size(path, 4)
    path.write_bytes(b"12345")
    check_size(path, 4, at_least=True)
    with pytest.raises(ValueError, match="of 4 bytes. Received: .*, of 5"):
        check_size(path, 4)
    with pytest.raises(ValueError, match="of 6 bytes. Received: .*, of 5"):
        check_size(path, 6, at_least=True)
