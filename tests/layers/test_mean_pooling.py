import keras_kd as kd
import keras
import numpy as np


def test_values_by_hand():
    x = np.array([[[3.0, 0.0], [0.0, 4.0], [9.0, 9.0]], [[1.0, 1.0]] * 3])
    mask = np.array([[1, 1, 0], [0, 0, 0]])
    expected = [[3 / 5, 4 / 5], [0, 0]]
    np.testing.assert_allclose(kd.MeanPooling()(x, mask), expected, rtol=1e-6)


def test_the_config_comes_back_and_low_precision_is_widened():
    layer = kd.MeanPooling(dtype="mixed_bfloat16")
    found = layer(np.ones((1, 3, 2), "float32"), np.ones((1, 3)))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    again = kd.MeanPooling.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
