"""The soft-target term: KL from the teacher's to the student's tokens.

The plain formula, on logits, is `SoftTargetKL`. The term does not call it on
(B, T, V) logits, which are never held whole: it goes through the rows in
chunks, with the gradient made in the same pass (`chunked_soft_target_kl`,
tested against the formula).
"""

import keras
from keras import ops
from keras_kd.losses.loss_term import LossTerm, mask_weights

CHUNK_ROWS = 512


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
    log_p = ops.log_softmax(teacher_logits / temperature)
    log_q = ops.log_softmax(student_logits / temperature)
    p = ops.exp(log_p)
    kl = ops.sum(p * (log_p - log_q), axis=-1) * temperature**2
    return kl, temperature * (ops.exp(log_q) - p)


def chunked_soft_target_kl(
    teacher_rows,
    teacher_vocabulary,
    student_rows,
    student_vocabulary,
    row_weights,
    temperature,
    chunk_rows=CHUNK_ROWS,
):
    """`SoftTargetKL` from hidden rows, a chunk of the rows at a time.

    Per chunk: both models' logits, the loss, the gradient by the student's
    logits, and that gradient multiplied back onto the rows, the embedding and
    the bias; then the chunk is dropped. Four vocabulary matmuls, nothing
    recomputed, (`chunk_rows`, V) alive.

    Args:
        teacher_rows: (N, D) from the teacher head's `transform`.
        teacher_vocabulary: Pair of embedding (V, D) and bias (V,).
        student_rows: (N, D') from the student head's `transform`.
        student_vocabulary: Pair of embedding (V, D') and bias (V,).
        row_weights: (N,) float; 0 ignores the row.
        temperature: Float or scalar tensor.
        chunk_rows: Int.

    Returns:
        Scalar: the weighted mean over rows; 0 where all weights are 0.
        Differentiable by `student_rows` and `student_vocabulary`.
    """
    embedding, bias = student_vocabulary
    temperature = ops.cast(ops.convert_to_tensor(temperature), "float32")
    teacher_embedding, teacher_bias = teacher_vocabulary
    teacher_embedding = ops.cast(teacher_embedding, teacher_rows.dtype)
    row_weights = ops.cast(row_weights, "float32")
    # Weights relative to the largest stay within what half precision holds;
    # what makes them a mean is multiplied on at the end, in float32.
    largest = ops.max(row_weights)
    relative = ops.divide_no_nan(row_weights, largest)
    mean = ops.divide_no_nan(largest, ops.sum(row_weights))

    number_of_rows = ops.shape(student_rows)[0]
    chunks = (number_of_rows + chunk_rows - 1) // chunk_rows
    padding = chunks * chunk_rows - number_of_rows

    def in_chunks(rows):
        rows = ops.pad(rows, [[0, padding]] + [[0, 0]] * (len(rows.shape) - 1))
        return ops.reshape(rows, (chunks, chunk_rows, *rows.shape[1:]))

    teacher_chunks = in_chunks(teacher_rows)
    weight_chunks = in_chunks(relative)

    @ops.custom_gradient
    def mean_kl(student_rows, embedding, bias):
        student_chunks = in_chunks(student_rows)
        matrix = ops.cast(embedding, student_rows.dtype)

        def add_chunk(index, totals):
            loss, by_rows, by_embedding, by_bias = totals
            rows, weights = student_chunks[index], weight_chunks[index]
            kl, by_logits = kl_and_gradient(
                _logits(teacher_chunks[index], teacher_embedding, teacher_bias),
                _logits(rows, matrix, bias),
                temperature,
            )
            by_logits = by_logits * weights[:, None]
            low = ops.cast(by_logits, rows.dtype)
            by_here = ops.cast(ops.matmul(low, matrix), "float32")
            by_rows = ops.slice_update(by_rows, (index, 0, 0), by_here[None])
            by_chunk = ops.matmul(ops.transpose(low), rows)
            return (
                loss + ops.sum(kl * weights),
                by_rows,
                by_embedding + ops.cast(by_chunk, "float32"),
                by_bias + ops.sum(by_logits, axis=0),
            )

        loss, by_rows, by_embedding, by_bias = ops.fori_loop(
            0,
            chunks,
            add_chunk,
            (
                ops.zeros((), "float32"),
                ops.zeros_like(student_chunks, "float32"),
                ops.zeros(embedding.shape, "float32"),
                ops.zeros(bias.shape, "float32"),
            ),
        )
        width = student_rows.shape[-1]
        by_rows = ops.reshape(by_rows, (chunks * chunk_rows, width))
        gradients = (
            (by_rows[:number_of_rows], student_rows.dtype),
            (by_embedding, embedding.dtype),
            (by_bias, bias.dtype),
        )

        def gradient(*upstream, **_):
            scale = mean * ops.cast(upstream[0], "float32")
            return tuple(
                ops.cast(value * scale, dtype) for value, dtype in gradients
            )

        return mean * loss, gradient

    return mean_kl(student_rows, embedding, bias)


def _logits(rows, embedding, bias):
    """Float32 logits, (N, V), of rows (N, D)."""
    products = ops.matmul(rows, ops.transpose(embedding))
    return ops.cast(products, "float32") + ops.cast(bias, "float32")


@keras.saving.register_keras_serializable(package="keras_kd")
class SoftTargetTerm(LossTerm):
    """Mean over rows of temperature² · KL(teacher || student).

    Rows: all real tokens, [CLS], [SEP] and masked positions included; or the
    masked positions only. Reduction: mean over rows of a sum over the
    vocabulary. Power of the temperature: 2.
    Source: Hinton et al., 2015, https://arxiv.org/abs/1503.02531; over all
    tokens as in Sanh et al., 2019, https://arxiv.org/abs/1910.01108

    Args:
        temperature: Float > 0. Held in a variable, so that a callback may
            assign to it inside a compiled step.
        masked_only: Bool. Masked positions only: cheaper, and another
            objective.

    Raises:
        ValueError: If `temperature` is not above 0 or not finite.
    """

    def __init__(self, temperature=2.0, masked_only=False, **kwargs):
        super().__init__(**kwargs)
        check_temperature(temperature)
        self.masked_only = masked_only
        self.temperature = self.add_weight(
            name="temperature",
            shape=(),
            initializer=keras.initializers.Constant(temperature),
            trainable=False,
        )

    def compute(self, batch, teacher, student):
        if self.masked_only:
            formula = SoftTargetKL()
            formula.temperature = ops.convert_to_tensor(self.temperature)
            return formula(
                teacher["logits"],
                student["logits"],
                sample_weight=self.row_weights(batch),
            )

        def rows(model):
            states = model["hidden_states"][-1]
            flat = ops.reshape(states, (-1, states.shape[-1]))
            return model["head"].transform(flat)

        return chunked_soft_target_kl(
            rows(teacher),
            teacher["head"].vocabulary(),
            rows(student),
            student["head"].vocabulary(),
            ops.reshape(self.row_weights(batch), (-1,)),
            self.temperature,
        )

    def row_weights(self, batch):
        if self.masked_only:
            return mask_weights(batch)
        return super().row_weights(batch)
