"""A class, or a number, for a text or a pair of texts."""

import keras
from keras import ops
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
        ValueError: If there is but one class, whose probability is always 1,
            or one twice.
    """

    fewest = 2


@keras.saving.register_keras_serializable(package="keras_kd")
class BertRegressor(DenseTask):
    """BERT with a number per text, such as how alike two sentences are.

    Args:
        config: As of `BertClassifier`.
        classifier_dropout: As of `BertClassifier`.
        seed: As of `BertClassifier`.
        dtype: As of `BertClassifier`.
        sigmoid: Bool. Whether the number is the sigmoid of the logit, in
            0 .. 1, as of most cross-encoders. It trains by the cross-entropy
            of labels in 0 .. 1 then, else by the mean squared error.
        score_name: Str, what the number is called in other software's files.

    Call arguments:
        inputs: The backbone's dict.

    Returns:
        The backbone's dict, and `logits`, (B, 1), in float32, of which
        `score` makes the number.
    """

    regression = True

    def __init__(
        self,
        config,
        classifier_dropout=None,
        seed=None,
        dtype=None,
        sigmoid=False,
        score_name="score",
        **kwargs,
    ):
        super().__init__(config, 1, classifier_dropout, seed, dtype, **kwargs)
        self.sigmoid = sigmoid
        self.score_name = score_name

    def score(self, logits):
        """The numbers that logits stand for, of their shape."""
        return ops.sigmoid(logits) if self.sigmoid else logits

    def make_loss(self):
        reduction = "mean_with_sample_weight"
        if self.sigmoid:
            return keras.losses.BinaryCrossentropy(
                from_logits=True, reduction=reduction
            )
        return keras.losses.MeanSquaredError(reduction=reduction)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        scores = {**y_pred, "logits": self.score(y_pred["logits"])}
        return super().compute_metrics(x, y, scores, sample_weight)

    def get_config(self):
        return {
            **super().get_config(),
            "sigmoid": self.sigmoid,
            "score_name": self.score_name,
        }
