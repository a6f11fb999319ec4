"""Sums over the vocabulary, the way that is fast where they run."""

from keras import ops
from keras_kd.runtime import on_processor


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


def log_softmax(logits):
    """`keras.ops.log_softmax` over the last axis, by `row_sum`."""
    shifted = logits - ops.max(logits, axis=-1, keepdims=True)
    return shifted - ops.log(row_sum(ops.exp(shifted)))[..., None]
