import os

import pytest
from keras_kd.whole_folder import whole_folder


def test_files_appear_together_and_others_stay(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with whole_folder(tmp_path, ["a", "b"]) as beside:
        (beside / "a").write_text("new")
        (beside / "b").mkdir()
        assert not (tmp_path / "a").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "mine"]


def test_what_is_there_is_replaced_only_when_asked(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "old").touch()
    with (
        pytest.raises(FileExistsError, match=r"`folder`.*\['b'\]"),
        whole_folder(tmp_path, ["a", "b"]),
    ):
        pass
    with whole_folder(tmp_path, ["a", "b"], overwrite=True) as beside:
        (beside / "b").mkdir()
        (beside / "b" / "new").touch()
    assert [p.name for p in tmp_path.rglob("*")] == ["b", "new"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interruption_leaves_the_old_one_whole(tmp_path, error):
    (tmp_path / "a").write_text("old")
    with (
        pytest.raises(error),
        whole_folder(tmp_path, ["a"], overwrite=True) as beside,
    ):
        (beside / "a").write_text("new")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match="`folder` could not be written.*file"),
        whole_folder(tmp_path / "file" / "folder", []),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with (
        pytest.raises(OSError, match="`folder` could not be written"),
        whole_folder(tmp_path / "folder", []),
    ):
        pass
