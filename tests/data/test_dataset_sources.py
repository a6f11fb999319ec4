"""Datasets: from disk as they are; from a hub by stand-ins for its loaders."""

import pathlib
import re
import tomllib
import types

import datasets
import numpy as np
import pytest
import tensorflow_datasets
from huggingface_hub import constants
from keras_kd.data.corpora import read_documents
from keras_kd.data.dataset_sources import (
    HubDataset,
    SavedDataset,
    TensorFlowDataset,
    find_dataset,
    read_rows,
)
from keras_kd.data.labeled_texts import read_labeled_texts

TEXTS = ["the cat sat", "a dog ran", "", "the sea"]
LINES = ["", " = A = \n", "", " one . \n", " = = B = = \n", " two . \n"]
LINES += ["", " = C = \n", " three . \n"]


def rows(texts, column="text"):
    return datasets.Dataset.from_dict({column: texts})


@pytest.mark.parametrize(
    "source, expected",
    [
        ("hf:wikitext", HubDataset("wikitext", "train")),
        ("hf:me/mine:test", HubDataset("me/mine", "test")),
        ("hf:me/mine/small", HubDataset("me/mine/small", "train")),
        ("tfds:wiki40b/en", TensorFlowDataset("wiki40b/en", "train")),
        (
            "tfds:wiki40b/en:train[:1%]",
            TensorFlowDataset("wiki40b/en", "train[:1%]"),
        ),
        ("texts.txt", None),
        ("docstrings", None),
    ],
)
def test_a_source_names_a_dataset_or_none(source, expected):
    assert find_dataset(source) == expected


@pytest.mark.parametrize("source", ["hf:", "tfds:", "hf::train", "hf:a:"])
def test_a_name_that_is_none_is_refused(source):
    with pytest.raises(ValueError, match="`source` must be as 'hf:OWNER"):
        read_documents(source)


def test_a_hub_dataset_is_streamed_by_its_parts(monkeypatch):
    asked = []

    def load(*arguments, **options):
        asked.append((arguments, options))
        return rows(TEXTS)

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    documents = read_documents("hf:me/mine/small:test")
    assert not asked  # nothing before it is read
    assert list(documents) == ["the cat sat", "a dog ran", "the sea"]
    assert repr(documents) == "Documents(['hf:me/mine/small:test'], split=None)"
    expected = {"split": "test", "streaming": True}
    assert asked == [(("me/mine", "small"), expected)]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    list(read_documents("hf:squad"))
    assert asked[1] == (
        ("squad", None),
        {"split": "train", "streaming": False},
    )


def test_a_hub_dataset_that_is_not_to_be_had_is_named(monkeypatch):
    def load(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(OSError, match="hf:me/mine:train: no network"):
        list(read_documents("hf:me/mine"))


@pytest.mark.parametrize("as_dict", [False, True])
def test_a_dataset_on_disk_is_read_with_all_its_splits(tmp_path, as_dict):
    if as_dict:
        saved = datasets.DatasetDict(
            {"train": rows(TEXTS[:2]), "test": rows(TEXTS[2:])}
        )
    else:
        saved = rows(TEXTS)
    saved.save_to_disk(tmp_path / "saved")
    assert find_dataset(str(tmp_path / "saved")) == SavedDataset(
        tmp_path / "saved"
    )
    documents = read_documents(tmp_path / "saved")
    assert list(documents) == ["the cat sat", "a dog ran", "the sea"]
    assert list(documents) == ["the cat sat", "a dog ran", "the sea"]


def test_a_damaged_dataset_on_disk_is_named(tmp_path):
    rows(TEXTS).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text("{")
    with pytest.raises(ValueError, match="as `save_to_disk` writes it.*saved"):
        list(read_documents(tmp_path / "saved"))


def test_wikitext_line_by_line_gives_its_articles(tmp_path):
    rows(LINES).save_to_disk(tmp_path / "saved")
    assert list(read_documents(tmp_path / "saved")) == [
        "= A =\none .\n= = B = =\ntwo .",
        "= C =\nthree .",
    ]


def test_a_column_that_there_is_not_is_named(tmp_path):
    rows(TEXTS, "body").save_to_disk(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"\['body'\]. Received: 'text'"):
        list(read_documents(tmp_path / "saved"))
    found = list(read_documents(tmp_path / "saved", text_column="body"))
    assert len(found) == 3


def test_a_tensorflow_dataset_is_decoded_and_its_marks_are_gone(monkeypatch):
    article = (
        "\n_START_ARTICLE_\nRay\n_START_SECTION_\nLife\n_START_PARAGRAPH_\n"
        "It swims._NEWLINE_It eats."
    )
    asked = []

    def load(*arguments, **options):
        asked.append((arguments, options))
        return [{"text": article.encode()}, {"text": "naïve".encode()}]

    monkeypatch.setattr(tensorflow_datasets, "load", load)
    monkeypatch.setattr(tensorflow_datasets, "as_numpy", lambda rows: rows)
    first, second = read_documents("tfds:wiki40b/en:test")
    assert [line for line in first.splitlines() if line] == [
        "Ray",
        "Life",
        "It swims.",
        "It eats.",
    ]
    assert second == "naïve"
    assert asked == [(("wiki40b/en",), {"split": "test"})]


def test_rows_are_plain_python(monkeypatch):
    """As TensorFlow Datasets gives them: bytes and arrays."""
    row = {
        "text": b"caf\xc3\xa9",
        "answers": {"text": np.array([b"a", b"b"], object)},
        "label": np.int64(3),
    }
    monkeypatch.setattr(TensorFlowDataset, "load", lambda self: iter([row]))
    features, rows = read_rows("tfds:mine")
    assert features == {}
    plain = {"text": "café", "answers": {"text": ["a", "b"]}, "label": 3}
    assert list(rows) == [("tfds:mine:train, row 0", plain)]


def test_rows_that_stop_coming_are_an_error_of_the_dataset(monkeypatch):
    def rows(self):
        yield {"text": "a"}
        raise KeyError("a shard")

    monkeypatch.setattr(HubDataset, "load", rows)
    _, found = read_rows("hf:me/mine")
    next(found)
    with pytest.raises(OSError, match="hf:me/mine:train: 'a shard'"):
        next(found)
    documents = iter(read_documents("hf:me/mine"))
    with pytest.raises(OSError, match="hf:me/mine:train: 'a shard'"):
        list(documents)


def test_the_classes_of_a_tensorflow_dataset_have_names(monkeypatch):
    classes = tensorflow_datasets.features.ClassLabel(names=["ham", "spam"])
    features = tensorflow_datasets.features.FeaturesDict({"label": classes})
    asked = []

    def builder(name):
        asked.append(name)
        info = types.SimpleNamespace(features=features)
        return types.SimpleNamespace(info=info)

    rows = [{"text": b"a", "label": np.int64(1)}]
    monkeypatch.setattr(tensorflow_datasets, "load", lambda *_, **__: rows)
    monkeypatch.setattr(tensorflow_datasets, "as_numpy", lambda rows: rows)
    monkeypatch.setattr(tensorflow_datasets, "builder", builder)
    (text,) = read_labeled_texts("tfds:mail/all")
    assert (text.label, text.class_names) == ("spam", ("ham", "spam"))
    assert asked == ["mail/all"]


def test_a_dataset_that_wants_beam_says_what_to_install(monkeypatch):
    def load(*_, **__):
        try:
            raise ImportError("No module named 'apache_beam'")
        except ImportError as error:
            raise RuntimeError("Failed to construct dataset") from error

    monkeypatch.setattr(tensorflow_datasets, "load", load)
    with pytest.raises(OSError, match=r"pip install 'apache-beam\[gcp\]'"):
        list(read_documents("tfds:wiki40b/en"))


def test_what_tensorflow_datasets_does_not_name_is_a_dependency():
    """Without importlib_resources none of its datasets is to be had."""
    root = pathlib.Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    names = [
        re.match(r"[\w-]+", line)[0]
        for line in project["project"]["dependencies"]
    ]
    assert "importlib-resources" in names
    pinned = project["tool"]["uv"]["constraint-dependencies"]
    assert any(line.startswith("importlib-resources==") for line in pinned)
