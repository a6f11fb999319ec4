"""The hub without a network: a cache as `huggingface_hub` lays it out."""

import shutil

import keras_kd as kd
import huggingface_hub
import pytest
from huggingface_hub import constants, errors
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


def test_the_files_of_their_presets_are_asked_for(tmp_path, monkeypatch):
    asked = []

    def download(name, revision, allow_patterns):
        asked.append(allow_patterns)
        (tmp_path / "model.weights.h5").touch()
        return tmp_path

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find_folder("keras/a_preset") == tmp_path
    assert len(asked) == 1  # what is there is no reason to ask for pickles
    files = {"task.json", "model.weights.h5", "task.weights.h5"}
    assert {*files, "tokenizer.json", "assets/tokenizer/*"} <= set(asked[0])


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


class Hub:
    """What a hub was asked for; `error` is what it says to that."""

    error = None

    def __init__(self):
        self.asked = {}

    def create_repo(self, name, **arguments):
        if self.error:
            raise self.error
        self.asked["create"] = (name, arguments)

    def upload_folder(self, **arguments):
        self.asked["upload"] = arguments
        return huggingface_hub.CommitInfo(
            commit_url="https://huggingface.co/me/tiny/commit/1",
            commit_message="",
            commit_description="",
            oid="1",
        )


def test_a_folder_is_sent_as_a_private_model(golden, monkeypatch):
    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    folder = golden / "bert_masked_lm"
    address = kd.push_to_hub(folder, "me/tiny")
    assert address == "https://huggingface.co/me/tiny/commit/1"
    assert hub.asked["create"] == (
        "me/tiny",
        {"private": True, "exist_ok": True},
    )
    assert hub.asked["upload"]["folder_path"] == folder
    assert hub.asked["upload"]["repo_id"] == "me/tiny"


def test_a_folder_that_is_no_checkpoint_is_not_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "HfApi", None)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"without \['model.safetens"):
        kd.push_to_hub(tmp_path, "me/tiny")


@pytest.mark.parametrize(
    "error",
    [
        OSError("not logged in"),
        errors.HFValidationError("a bad name"),
    ],
)
def test_what_the_hub_refuses_is_said(golden, monkeypatch, error):
    hub = Hub()
    hub.error = error
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    with pytest.raises(OSError, match=f"`name` must be.*'me/tiny'.*{error}"):
        kd.push_to_hub(golden / "bert_masked_lm", "me/tiny")


def test_offline_nothing_is_sent(golden, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="offline mode is enabled"):
        kd.push_to_hub(golden / "bert_masked_lm", "me/tiny")
