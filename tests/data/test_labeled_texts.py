import gzip
import re

import keras_kd as kd
import datasets
import numpy as np
import pytest


def write(path, text):
    path.write_text(text, "utf-8")
    return path


PAIRS = kd.TaskColumns("one", "two", "label")


def test_a_tsv_has_no_quotes(tmp_path):
    file = write(
        tmp_path / "a.tsv",
        '\ufefftext\tlabel\nhe said " no\tgood\n\'t is "so"\tbad\n',
    )
    first, second = kd.read_labeled_texts(file)
    assert (first.text, first.pair, first.label) == (
        'he said " no',
        None,
        "good",
    )
    assert second.text == '\'t is "so"'
    assert second.place == f"{file}, line 3"


def test_a_tsv_without_header_gets_one(tmp_path):
    file = write(tmp_path / "a.tsv", "x\t1\t\tA text.\ny\t0\t*\tText a.\n")
    columns = kd.TaskColumns(
        "text",
        header=("source", "label", "mark", "text"),
        labels={"0": "no", "1": "yes"},
    )
    found = kd.read_labeled_texts(file, columns)
    assert [(t.text, t.label) for t in found] == [
        ("A text.", "yes"),
        ("Text a.", "no"),
    ]


def test_csv_and_jsonl_hold_pairs_and_may_be_compressed(tmp_path):
    csv = tmp_path / "a.csv.gz"
    with gzip.open(csv, "wt") as file:
        file.write('one,two,label\n"a, b","c\nd",x\ne,f,y\n')
    jsonl = write(
        tmp_path / "a.jsonl",
        '{"one": "a, b", "two": "c\\nd", "label": "x"}\n\n'
        '{"one": "e", "two": "f", "label": "y"}\n',
    )
    for source, places in ((csv, (3, 4)), (jsonl, (1, 3))):
        found = kd.read_labeled_texts(source, PAIRS)
        assert [(t.text, t.pair, t.label) for t in found] == [
            ("a, b", "c\nd", "x"),
            ("e", "f", "y"),
        ]
        assert [t.place for t in found] == [
            f"{source}, line {line}" for line in places
        ]


def test_numbers_and_texts_without_labels(tmp_path):
    file = write(tmp_path / "a.tsv", "text\tscore\na\t2.5\nb\t-1\n")
    numbers = kd.TaskColumns(label="score", regression=True)
    found = kd.read_labeled_texts(file, numbers)
    assert [t.label for t in found] == [2.5, -1.0]
    found = kd.read_labeled_texts(file, kd.TaskColumns(label=None))
    assert [t.label for t in found] == [None, None]


def test_rows_of_a_dataset_have_the_names_of_its_classes(tmp_path, monkeypatch):
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["bad", "good"]),
        }
    )
    rows = datasets.Dataset.from_dict(
        {"text": ["a", "b"], "label": [1, 0]}, features=features
    )
    asked = []

    def load_dataset(*arguments, **settings):
        asked.append((arguments, settings["split"]))
        return rows

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = kd.read_labeled_texts("hf:me/reviews/small:test")
    assert [(t.text, t.label) for t in found] == [("a", "good"), ("b", "bad")]
    assert asked == [(("me/reviews", "small"), "test")]
    assert found[1].place == "hf:me/reviews/small:test, row 1"


BAD = {
    "a tab in quotes": (
        "a.tsv",
        'text\tlabel\nfine\tx\n"a\tb"\ty\n',
        {},
        "a tab parts columns even within them. Received: 3 in .*line 3",
    ),
    "too few columns": ("a.tsv", "text\tlabel\nfine\n", {}, "1 in .*line 2"),
    "a missing column": (
        "a.tsv",
        "sentence\tlabel\na\tx\n",
        {},
        r"there: \['text', 'label'\].*without \['text'\].*line 2",
    ),
    "an unknown label": (
        "a.tsv",
        "text\tlabel\na\t1\nb\t2\n",
        {"labels": {"0": "no", "1": "yes"}},
        r"\['0', '1'\]. Received: '2' in .*line 3",
    ),
    "no label": ("a.tsv", "text\tlabel\na\t\n", {}, "Received: '' in .*line 2"),
    "no text": (
        "a.tsv",
        "text\tlabel\n \tx\n",
        {},
        "hold text.*' ' in .*line 2",
    ),
    "not a number": (
        "a.tsv",
        "text\tlabel\na\tnan\n",
        {"regression": True},
        "finite number. Received: 'nan' in .*line 2",
    ),
    "a comma without quotes": (
        "a.csv",
        "text,label\na, b,x\n",
        {},
        "in quotes. Received: more in .*line 2",
    ),
    "a quote that does not end": (
        "a.csv",
        'text,label\n"a,x\n',
        {},
        "CSV. Received: .*line 2",
    ),
    "no JSON": ("a.jsonl", "{}\n[1]\n", {"label": None}, "columns must|line 1"),
    "a list": ("a.jsonl", "[1]\n", {}, "JSON object a line.*line 1"),
    "nothing": ("a.tsv", "text\tlabel\n", {}, "hold texts. Received: no row"),
    "an unknown suffix": ("a.docx", "", {}, "`source` must end in .tsv"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_data_is_named_by_file_and_line(tmp_path, what):
    name, text, columns, message = BAD[what]
    file = write(tmp_path / name, text)
    with pytest.raises(ValueError, match=message) as error:
        kd.read_labeled_texts(file, kd.TaskColumns(**columns))
    assert re.search(re.escape(name), str(error.value))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="an existing file"):
        kd.read_labeled_texts(tmp_path / "a.tsv")


@pytest.mark.parametrize("name", ["A.TSV", "a.Tsv.GZ", "a.tsv.gz"])
def test_suffixes_may_be_in_capitals(tmp_path, name):
    content = b"text\tlabel\na\tx\n"
    if name.lower().endswith("gz"):
        content = gzip.compress(content)
    (tmp_path / name).write_bytes(content)
    (found,) = kd.read_labeled_texts(tmp_path / name)
    assert (found.text, found.label) == ("a", "x")


def test_classes_keep_the_order_of_their_dataset(monkeypatch):
    names = ["neutral", "good", "bad"]
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=names),
        }
    )
    rows = datasets.Dataset.from_dict(
        {"text": ["a", "b", "c"], "label": [2, 0, 1]}, features=features
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    texts = kd.read_labeled_texts("hf:me/reviews")
    assert kd.class_names_of(texts) == names
    assert kd.class_names_of(texts[:1]) == ["bad"]
    rows = rows.map(lambda row: {"label": row["label"] - 1})
    with pytest.raises(ValueError, match=r"hold a label. Received: -1 in .*1"):
        kd.read_labeled_texts("hf:me/reviews")


def test_an_explicit_list_of_classes_gives_their_order(tmp_path):
    file = write(tmp_path / "a.tsv", "text\tlabel\na\t0\nb\t1\nc\t0\n")
    columns = kd.TaskColumns(labels={"1": "yes", "0": "no"})
    texts = kd.read_labeled_texts(file, columns)
    assert kd.class_names_of(texts) == ["yes", "no"]
    assert kd.label_ids(texts, kd.class_names_of(texts)).tolist() == [1, 0, 1]


def test_a_column_of_weights_goes_into_the_batches(tmp_path, tokenizer):
    file = tmp_path / "rows.csv"
    file.write_text("text,label,w\na dog,b,0.5\na cat,a,3\n")
    columns = kd.TaskColumns(weight="w")
    texts = kd.read_labeled_texts(file, columns)
    assert [text.weight for text in texts] == [0.5, 3.0]
    ((_, y, weights),) = kd.labeled_batches(
        texts, tokenizer, 3, ["a", "b"], shuffle=False
    )
    np.testing.assert_array_equal(y, [1, 0, 0])
    np.testing.assert_array_equal(weights, [0.5, 3, 0])


@pytest.mark.parametrize("weight", ["-1", "nan", "inf", "much", ""])
def test_a_weight_that_is_none_is_refused_by_its_line(tmp_path, weight):
    file = tmp_path / "rows.csv"
    file.write_text(f"text,label,w\na dog,b,{weight}\n")
    with pytest.raises(ValueError, match=r"column 'w' must .* line 2"):
        kd.read_labeled_texts(file, kd.TaskColumns(weight="w"))
