import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_kd.data.checked_batches import BatchCheck, checked_batches

X = {
    "token_ids": np.array([[2, 5, 3], [2, 3, 0]]),
    "padding_mask": np.array([[1, 1, 1], [1, 1, 0]]),
}
POSITIONS = {**X, "mask_positions": np.array([[1, 2], [1, 0]])}
ONES = np.ones(2, "float32")


@pytest.mark.parametrize(
    ("label", "received"),
    [(7, "7"), (-1, "-1"), (10**6, "1000000"), (np.nan, "nan")],
)
def test_a_label_out_of_range_is_refused_where_it_has_weight(label, received):
    y = np.array([0, label])
    check = BatchCheck(num_classes=7)
    expected = rf"from 0 to 6 .*Received: {received} at row 1"
    with pytest.raises(ValueError, match=expected):
        check(X, y, ONES)
    np.testing.assert_array_equal(check(X, y, np.array([1, 0])), [1, 0])


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ValueError, match="`sample_weight` must be 0 or more"):
        BatchCheck(num_classes=2)(X, np.array([0, 1]), np.array([1, weight]))


@pytest.mark.parametrize("position", [2, 3, -1, 10**6])
def test_a_masked_position_must_be_of_a_real_token(position):
    x = {**X, "mask_positions": np.array([[1, 2], [1, position]])}
    y, weights = np.zeros((2, 2), int), np.ones((2, 2))
    check = BatchCheck(num_classes=9)
    with pytest.raises(ValueError, match=rf"`mask_pos.* {position} at row 1"):
        check(x, y, weights)
    check(x, y, np.array([[1, 1], [1, 0]]))


def test_labels_that_are_positions_must_be_of_real_tokens():
    check = BatchCheck(positions=True)
    check(X, np.array([[1, 2], [0, 1]]), np.ones((2, 2)))
    with pytest.raises(ValueError, match="`y` must be of real tokens"):
        check(X, np.array([[1, 2], [0, 2]]), np.ones((2, 2)))


def test_padding_with_weight_is_refused_and_so_are_odd_tokens_and_numbers():
    y = np.zeros((2, 3), int)
    with pytest.raises(ValueError, match="0 wherever `padding_mask` is"):
        BatchCheck(num_classes=2)(X, y, None)
    with pytest.raises(ValueError, match="`token_ids` must be from 0 to 4"):
        BatchCheck(num_classes=2, vocabulary_size=5)(X, y[:, 0], ONES)
    with pytest.raises(ValueError, match="`y` must be finite"):
        BatchCheck(regression=True)(X, np.array([0.5, np.nan]), None)


def test_weights_of_classes_multiply_those_there_are():
    check = BatchCheck(num_classes=2, class_weight={0: 15.0})
    found = check(X, np.array([0, 1]), np.array([0.5, 2.0]))
    np.testing.assert_array_equal(found, [7.5, 2.0])
    found = check(X, np.array([[0, 1], [1, 0]]), ONES)
    np.testing.assert_array_equal(found, [[15, 1], [1, 15]])
    found = check(X, np.array([-100, 0]), np.array([0.0, 1.0]))
    np.testing.assert_array_equal(found, [0, 15])


@pytest.mark.parametrize(
    "class_weight", [{2: 1.0}, {"neg": 1.0}, {0: -1.0}, {1: np.nan}]
)
def test_weights_of_unknown_classes_are_refused(class_weight):
    with pytest.raises(ValueError, match="`class_weight` must name classes"):
        BatchCheck(num_classes=2, class_weight=class_weight)
    with pytest.raises(ValueError, match="no classes"):
        BatchCheck(class_weight=class_weight)


def test_a_dataset_is_checked_and_weighed_as_it_comes():
    y = np.array([0, 1])
    for batch in ((X, y), (X, y, ONES)):
        dataset = tf.data.Dataset.from_tensors(batch)
        check = BatchCheck(num_classes=2, class_weight={1: 3.0})
        found, _, _ = checked_batches(dataset, None, None, check)
        assert int(found.cardinality()) == 1
        ((x, labels, weights),) = found
        assert x["token_ids"].shape == (2, 3)
        np.testing.assert_array_equal(labels, y)
        np.testing.assert_array_equal(weights, [1, 3])


def test_a_generator_and_arrays_are_checked_and_the_rest_is_handed_on():
    y = np.array([0, 4])
    check = BatchCheck(num_classes=2)
    generator, _, _ = checked_batches((b for b in [(X, y)]), None, None, check)
    with pytest.raises(ValueError, match="Received: 4 at row 1"):
        next(generator)
    with pytest.raises(ValueError, match="Received: 4 at row 1"):
        checked_batches(X, y, None, check)
    text_alone = tf.data.Dataset.from_tensors((X,))
    assert checked_batches(text_alone, None, None, check)[0] is text_alone
    weighing = BatchCheck(num_classes=2, class_weight={1: 3.0})
    with pytest.raises(ValueError, match="goes with a dataset, a generator"):
        checked_batches(text_alone, None, None, weighing)


class Batches(keras.utils.PyDataset):
    """One batch."""

    def __init__(self, y):
        super().__init__()
        self.y = np.array(y)
        self.ended = 0

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return X, self.y

    def on_epoch_end(self):
        self.ended += 1


def test_batches_of_keras_sequences_are_checked_and_weighed():
    batches = Batches([0, 1])
    check = BatchCheck(num_classes=2, class_weight={1: 3.0})
    found, _, _ = checked_batches(batches, None, None, check)
    assert len(found) == found.num_batches == 1
    np.testing.assert_array_equal(found[0][2], [1, 3])
    found.on_epoch_end()
    assert batches.ended == 1
    found, _, _ = checked_batches(Batches([0, 7]), None, None, check)
    with pytest.raises(ValueError, match="Received: 7 at row 1"):
        found[0]


@pytest.mark.parametrize(
    ("y", "weights", "message"),
    [
        ([0.5, 1.0], None, "ids of classes.*Received: 0.5 at row 0"),
        ([[0], [1]], None, "`y` must have 1 ax.*Received: shape .2, 1.$"),
        ([[0, 1], [1, 0]], None, "not one-hot"),
        (["no", "yes"], None, "`y` must be numbers"),
        ([0, 1], [1.0, 1.0, 1.0], "`sample_weight` must have the shape"),
        ([0, 1], [[1.0], [1.0]], "`sample_weight` must have the shape"),
    ],
)
def test_labels_and_weights_of_another_form_are_refused(y, weights, message):
    check = BatchCheck(num_classes=2, rank=1)
    with pytest.raises(ValueError, match=message):
        check(X, np.array(y), weights)


def test_lists_are_labels_too_and_labels_go_with_a_dict():
    check = BatchCheck(num_classes=2, rank=1)
    _, y, weights = checked_batches(X, [0, 1], None, check)
    np.testing.assert_array_equal(y, [0, 1])
    np.testing.assert_array_equal(weights, [1, 1])
    with pytest.raises(ValueError, match="`x` must be a dict.*ndarray"):
        checked_batches(X["token_ids"], y, None, check)
    with pytest.raises(ValueError, match="`class_weight` must be a dict"):
        BatchCheck(num_classes=2, class_weight=[1.0, 2.0])


def test_the_error_names_how_many_there_are():
    with pytest.raises(ValueError, match=re.escape("2 such in all")):
        BatchCheck(num_classes=1)(X, np.array([5, 6]), None)
