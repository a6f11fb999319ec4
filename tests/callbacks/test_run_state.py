import keras
import numpy as np
import pytest
from keras_kd.callbacks.run_state import (
    callback_state,
    checksum,
    from_arrays,
    own_variables,
    restore_callback,
    to_arrays,
)

DTYPES = ("float32", "int32", "uint32", "bfloat16", "float16", "bool")


def make_variables(value=3):
    return [
        keras.Variable(np.full((2,), value), dtype=dtype, name=dtype)
        for dtype in DTYPES
    ]


def test_variables_of_every_kind_come_back():
    arrays = to_arrays("model", make_variables(3))
    again = make_variables(0)
    from_arrays("model", again, arrays)
    for variable in again:
        values = keras.ops.convert_to_numpy(variable).astype("float32")
        expected = 1 if variable.dtype == "bool" else 3
        np.testing.assert_array_equal(values, np.full((2,), expected))


def test_a_copy_is_taken():
    variable = keras.Variable(np.zeros((2,), "float32"))
    arrays = to_arrays("model", [variable])
    variable.assign([1.0, 1.0])
    (array,) = arrays.values()
    assert array.tolist() == [0.0, 0.0]


def test_variables_that_do_not_fit_are_refused():
    arrays = to_arrays("model", make_variables())
    with pytest.raises(ValueError, match="Expected: 6. Received: 5"):
        from_arrays("model", make_variables()[1:], arrays)
    other = [keras.Variable(np.zeros((3,)), name="wide") for _ in DTYPES]
    with pytest.raises(ValueError, match=r"\(2,\), but wide \(3,\)"):
        from_arrays("model", other, arrays)


@pytest.mark.slow
def test_all_variables_are_a_models_its_seeds_and_its_optimizers():
    inputs = keras.Input((1,))
    outputs = keras.layers.Dropout(0.5, seed=1)(keras.layers.Dense(1)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    names = [variable.path for variable in own_variables(model)]
    assert len(names) == len(set(names))
    for part in ("kernel", "bias", "seed_generator", "iteration", "momentum"):
        assert any(part in name for name in names), part


def test_a_checksum_is_that_of_the_values():
    one, same, other = make_variables(3), make_variables(3), make_variables(4)
    assert checksum(one) == checksum(same) != checksum(other)


def test_what_a_callback_remembers_comes_back():
    first = keras.callbacks.EarlyStopping(patience=3)
    first.best, first.wait = np.float32(0.5), 2
    first.best_weights = [np.ones(2), np.zeros(3)]
    plain, lists = callback_state(first)
    second = keras.callbacks.EarlyStopping(patience=3)
    restore_callback(second, plain, lists)
    assert (second.best, second.wait) == (0.5, 2)
    assert second.best_weights[0].tolist() == [1.0, 1.0]
