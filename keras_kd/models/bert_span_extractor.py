"""BertSpanExtractor: where in a text the answer to a question stands."""

import keras
from keras import ops
from keras_kd.models.task_model import DenseTask


@keras.saving.register_keras_serializable(package="keras_kd")
class BertSpanExtractor(DenseTask):
    """BERT with two numbers per token: an answer may start, or end, there.

    An answer that is not in the text starts and ends at [CLS].
    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805

    Args:
        config: `BertConfig`, or its fields as a dict. There is no pooler,
            whatever it says.
        classifier_dropout: Float in [0, 1), of the states; None for
            `config.dropout`.
        seed: Int or None. Seed of initial weights, dropout and LayerDrop.
        dtype: Str or policy. Keras's precision policy; default: the global.

    Call arguments:
        inputs: The backbone's dict.

    Returns:
        The backbone's dict, and `logits`, (B, 2, T), of starts and of ends, in
        float32; -1e9 at padding. Labels are (B, 2), two positions a text.
    """

    pooled = False
    labels_are_positions = True
    head_name = "span"

    def __init__(
        self, config, classifier_dropout=None, seed=None, dtype=None, **kwargs
    ):
        super().__init__(config, 2, classifier_dropout, seed, dtype, **kwargs)

    @staticmethod
    def shape_logits(logits, padding_mask):
        logits = ops.transpose(logits, (0, 2, 1))
        return ops.where(ops.cast(padding_mask, "bool")[:, None], logits, -1e9)
