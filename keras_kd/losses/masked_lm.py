"""The masked-LM term: cross-entropy of the student on the hidden tokens."""

import keras
from keras import ops
from keras_kd.losses.row_sums import log_softmax, row_sum
from keras_kd.losses.vocabulary import VocabularyTerm


@keras.saving.register_keras_serializable(package="keras_kd")
class MaskedLMTerm(VocabularyTerm):
    """Mean cross-entropy in nats over the masked positions (weight 1).

    Rows: `mask_positions` whose weight is not 0. Reduction: mean. Power of
    the temperature: 0. Teacher: not used.
    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805
    """

    def compare(self, teacher_logits, student_logits, ids):
        log_q = log_softmax(student_logits)
        ids = ops.cast(ids, "int32")
        hidden = ops.arange(log_q.shape[-1], dtype="int32") == ids[:, None]
        hidden = ops.cast(hidden, log_q.dtype)
        return -row_sum(hidden * log_q), ops.exp(log_q) - hidden
