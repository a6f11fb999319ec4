"""One pass over the vocabulary for all the terms that need it.

Logits for all tokens, (B, T, V), are never held whole. The rows that some term
weighs are gathered first; then they are gone through in chunks. Of each chunk
both models' logits are made, from them every term and its gradient by the
student's logits, from that the gradients by rows, embedding and bias; then the
chunk is dropped. Four vocabulary matmuls a row, nothing recomputed.
"""

import math

import keras
from keras import ops
from keras_kd.losses.loss_term import LossTerm, mask_weights

CHUNK_ROWS = 512


class VocabularyTerm(LossTerm):
    """Base of the terms that are a mean over rows of logits.

    A term overrides `compare(teacher_logits, student_logits, ids)`; and, to
    weigh other rows than the masked ones, `row_weights(batch)`, always (B, T)
    here, and `unmasked_share`. A `Distiller` computes all its vocabulary
    terms in one pass; `compute` makes a pass for this term alone.

    Attributes:
        unmasked_share: Float in [0, 1]. Largest share of a sequence's
            unmasked tokens that have a weight.
    """

    unmasked_share = 0.0

    def compare(self, teacher_logits, student_logits, ids):
        """Loss and gradient of N rows.

        Args:
            teacher_logits: (N, V) float32.
            student_logits: (N, V) float32.
            ids: (N,) int32, the hidden token of masked rows, else 0.

        Returns:
            Pair: the loss of each row, (N,), and its gradient by the
            student's logits, (N, V).
        """
        raise NotImplementedError(
            "A vocabulary term must define `compare(teacher_logits, "
            f"student_logits, ids)`. Received: {type(self).__name__}"
        )

    def compute(self, batch, teacher, student):
        total, _ = vocabulary_pass([self], [1.0], batch, teacher, student)
        return total

    def row_weights(self, batch):
        return masked_rows(batch)[1]


def masked_rows(batch):
    """The hidden token and its weight at each position.

    Returns:
        Pair of (B, T): ids int32, and weights float32; both 0 where nothing
        is masked. A position that stands twice among `mask_positions` has
        the sum of its weights.
    """
    positions = ops.cast(batch["x"]["mask_positions"], "int32")
    weights = ops.cast(mask_weights(batch), "float32")
    ids = ops.where(weights > 0, ops.cast(batch["y"], "int32"), 0)
    rows, length = ops.shape(batch["x"]["padding_mask"])
    positions = positions + length * ops.arange(rows, dtype="int32")[:, None]

    def spread(reduce, values):
        values, where = ops.reshape(values, (-1,)), ops.reshape(positions, -1)
        return ops.reshape(reduce(values, where, rows * length), (rows, length))

    ids = ops.maximum(spread(ops.segment_max, ids), 0)
    return ids, spread(ops.segment_sum, weights)


def vocabulary_pass(
    terms,
    factors,
    batch,
    teacher,
    student,
    chunk_rows=CHUNK_ROWS,
    compile_rows=None,
):
    """All vocabulary terms of a batch, and their weighted sum.

    Args:
        terms: List of `VocabularyTerm`.
        factors: List of float or scalar tensors, one a term.
        batch: Dict, as for `LossTerm.compute`.
        teacher: Dict of the teacher's outputs, and its `head`.
        student: Dict of the student's outputs, and its `head`.
        chunk_rows: Int. Most rows whose logits are held at a time.
        compile_rows: Function that takes and returns a function, such as a
            compiler, for what is done between a chunk's matmuls.

    Returns:
        Pair: the sum of factor · term, differentiable by the student; and the
        list of the terms, unweighted, which are not.
    """
    ids, masked = masked_rows(batch)
    weights = ops.stack([term.row_weights(batch) for term in terms], axis=-1)
    weights = ops.reshape(ops.cast(weights, "float32"), (-1, len(terms)))
    masked = ops.cast(ops.reshape(masked, (-1,)) > 0, "int32")
    weighted = ops.cast(ops.any(weights > 0, axis=-1), "int32")
    order = ops.argsort(-masked - weighted)  # masked first, weightless last
    phases = _phases(terms, batch)
    order = order[: sum(rows for rows, _ in phases)]

    def gather(outputs):
        states = outputs["hidden_states"][-1]
        states = ops.reshape(states, (-1, states.shape[-1]))
        rows = outputs["head"].transform(ops.take(states, order, axis=0))
        return rows, *outputs["head"].vocabulary()

    sums = ops.sum(weights, axis=0)
    factors = ops.stack([ops.cast(factor, "float32") for factor in factors])
    total, losses = _in_chunks(
        terms,
        phases,
        tuple(ops.stop_gradient(part) for part in gather(teacher)),
        gather(student),
        ops.take(ops.reshape(ids, (-1,)), order, axis=0),
        ops.take(weights, order, axis=0),
        ops.divide_no_nan(factors, sums),
        chunk_rows,
        compile_rows or (lambda function: function),
    )
    losses = ops.divide_no_nan(losses, sums)
    return total, [losses[index] for index in range(len(terms))]


def _phases(terms, batch):
    """The masked rows, for all terms; then others, for those that weigh some.

    Returns:
        List of pairs: number of rows, and the terms' indices.
    """
    sequences, length = ops.shape(batch["x"]["padding_mask"])
    slots = ops.shape(batch["x"]["mask_positions"])[1]
    phases = [(sequences * slots, range(len(terms)))]
    share = max(term.unmasked_share for term in terms)
    if share > 0:
        others = length - slots
        if share < 1 and isinstance(length, int):
            others = min(others, math.ceil(share * length))
        wide = [i for i, term in enumerate(terms) if term.unmasked_share > 0]
        phases.append((sequences * others, wide))
    return phases


def _in_chunks(
    terms,
    phases,
    teacher,
    student,
    ids,
    weights,
    means,
    chunk_rows,
    compile_rows,
):
    """Goes through the rows, phase by phase and chunk by chunk.

    Args:
        terms: List of `VocabularyTerm`.
        phases: As `_phases` gives them.
        teacher: Rows (N, D), embedding (V, D), bias (V,).
        student: Rows (N, D'), embedding (V, D'), bias (V,).
        ids: (N,) int32.
        weights: (N, terms) float32; rows without any stand last.
        means: (terms,) float32: factor / sum of the weights.
        chunk_rows: Int.
        compile_rows: Function.

    Returns:
        Pair: the total, differentiable by `student`; and each term's weighted
        sum of losses, (terms,).
    """
    teacher_rows, teacher_embedding, teacher_bias = teacher
    teacher_matrix = _transposed(teacher_embedding, teacher_rows.dtype)
    # Weights relative to the largest stay within what half precision holds;
    # what makes them means is multiplied on at the end, in float32.
    largest = ops.max(means * ops.max(weights, axis=0))
    relative = ops.divide_no_nan(means, largest)
    used = ops.sum(ops.cast(ops.any(weights > 0, axis=-1), "int32"))

    def compare(indices):
        def losses_and_gradient(theirs, ours, bias, ids, weights):
            teacher_logits = ops.cast(theirs, "float32") + teacher_bias
            student_logits = ops.cast(ours, "float32") + bias
            losses = [ops.zeros((), "float32")] * len(terms)
            gradient = 0.0
            for index in indices:
                loss, by_logits = terms[index].compare(
                    teacher_logits, student_logits, ids
                )
                losses[index] = ops.sum(loss * weights[:, index])
                factor = relative[index] * weights[:, index]
                gradient = gradient + factor[:, None] * by_logits
            by_bias = ops.sum(gradient, axis=0)
            return ops.stack(losses), ops.cast(gradient, ours.dtype), by_bias

        return compile_rows(losses_and_gradient)

    @ops.custom_gradient
    def total_and_losses(student_rows, embedding, bias):
        low = student_rows.dtype
        matrix = ops.cast(embedding, low)
        transposed = _transposed(embedding, low)
        losses = ops.zeros(len(terms), "float32")
        by_rows = []
        by_transposed = ops.zeros(transposed.shape, "float32")
        by_bias = ops.zeros(bias.shape, "float32")
        start = 0
        for rows, indices in phases:
            parts = (teacher_rows, student_rows, ids, weights)
            parts = _split(parts, start, rows, chunk_rows)
            losses_and_gradient = compare(indices)

            def add_chunk(
                index, sums, parts=parts, compared=losses_and_gradient
            ):
                losses, by_rows, by_transposed, by_bias = sums
                theirs, ours, ids, weights = (part[index] for part in parts)
                here, by_logits, by_bias_here = compared(
                    ops.matmul(theirs, teacher_matrix),
                    ops.matmul(ours, transposed),
                    bias,
                    ids,
                    weights,
                )
                by_ours = ops.cast(ops.matmul(by_logits, matrix), "float32")
                by_chunk = ops.matmul(ops.transpose(ours), by_logits)
                return (
                    losses + here,
                    ops.slice_update(by_rows, (index, 0, 0), by_ours[None]),
                    by_transposed + ops.cast(by_chunk, "float32"),
                    by_bias + by_bias_here,
                )

            in_use = _divide_up(
                ops.clip(used - start, 0, rows), ops.shape(parts[0])[1]
            )
            sums = losses, ops.zeros_like(parts[1], "float32")
            sums = *sums, by_transposed, by_bias
            losses, by_phase, by_transposed, by_bias = ops.fori_loop(
                0, in_use, add_chunk, sums
            )
            by_phase = ops.reshape(by_phase, (-1, student_rows.shape[-1]))
            by_rows.append(by_phase[:rows])
            start = start + rows
        gradients = (
            (ops.concatenate(by_rows), low),
            (ops.transpose(by_transposed), embedding.dtype),
            (by_bias, bias.dtype),
        )

        def gradient(*upstream, **_):
            by_total = keras.tree.flatten(upstream)[0]
            scale = largest * ops.cast(by_total, "float32")
            return tuple(
                ops.cast(value * scale, dtype) for value, dtype in gradients
            )

        return (ops.sum(means * losses), losses), gradient

    return total_and_losses(*student)


def _split(parts, start, rows, chunk_rows):
    """Rows `start` .. `start + rows` of each part in chunks of one size."""
    chunks = _divide_up(rows, chunk_rows)
    size = _divide_up(rows, chunks)

    def split(part):
        part = part[start : start + rows]
        tail = [[0, 0]] * (len(part.shape) - 1)
        part = ops.pad(part, [[0, chunks * size - rows], *tail])
        return ops.reshape(part, (chunks, size, *part.shape[1:]))

    return [split(part) for part in parts]


def _divide_up(a, b):
    return -(-a // b)


def _transposed(embedding, dtype):
    """(V, D) to (D, V), once, so that no chunk has to."""
    return ops.transpose(ops.cast(embedding, dtype))
