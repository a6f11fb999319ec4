"""Metrics of a masked-LM student, alone and beside its teacher."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_kd")
class Perplexity(keras.metrics.Mean):
    """exp of the mean cross-entropy in nats, of ids under logits.

    Call arguments: `y_true` ids (...), `y_pred` logits (..., V),
    `sample_weight` (...).
    """

    def __init__(self, name="perplexity", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        nats = keras.losses.sparse_categorical_crossentropy(
            y_true, y_pred, from_logits=True
        )
        super().update_state(nats, sample_weight)

    def result(self):
        return ops.exp(super().result())


@keras.saving.register_keras_serializable(package="keras_kd")
class TeacherAgreement(keras.metrics.Mean):
    """Share of rows where teacher's and student's best token are the same.

    Call arguments: `y_true` the teacher's logits (..., V), `y_pred` the
    student's, `sample_weight` (...).
    """

    def __init__(self, name="teacher_agreement", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        same = ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, -1))
        super().update_state(ops.cast(same, "float32"), sample_weight)
