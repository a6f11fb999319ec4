"""Rows through the vocabulary in chunks, their gradients made on the way.

Of each chunk both models' logits are made, from them every term and its
gradient by the student's logits, from that the gradients by rows, embedding
and bias; then the chunk is dropped. Four vocabulary matmuls a row, nothing
recomputed. Matmuls want many rows at a time, GPUs more than processors. On
processors what lies between them goes over the logits again and again, so it
takes few rows, that stay in the cache; elsewhere it takes the whole chunk.
"""

import keras
from keras import ops
from keras_kd.runtime import on_processor

CHUNK_ROWS = 384  # on processors
ACCELERATOR_CHUNK_ROWS = 4096
# GPUs multiply matrices of other widths at less than half the speed.
ACCELERATOR_WIDTH_MULTIPLE = 128
BLOCK_ROWS = 8
BLOCK_NUMBERS = 2**18  # logits of a block where the vocabulary is small


def chunked_pass(
    terms,
    phases,
    teacher,
    student,
    ids,
    weights,
    means,
    compile_rows,
    loop,
    chunk_rows=None,
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
        compile_rows: Function.
        loop: Function, as `keras.ops.fori_loop`, that goes through the chunks.
        chunk_rows: Int; None for what suits the device.

    Returns:
        Pair: the total, differentiable by `student`; and each term's weighted
        sum of losses, (terms,).
    """
    in_blocks = on_processor()
    if chunk_rows is None:
        chunk_rows = CHUNK_ROWS if in_blocks else ACCELERATOR_CHUNK_ROWS
    teacher_rows, teacher_embedding, teacher_bias = teacher
    vocabulary_size = teacher_embedding.shape[0]
    missing = 0 if in_blocks else -vocabulary_size % ACCELERATOR_WIDTH_MULTIPLE

    def matrix_of(embedding, dtype):
        matrix = ops.cast(embedding, dtype)
        return ops.pad(matrix, [[0, missing], [0, 0]]) if missing else matrix

    teacher_matrix = matrix_of(teacher_embedding, teacher_rows.dtype)
    # Weights relative to the largest stay within what half precision holds;
    # what makes them means is multiplied on at the end, in float32.
    largest = ops.max(means * ops.max(weights, axis=0))
    relative = ops.divide_no_nan(means, largest)
    used = ops.sum(ops.cast(ops.any(weights > 0, axis=-1), "int32"))

    def compare(indices):
        def compare_rows(theirs, ours, bias, ids, weights):
            teacher_logits = ops.cast(theirs, "float32") + teacher_bias
            student_logits = ops.cast(ours, "float32") + bias
            losses = [ops.zeros((), "float32")] * len(terms)
            by_logits = 0.0
            for term in indices:
                loss, by_term = terms[term].compare(
                    teacher_logits, student_logits, ids
                )
                losses[term] = ops.sum(loss * weights[:, term])
                factor = relative[term] * weights[:, term]
                by_logits = by_logits + factor[:, None] * by_term
            by_bias = ops.sum(by_logits, axis=0)
            return ops.stack(losses), ops.cast(by_logits, ours.dtype), by_bias

        def compare_whole(theirs, ours, bias, ids, weights):
            theirs, ours = (
                part[:, :vocabulary_size] for part in (theirs, ours)
            )
            losses, by_logits, by_bias = compare_rows(
                theirs, ours, bias, ids, weights
            )
            return losses, ops.pad(by_logits, [[0, 0], [0, missing]]), by_bias

        def compare_in_blocks(theirs, ours, bias, ids, weights):
            dtypes = theirs.dtype, ours.dtype

            def add_block(index, sums):
                losses, gradient, by_bias = sums
                theirs, ours, ids, weights = (part[index] for part in blocks)
                theirs, ours = (
                    ops.view(bits, dtype)
                    for bits, dtype in zip((theirs, ours), dtypes, strict=True)
                )
                here, by_logits, by_bias_here = compare_rows(
                    theirs, ours, bias, ids, weights
                )
                bits = as_bits(by_logits)
                return (
                    losses + here,
                    ops.scatter_update(gradient, [[index]], bits[None]),
                    by_bias + by_bias_here,
                )

            parts = as_bits(theirs), as_bits(ours), ids, weights
            rows = max(BLOCK_ROWS, BLOCK_NUMBERS // bias.shape[0])
            blocks = [split_rows(part, rows) for part in parts]
            sums = (
                ops.zeros(len(terms), "float32"),
                ops.zeros_like(blocks[1]),
                ops.zeros_like(bias, "float32"),
            )
            losses, gradient, by_bias = ops.fori_loop(
                0, ops.shape(blocks[0])[0], add_block, sums
            )
            gradient = ops.reshape(gradient, (-1, bias.shape[0]))
            gradient = gradient[: ops.shape(ours)[0]]
            return losses, ops.view(gradient, dtypes[1]), by_bias

        return compile_rows(compare_in_blocks if in_blocks else compare_whole)

    @ops.custom_gradient
    def total_and_losses(student_rows, embedding, bias):
        low = student_rows.dtype
        matrix = matrix_of(embedding, low)
        losses = ops.zeros(len(terms), "float32")
        by_rows = []
        by_embedding = ops.zeros(matrix.shape, "float32")
        by_bias = ops.zeros(bias.shape, "float32")
        start = 0
        for rows, indices in phases:
            parts = [
                split_rows(part[start : start + rows], chunk_rows, BLOCK_ROWS)
                for part in (teacher_rows, student_rows, ids, weights)
            ]
            numbers = ops.arange(ops.shape(parts[0])[0])[:, None, None]
            losses_and_gradient = compare(indices)

            def add_chunk(
                index,
                sums,
                parts=parts,
                numbers=numbers,
                compared=losses_and_gradient,
            ):
                losses, by_rows, by_embedding, by_bias = sums
                theirs, ours, ids, weights = (part[index] for part in parts)
                here, by_logits, by_bias_here = compared(
                    ops.matmul(theirs, ops.transpose(teacher_matrix)),
                    ops.matmul(ours, ops.transpose(matrix)),
                    bias,
                    ids,
                    weights,
                )
                by_ours = ops.cast(ops.matmul(by_logits, matrix), "float32")
                by_chunk = ops.matmul(ops.transpose(by_logits), ours)
                return (
                    losses + here,
                    ops.where(numbers == index, by_ours, by_rows),
                    by_embedding + ops.cast(by_chunk, "float32"),
                    by_bias + by_bias_here,
                )

            in_use = divide_up(
                ops.clip(used - start, 0, rows), ops.shape(parts[0])[1]
            )
            sums = losses, ops.zeros_like(parts[1], "float32")
            sums = *sums, by_embedding, by_bias
            losses, by_phase, by_embedding, by_bias = loop(
                0, in_use, add_chunk, sums
            )
            by_phase = ops.reshape(by_phase, (-1, student_rows.shape[-1]))
            by_rows.append(by_phase[:rows])
            start = start + rows
        gradients = (
            (ops.concatenate(by_rows), low),
            (by_embedding[:vocabulary_size], embedding.dtype),
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


def as_bits(values):
    """Half precision as integers of the same bits.

    On processors XLA slices and updates arrays of half precision in float32,
    the whole array each time; integers as they are.
    """
    half = keras.backend.standardize_dtype(values.dtype).endswith("float16")
    return ops.view(values, "int16") if half else values


def split_rows(part, most, multiple=1):
    """(N, ...) to (chunks, at most `most`, ...), filled up with zeros.

    As few chunks as can be, of one size, a multiple of `multiple`.
    """
    rows = ops.shape(part)[0]
    chunks = divide_up(rows, most)
    size = divide_up(divide_up(rows, chunks), multiple) * multiple
    filled = ops.pad(
        part, [[0, chunks * size - rows], *[[0, 0]] * (len(part.shape) - 1)]
    )
    return ops.reshape(filled, (chunks, size, *part.shape[1:]))


def divide_up(a, b):
    """The quotient, rounded up."""
    return -(-a // b)
