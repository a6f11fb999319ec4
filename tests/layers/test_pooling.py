import keras
import numpy as np
import pytest
from keras_kd.layers import Pooling

X = np.array([[[3.0, 0.0], [0.0, 4.0], [9.0, 9.0]], [[0.0, 2.0]] * 3])
MASK = np.array([[1, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("pooling", "normalize", "expected"),
    [
        ("mean", True, [[3 / 5, 4 / 5], [0, 0]]),
        ("mean", False, [[1.5, 2.0], [0, 0]]),
        ("cls", True, [[1.0, 0.0], [0.0, 1.0]]),
        ("cls", False, [[3.0, 0.0], [0.0, 2.0]]),
    ],
)
def test_values_by_hand(pooling, normalize, expected):
    found = Pooling(pooling, normalize)(X, MASK)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_config_comes_back_and_low_precision_is_widened():
    layer = Pooling("cls", normalize=False, dtype="mixed_bfloat16")
    found = layer(np.ones((1, 3, 2), "float32"), np.ones((1, 3)))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    again = Pooling.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (again.pooling, again.normalize) == ("cls", False)


def test_another_pooling_is_refused():
    with pytest.raises(ValueError, match="`pooling` must be one of.*'max'"):
        Pooling("max")
