import json

import keras_kd as kd
import pytest
from keras_kd.data.row_labels import read_labels


def read(values, **columns):
    places = [f"f, line {number}" for number in range(1, len(values) + 1)]
    return read_labels(values, places, kd.TaskColumns(**columns))


def test_labels_are_text_or_numbers():
    assert read(["a", 3, True]) == ["a", "3", "True"]
    assert read(["1.5", 2], regression=True) == [1.5, 2.0]


def test_dirty_labels_are_told_in_one_report_with_their_rows():
    good = ["positive", "negative"] * 3
    values = [*good, " positive", "Positive", "nan", "Positive", "", None]
    with pytest.raises(ValueError) as error:
        read(values)
    message = str(error.value)
    assert "must spell a class in one way" in message
    assert "'Positive' beside 'positive' in f, line 8, 10" in message
    assert "' positive' beside 'positive' in f, line 7" in message
    assert "'nan' in f, line 9" in message
    assert "'' in f, line 11" in message
    assert "None in f, line 12" in message
    assert "`labels` of `TaskColumns`" in message and "`--classes`" in message


def test_dirty_labels_may_be_taken_as_they_are_or_as_others():
    values = ["positive", " positive", "Positive", "nan"]
    assert read(values, labels={name: name for name in values}) == values
    meant = dict.fromkeys(values, "positive") | {"nan": "unsure"}
    assert read(values, labels=meant) == ["positive"] * 3 + ["unsure"]


@pytest.mark.parametrize(
    "values, message",
    [
        (["1", "1", "1.0", "01"], "'01' beside '1' in .*'1.0' beside '1' in"),
        (["a b", "a b", "a  b"], "'a  b' beside 'a b' in f, line 3"),
        (["pos", "pos", "pos\u200b"], "beside 'pos' in f, line 3"),
        (["caf\u00e9", "cafe\u0301"], "spell a class in one way"),
        (["pos", "pos", "\uff50\uff4f\uff53"], "beside 'pos' in f, line 3"),
        (["not spam", "not-spam", "not-spam"], "'not spam' beside 'not-spam'"),
        (["not_spam", "not_spam", "Not Spam"], "beside 'not_spam' in f, line"),
        (["pos", "pos", '"Pos"'], "beside 'pos' in f, line 3"),
        (["None", "none"], "hold a label. Received: 'None' in f, line 1"),
        (["a", "b", "a,b", "b; a"], "not supported yet.*line 3, 'b; a' in"),
        (["['a', 'b']", "a"], r"several labels.*\['a', 'b'\]"),
        ([["a", "b"], ["a"]], r"several labels.*\['a', 'b'\] in f, line 1"),
        ([{"en": "a"}], "several labels"),
        ([f"id{number}" for number in range(40)], "40 labels of 40 texts"),
    ],
)
def test_what_is_no_class_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        read(values)


@pytest.mark.parametrize(
    "values",
    [
        ["none", "some"],
        ["a,b", "c"],
        ["[CLS", "x"],
        ["1", "2"],
        ['"', "''"],
        ["1", "-1", "+", "-", "_"],
        ["notspam", "not spam"],
    ],
)
def test_what_may_be_a_class_is_one(values):
    assert read(values) == values


@pytest.mark.parametrize(
    "values, message",
    [
        (
            [1.0, [1.0, 2.0]],
            r"or numbers, a text are.*\[1.0, 2.0\] in f, l",
        ),
        (["1", "x", "inf", "x"], "finite number.*'x' in f, line 2, 4, 'inf' i"),
        ([10**400], "finite number"),
    ],
)
def test_what_is_no_number_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        read(values, regression=True)


def test_a_file_of_lists_is_refused_by_name(tmp_path):
    path = tmp_path / "a.jsonl"
    row = {"text": "fine", "label": ["a", "b"]}
    path.write_text(f"{json.dumps(row)}\n" * 30)
    with pytest.raises(
        ValueError,
        match="'label' must hold one label a row.*line 1, 2, .*10 more",
    ):
        kd.read_labeled_texts(path)
