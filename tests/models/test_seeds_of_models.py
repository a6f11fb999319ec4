"""Keras's own seed reaches every model that has none of its own."""

import subprocess
import sys

import keras_kd as kd
import keras
import numpy as np
import pytest

PROGRAM = """
import keras_kd as kd
import keras

keras.utils.set_random_seed(3)
model = kd.BertMaskedLM(kd.BertConfig(9, 1, 4, 2, intermediate_dim=4))
print([float(abs(w).sum()) for w in model.get_weights()])
"""


def make_all(config):
    """One of each kind, and what is made of another."""
    teacher = kd.BertMaskedLM(config)
    names = {"class_names": ["a", "b"]}
    projected = kd.HiddenStateTerm(project=True)
    projected.build_for(teacher.config, teacher.config)
    return {
        "backbone": kd.BertBackbone(config),
        "masked_lm": teacher,
        "classifier": kd.BertClassifier(config, **names),
        "regressor": kd.BertRegressor(config),
        "tagger": kd.BertTokenClassifier(config, **names),
        "spans": kd.BertSpanExtractor(config),
        "from_encoder": kd.BertClassifier.from_encoder(teacher, **names),
        "extracted": kd.extract_student(teacher, "first", 1),
        "term": projected.projections[0],
    }


def weights_of(models):
    return [w for model in models.values() for w in model.get_weights()]


def test_the_same_seed_makes_the_same_models():
    config = kd.BertConfig(9, 1, 4, 2, intermediate_dim=4)
    found = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        found.append(weights_of(make_all(config)))
    for first, again in zip(*found, strict=True):
        np.testing.assert_array_equal(first, again)
    keras.utils.set_random_seed(4)
    other = kd.BertBackbone(config).get_weights()[0]
    assert not np.array_equal(other, found[0][0])


def test_dropout_and_layer_drop_follow_it():
    config = kd.BertConfig(
        9, 2, 4, 2, intermediate_dim=4, dropout=0.5, layer_drop=0.5
    )
    ids = np.array([[5, 6, 7, 8]])
    inputs = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    found = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        model = kd.BertBackbone(config)
        draws = [model(inputs, training=True) for _ in range(3)]
        found.append([np.asarray(d["hidden_states"][-1]) for d in draws])
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0][0], found[0][1])


@pytest.mark.slow
def test_two_processes_make_the_same_model():
    """As the hosts of a distributed run must."""
    printed = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert printed[0] == printed[1] and len(printed[0]) > 100
