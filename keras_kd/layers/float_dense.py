"""A dense layer that stays in float where a model is quantised."""

import keras


@keras.saving.register_keras_serializable(package="keras_kd")
class FloatDense(keras.layers.Dense):
    """`keras.layers.Dense` that a model's `quantize` leaves as it is.

    Eight bits put a product about 1 % off. Within the encoder the residual
    makes less of it; what is right before the logits hands it on whole.
    """

    def quantize(self, mode=None, type_check=True, config=None):
        """Does nothing."""
