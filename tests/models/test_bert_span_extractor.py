import dataclasses

import keras_kd as kd
import keras
import numpy as np
import pytest
from keras import ops

TEXTS = {
    "token_ids": np.array([[2, 9, 8, 3, 7, 3], [2, 7, 3, 5, 3, 0]]),
    "segment_ids": np.array([[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0]]),
    "padding_mask": np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]]),
}


@pytest.fixture
def model(tiny_config):
    model = kd.BertSpanExtractor(tiny_config, seed=0)
    model.classifier.bias.assign([0.5, -2.0])
    return model


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_each_token_may_start_or_end_an_answer(model):
    outputs = model(TEXTS)
    kernel, bias = model.classifier.get_weights()
    states = np.asarray(outputs["hidden_states"][-1])
    logits = np.asarray(outputs["logits"])
    assert logits.shape == (2, 2, 6)
    for side in (0, 1):
        expected = states @ kernel[:, side] + bias[side]
        expected[1, 5] = -1e9
        np.testing.assert_allclose(logits[:, side], expected, rtol=1e-4)
    assert "pooled" not in outputs


def test_padding_changes_nothing(model):
    longer = {name: np.pad(x, [(0, 0), (0, 3)]) for name, x in TEXTS.items()}
    logits = np.asarray(model(longer)["logits"])
    expected = np.asarray(model(TEXTS)["logits"])
    np.testing.assert_allclose(logits[..., :6], expected, atol=1e-5)
    assert (logits[..., 6:] == -1e9).all()


def test_the_loss_is_the_mean_of_starts_and_ends(model):
    labels = np.array([[4, 5], [0, 3]])
    log_p = log_softmax(np.asarray(model(TEXTS)["logits"], "float64"))
    nats = -np.take_along_axis(log_p, labels[..., None], -1)[..., 0]
    model.compile("sgd", jit_compile=False)
    ones = np.ones((2, 2), "float32")
    loss = model.test_on_batch(TEXTS, labels, ones)
    np.testing.assert_allclose(
        loss, (nats[:, 0].mean() + nats[:, 1].mean()) / 2, rtol=1e-5
    )
    weights = np.array([[1, 1], [0, 0]], "float32")
    loss = model.test_on_batch(TEXTS, labels, weights)
    np.testing.assert_allclose(loss, nats[0].mean(), rtol=1e-5)


def test_one_below_its_teacher_learns_starts_and_ends(model, tiny_config):
    student = kd.BertSpanExtractor(tiny_config.with_layers(1), seed=1)
    theirs, ours = (
        np.asarray(m(TEXTS)["logits"], "float64") / 2 for m in (model, student)
    )
    # Padding has no share in either.
    kl = np.zeros((2, 2))
    for text, length in ((0, 6), (1, 5)):
        log_p = log_softmax(theirs[text, :, :length])
        log_q = log_softmax(ours[text, :, :length])
        kl[text] = 4 * (np.exp(log_p) * (log_p - log_q)).sum(-1)
    labels = np.array([[4, 5], [0, 3]])
    log_q = log_softmax(2 * ours)
    nats = -np.take_along_axis(log_q, labels[..., None], -1).mean()
    distiller = kd.Distiller(model, student, **kd.task_losses())
    distiller.compile("sgd", jit_compile=False)
    logs = distiller.test_on_batch(TEXTS, labels, return_dict=True)
    np.testing.assert_allclose(logs["soft_target"], kl.mean(), rtol=1e-4)
    np.testing.assert_allclose(logs["label"], nats, rtol=1e-5)
    np.testing.assert_allclose(
        logs["loss"], 0.5 * kl.mean() + 0.5 * nats, rtol=1e-4
    )


def test_its_config_makes_it_again(tiny_config):
    config = dataclasses.replace(tiny_config, pooler=True)
    model = kd.BertSpanExtractor(config, classifier_dropout=0.3, seed=4)
    again = kd.BertSpanExtractor.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert again.dropout.rate == 0.3
    assert not again.config.pooler
    np.testing.assert_array_equal(
        again(TEXTS)["logits"], model(TEXTS)["logits"]
    )


def test_fewer_layers_and_their_inside_are_seen(model):
    part = model.subnetwork([1])(TEXTS)
    assert part["logits"].shape == (2, 2, 6)
    assert len(part["hidden_states"]) == 2
    seen = model.observing(["keys"])(TEXTS)
    np.testing.assert_array_equal(seen["logits"], model(TEXTS)["logits"])


@pytest.mark.slow
def test_it_learns_its_texts_and_is_saved(model, tmp_path):
    labels = np.array([[4, 4], [0, 0]])
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    first = model.evaluate(TEXTS, labels, verbose=0)
    model.fit(TEXTS, labels, epochs=40, verbose=0)
    assert model.evaluate(TEXTS, labels, verbose=0) < 0.3 * first
    logits = ops.argmax(model(TEXTS)["logits"], axis=-1)
    np.testing.assert_array_equal(logits, labels)
    model.save(tmp_path / "span.keras")
    again = keras.saving.load_model(tmp_path / "span.keras")
    np.testing.assert_array_equal(
        again(TEXTS)["logits"], model(TEXTS)["logits"]
    )
