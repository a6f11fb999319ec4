import dataclasses

import keras_kd as kd
import keras
import numpy as np
import pytest

# What is quick to build: TensorFlow's own graph; JAX has XLA, or nothing.
JIT = keras.backend.backend() == "jax"
TEXTS = {
    "token_ids": np.array([[2, 9, 8, 3], [2, 7, 3, 0], [2, 5, 6, 3]]),
    "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]]),
}
LABELS = np.array([1, 0, 1])
WEIGHTS = np.array([1.0, 3.0, 0.0], "float32")


def compiled(model, weight, optimizer="sgd"):
    trainer = kd.RDrop(model, weight)
    trainer.compile(optimizer, jit_compile=JIT)
    return trainer


def log_softmax(logits):
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_the_loss_is_of_the_labels_and_of_the_distance(tiny_config):
    trainer = compiled(kd.BertClassifier(tiny_config, ["a", "b"]), 0.5)
    passes = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
    outputs = {"logits": passes[0], "second_logits": passes[1]}
    found = trainer.compute_loss(TEXTS, LABELS, outputs, WEIGHTS)
    log_p, log_q = log_softmax(passes.astype("float64"))
    rows = np.arange(3)
    of_labels = -(log_p[rows, LABELS] + log_q[rows, LABELS]) / 2
    there = (np.exp(log_p) * (log_p - log_q)).sum(-1)
    back = (np.exp(log_q) * (log_q - log_p)).sum(-1)
    expected = of_labels + 0.5 * (there + back) / 2
    np.testing.assert_allclose(found, expected @ WEIGHTS / 4, rtol=1e-5)
    alone = trainer.distance(*passes)
    np.testing.assert_allclose(alone, (there + back).mean() / 2, rtol=1e-5)


def test_numbers_are_apart_by_their_squared_difference(tiny_config):
    trainer = compiled(kd.BertRegressor(tiny_config), 2.0)
    first, second = np.array([[[1.0], [2.0]], [[0.0], [4.0]]], "float32")
    labels, weights = np.array([1.0, 1.0]), np.array([3.0, 1.0])
    outputs = {"logits": first, "second_logits": second}
    found = trainer.compute_loss(None, labels, outputs, weights)
    # Squares of both passes' errors, 0 1 and 1 9; between them 1 and 4.
    expected = (3 * (0 + 1) / 2 + (1 + 9) / 2 + 2 * (3 * 1 + 4)) / 4
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_tokens_without_weight_count_nothing(tiny_config):
    model = kd.BertTokenClassifier(tiny_config, ["O", "B"])
    trainer = compiled(model, 1.0)
    first, second = (
        np.random.default_rng(0).normal(size=(2, 1, 3, 2)).astype("float32")
    )
    weights = np.array([[1.0, 0.0, 1.0]], "float32")
    kept = trainer.distance(first[:, ::2], second[:, ::2])
    found = trainer.distance(first, second, weights)
    np.testing.assert_allclose(found, kept, rtol=1e-6)
    nothing = trainer.distance(first, second, np.zeros((1, 3)))
    assert float(nothing) == 0.0


def test_without_dropout_it_is_the_model_s_own_training(tiny_config):
    """Both passes are the same, so that their distance adds nothing."""
    alone, twice = (
        kd.BertClassifier(tiny_config, ["a", "b"], seed=0) for _ in range(2)
    )
    alone.compile(keras.optimizers.SGD(0.5), jit_compile=JIT)
    trainer = compiled(twice, 7.0, keras.optimizers.SGD(0.5))
    before = twice.get_weights()
    for _ in range(2):
        expected = alone.train_on_batch(TEXTS, LABELS, WEIGHTS)
        found = trainer.train_on_batch(TEXTS, LABELS, WEIGHTS)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    changed = 0.0
    for old, ours, theirs in zip(
        before, twice.get_weights(), alone.get_weights(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        changed = max(changed, np.abs(ours - old).max())
    assert changed > 0.01


def test_passes_differ_by_dropout_in_training_alone(tiny_config):
    config = dataclasses.replace(tiny_config, dropout=0.5)
    model = kd.BertClassifier(config, ["a", "b"], seed=0)
    trainer = compiled(model, 1.0)
    outputs = trainer(TEXTS, training=True)
    assert set(outputs) == {"logits", "second_logits"}
    first, second = (np.asarray(value) for value in outputs.values())
    assert first.shape == second.shape == (3, 2)
    assert np.abs(first - second).min() > 0
    plain = model(TEXTS)["logits"]
    np.testing.assert_array_equal(trainer(TEXTS)["logits"], plain)
    model.compile("sgd", jit_compile=JIT)
    np.testing.assert_allclose(
        trainer.evaluate(TEXTS, LABELS, sample_weight=WEIGHTS, verbose=0),
        model.evaluate(TEXTS, LABELS, sample_weight=WEIGHTS, verbose=0),
        rtol=1e-6,
    )


@pytest.mark.slow
def test_a_greater_weight_brings_the_passes_nearer(tiny_config):
    config = dataclasses.replace(tiny_config, dropout=0.3)
    often = {name: np.tile(part, (20, 1)) for name, part in TEXTS.items()}
    apart = []
    for weight in (0.0, 20.0):
        model = kd.BertClassifier(config, ["a", "b"], seed=0)
        trainer = compiled(model, weight, keras.optimizers.Adam(3e-3))
        trainer.fit(TEXTS, LABELS, epochs=30, shuffle=False, verbose=0)
        passes = trainer(often, training=True).values()
        apart.append(float(trainer.distance(*passes)))
    assert apart[1] < 0.2 * apart[0]


def test_metrics_see_the_first_pass(tiny_config):
    model = kd.BertClassifier(tiny_config, ["a", "b"], seed=0)
    trainer = kd.RDrop(model)
    trainer.compile("sgd", metrics=["accuracy"], jit_compile=JIT)
    guesses = np.argmax(model(TEXTS)["logits"], -1)
    history = trainer.fit(TEXTS, LABELS, verbose=0).history
    right = np.mean(guesses == LABELS)
    np.testing.assert_allclose(history["accuracy"], [right], rtol=1e-6)
    assert trainer.backbone is model.backbone


@pytest.mark.parametrize("weight", [-0.1, float("inf"), float("nan")])
def test_a_weight_out_of_range_is_refused(tiny_config, weight):
    model = kd.BertClassifier(tiny_config, ["a", "b"])
    with pytest.raises(ValueError, match="`weight` must be 0 or more"):
        kd.RDrop(model, weight)
