import keras
import numpy as np
import pytest
from keras_kd.layers import dropout as module
from keras_kd.layers.dropout import Dropout, dropout


def ones_dropped(rate, shape=(200, 1001), dtype="float32", seed=0):
    values = keras.ops.ones(shape, dtype)
    found = dropout(values, rate, keras.random.SeedGenerator(seed))
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    return keras.ops.convert_to_numpy(keras.ops.cast(found, "float32"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.999])
def test_the_share_is_dropped_and_the_others_make_up_for_it(rate, dtype):
    found = ones_dropped(rate, dtype=dtype)
    deviation = (rate * (1 - rate) / found.size) ** 0.5
    assert abs((found == 0).mean() - rate) < 4 * deviation + 2**-17
    kept = found[found != 0]
    np.testing.assert_array_equal(kept, kept[0])
    tolerance = 2**-17 / (1 - rate) + (2**-9 if dtype == "bfloat16" else 1e-6)
    np.testing.assert_allclose(kept[0], 1 / (1 - rate), rtol=tolerance)


def test_both_halves_of_a_draw_and_neighbours_are_independent():
    dropped = (ones_dropped(0.5, (2**20,)) == 0) - 0.5
    for distance in (1, 2, 3, 64):
        correlation = 4 * (dropped[:-distance] * dropped[distance:]).mean()
        assert abs(correlation) < 4 / 2**10


def test_each_seed_has_its_own_draw_and_the_same_again():
    first, again, other = (ones_dropped(0.3, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    both = ((first == 0) & (other == 0)).mean()
    np.testing.assert_allclose(both, 0.09, atol=4e-3)


def test_what_is_dropped_has_no_gradient(value_and_gradients):
    x = np.arange(1.0, 8.0, dtype="float32")  # odd: half a draw is left over

    def total(x):
        return keras.ops.sum(dropout(x, 0.4, 3))

    _, (gradient,) = value_and_gradients(total, [x])
    gradient = np.asarray(gradient)
    found = ones_dropped(0.4, (7,), seed=3)
    np.testing.assert_allclose(gradient, found)
    assert 0 < (gradient == 0).sum() < 7


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_size_need_not_be_known(jit_compile):
    import tensorflow as tf

    @tf.function(
        input_signature=[tf.TensorSpec((None, 7))], jit_compile=jit_compile
    )
    def drop(values):
        return dropout(values, 0.4, 3)

    for rows in (1, 2, 5):
        found = drop(tf.ones((rows, 7)))
        assert found.shape == (rows, 7)
        assert set(np.unique(found)) <= {
            0.0,
            np.float32(2**16 / (2**16 - 26214)),
        }
    np.testing.assert_array_equal(
        found == 0, dropout(tf.ones((5, 7)), 0.4, 3) == 0
    )


def test_a_noise_shape_is_refused():
    with pytest.raises(ValueError, match="`noise_shape` must be None"):
        Dropout(0.5, noise_shape=(2, 1))
    again = Dropout.from_config(Dropout(0.5, seed=0).get_config())
    assert again.rate == 0.5


def test_elsewhere_it_is_keras_own(monkeypatch):
    monkeypatch.setattr(module, "on_processor", lambda: False)
    found = ones_dropped(0.3)
    monkeypatch.undo()
    expected = keras.random.dropout(
        np.ones((200, 1001), "float32"), 0.3, seed=keras.random.SeedGenerator(0)
    )
    np.testing.assert_array_equal(found, expected)


def test_the_layer_drops_in_training_alone():
    layer = Dropout(0.5, seed=0)
    x = np.ones((4, 64), "float32")
    np.testing.assert_array_equal(layer(x), x)
    found = keras.ops.convert_to_numpy(layer(x, training=True))
    assert set(np.unique(found)) == {0.0, 2.0}
    again = keras.ops.convert_to_numpy(layer(x, training=True))
    assert (found != again).any()
