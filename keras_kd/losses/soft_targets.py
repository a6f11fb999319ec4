"""The soft-target terms: from the teacher's logits to the student's.

`SoftTargetKL` is the formula on logits; the terms compare a chunk of rows at a
time, inside the pass over the vocabulary.
"""

import keras
from keras import ops
from keras_kd.losses.row_sums import exponentials, row_sum
from keras_kd.losses.vocabulary import VocabularyTerm, masked_rows


def check_temperature(temperature):
    """Refuses a temperature that is not above 0, or not finite."""
    if not 0 < temperature < float("inf"):
        raise ValueError(
            "`temperature` must be greater than 0, and finite. "
            f"Received: {temperature}"
        )


@keras.saving.register_keras_serializable(package="keras_kd")
class SoftTargetKL(keras.losses.Loss):
    """KL(teacher || student) at `temperature`, times temperature².

    Logits are (..., V); a `sample_weight` of 0 ignores that row.
    Source: Hinton et al., 2015, https://arxiv.org/abs/1503.02531

    Raises:
        ValueError: If `temperature` is not above 0 or not finite.
    """

    def __init__(self, temperature=2.0, name="soft_target_kl", **kwargs):
        super().__init__(
            name=name, **{"reduction": "mean_with_sample_weight", **kwargs}
        )
        check_temperature(temperature)
        self.temperature = temperature

    def call(self, teacher_logits, student_logits):
        kl, _ = kl_and_gradient(
            teacher_logits, student_logits, self.temperature
        )
        return kl

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


def kl_and_gradient(teacher_logits, student_logits, temperature):
    """Per row, temperature² · KL and its gradient by the student's logits.

    Args:
        teacher_logits: (..., V) float.
        student_logits: (..., V) float.
        temperature: Float or scalar tensor.

    Returns:
        Pair: KL, (...), and temperature · (student's - teacher's
        probabilities), (..., V).
    """
    scale = 1.0 / temperature
    theirs, of_p, sum_p = exponentials(teacher_logits, scale)
    ours, of_q, sum_q = exponentials(student_logits, scale)
    # A row's number is divided by, and not each number of the row.
    by_p, by_q = 1.0 / sum_p, 1.0 / sum_q
    p, q = of_p * by_p, of_q * by_q
    log_ratio = (theirs - ours) + log_quotient(by_p, by_q)
    # q - p sums to 0, up to the rounding that the first part has too, of the
    # other sign: near the teacher, that rounding would be all that is left.
    kl = row_sum(p * log_ratio + (q - p)) * temperature**2
    return kl, temperature * (q - p)


def log_quotient(a, b):
    """Logarithm of a / b, both > 0, to its last digits where they are near."""
    size = ops.log1p(ops.abs(a - b) / ops.minimum(a, b))
    return ops.where(a < b, -size, size)


@keras.saving.register_keras_serializable(package="keras_kd")
class SoftTargetTerm(VocabularyTerm):
    """Mean over rows of temperature² · KL(teacher || student).

    Rows: all real tokens, [CLS], [SEP] and masked positions included; or the
    masked positions and a share of the other tokens, drawn anew at each
    training step. Reduction: mean over rows of a sum over the vocabulary.
    Power of the temperature: 2.
    Source: Hinton et al., 2015, https://arxiv.org/abs/1503.02531; over all
    tokens as in Sanh et al., 2019, https://arxiv.org/abs/1910.01108

    Args:
        temperature: Float > 0. Held in a variable, so that a callback may
            assign to it inside a compiled step.
        unmasked_share: Float in [0, 1]. Share of each sequence's unmasked
            tokens that have soft targets, rounded up: 1 for all of them, 0
            for masked positions only, which is cheaper, and another
            objective.

    Raises:
        ValueError: If `temperature` is not above 0 or not finite, or
            `unmasked_share` is not in [0, 1].
    """

    def __init__(self, temperature=2.0, unmasked_share=1.0, **kwargs):
        super().__init__(**kwargs)
        check_temperature(temperature)
        check_share(unmasked_share)
        self.unmasked_share = unmasked_share
        self.temperature = self.add_weight(
            name="temperature",
            shape=(),
            initializer=keras.initializers.Constant(temperature),
            trainable=False,
        )

    def compare(self, teacher_logits, student_logits, ids):
        temperature = ops.convert_to_tensor(self.temperature)
        return kl_and_gradient(teacher_logits, student_logits, temperature)

    def row_weights(self, batch):
        return weights_of_share(batch, self.unmasked_share)


@keras.saving.register_keras_serializable(package="keras_kd")
class LogitsMSETerm(VocabularyTerm):
    """Mean over rows of the squared distance between both models' logits.

    Rows: as `SoftTargetTerm`. Reduction: mean over rows of a sum over the
    vocabulary. Power of the temperature: 0.
    Source: Ba & Caruana, 2013, https://arxiv.org/abs/1312.6184; over tokens
    as in the scripts of Sanh et al., 2019, https://arxiv.org/abs/1910.01108

    Args:
        unmasked_share: Float in [0, 1]. As of `SoftTargetTerm`.

    Raises:
        ValueError: If `unmasked_share` is not in [0, 1].
    """

    def __init__(self, unmasked_share=1.0, **kwargs):
        super().__init__(**kwargs)
        check_share(unmasked_share)
        self.unmasked_share = unmasked_share

    def compare(self, teacher_logits, student_logits, ids):
        distance = student_logits - teacher_logits
        return row_sum(distance * distance), 2.0 * distance

    def row_weights(self, batch):
        return weights_of_share(batch, self.unmasked_share)


def check_share(unmasked_share):
    """Refuses a share out of [0, 1]."""
    if not 0 <= unmasked_share <= 1:
        raise ValueError(
            f"`unmasked_share` must be in [0, 1]. Received: {unmasked_share}"
        )


def weights_of_share(batch, unmasked_share):
    """Weights of the masked positions and a share of the other real tokens.

    Which others is decided by the batch's `draws`, (B, T) in [0, 1), that a
    `Distiller` makes at each training step; without, always by the same.

    Returns:
        (B, T) float32.
    """
    real = ops.cast(batch["x"]["padding_mask"], "float32")
    if unmasked_share == 1:
        return real
    masked = masked_rows(batch)[1]
    if unmasked_share == 0:
        return masked
    draws = batch.get("draws")
    if draws is None:
        draws = keras.random.uniform(ops.shape(real), seed=0)
    eligible = real * ops.cast(masked == 0, "float32")
    draws = ops.where(eligible > 0, ops.cast(draws, "float32"), 2.0)
    rank = ops.argsort(ops.argsort(draws, axis=-1), axis=-1)
    wanted = unmasked_share * ops.sum(eligible, axis=-1, keepdims=True)
    chosen = ops.cast(rank, "float32") < wanted
    return masked + eligible * ops.cast(chosen, "float32")
