import dataclasses
import pathlib

import keras_kd as kd
import datasets
import pytest
from keras_kd.data import glue

REAL = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data" / "glue"
# The first row of a file of each task as GLUE gave them out.
FILES = {
    "CoLA": "gj04\t1\t\tThe sailors rode.\n",
    "SST-2": "sentence\tlabel\nit 's charming . \t1\n",
    "MRPC": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    '0\t1\t2\tHe said .\t" He said .\n',
    "RTE": "index\tsentence1\tsentence2\tlabel\n0\tA man.\tA.\tentailment\n",
    "STS-B": "index\tgenre\tsentence1\tsentence2\tscore\n"
    "0\tx\tA man.\tA.\t2.500\n",
}
EXPECTED = {
    "CoLA": ("The sailors rode.", None, "acceptable"),
    "SST-2": ("it 's charming . ", None, "positive"),
    "MRPC": ("He said .", '" He said .', "not_equivalent"),
    "RTE": ("A man.", "A.", "entailment"),
    "STS-B": ("A man.", "A.", 2.5),
}


@pytest.fixture
def one_row(monkeypatch):
    """Tasks of which one row is published."""
    small = {
        name: dataclasses.replace(task, rows={"train": 1, "validation": 1})
        for name, task in glue.GLUE.items()
    }
    monkeypatch.setattr(glue, "GLUE", small)


@pytest.mark.parametrize("name", FILES)
def test_a_task_is_read_by_its_name(tmp_path, one_row, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "dev.tsv").write_text(FILES[name], "utf-8")
    (found,) = kd.read_glue(name, "validation", tmp_path)
    assert (found.text, found.pair, found.label) == EXPECTED[name]


def test_a_file_that_is_cut_is_refused(tmp_path):
    (tmp_path / "SST-2").mkdir()
    file = tmp_path / "SST-2" / "dev.tsv"
    file.write_text(FILES["SST-2"], "utf-8")
    with pytest.raises(
        ValueError, match=f"{file} must hold all 872 rows.*Received: 1, so"
    ):
        kd.read_glue("SST-2", "validation", tmp_path)


def test_a_task_comes_from_the_hub_with_our_names(monkeypatch, one_row):
    asked = []

    def load_dataset(*arguments, **settings):
        asked.append((*arguments, settings["split"]))
        names = ["not_equivalent", "equivalent"]
        features = datasets.Features(
            {
                "sentence1": datasets.Value("string"),
                "sentence2": datasets.Value("string"),
                "label": datasets.ClassLabel(names=names),
            }
        )
        rows = {"sentence1": ["a"], "sentence2": ["b"], "label": [1]}
        return datasets.Dataset.from_dict(rows, features=features)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    (found,) = kd.read_glue("MRPC", "validation")
    assert (found.text, found.pair, found.label) == ("a", "b", "equivalent")
    assert asked == [("nyu-mll/glue", "mrpc", "validation")]


def test_what_there_is_not_is_named():
    with pytest.raises(ValueError, match="`task` must be one of.*'IMDB'"):
        kd.read_glue("IMDB", "train")
    with pytest.raises(ValueError, match="`split` must be one of.*'test'"):
        kd.read_glue("RTE", "test")


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="needs GLUE's own files")
@pytest.mark.parametrize("name", ["CoLA", "SST-2", "MRPC", "RTE"])
def test_the_real_files_are_whole_and_have_all_classes(name):
    for split in ("train", "validation"):
        texts = kd.read_glue(name, split, REAL)
        kd.check_classes(texts, kd.GLUE[name].class_names)
