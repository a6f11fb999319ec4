import keras_kd as kd
import keras
import numpy as np
import pytest
from keras_kd.layers.noise import noise, starting_from_zeros


def test_noise_is_a_truncated_normal_of_its_seed():
    found = np.asarray(noise(0.5, 3)((100, 100)))
    same = keras.initializers.TruncatedNormal(stddev=0.5, seed=3)((100, 100))
    np.testing.assert_array_equal(found, same)
    assert np.abs(found).max() <= 1.0


def test_models_under_it_start_from_zeros_and_others_do_not(tiny_config):
    with starting_from_zeros():
        model = kd.BertMaskedLM(tiny_config, seed=0)
    for name, variable in model.named_variables().items():
        expected = 1.0 if name.endswith("gamma") else 0.0
        assert np.all(np.asarray(variable) == expected), name
    after = kd.BertMaskedLM(tiny_config, seed=0).named_variables()
    assert np.asarray(after["encoder_layer_0/query/kernel"]).std() > 0.01


def test_an_error_under_it_ends_it():
    with pytest.raises(KeyError), starting_from_zeros():
        raise KeyError
    assert np.asarray(noise(1.0, 0)((50,))).std() > 0.1
