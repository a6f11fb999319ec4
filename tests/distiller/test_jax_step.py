"""What only a process of its own can show: JAX where TensorFlow is not."""

import os
import subprocess
import sys
import textwrap

import pytest


def run(program, **environment):
    pytest.importorskip("jax")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()


SET_UP = """
    import sys
    sys.modules["tensorflow"] = None  # as on a machine without it
    import keras_kd as kd, keras, numpy as np
    config = kd.BertConfig(30, 2, 16, 2, max_sequence_length=16, dropout=0.0)
    teacher = kd.BertMaskedLM(config.with_layers(2, layer_drop=0.5), seed=0)
    random = np.random.default_rng(0)
    ids = random.integers(5, 30, (8, 12))
    x = {
        "token_ids": ids,
        "segment_ids": 0 * ids,
        "padding_mask": 0 * ids + 1,
        "mask_positions": np.tile([[1, 4]], (8, 1)),
    }
    batch = x, ids[:, [1, 4]], np.ones((8, 2), "float32")

    def batches():
        while True:
            yield batch

    def distil(steps):
        student = kd.BertMaskedLM(config.with_layers(1), seed=1)
        losses = kd.distilbert_losses()
        distiller = kd.Distiller(teacher, student, **losses)
        distiller.compile(keras.optimizers.SGD(0.1), jit_compile=True)
        start = kd.InitializeStudent("every_other")
        logs = distiller.fit(
            batches(),
            steps_per_epoch=steps,
            epochs=2,
            callbacks=[start],
            verbose=0,
        ).history["masked_lm"]
        return student, logs
"""


@pytest.mark.slow
def test_an_iterator_trains_a_student_without_tensorflow():
    program = (
        SET_UP
        + """
    student, logs = distil(6)
    print(logs[0], logs[1], sys.modules["tensorflow"])
    try:
        kd.masked_lm_batches(None, None, 8)
    except ImportError as error:
        print(error)
    """
    )
    numbers, error = run(program)
    first, second, tensorflow = numbers.split()
    assert float(second) < float(first) - 0.1
    assert tensorflow == "None"
    assert "`masked_lm_batches` (tf.data) needs TensorFlow" in error


@pytest.mark.slow
def test_two_devices_give_the_weights_of_one():
    program = (
        SET_UP
        + """
    alone, _ = distil(2)
    devices = keras.distribution.list_devices()
    assert len(devices) == 2, devices
    parallel = keras.distribution.DataParallel(devices=devices)
    keras.distribution.set_distribution(parallel)
    teacher = kd.BertMaskedLM(config.with_layers(2, layer_drop=0.5), seed=0)
    both, _ = distil(2)
    pairs = zip(alone.get_weights(), both.get_weights(), strict=True)
    print(max(float(np.abs(a - b).max()) for a, b in pairs))
    """
    )
    flags = "--xla_force_host_platform_device_count=2"
    (difference,) = run(program, XLA_FLAGS=flags)
    assert float(difference) < 1e-5
