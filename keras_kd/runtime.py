"""Which device, XLA or not, mixed precision; and a quiet TensorFlow.

`quiet_tensorflow` must run before TensorFlow is imported, so this module is
the first thing that `keras_kd/__init__.py` imports.
"""

import contextlib
import functools
import os
import platform
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


@functools.cache
def xla_available(device="CPU:0"):
    """Compiles a small training step with XLA on `device` and runs it.

    Apple's Metal plugin has no XLA, so only trying tells.

    Args:
        device: TensorFlow device name, such as "CPU:0" or "GPU:0".

    Returns:
        Pair (bool, None or the reason it failed).
    """
    import tensorflow as tf

    def step(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            loss = tf.reduce_sum(tf.nn.softmax(tf.nn.gelu(x @ kernel)))
        noise = tf.random.stateless_uniform((4, 4), seed=[1, 2])
        return tape.gradient(loss, kernel) + noise

    try:
        with silent_stderr(), tf.device(device):
            compiled = tf.function(step, jit_compile=True)
            compiled(tf.ones((2, 4)), tf.ones((4, 4))).numpy()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        return False, str(error)
    return True, None


def training_device():
    """Name of the device that training will use: "GPU:0" or "CPU:0"."""
    import tensorflow as tf

    return "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"


def choose_jit_compile():
    """Whether `compile(jit_compile=...)` should be True on this machine.

    Where XLA works on the device that will be used, except in bfloat16 on CPU,
    where only the plain graph gains from it. In float32 on CPU, a step of a
    small masked-LM model took 0.9 to 1.3 times as long with XLA as without
    (recipes/README.md): there `False` is worth a try.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return keras.backend.backend() == "jax"
    device = training_device()
    half = keras.config.dtype_policy().compute_dtype == "bfloat16"
    if half and device.startswith("CPU"):
        return False
    return xla_available(device)[0]


def doctor():
    """Says what this machine will run on, as a dict; prints it as a table.

    Returns:
        Dict of str: versions, backend, device, XLA and why not.
    """
    import keras
    import tensorflow as tf
    from rich.console import Console
    from rich.table import Table

    device = training_device()
    xla, reason = xla_available(device)
    facts = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        "keras backend": keras.backend.backend(),
        "tensorflow": tf.__version__,
        "processors": str(os.cpu_count()),
        "device": device,
        "XLA": "works" if xla else f"not available: {reason}",
        "precision": keras.config.dtype_policy().name,
    }
    table = Table(title="keras_kd on this machine", show_header=False)
    for name, value in facts.items():
        table.add_row(name, value)
    Console().print(table)
    return facts
