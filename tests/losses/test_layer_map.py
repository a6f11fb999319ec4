import numpy as np
import pytest
from keras_kd.losses.layer_map import layer_pairs


def test_last_is_last_to_last():
    assert layer_pairs("last", 12, 6) == [(11, 5)]


@pytest.mark.parametrize(
    ("teacher_layers", "student_layers", "teachers"),
    [
        (12, 4, [2, 5, 8, 11]),
        (12, 6, [1, 3, 5, 7, 9, 11]),
        (12, 5, [1, 3, 6, 8, 11]),
        (3, 3, [0, 1, 2]),
        (5, 1, [4]),
    ],
)
def test_uniform_spreads_and_ends_at_the_last(
    teacher_layers, student_layers, teachers
):
    pairs = layer_pairs("uniform", teacher_layers, student_layers)
    assert pairs == list(zip(teachers, range(student_layers), strict=True))


def test_a_list_of_pairs_is_taken_as_it_is():
    assert layer_pairs([[3, 1], (0, 0)], 4, 2) == [(3, 1), (0, 0)]
    assert layer_pairs([np.array([3, 1])], 4, 2) == [(3, 1)]
    assert layer_pairs([(-1, -1)], 4, 2, lowest=-1) == [(-1, -1)]


@pytest.mark.parametrize(
    "layer_map",
    [
        "first",
        [],
        None,
        [1, 2],
        [(1, 0, 0)],
        [(1.0, 0)],
        [(4, 0)],
        [(0, 2)],
        [(-1, 0)],
        [(0, -1)],
    ],
)
def test_what_is_no_layer_map_is_refused(layer_map):
    with pytest.raises(ValueError, match=r"`layer_map` must be.*\[0, 4\)"):
        layer_pairs(layer_map, 4, 2)


def test_a_deeper_student_has_no_uniform_map():
    with pytest.raises(ValueError, match="at most 2. Received: 3"):
        layer_pairs("uniform", 2, 3)
