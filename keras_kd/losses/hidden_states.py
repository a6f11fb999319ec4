"""Hidden-state terms: distances between teacher's and student's states."""

import keras
from keras import ops
from keras_kd.losses.loss_term import LossTerm


@keras.saving.register_keras_serializable(package="keras_kd")
class HiddenStateCosine(keras.losses.Loss):
    """1 - cos(teacher, student) over the last axis.

    Inputs are (..., D); a `sample_weight` of 0 ignores that row. Each squared
    norm gets 1e-12 added, as in the source's framework.
    Source: Sanh et al., 2019, https://arxiv.org/abs/1910.01108
    """

    def __init__(self, name="hidden_state_cosine", **kwargs):
        super().__init__(
            name=name, **{"reduction": "mean_with_sample_weight", **kwargs}
        )

    def call(self, teacher_states, student_states):
        def squared(a):
            return ops.sum(a * a, axis=-1) + 1e-12

        product = ops.sum(teacher_states * student_states, axis=-1)
        norms = squared(teacher_states) * squared(student_states)
        return 1.0 - product * ops.rsqrt(norms)


@keras.saving.register_keras_serializable(package="keras_kd")
class HiddenStateTerm(LossTerm):
    """Mean of 1 - cos between both models' last hidden states.

    Rows: all real tokens (`padding_mask`), [CLS] and [SEP] included.
    Reduction: mean. Power of the temperature: 0.
    Source: Sanh et al., 2019, https://arxiv.org/abs/1910.01108
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.formula = HiddenStateCosine()

    def compute(self, batch, teacher, student):
        return self.formula(
            teacher["hidden_states"][-1],
            student["hidden_states"][-1],
            sample_weight=self.row_weights(batch),
        )

    def build_for(self, teacher, student):
        if teacher.hidden_dim != student.hidden_dim:
            raise ValueError(
                "`student` must have the teacher's `hidden_dim` to compare "
                f"hidden states. Expected: {teacher.hidden_dim}. "
                f"Received: {student.hidden_dim}"
            )
