"""Sums and maxima over the vocabulary, the way that is fast where they run."""

import functools

from keras import ops
from keras_kd.runtime import on_processor

PIECES = 8  # of a row whose maximum is wanted
PIECES_FROM = 1024  # numbers in a row


def row_sum(values):
    """Sum over the last axis: (..., V) float32 to (...).

    On processors as a product with ones, which goes many numbers at a time;
    XLA's own sum of a row does not. GPUs may round the factors of a product,
    so there it is a sum.
    """
    if not on_processor():
        return ops.sum(values, axis=-1)
    ones = ops.ones((ops.shape(values)[-1], 1), values.dtype)
    return ops.squeeze(ops.matmul(values, ones), axis=-1)


def row_max(values):
    """Maximum over the last axis: (..., V) to (...).

    On processors first of pieces of the row, number by number, which goes
    many at a time; XLA's own maximum of a row does not.
    """
    width = values.shape[-1]
    if not on_processor() or width is None or width < PIECES_FROM:
        return ops.max(values, axis=-1)
    piece = -(-width // PIECES)
    starts = [min(i * piece, width - piece) for i in range(PIECES)]
    pieces = [values[..., start : start + piece] for start in starts]
    return ops.max(functools.reduce(ops.maximum, pieces), axis=-1)


def exponentials(logits, scale=1.0):
    """What softmax and its logarithm are made of, each number once.

    Args:
        logits: (..., V) float.
        scale: Float or scalar tensor, > 0, that multiplies them.

    Returns:
        Triple: the scaled logits less their largest, (..., V); their
        exponentials, (..., V); and the sum of those, (..., 1).
    """
    shifted = (logits - row_max(logits)[..., None]) * scale
    exponential = ops.exp(shifted)
    return shifted, exponential, row_sum(exponential)[..., None]
