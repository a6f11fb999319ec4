"""The noise that weights start from, or zeros where nobody will see it."""

import contextlib
import contextvars

import keras

_ZEROS = contextvars.ContextVar("zeros", default=False)


def noise(standard_deviation, seed):
    """The initializer of kernels and embeddings: a truncated normal.

    Args:
        standard_deviation: Float.
        seed: Int.
    """
    if _ZEROS.get():
        return keras.initializers.Zeros()
    return keras.initializers.TruncatedNormal(
        stddev=standard_deviation, seed=seed
    )


@contextlib.contextmanager
def starting_from_zeros():
    """Models made under this `with` start from zeros.

    For weights that are read from a file next: to draw noise first takes
    time, and three times the memory of the largest.
    """
    token = _ZEROS.set(True)
    try:
        yield
    finally:
        _ZEROS.reset(token)
