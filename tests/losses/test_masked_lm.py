import keras_kd as kd
import numpy as np


def test_it_is_the_cross_entropy_and_its_gradient_by_hand():
    logits = np.log([[1.0, 3.0], [1.0, 1.0]]).astype("float32")
    loss, gradient = kd.MaskedLMTerm().compare(None, logits, np.array([1, 0]))
    np.testing.assert_allclose(loss, -np.log([0.75, 0.5]), rtol=1e-6)
    expected = [[0.25, -0.25], [-0.5, 0.5]]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_logits_of_ten_thousand_stay_finite():
    logits = np.array([[1e4, -1e4]], "float32")
    loss, gradient = kd.MaskedLMTerm().compare(None, logits, np.array([1]))
    np.testing.assert_allclose(loss, [2e4])
    np.testing.assert_allclose(gradient, [[1.0, -1.0]])


def test_its_rows_are_the_masked_positions():
    batch = {
        "x": {
            "padding_mask": np.ones((1, 4), int),
            "mask_positions": np.array([[2, 0]]),
        },
        "y": np.array([[7, 0]]),
        "sample_weight": np.array([[1.0, 0.0]], "float32"),
    }
    weights = kd.MaskedLMTerm().row_weights(batch)
    np.testing.assert_array_equal(weights, [[0, 0, 1, 0]])
