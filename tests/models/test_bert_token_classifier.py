import dataclasses

import keras_kd as kd
import keras
import numpy as np
import pytest

NAMES = ["O", "B-X", "I-X"]
TOKENS = {
    "token_ids": np.array([[2, 9, 8, 3], [2, 7, 3, 0]]),
    "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]]),
}
TAGS = np.array([[0, 1, 2, 0], [0, 2, 0, 0]])
WEIGHTS = np.array([[0, 1, 1, 0], [0, 1, 0, 0]], "float32")


def log_softmax(logits):
    logits = np.asarray(logits, "float64")
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_logits_are_a_dense_layer_over_each_tokens_last_state(tiny_config):
    model = kd.BertTokenClassifier(tiny_config, NAMES, seed=0)
    model.classifier.bias.assign([1.0, 2.0, 3.0])
    outputs = model(TOKENS)
    assert outputs["logits"].shape == (2, 4, 3)
    kernel, bias = model.classifier.get_weights()
    states = np.asarray(outputs["hidden_states"][-1])
    expected = states @ kernel + bias
    np.testing.assert_allclose(outputs["logits"], expected, rtol=1e-5)
    assert "pooled" not in outputs
    plain = model.backbone(TOKENS)["hidden_states"][-1]
    np.testing.assert_array_equal(states, plain)


def test_there_is_no_pooler_whatever_the_config_says(tiny_config):
    config = dataclasses.replace(tiny_config, pooler=True)
    model = kd.BertTokenClassifier(config, NAMES, seed=0)
    assert not model.config.pooler
    assert not any("pooler" in name for name in model.named_variables())


def test_the_loss_is_of_the_tokens_that_have_weight(tiny_config):
    model = kd.BertTokenClassifier(tiny_config, NAMES, seed=0)
    model.compile("sgd", jit_compile=False)
    loss = model.test_on_batch(TOKENS, TAGS, WEIGHTS)
    log_p = log_softmax(model(TOKENS)["logits"])
    expected = -(log_p[0, 1, 1] + log_p[0, 2, 2] + log_p[1, 1, 2]) / 3
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.slow
def test_it_learns_its_tags(tiny_config):
    model = kd.BertTokenClassifier(tiny_config, NAMES, seed=0)
    model.compile(keras.optimizers.Adam(3e-2), jit_compile=False)
    first = model.train_on_batch(TOKENS, TAGS, WEIGHTS)
    for _ in range(30):
        last = model.train_on_batch(TOKENS, TAGS, WEIGHTS)
    assert last < 0.2 * first
    guesses = np.argmax(model(TOKENS)["logits"], axis=-1)
    np.testing.assert_array_equal(guesses[WEIGHTS > 0], TAGS[WEIGHTS > 0])


def test_a_student_learns_from_the_logits_of_all_real_tokens(tiny_config):
    teacher, student = (
        kd.BertTokenClassifier(tiny_config, NAMES, seed=seed) for seed in (0, 1)
    )
    for model in (teacher, student):
        kernel = np.random.default_rng(len(model.weights)).normal(size=(16, 3))
        model.classifier.kernel.assign(kernel)
    losses = kd.task_losses(temperature=2.0, per_token=True)
    distiller = kd.Distiller(teacher, student, **losses)
    distiller.compile("sgd", jit_compile=False)
    logs = distiller.test_on_batch(TOKENS, TAGS, WEIGHTS, return_dict=True)
    logits = [np.asarray(m(TOKENS)["logits"]) for m in (teacher, student)]
    log_p, log_q = (log_softmax(some / 2) for some in logits)
    kl = 4 * np.sum(np.exp(log_p) * (log_p - log_q), axis=-1)
    expected = kl[TOKENS["padding_mask"] > 0].mean()
    np.testing.assert_allclose(logs["soft_target"], expected, rtol=1e-4)
    nats = -np.take_along_axis(log_softmax(logits[1]), TAGS[..., None], -1)[
        ..., 0
    ]
    expected = nats[WEIGHTS > 0].mean()
    np.testing.assert_allclose(logs["label"], expected, rtol=1e-5)


def test_it_is_saved_with_its_names(tiny_config, tmp_path):
    model = kd.BertTokenClassifier(
        tiny_config, NAMES, classifier_dropout=0.25, seed=0
    )
    config = model.get_config()
    assert config["class_names"] == NAMES
    assert config["classifier_dropout"] == 0.25
    assert kd.BertTokenClassifier.from_config(config).get_config() == config
    model.save(tmp_path / "tagger.keras")
    again = keras.saving.load_model(tmp_path / "tagger.keras")
    assert again.get_config() == config
    np.testing.assert_array_equal(
        again(TOKENS)["logits"], model(TOKENS)["logits"]
    )


def test_it_starts_from_an_encoder_and_leaves_its_head_behind(tiny_config):
    encoder = kd.BertClassifier(tiny_config, ["a", "b"], seed=3)
    model = kd.BertTokenClassifier.from_encoder(
        encoder, seed=0, class_names=NAMES
    )
    theirs = encoder.backbone.named_variables()
    for name, variable in model.backbone.named_variables().items():
        np.testing.assert_array_equal(variable, theirs[name])
    assert model.classifier.kernel.shape == (16, 3)


def test_layers_are_cut_out_with_head_and_names(tiny_config):
    model = kd.BertTokenClassifier(tiny_config, NAMES, seed=0)
    student = kd.extract_student(model, [1], 1)
    assert student.class_names == NAMES
    part = model.subnetwork([1])(TOKENS)["logits"]
    np.testing.assert_allclose(student(TOKENS)["logits"], part, atol=1e-6)
    seen = model.observing(["keys"])(TOKENS)
    np.testing.assert_array_equal(seen["logits"], model(TOKENS)["logits"])


def test_dropout_of_the_head_is_of_the_states(tiny_config):
    model = kd.BertTokenClassifier(
        tiny_config, NAMES, classifier_dropout=0.5, seed=0
    )
    plain = np.asarray(model(TOKENS)["logits"])
    dropped = np.asarray(model(TOKENS, training=True)["logits"])
    assert np.abs(plain - dropped).max() > 1e-4


@pytest.mark.parametrize("names", [[], ["O", "O"], None])
def test_each_class_has_another_name(tiny_config, names):
    with pytest.raises(ValueError, match="`class_names` must name a class"):
        kd.BertTokenClassifier(tiny_config, names)
