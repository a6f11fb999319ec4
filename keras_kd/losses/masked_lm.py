"""The masked-LM term: cross-entropy of the student on the hidden tokens."""

import keras
from keras_kd.losses.loss_term import LossTerm, mask_weights


@keras.saving.register_keras_serializable(package="keras_kd")
class MaskedLMTerm(LossTerm):
    """Mean cross-entropy in nats over the masked positions (weight 1).

    Rows: `mask_positions` whose weight is not 0. Reduction: mean. Power of
    the temperature: 0. Teacher: not used.
    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.formula = keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )

    def compute(self, batch, teacher, student):
        return self.formula(
            batch["y"], student["logits"], sample_weight=self.row_weights(batch)
        )

    def row_weights(self, batch):
        return mask_weights(batch)
