"""Which device, XLA or not, mixed precision.

`python -m keras_kd.runtime` says what this machine will train with.
"""

import functools
import importlib
import logging
import os
import platform
import warnings

from keras_kd.huge_pages import huge_pages_advice
from keras_kd.probes import (
    bfloat16_is_faster,
    draws_follow_seed,
    gpu_has_bfloat16,
    gradient_matches_cpu,
    processor_has_bfloat16,
    read_cpuinfo,
    xla_available,
)

# Python warns of a module that its package has imported before `-m` runs it.
warnings.filterwarnings("ignore", "'keras_kd.runtime' found", RuntimeWarning)

HIDE_THE_GPU = (
    "To train on the CPU, begin the program with "
    '`tf.config.set_visible_devices([], "GPU")`; on JAX, set JAX_PLATFORMS=cpu.'
)


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
    if not processor_has_bfloat16(read_cpuinfo()):
        return "float32", "The CPU names no bfloat16 instructions."
    faster, ratio = bfloat16_is_faster()
    if isinstance(ratio, str):  # it does not run
        return "float32", f"The CPU's bfloat16 products fail: {ratio}."
    return ("mixed_bfloat16" if faster else "float32"), (
        "The CPU has bfloat16 instructions; products of a step's shapes run "
        f"{ratio:.2f} times as fast as in float32."
    )


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

    "mixed_bfloat16" where the CPU (x86, TensorFlow's plain graph) has it and
    multiplies faster in it, which is measured once (under a second), where the
    GPU has it (CUDA, compute capability 8.0 on), and on TPUs; "float32"
    elsewhere, Metal included. Why, with what was measured, is logged (INFO of
    "keras_kd"). It sets nothing: hand it on, or another of your choice.

    ```python
    keras.config.set_dtype_policy(kd.choose_precision())
    ```
    """
    precision, why = precision_choice(training_device())
    logging.getLogger("keras_kd").info("%s: %s", precision, why)
    return precision


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
