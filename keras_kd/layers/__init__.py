"""Layers of a BERT encoder: (B, T, D) to (B, T, D) unless they say otherwise.

Backend-neutral: `keras.ops` only.
"""

from keras_kd.layers.embeddings import BertEmbeddings
from keras_kd.layers.encoder_layer import OBSERVABLE, EncoderLayer
from keras_kd.layers.layer_drop import LayerDrop, run_unless
from keras_kd.layers.layer_drop_laws import (
    LAWS,
    expected_depth,
    late_layer_drop,
    layer_drop_rates,
    subset_probability,
    suggested_rate,
)
from keras_kd.layers.masked_lm_head import MaskedLMHead
from keras_kd.layers.mean_pooling import MeanPooling
from keras_kd.layers.pooling import POOLINGS, Pooling

__all__ = [
    "LAWS",
    "OBSERVABLE",
    "POOLINGS",
    "BertEmbeddings",
    "EncoderLayer",
    "LayerDrop",
    "MaskedLMHead",
    "MeanPooling",
    "Pooling",
    "expected_depth",
    "late_layer_drop",
    "layer_drop_rates",
    "run_unless",
    "subset_probability",
    "suggested_rate",
]
