"""One pass over the vocabulary for all the terms that need it.

Logits for all tokens, (B, T, V), are never held whole: the rows that some term
weighs are gathered first, then `chunked_pass` goes through them.
"""

import math

from keras import ops
from keras_kd.losses.chunked_pass import chunked_pass
from keras_kd.losses.loss_term import LossTerm, mask_weights


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
    chunk_rows=None,
    compile_rows=None,
    loop=ops.fori_loop,
    enclose=None,
):
    """All vocabulary terms of a batch, and their weighted sum.

    Args:
        terms: List of `VocabularyTerm`.
        factors: List of float or scalar tensors, one a term.
        batch: Dict, as for `LossTerm.compute`.
        teacher: Dict of the teacher's outputs, and its `head`.
        student: Dict of the student's outputs, and its `head`.
        chunk_rows: Int. Most rows whose logits are held at a time; None for
            what suits the device.
        compile_rows: Function that takes and returns a function, such as a
            compiler, for what is done between a chunk's matmuls.
        loop: Function, as `keras.ops.fori_loop`, that goes through the chunks.
        enclose: Function that takes and returns a function, for the pass as a
            whole: it is called with all the tensors that it needs.

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
    numbers, indices = zip(*_phases(terms, batch), strict=True)
    order = order[: sum(numbers)]

    def gather(outputs):
        states = outputs["hidden_states"][-1]
        states = ops.reshape(states, (-1, states.shape[-1]))
        rows = outputs["head"].transform(ops.take(states, order, axis=0))
        return rows, *outputs["head"].vocabulary()

    sums = ops.sum(weights, axis=0)
    factors = ops.stack([ops.cast(factor, "float32") for factor in factors])

    def go_through(rows, *tensors):
        return chunked_pass(
            terms,
            list(zip(rows, indices, strict=True)),
            *tensors,
            compile_rows or (lambda function: function),
            loop,
            chunk_rows,
        )

    total, losses = (enclose or (lambda function: function))(go_through)(
        numbers,
        tuple(ops.stop_gradient(part) for part in gather(teacher)),
        gather(student),
        ops.take(ops.reshape(ids, (-1,)), order, axis=0),
        ops.take(weights, order, axis=0),
        ops.divide_no_nan(factors, sums),
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
