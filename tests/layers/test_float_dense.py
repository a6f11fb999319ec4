import keras
import numpy as np
import pytest
from keras_kd.layers.float_dense import FloatDense


@pytest.mark.filterwarnings("ignore:Layer .* `quantize` method")
def test_a_model_s_int8_leaves_it_and_takes_the_others():
    layers = [keras.layers.Dense(3, name="other"), FloatDense(2, name="float")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.quantize("int8")
    assert [layer.quantization_mode for layer in layers] == ["int8", None]


def test_it_computes_what_dense_does_and_comes_back():
    layer = FloatDense(2, activation="relu", bias_initializer="ones")
    x = np.array([[1.0, -2.0]], "float32")
    layer.build(x.shape)
    layer.kernel.assign([[1.0, 0.0], [0.0, 3.0]])
    np.testing.assert_array_equal(layer(x), [[2.0, 0.0]])
    again = FloatDense.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
