"""What a device can do, found out by trying."""

import functools
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from keras_kd.quiet import silent_stderr

# Largest distance of a gradient from the CPU's, relative to its length. A
# GPU that multiplies in TensorFloat-32 comes near it, a wrong kernel does not.
GRADIENT_TOLERANCE = 1e-3
# A small encoder's products, (rows, inner, columns): attention, feed-forward
# there and back, the vocabulary of the masked rows.
PRODUCTS = (
    (1024, 256, 256),
    (1024, 256, 1024),
    (1024, 1024, 256),
    (160, 256, 4000),
)
TURNS = 5
GAIN = 1.1  # of the products, below which a step's casts eat it up


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


def products(dtype):
    """A function that runs `PRODUCTS` on the CPU, in a graph of TensorFlow."""
    import tensorflow as tf

    with tf.device("CPU:0"):
        factors = [
            (tf.ones((m, k), dtype), tf.ones((k, n), dtype))
            for m, k, n in PRODUCTS
        ]
        run = tf.function(
            lambda pairs: [tf.matmul(*pair)[0, 0] for pair in pairs],
            autograph=False,
        )

    def run_once():
        with tf.device("CPU:0"):
            return [number.numpy() for number in run(factors)]

    return run_once


def seconds_of(function):
    """Seconds that a function takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@probe
def bfloat16_is_faster():
    """Whether the CPU multiplies faster in bfloat16 than in float32.

    A processor may name the instructions, and its host hide those that make
    them fast. Each takes its turns; its fastest counts. Under a second.

    Returns:
        Pair (bool, how many times as fast, float; or why it does not run).
    """

    def measure():
        runs = {dtype: products(dtype) for dtype in ("float32", "bfloat16")}
        times = {dtype: [] for dtype in runs}
        for _ in range(1 + TURNS):
            for dtype, run in runs.items():
                times[dtype].append(seconds_of(run))
        return {dtype: min(found[1:]) for dtype, found in times.items()}

    # A thread of its own runs at once, also while this one traces a step.
    with silent_stderr(), ThreadPoolExecutor(1) as thread:
        fastest = thread.submit(measure).result()
    ratio = fastest["float32"] / fastest["bfloat16"]
    return ratio > GAIN, ratio


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
