import errno
import json

import numpy as np
import pytest
from keras_kd.callbacks import checkpoint_folders
from keras_kd.callbacks.checkpoint_folders import CheckpointFolders

ARRAYS = {"a": np.arange(3, dtype="float32"), "b": np.array(7, "uint32")}


@pytest.fixture
def folders(tmp_path):
    """A folder with the checkpoints of three places, the last the newest."""
    folders = CheckpointFolders(tmp_path / "checkpoints")
    for epoch, step in ((0, 5), (1, 0), (1, 12)):
        name = folders.name(epoch, step)
        folders.write(name, ARRAYS, {"epoch": epoch, "step": step})
    return folders


def test_the_newest_is_read_as_it_was_written(folders):
    name, arrays, state = folders.newest()
    assert name == "epoch-00001-step-000000012"
    assert state == {"epoch": 1, "step": 12}
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[key], array)
        assert arrays[key].dtype == array.dtype


def test_there_may_be_none(tmp_path):
    assert CheckpointFolders(tmp_path / "new").newest() is None


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("damage", [flip, cut, lambda path: path.unlink()])
@pytest.mark.parametrize(
    "file", ["variables.safetensors", "state.json", "digests.json"]
)
def test_a_damaged_one_is_named_and_passed_over(folders, damage, file):
    name = folders.names()[-1]
    damage(folders.folder / name / file)
    with pytest.warns(UserWarning, match=f"{name} is damaged, and not used"):
        found, _, state = folders.newest()
    assert found == folders.names()[-1] == folders.name(1, 0)
    assert state == {"epoch": 1, "step": 0}
    assert (folders.folder / f"damaged-{name}").is_dir()
    folders.prune([found])  # as a run does that goes on: not in its place
    assert folders.names() == [found]


def test_a_full_disk_leaves_the_others_whole(folders, monkeypatch):
    def full(path, content):
        path.write_bytes(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    before = folders.names()
    monkeypatch.setattr(checkpoint_folders, "_write", full)
    with pytest.raises(
        OSError, match=f"could not take a checkpoint.*space.*{before[-1]}"
    ):
        folders.write(folders.name(2, 0), ARRAYS, {})
    assert folders.names() == before
    assert [p.name for p in folders.folder.iterdir() if p.name[0] == "."] == []
    assert folders.newest()[0] == before[-1]


def test_one_of_the_same_place_is_replaced(folders):
    folders.write(folders.name(1, 12), ARRAYS, {"again": True})
    assert folders.newest()[2] == {"again": True}
    assert len(folders.names()) == 3


def test_pruning_leaves_those_that_are_kept(folders):
    (folders.folder / ".partial-x").mkdir()
    (folders.folder / "mine").mkdir()
    folders.prune([folders.name(0, 5)])
    assert folders.names() == [folders.name(0, 5)]
    assert not (folders.folder / ".partial-x").exists()
    assert (folders.folder / "mine").exists()


def test_the_digests_are_those_of_the_files(folders):
    folder = folders.folder / folders.names()[0]
    digests = json.loads((folder / "digests.json").read_text())
    for file, digest in digests.items():
        assert checkpoint_folders.digest_of(folder / file) == digest
