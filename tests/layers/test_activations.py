import math

import keras
import numpy as np
import pytest
from keras import ops
from keras_kd.layers.activations import (
    gelu,
    gelu_tanh,
    get_activation,
    serialize_activation,
)


def test_gelu_is_the_exact_one():
    x = np.linspace(-6, 6, 25).astype("float32")
    expected = [v * (1 + math.erf(v / 2**0.5)) / 2 for v in x.tolist()]
    np.testing.assert_allclose(gelu(x), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        gelu(x), keras.activations.gelu(x), rtol=1e-5, atol=1e-6
    )


def test_the_slope_of_gelu(value_and_gradients):
    x = np.array([-3.0, -0.5, 0.0, 0.5, 3.0], "float32")
    _, (slope,) = value_and_gradients(lambda x: ops.sum(gelu(x)), [x])
    phi = np.exp(-(x**2) / 2) / (2 * np.pi) ** 0.5
    expected = [(1 + math.erf(v / 2**0.5)) / 2 for v in x.tolist()] + x * phi
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_rounded_once(dtype):
    x = ops.cast(np.linspace(-4, 4, 33), dtype)
    wide = ops.cast(x, "float32")
    expected = ops.cast(gelu(wide), dtype)
    np.testing.assert_array_equal(
        ops.cast(gelu(x), "float32"), ops.cast(expected, "float32")
    )


def test_other_activations_are_those_of_keras():
    assert get_activation("relu") is keras.activations.relu
    assert get_activation("gelu") is gelu
    assert get_activation(gelu) is gelu


def test_gelu_tanh_by_hand():
    x = np.array([-2.0, -0.5, 0.0, 1.0, 3.0], "float32")
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    expected = 0.5 * x * (1 + np.tanh(inner))
    np.testing.assert_allclose(gelu_tanh(x), expected, atol=1e-6)
    difference = np.abs(np.asarray(gelu_tanh(x)) - np.asarray(gelu(x))).max()
    assert 1e-5 < difference < 5e-4


def test_activations_come_back_from_their_configs():
    for name in ("gelu", "gelu_tanh", "relu"):
        assert serialize_activation(name) == name
        assert get_activation(serialize_activation(name)) is get_activation(
            name
        )
