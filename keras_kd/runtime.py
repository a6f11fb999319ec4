"""Which device, XLA or not, mixed precision; and a quiet TensorFlow.

`python -m keras_kd.runtime` says what this machine will train with.

`quiet_tensorflow` must run before Keras is imported, so this module is the
first thing that `keras_kd/__init__.py` imports, and imports Keras late itself.
"""

import contextlib
import functools
import importlib
import logging
import os
import pathlib
import platform
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from keras_kd.huge_pages import huge_pages_advice

# Python warns of a module that its package has imported before `-m` runs it.
warnings.filterwarnings("ignore", "'keras_kd.runtime' found", RuntimeWarning)

# Largest distance of a gradient from the CPU's, relative to its length. A
# GPU that multiplies in TensorFloat-32 comes near it, a wrong kernel does not.
GRADIENT_TOLERANCE = 1e-3

HIDE_THE_GPU = (
    "To train on the CPU, begin the program with "
    '`tf.config.set_visible_devices([], "GPU")`; on JAX, set JAX_PLATFORMS=cpu.'
)


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


def training_device():
    """Name of the device that training will use, as "GPU:0" or "CPU:0".

    Raises:
        RuntimeError: On a backend other than TensorFlow and JAX.
    """
    import keras

    backend = keras.config.backend()
    if backend == "jax":
        import jax

        return f"{jax.local_devices()[0].platform.upper()}:0"
    if backend != "tensorflow":
        raise RuntimeError(
            "Training needs the TensorFlow or the JAX backend. Received: "
            f"KERAS_BACKEND={backend}"
        )
    import tensorflow as tf

    for kind in ("TPU", "GPU"):
        if tf.config.list_logical_devices(kind):
            return f"{kind}:0"
    return "CPU:0"


@functools.cache
def on_processor():
    """Whether Keras computes on CPUs, as far as it tells."""
    import keras

    if keras.config.backend() not in ("tensorflow", "jax"):
        return False  # they name no devices
    devices = keras.distribution.list_devices()
    return all(device.startswith("cpu") for device in devices)


def on_metal(device):
    """Whether `device` is Apple's GPU."""
    machine = platform.system(), platform.machine()
    return machine == ("Darwin", "arm64") and not device.startswith("CPU")


def metal_is_installed():
    """Whether TensorFlow has a Metal plugin, its GPU hidden or not."""
    import tensorflow as tf

    return on_metal("GPU") and bool(tf.config.list_physical_devices("GPU"))


def small_loss(weights, token_ids, labels):
    """Cross-entropy of one narrow encoder layer with a tied head, in float32.

    Args:
        weights: Dict of str to array: `embedding` (V, D), `kernel` (D, D),
            `scale` (D,).
        token_ids: (B, T) int32.
        labels: (B, T) int32.
    """
    from keras import ops

    embedding = weights["embedding"]
    x = ops.take(embedding, token_ids, axis=0)
    scores = ops.softmax(ops.matmul(x, ops.swapaxes(x, 1, 2)))
    x = ops.layer_normalization(x + ops.matmul(scores, x)) * weights["scale"]
    x = ops.gelu(ops.matmul(x, weights["kernel"]), approximate=False)
    logits = ops.matmul(x, ops.transpose(embedding))
    log_p = ops.log_softmax(logits)
    return -ops.mean(ops.take_along_axis(log_p, labels[..., None], axis=-1))


def gradient_and_draw(weights, token_ids, labels, seed):
    """Gradients of `small_loss` by name; 16 draws under `seed`, (2,) uint32."""
    import keras

    if keras.config.backend() == "jax":
        import jax

        gradients = jax.grad(small_loss)(weights, token_ids, labels)
        return gradients, jax.random.uniform(seed, (16,))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = small_loss(weights, token_ids, labels)
    gradients = tape.gradient(loss, weights)
    draw = tf.random.stateless_uniform((16,), tf.cast(seed, "int32"))
    return {k: tf.convert_to_tensor(g) for k, g in gradients.items()}, draw


def small_step(device, seed=0, jit_compile=False):
    """Runs `gradient_and_draw` on `device`, the same inputs at every call.

    Args:
        device: Name of a device, as from `training_device`.
        seed: Int. Seed of the draw.
        jit_compile: Whether XLA compiles the step; else a plain graph on
            TensorFlow, operation by operation on JAX.

    Returns:
        Pair (dict of str to gradient, draw (16,)), NumPy arrays.
    """
    import keras

    rng = np.random.default_rng(0)
    shapes = {"embedding": (64, 32), "kernel": (32, 32), "scale": (32,)}
    weights = {k: rng.normal(size=v) / 4 for k, v in shapes.items()}
    # Arguments, not constants: those would be folded away, on the CPU.
    arguments = (
        {k: v.astype("float32") for k, v in weights.items()},
        rng.integers(64, size=(4, 16)).astype("int32"),
        rng.integers(64, size=(4, 16)).astype("int32"),
        np.array([seed, 0], "uint32"),
    )
    if keras.config.backend() == "jax":
        import jax

        kind, index = device.split(":")
        place = jax.local_devices(backend=kind.lower())[int(index)]
        step = jax.jit(gradient_and_draw) if jit_compile else gradient_and_draw
        # A TPU would round the factors to bfloat16, which is no fault.
        with jax.default_matmul_precision("float32"):
            return jax.device_get(step(*jax.device_put(arguments, place)))
    import tensorflow as tf

    def run():
        with tf.device(device):
            step = tf.function(
                gradient_and_draw, autograph=False, jit_compile=jit_compile
            )
            outcome = step(*tf.nest.map_structure(tf.constant, arguments))
            return tf.nest.map_structure(lambda x: x.numpy(), outcome)

    # A thread of its own runs at once, also while this one traces a step.
    with silent_stderr(), ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def probe(function):
    """Asks once; a probe that raises answers (False, the reason)."""

    @functools.cache
    @functools.wraps(function)
    def answer(*args):
        try:
            return function(*args)
        except Exception as error:  # whatever a driver may come up with
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return False, lines[0]

    return answer


@probe
def xla_available(device="CPU:0"):
    """Compiles a small training step with XLA on `device` and runs it.

    Apple's Metal plugin has no XLA, so only trying tells.

    Args:
        device: Name of a device, such as "CPU:0" or "GPU:0".

    Returns:
        Pair (bool, None or the reason it failed).
    """
    small_step(device, jit_compile=True)
    return True, None


@probe
def gradient_matches_cpu(device):
    """Compares one gradient on `device` with the CPU's, without XLA.

    The step has what an encoder has: embedding lookup, matrix products,
    softmax, layer norm, GELU, cross-entropy.

    Args:
        device: Name of a device, such as "GPU:0".

    Returns:
        Pair (True, largest distance relative to the CPU's gradient), or
        (False, which gradient is wrong and by how much).
    """
    expected, _ = small_step("CPU:0")
    found, _ = small_step(device)
    distances = {
        name: np.linalg.norm(found[name] - value) / np.linalg.norm(value)
        for name, value in expected.items()
    }
    for name, distance in distances.items():
        if not distance <= GRADIENT_TOLERANCE:  # NaN is wrong too
            return False, (
                f"the gradient of the `{name}` is {distance:.1g} times its "
                f"length away from the CPU's, {GRADIENT_TOLERANCE} is allowed"
            )
    return True, float(max(distances.values()))


@probe
def draws_follow_seed(device):
    """Whether two seeds give two draws on `device`, and one seed the same.

    Where no seed matters, every dropout falls on the same units.

    Returns:
        Pair (bool, None or what is wrong).
    """
    (_, one), (_, again) = small_step(device, 1), small_step(device, 1)
    _, other = small_step(device, 2)
    if not np.array_equal(one, again):
        return False, "one seed gives two random draws"
    if np.array_equal(one, other):
        return False, "two seeds give the same random draw"
    return True, None


def processor_has_bfloat16(cpuinfo):
    """Whether the text of /proc/cpuinfo names bfloat16 instructions (x86)."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(cpuinfo.split())


def read_cpuinfo():
    """The text of /proc/cpuinfo; empty where there is none."""
    try:
        return pathlib.Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return ""


@probe
def gpu_has_bfloat16():
    """Whether the first GPU computes in bfloat16: CUDA from Ampere on.

    Returns:
        Pair (bool, its compute capability or why there is none).
    """
    import keras

    if keras.config.backend() == "jax":
        import jax

        text = jax.local_devices()[0].compute_capability
        capability = tuple(int(number) for number in text.split("."))
    else:
        import tensorflow as tf

        gpu = tf.config.get_visible_devices("GPU")[0]
        details = tf.config.experimental.get_device_details(gpu)
        capability = details.get("compute_capability", (0, 0))
    name = ".".join(str(number) for number in capability)
    return capability >= (8, 0), f"CUDA compute capability {name}"


def precision_choice(device):
    """Pair (dtype policy for `device`, a sentence that says why)."""
    import keras

    if on_metal(device):
        return "float32", "Nobody has measured bfloat16 on Metal."
    if device.startswith("TPU"):
        return "mixed_bfloat16", "TPUs multiply in bfloat16."
    if not device.startswith("CPU"):
        has, why = gpu_has_bfloat16()
        return ("mixed_bfloat16" if has else "float32"), f"{why}."
    if keras.config.backend() == "jax":
        return "float32", "On a CPU, XLA gains nothing from bfloat16."
    if processor_has_bfloat16(read_cpuinfo()):
        return "mixed_bfloat16", "The CPU has bfloat16 instructions."
    return "float32", "The CPU names no bfloat16 instructions."


def jit_choice(device):
    """Pair (bool for `jit_compile`, a sentence that says why).

    Args:
        device: Name of a device, as from `training_device`.
    """
    import keras

    if keras.config.backend() == "jax":
        return True, "JAX always compiles with XLA."
    if on_metal(device) or metal_is_installed():
        return False, (
            "Apple's Metal plugin has no XLA, and Keras does without it where "
            "the plugin is installed: training steps run as a plain graph."
        )
    if device.startswith("CPU"):  # recipes/README.md, benchmark_step.py
        return False, (
            "On a CPU TensorFlow's own graph is faster. What gains from XLA a "
            "Distiller compiles by itself, where XLA works."
        )
    works, reason = xla_available(device)
    if not works:
        return False, (
            f"XLA does not compile for {device} ({reason}): training steps "
            "run as a plain graph."
        )
    return True, f"XLA compiles for {device}."


def device_troubles(device):
    """Sentences on what `device` gets wrong; none where it can be trusted."""
    return [
        f"{device} is not to be trusted: {reason}. {HIDE_THE_GPU}"
        for right, reason in (
            gradient_matches_cpu(device),
            draws_follow_seed(device),
        )
        if not right
    ]


@functools.cache
def say(sentence):
    """Logs a sentence as a warning, once."""
    logging.getLogger("keras_kd").warning(sentence)


def choose_precision():
    """Name of the dtype policy that suits this machine.

    "mixed_bfloat16" where the CPU (x86, TensorFlow's plain graph) or the GPU
    (CUDA, compute capability 8.0 on) has it, and on TPUs; "float32" elsewhere,
    Metal included. It sets nothing: hand it on, or another of your choice.

    ```python
    keras.config.set_dtype_policy(kd.choose_precision())
    ```
    """
    return precision_choice(training_device())[0]


def choose_jit_compile():
    """Whether `compile(jit_compile=...)` should be True on this machine.

    On a GPU or TPU where XLA works there; on a CPU not, where TensorFlow's own
    graph is faster; on JAX always. A GPU without XLA is named in the log,
    once. So is a Metal GPU that computes a wrong gradient or draws the same
    numbers for all seeds.
    """
    device = training_device()
    chosen, why = jit_choice(device)
    if not chosen and not device.startswith("CPU"):
        say(why)
    if on_metal(device):
        for trouble in device_troubles(device):
            say(trouble)
    return chosen


def doctor():
    """Says what this machine will train with, as a dict; prints it as a table.

    A probe that fails is a line of the table, not an error.

    Returns:
        Dict: versions; "device"; what the probes of "XLA", "gradient" and
        "random draws" found (str); the choices "precision" (str) and
        "jit_compile" (bool), each with a sentence under "why ...";
        "memory" where JAX could have huge pages; "advice" where a probe says
        that the device computes wrong.
    """
    import keras
    from rich.console import Console
    from rich.table import Table

    backend = keras.config.backend()
    try:
        device = training_device()
    except Exception as error:  # every probe below then says so too
        device = f"none: {error}"
    xla, no_xla = xla_available(device)
    same_gradient, distance = gradient_matches_cpu(device)
    good_draws, bad_draws = draws_follow_seed(device)
    precision, why_precision = precision_choice(device)
    jit_compile, why_jit_compile = jit_choice(device)
    facts = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        "keras backend": backend,
        backend: importlib.import_module(backend).__version__,
        "processors": str(os.cpu_count()),
        "device": device,
        "XLA": "works" if xla else f"not available: {no_xla}",
        "gradient": (
            f"the CPU's, to {distance:.0e}"
            if same_gradient
            else f"not to be trusted: {distance}"
        ),
        "random draws": (
            "follow the seed"
            if good_draws
            else f"not to be trusted: {bad_draws}"
        ),
        "precision": precision,
        "why precision": why_precision,
        "jit_compile": jit_compile,
        "why jit_compile": why_jit_compile,
    }
    memory = huge_pages_advice(backend, device)
    if memory:
        facts["memory"] = memory
    if not (same_gradient and good_draws):
        facts["advice"] = HIDE_THE_GPU
    table = Table(title="keras_kd on this machine", show_header=False)
    for name, value in facts.items():
        table.add_row(name, str(value))
    # Reasons come from drivers: their brackets are no markup.
    Console(markup=False, highlight=False).print(table)
    return facts


if __name__ == "__main__":
    doctor()
