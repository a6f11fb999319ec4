"""The hub without a network: a cache as `huggingface_hub` lays it out."""

import shutil

import keras_kd as kd
import huggingface_hub
import pytest
from huggingface_hub import constants
from keras_kd.checkpoints.hub import find_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, golden, monkeypatch):
    """A cache with one model, "someone/tiny", and no way to the network."""
    cache = tmp_path / "hub"
    model = cache / "models--someone--tiny"
    shutil.copytree(golden / "bert_masked_lm", model / "snapshots" / COMMIT)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return model


def test_a_name_is_found_in_the_cache_offline(cache):
    assert find_folder("someone/tiny") == cache / "snapshots" / COMMIT
    assert kd.load_checkpoint("someone/tiny").config.hidden_dim == 8


def test_a_revision_is_looked_for(cache):
    folder = cache / "snapshots" / COMMIT
    assert find_folder("someone/tiny", revision=COMMIT) == folder
    with pytest.raises(OSError, match="revision v2"):
        find_folder("someone/tiny", revision="v2")


def test_a_name_that_is_nowhere_says_both_things_it_may_be(cache):
    with pytest.raises(OSError, match="local folder or a model.*'someone/no'"):
        find_folder("someone/no")


def test_a_name_that_the_hub_cannot_have_is_an_error(cache):
    with pytest.raises(OSError, match="a/b/c"):
        find_folder("a/b/c")


@pytest.mark.parametrize("source", ["./nothing", "/nothing", "~/nothing"])
def test_a_path_never_goes_to_the_hub(source, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    with pytest.raises(FileNotFoundError, match="a folder that exists"):
        find_folder(source)


def test_a_file_is_no_folder(tmp_path):
    path = tmp_path / "model.safetensors"
    path.touch()
    with pytest.raises(FileNotFoundError, match="a folder that exists"):
        find_folder(path)


def test_a_local_folder_has_no_revisions(golden):
    with pytest.raises(ValueError, match="`revision` must be None"):
        find_folder(golden / "bert_model", revision="main")
