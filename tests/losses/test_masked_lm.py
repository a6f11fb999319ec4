import keras_kd as kd
import numpy as np


def test_it_is_the_mean_cross_entropy_where_the_weight_is_not_zero():
    logits = np.log([[[1.0, 3.0], [1.0, 1.0], [9.0, 1.0]]]).astype("float32")
    batch = {
        "y": np.array([[1, 0, 1]]),
        "sample_weight": np.array([[1.0, 1.0, 0.0]], "float32"),
    }
    value = kd.MaskedLMTerm().compute(batch, None, {"logits": logits})
    expected = -(np.log(0.75) + np.log(0.5)) / 2
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_without_weights_every_position_counts():
    logits = np.log([[[1.0, 3.0], [1.0, 1.0]]]).astype("float32")
    batch = {"y": np.array([[0, 0]]), "sample_weight": None}
    value = kd.MaskedLMTerm().compute(batch, None, {"logits": logits})
    np.testing.assert_allclose(value, -(np.log(0.25) + np.log(0.5)) / 2)


def test_logits_of_ten_thousand_stay_finite():
    logits = np.array([[[1e4, -1e4]]], "float32")
    batch = {"y": np.array([[1]]), "sample_weight": None}
    value = kd.MaskedLMTerm().compute(batch, None, {"logits": logits})
    np.testing.assert_allclose(value, 2e4)
