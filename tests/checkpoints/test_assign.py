import gc

import keras
import numpy as np
import pytest
from keras_kd.checkpoints import assign as module
from keras_kd.checkpoints.assign import assign
from keras_kd.checkpoints.tensor_files import aligned


@pytest.mark.parametrize("large", [1, 10**9])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_variable_has_the_values_and_keeps_them(
    large, transposed, monkeypatch
):
    monkeypatch.setattr(module, "LARGE", large)
    variable = keras.Variable(np.zeros((30, 20), "float32"))
    values = aligned((20, 30) if transposed else (30, 20))
    values[:] = np.random.default_rng(0).normal(size=values.shape)
    values = values.T if transposed else values
    expected = np.array(values)
    assign(variable, values)
    del values
    gc.collect()
    for _ in range(20):  # who writes where the array was does not matter
        aligned((30, 20))[:] = 7.0
    np.testing.assert_array_equal(variable, expected)
    variable.assign_add(np.ones((30, 20), "float32"))
    np.testing.assert_array_equal(variable, expected + 1)


def test_an_array_that_lies_elsewhere_is_assigned_too(monkeypatch):
    monkeypatch.setattr(module, "LARGE", 1)
    variable = keras.Variable(np.zeros((7,), "float32"))
    values = aligned((8,))[1:]
    values[:] = np.arange(7)
    assign(variable, values)
    np.testing.assert_array_equal(variable, np.arange(7))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_loaded_variable_trains_and_is_saved(monkeypatch, tmp_path, golden):
    import keras_kd as kd

    monkeypatch.setattr(module, "LARGE", 1)
    model = kd.load_checkpoint(golden / "bert_classifier")
    before = np.array(model.named_variables()["embeddings/token/embeddings"])
    model.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    x = {
        "token_ids": np.full((2, 4), 9),
        "padding_mask": np.ones((2, 4), "int32"),
    }
    model.fit(x, np.array([0, 1]), verbose=0)
    after = np.array(model.named_variables()["embeddings/token/embeddings"])
    assert np.abs(after[9] - before[9]).max() > 0.01
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x)["logits"], model(x)["logits"])
