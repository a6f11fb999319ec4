import numpy as np
import pytest
from keras_kd.evaluation.calibration import calibration


def test_calibration_by_hand():
    # Five bins: two rows in (0.2, 0.4], three in (0.8, 1].
    found = calibration(
        [0.3, 0.4, 0.9, 0.9, 1.0], [True, False, True, True, False], bins=5
    )
    # |0.35 - 0.5| of two rows, |2.8 / 3 - 2 / 3| of three.
    expected = (2 * 0.15 + 3 * (0.8 / 3)) / 5
    assert found["expected_calibration_error"] == pytest.approx(expected)
    assert found["confidence"] == pytest.approx(0.7)
    assert found["accuracy"] == pytest.approx(0.6)
    assert found["rows"] == 5
    assert [b["rows"] for b in found["bins"]] == [0, 2, 0, 0, 3]
    empty, pair, *_, top = found["bins"]
    assert empty["confidence"] is None and empty["accuracy"] is None
    assert pair == {
        "above": pytest.approx(0.2),
        "to": pytest.approx(0.4),
        "rows": 2,
        "confidence": pytest.approx(0.35),
        "accuracy": 0.5,
    }
    assert top["accuracy"] == pytest.approx(2 / 3)


def test_an_edge_belongs_to_the_bin_below_it():
    edges = np.linspace(0, 1, 16)
    found = calibration(edges, np.ones(16, bool))
    # 0 and the first edge share the first bin, each other edge has its own.
    assert [b["rows"] for b in found["bins"]] == [2] + [1] * 14


def test_a_model_that_is_right_as_often_as_it_says_has_no_error():
    p = np.repeat([0.25, 0.75], 4)
    right = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    found = calibration(p, right)
    assert found["expected_calibration_error"] == pytest.approx(0.0)
    sure = calibration(np.ones(8), right)
    assert sure["expected_calibration_error"] == pytest.approx(0.5)


def test_weights_count_rows_as_often_or_not_at_all():
    p, right = [0.1, 0.6, 0.65], [False, True, False]
    weighted = calibration(p, right, weights=[0, 2, 1])
    repeated = calibration([0.6, 0.6, 0.65], [True, True, False])
    for name in ("expected_calibration_error", "confidence", "accuracy"):
        assert weighted[name] == pytest.approx(repeated[name])
    assert weighted["rows"] == 2
    assert weighted["bins"][1]["rows"] == 0  # the weight of 0


def test_one_bin_is_the_distance_of_the_means():
    rng = np.random.default_rng(0)
    p, right = rng.random(50), rng.random(50) < 0.5
    found = calibration(p, right, bins=1)
    expected = abs(p.mean() - right.mean())
    assert found["expected_calibration_error"] == pytest.approx(expected)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([0.1], [True, False]), "one number for each row"),
        (([[0.1]], [[True]]), "one number for each row"),
        (([1.1], [True]), r"in \[0, 1\]. Received: 1.1"),
        (([np.nan], [True]), r"in \[0, 1\]. Received: nan"),
        (([0.1], [True], [-1.0]), "`weights` must be 0 or more"),
        (([], []), "`weights` must be .* not all 0"),
        (([0.1], [True], None, 0), "`bins` must be at least 1. Received: 0"),
    ],
)
def test_what_cannot_be_binned_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        calibration(*arguments)
