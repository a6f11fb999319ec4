"""MeanPooling: the mean of a text's tokens, of length 1."""

import keras
from keras_kd.layers.pooling import Pooling


@keras.saving.register_keras_serializable(package="keras_kd")
class MeanPooling(Pooling):
    """The mean of the real tokens' hidden states, of length 1, in float32.

    `Pooling` as most sentence encoders have it; arguments of its call alike.
    """

    def __init__(self, **kwargs):
        super().__init__("mean", normalize=True, **kwargs)

    def get_config(self):
        config = super().get_config()
        del config["pooling"], config["normalize"]
        return config
