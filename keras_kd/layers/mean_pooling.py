"""MeanPooling: one vector for a text, out of its tokens' states."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_kd")
class MeanPooling(keras.layers.Layer):
    """The mean of the real tokens' hidden states, of length 1, in float32.

    Source: Reimers & Gurevych, 2019, https://arxiv.org/abs/1908.10084

    Call arguments:
        x: Hidden states, (B, T, D).
        padding_mask: (B, T), 1 for real tokens; a text of none gives zeros.

    Returns:
        Embeddings, (B, D).
    """

    def call(self, x, padding_mask):
        weights = ops.cast(padding_mask, "float32")[:, :, None]
        total = ops.sum(ops.cast(x, "float32") * weights, axis=1)
        # Of a mean and of a sum the direction is the same.
        squared = ops.sum(total * total, axis=-1, keepdims=True)
        return total * ops.rsqrt(ops.maximum(squared, 1e-24))

    def compute_output_spec(self, x, padding_mask):
        return keras.KerasTensor((x.shape[0], x.shape[2]), dtype="float32")
