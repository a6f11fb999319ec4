import pathlib

import numpy as np
import pytest
import tensorflow as tf
from keras_kd import probes


def test_xla_works_on_the_processor():
    assert probes.xla_available("CPU:0") == (True, None)


def test_a_device_without_xla_says_why(monkeypatch):
    def no_compiler(*_, **__):
        raise ValueError("Could not find compiler for platform METAL")

    monkeypatch.setattr(tf, "function", no_compiler)
    works, reason = probes.xla_available.__wrapped__("CPU:0")
    assert not works
    assert reason == "Could not find compiler for platform METAL"


def test_the_small_loss_of_no_knowledge_is_the_log_of_the_vocabulary():
    weights = {
        "embedding": np.zeros((64, 32), "float32"),
        "kernel": np.ones((32, 32), "float32"),
        "scale": np.ones(32, "float32"),
    }
    ids = np.zeros((2, 3), "int32")
    loss = probes.small_loss(weights, ids, ids)
    np.testing.assert_allclose(loss, np.log(64), rtol=1e-6)


def test_the_small_step_returns_the_slope_of_its_loss(monkeypatch):
    gradients, draw = probes.small_step("CPU:0")
    # The same step once more, which now returns what it is given.
    monkeypatch.setattr(probes, "gradient_and_draw", lambda *given: given)
    weights, token_ids, labels, _ = probes.small_step("CPU:0")
    for name, gradient in gradients.items():
        step = 1e-2 * gradient / np.linalg.norm(gradient)
        up, down = (
            probes.small_loss(
                {**weights, name: weights[name] + sign * step},
                token_ids,
                labels,
            )
            for sign in (1, -1)
        )
        slope = (float(up) - float(down)) / 2e-2
        np.testing.assert_allclose(slope, np.linalg.norm(gradient), rtol=1e-2)
    assert draw.shape == (16,)


def test_without_a_cpuinfo_the_processor_has_no_bfloat16(monkeypatch):
    def no_such_file(*_):
        raise FileNotFoundError

    monkeypatch.setattr(pathlib.Path, "read_text", no_such_file)
    assert probes.read_cpuinfo() == ""


def test_rounding_is_no_wrong_gradient(fresh_probes, spoil_the_gpu):
    def spoil(gradients, draw):
        return {k: np.float32(1.0005) * g for k, g in gradients.items()}, draw

    spoil_the_gpu(spoil)
    right, distance = probes.gradient_matches_cpu("GPU:0")
    assert right
    assert distance == pytest.approx(5e-4, rel=1e-2)


def test_draws_that_cannot_be_repeated_are_found(fresh_probes, spoil_the_gpu):
    rng = np.random.default_rng(0)
    spoil_the_gpu(lambda _, draw: ({}, rng.random(16)))
    expected = (False, "one seed gives two random draws")
    assert probes.draws_follow_seed("GPU:0") == expected


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_products_are_those_of_a_step(dtype):
    inner = [k for _, k, _ in probes.PRODUCTS]
    assert probes.products(dtype)() == inner  # ones times ones
