import numpy as np
import pytest
from keras_kd.evaluation.paired_runs import holm, paired_difference

# Darwin's maize, crossed less self-fertilised, in eighths of an inch: the
# example of Fisher's Design of Experiments, §17 to §21.
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_darwins_maize_as_fisher_had_it():
    found = paired_difference(DARWIN, np.zeros(15))
    assert found.mean == pytest.approx(314 / 15)
    # t = 2.148, and 863 of 2^15 sums are as high, as many as low.
    assert found.p_value == pytest.approx(2 * 863 / 2**15)
    half = 2.144787 * np.std(DARWIN, ddof=1) / np.sqrt(15)
    assert found.low == pytest.approx(314 / 15 - half, abs=1e-4)
    assert found.high == pytest.approx(314 / 15 + half, abs=1e-4)
    assert found.mean / (half / 2.144787) == pytest.approx(2.148, abs=1e-3)
    assert "15 pairs" in str(found)


@pytest.mark.parametrize(
    "pairs, lowest", [(2, 0.5), (3, 0.25), (5, 0.0625), (8, 0.0078125)]
)
def test_few_pairs_cannot_say_much(pairs, lowest):
    arm = np.arange(1, pairs + 1)
    found = paired_difference(arm, np.zeros(pairs))
    assert found.p_value == pytest.approx(lowest)
    turned = paired_difference(np.zeros(pairs), arm)
    assert turned.p_value == found.p_value
    assert (turned.mean, turned.low) == (-found.mean, -found.high)


def test_differences_are_those_of_pairs():
    found = paired_difference([1.0, 5.0, 9.0], [1.5, 4.0, 7.0], 0.9)
    assert found.differences == (-0.5, 1.0, 2.0)
    wider = paired_difference([1.0, 5.0, 9.0], [1.5, 4.0, 7.0])
    assert wider.low < found.low < found.mean < found.high < wider.high


def test_equal_arms_do_not_differ():
    found = paired_difference([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (found.mean, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_holm_by_hand():
    """As R's p.adjust(c(.01, .04, .03, .005), "holm")."""
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert list(found) == ["a", "b", "c", "d"]
    np.testing.assert_allclose(list(found.values()), [0.03, 0.06, 0.06, 0.02])
    assert holm({"a": 0.7, "b": 0.6}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([1.0, 2.0], [1.0]), r"shapes \(2,\) and \(1,\)"),
        (([1.0], [1.0]), "2 to 20"),
        ((np.zeros(21), np.zeros(21)), "2 to 20"),
        (([[1.0], [2.0]], [[1.0], [2.0]]), "lists"),
        (([1.0, np.nan], [1.0, 2.0]), "must be finite"),
        (([1.0, 2.0], [1.0, 2.0], 1.0), "`confidence` must be in"),
    ],
)
def test_what_does_not_pair_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        paired_difference(*arguments)


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"`p_values`.*1.2 of second"):
        holm({"first": 0.1, "second": 1.2})
