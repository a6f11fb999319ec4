import keras_kd as kd
import numpy as np
import pytest


@pytest.fixture
def deep_teacher(tiny_config):
    """Three layers that differ much, with LayerDrop."""
    config = tiny_config.with_layers(3, layer_drop=0.2)
    teacher = kd.BertMaskedLM(config, seed=0)
    random = np.random.default_rng(0)
    for weight in teacher.trainable_weights:
        noise = random.normal(size=weight.shape) * 0.3
        weight.assign_add(noise.astype("float32"))
    return teacher
