import keras_kd as kd
import pytest
from keras_kd.data.class_names import grows_with_text, names_in_order


def test_classes_are_found_sorted_and_checked():
    texts = [
        kd.LabeledText("a", label="y", place="f, line 1"),
        kd.LabeledText("b", label="x", place="f, line 2"),
        kd.LabeledText("c"),
    ]
    assert kd.class_names_of(texts) == ["x", "y"]
    kd.check_classes(texts, ["y", "x"])
    assert kd.label_ids(texts, ["y", "x"]).tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="every class.*Received: none of 'z'"):
        kd.check_classes(texts, ["x", "y", "z"])
    with pytest.raises(ValueError, match="Received: 'y' in f, line 1"):
        kd.check_classes(texts, ["x"])


def test_labels_of_numbers_are_floats():
    texts = [kd.LabeledText("a", label=1.5), kd.LabeledText("b")]
    labels = kd.label_ids(texts, None)
    assert labels.dtype == "float32"
    assert labels.tolist() == [1.5, 0.0]


@pytest.mark.parametrize(
    "names",
    [
        [str(number) for number in range(12)],
        ["-10", "-2", "0", "3", "11"],
        ["0.5", "1", "1.5", "10"],
        ["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_10"],
        ["2 stars", "10 stars", "none"],
        ["bad", "good"],
    ],
)
def test_numbers_are_in_the_order_of_their_values(names):
    texts = [kd.LabeledText("a", label=name) for name in reversed(names)]
    assert kd.class_names_of(texts) == names


def test_known_names_come_first_in_their_order():
    found = names_in_order({"10", "b", "9", "a"}, ("b", "c", "a"))
    assert found == ["b", "a", "9", "10"]


def test_all_labels_that_are_no_class_are_named():
    texts = [
        kd.LabeledText("a", label=label, place=f"f, line {number}")
        for number, label in enumerate("xyzyx")
    ]
    with pytest.raises(
        ValueError, match="Received: 'y' in f, line 1, 3, 'z' in f, line 2$"
    ):
        kd.label_ids(texts, ["x"])


@pytest.mark.parametrize(
    "names, rows, grows",
    [
        (29, 29, False),
        (30, 40, True),
        (45, 100, False),
        (101, 900, True),
        (400, 10_000, False),
        (5001, 10**6, True),
    ],
)
def test_names_that_grow_with_the_text(names, rows, grows):
    assert grows_with_text(names, rows) == grows
