"""Pooling: one vector for a text, out of its tokens' states."""

import keras
from keras import ops

POOLINGS = ("mean", "cls")


@keras.saving.register_keras_serializable(package="keras_kd")
class Pooling(keras.layers.Layer):
    """The mean of the real tokens' hidden states, or the first, in float32.

    Source: Reimers & Gurevych, 2019, https://arxiv.org/abs/1908.10084

    Args:
        pooling: "mean" or "cls".
        normalize: Bool. Whether vectors are brought to length 1.

    Call arguments:
        x: Hidden states, (B, T, D).
        padding_mask: (B, T), 1 for real tokens; the mean of none is zeros.

    Returns:
        Embeddings, (B, D).
    """

    def __init__(self, pooling="mean", normalize=True, **kwargs):
        super().__init__(**kwargs)
        if pooling not in POOLINGS:
            raise ValueError(
                f"`pooling` must be one of {POOLINGS}. Received: {pooling!r}"
            )
        self.pooling = pooling
        self.normalize = normalize

    def call(self, x, padding_mask):
        if self.pooling == "cls":
            vectors = ops.cast(x[:, 0], "float32")
        else:
            weights = ops.cast(padding_mask, "float32")[:, :, None]
            vectors = ops.sum(ops.cast(x, "float32") * weights, axis=1)
            if not self.normalize:  # a mean and a sum have one direction
                vectors = vectors / ops.maximum(ops.sum(weights, axis=1), 1e-9)
        if not self.normalize:
            return vectors
        squared = ops.sum(vectors * vectors, axis=-1, keepdims=True)
        return vectors * ops.rsqrt(ops.maximum(squared, 1e-24))

    def compute_output_spec(self, x, padding_mask):
        return keras.KerasTensor((x.shape[0], x.shape[2]), dtype="float32")

    def get_config(self):
        config = super().get_config()
        return {
            **config,
            "pooling": self.pooling,
            "normalize": self.normalize,
        }
