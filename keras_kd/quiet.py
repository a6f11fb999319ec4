"""TensorFlow, quietly: its notices stay off the user's terminal.

`quiet_tensorflow` must run before Keras is imported, so this module is the
first thing that `keras_kd/__init__.py` imports, and imports Keras late itself.
"""

import contextlib
import os
import sys
import tempfile


def quiet_tensorflow():
    """Keeps TensorFlow's start-up notices from the user's terminal.

    Imports Keras, which imports TensorFlow only where that is its backend.
    Set `TF_CPP_MIN_LOG_LEVEL=0` in the environment to see the notices again.
    Python's errors and `warnings` are not touched; what TensorFlow logs below
    the level of errors is.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        return
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    with silent_stderr():
        import keras
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")


def import_tensorflow(what):
    """TensorFlow, for what needs it whatever the backend.

    Args:
        what: Str. Who needs it, for the error.

    Raises:
        ImportError: If TensorFlow is not installed.
    """
    try:
        with silent_stderr():
            import tensorflow as tf
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{what} needs TensorFlow, which is not installed: "
            "`pip install tensorflow`"
        ) from error
    return tf


@contextlib.contextmanager
def silent_stderr():
    """Drops what compiled code writes to standard error, unless it fails.

    TensorFlow's C++ writes some notices before its log level is read, below
    Python's `sys.stderr`: only the file descriptor can be turned away.
    """
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (AttributeError, OSError):  # no standard error to be quiet on
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        except BaseException:
            written.seek(0)
            os.write(kept, written.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
