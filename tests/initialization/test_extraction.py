import dataclasses

import keras_kd as kd
import numpy as np
import pytest

X = {
    "token_ids": np.arange(12).reshape(2, 6),
    "segment_ids": np.zeros((2, 6), int),
    "padding_mask": np.array([[1] * 6, [1] * 4 + [0] * 2]),
    "mask_positions": np.array([[1, 3], [2, 0]]),
}


@pytest.fixture
def teacher(tiny_config):
    config = dataclasses.replace(tiny_config, num_layers=4, layer_drop=0.2)
    teacher = kd.BertMaskedLM(config, seed=0)
    random = np.random.default_rng(0)
    for variable in teacher.named_variables().values():  # no zeros, no ones
        variable.assign(0.3 * random.normal(size=variable.shape))
    return teacher


def logits_of_layers(teacher, layers):
    """The teacher with only these layers switched on, by hand."""
    x = teacher.backbone.embeddings(X["token_ids"], X["segment_ids"])
    for index in layers:
        layer = teacher.backbone.encoder_layers[index]
        x = layer(x, padding_mask=X["padding_mask"])
    return np.asarray(teacher.head(x, X["mask_positions"]))


def test_full_depth_equals_the_teacher_exactly(teacher):
    student = kd.extract_student(teacher, [0, 1, 2, 3])
    assert student.config.layer_drop == 0.0
    for ours, theirs in zip(
        student(X)["hidden_states"], teacher(X)["hidden_states"], strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(student(X)["logits"], teacher(X)["logits"])


@pytest.mark.parametrize("layers", [[0, 2], [3], [1, 2, 3]])
def test_a_student_equals_the_teacher_with_the_other_layers_off(
    teacher, layers
):
    student = kd.extract_student(teacher, layers)
    found = np.asarray(student(X)["logits"])
    np.testing.assert_array_equal(found, logits_of_layers(teacher, layers))


def test_a_named_plan_takes_its_layers(teacher):
    student = kd.extract_student(teacher, "both_ends", num_layers=2)
    found = np.asarray(student(X)["logits"])
    np.testing.assert_array_equal(found, logits_of_layers(teacher, [0, 3]))


def test_segment_0_is_folded_into_the_positions(teacher):
    student = kd.extract_student(teacher, [0, 1, 2, 3], num_segments=0)
    np.testing.assert_allclose(
        student(X)["logits"], teacher(X)["logits"], rtol=1e-4, atol=1e-5
    )


def test_fewer_positions_keep_the_first(teacher):
    student = kd.extract_student(teacher, [0, 1, 2, 3], max_sequence_length=6)
    np.testing.assert_array_equal(student(X)["logits"], teacher(X)["logits"])


def test_the_teacher_is_left_as_it_was(teacher):
    before = teacher.get_weights()
    student = kd.extract_student(teacher, [0])
    for variable in student.weights:
        variable.assign(variable + 1.0)
    for a, b in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_named_plan_needs_a_number_of_layers(teacher):
    with pytest.raises(ValueError, match="`num_layers` must be given"):
        kd.extract_student(teacher, "first")
