"""A class, or a number, for a text or a pair of texts."""

import keras
from keras_kd.models.task_model import DenseTask, NamedClasses


@keras.saving.register_keras_serializable(package="keras_kd")
class BertClassifier(NamedClasses):
    """BERT with a dense layer over the pooled state: one label per text.

    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805

    Args:
        config: `BertConfig`, or its fields as a dict. There is a pooler,
            whatever it says.
        class_names: List of str, the classes in the order of their ids.
        classifier_dropout: Float in [0, 1), of the pooled state; None for
            `config.dropout`.
        seed: Int or None. Seed of initial weights, dropout and LayerDrop.
        dtype: Str or policy. Keras's precision policy; default: the global.

    Call arguments:
        inputs: The backbone's dict.

    Returns:
        The backbone's dict, and `logits`, (B, C), in float32.

    Raises:
        ValueError: If there is no class, or one twice.
    """


@keras.saving.register_keras_serializable(package="keras_kd")
class BertRegressor(DenseTask):
    """BERT with a number per text, such as how alike two sentences are.

    Args:
        config: As of `BertClassifier`.
        classifier_dropout: As of `BertClassifier`.
        seed: As of `BertClassifier`.
        dtype: As of `BertClassifier`.

    Call arguments:
        inputs: The backbone's dict.

    Returns:
        The backbone's dict, and `logits`, (B, 1), the number, in float32.
    """

    def __init__(
        self, config, classifier_dropout=None, seed=None, dtype=None, **kwargs
    ):
        super().__init__(config, 1, classifier_dropout, seed, dtype, **kwargs)

    @staticmethod
    def make_loss():
        return keras.losses.MeanSquaredError(
            reduction="mean_with_sample_weight"
        )
