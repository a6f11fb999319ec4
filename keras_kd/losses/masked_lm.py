"""The masked-LM term: cross-entropy of the student on the hidden tokens."""

import keras
from keras import ops
from keras_kd.losses.row_sums import exponentials
from keras_kd.losses.vocabulary import VocabularyTerm


@keras.saving.register_keras_serializable(package="keras_kd")
class MaskedLMTerm(VocabularyTerm):
    """Mean cross-entropy in nats over the masked positions (weight 1).

    Rows: `mask_positions` whose weight is not 0. Reduction: mean. Power of
    the temperature: 0. Teacher: not used.
    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805
    """

    def compare(self, teacher_logits, student_logits, ids):
        shifted, of_q, sum_q = exponentials(student_logits)
        ids = ops.cast(ids, "int32")[:, None]
        loss = ops.log(sum_q) - ops.take_along_axis(shifted, ids, axis=-1)
        hidden = ops.arange(shifted.shape[-1], dtype="int32") == ids
        by_logits = of_q * (1.0 / sum_q) - ops.cast(hidden, of_q.dtype)
        return loss[:, 0], by_logits
