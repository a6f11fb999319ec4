import keras_kd as kd
import keras
import numpy as np
import pytest

TEXTS = {
    "token_ids": np.array([[2, 9, 8, 3], [2, 7, 3, 0]]),
    "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]]),
}


def test_a_classifier_is_a_dense_layer_over_the_pooled_state(tiny_config):
    model = kd.BertClassifier(tiny_config, ["a", "b", "c"], seed=0)
    model.classifier.bias.assign([1.0, 2.0, 3.0])
    outputs = model(TEXTS)
    kernel, bias = model.classifier.get_weights()
    expected = np.asarray(outputs["pooled"]) @ kernel + bias
    np.testing.assert_allclose(outputs["logits"], expected, rtol=1e-5)
    plain = model.backbone(TEXTS)["hidden_states"][-1]
    np.testing.assert_array_equal(outputs["hidden_states"][-1], plain)
    part = model.subnetwork([1])(TEXTS)["logits"]
    assert part.shape == (2, 3)
    seen = model.observing(["keys"])(TEXTS)
    np.testing.assert_array_equal(seen["logits"], outputs["logits"])


@pytest.mark.slow
def test_a_classifier_learns_its_texts_and_is_saved(tiny_config, tmp_path):
    model = kd.BertClassifier(
        tiny_config, ["a", "b"], classifier_dropout=0.2, seed=0
    )
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    labels = np.array([1, 0])
    first = model.evaluate(TEXTS, labels, verbose=0)
    logits = np.asarray(model(TEXTS)["logits"], "float64")
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(first, -log_p[[0, 1], labels].mean(), rtol=1e-5)
    model.fit(TEXTS, labels, epochs=60, verbose=0)
    assert model.evaluate(TEXTS, labels, verbose=0) < 0.5 * first
    model.save(tmp_path / "classifier.keras")
    again = keras.saving.load_model(tmp_path / "classifier.keras")
    assert again.get_config() == model.get_config()
    assert again.class_names == ["a", "b"]
    np.testing.assert_array_equal(
        again(TEXTS)["logits"], model(TEXTS)["logits"]
    )


@pytest.mark.parametrize("names", [[], ["a", "b", "a"]])
def test_a_classifier_has_classes_of_different_names(tiny_config, names):
    with pytest.raises(ValueError, match="`class_names` must name a class"):
        kd.BertClassifier(tiny_config, names)


def test_a_regressor_gives_a_number_and_learns_by_its_square(tiny_config):
    model = kd.BertRegressor(tiny_config, seed=0)
    model.classifier.bias.assign([0.5])
    outputs = model(TEXTS)
    kernel, bias = model.classifier.get_weights()
    expected = np.asarray(outputs["pooled"]) @ kernel + bias
    np.testing.assert_allclose(outputs["logits"], expected, rtol=1e-5)
    model.compile("sgd", jit_compile=False)
    labels, weights = np.array([2.0, -1.0]), np.array([1.0, 3.0])
    loss = model.test_on_batch(TEXTS, labels, weights)
    squares = (expected[:, 0] - labels) ** 2
    np.testing.assert_allclose(loss, (squares @ weights) / 4, rtol=1e-5)
    again = kd.BertRegressor.from_config(model.get_config())
    assert again.get_config() == model.get_config()


def test_a_score_of_a_sigmoid_learns_by_cross_entropy(tiny_config):
    model = kd.BertRegressor(tiny_config, seed=0, sigmoid=True)
    model.classifier.bias.assign([0.5])
    logits = np.asarray(model(TEXTS)["logits"], "float64")[:, 0]
    scores = 1 / (1 + np.exp(-logits))
    found = np.asarray(model.score(model(TEXTS)["logits"]))[:, 0]
    np.testing.assert_allclose(found, scores, rtol=1e-5)
    model.compile("sgd", weighted_metrics=["mse"], jit_compile=False)
    labels = np.array([1.0, 0.25])
    loss, mse = model.test_on_batch(TEXTS, labels)
    nats = labels * np.log(scores) + (1 - labels) * np.log(1 - scores)
    np.testing.assert_allclose(loss, -nats.mean(), rtol=1e-5)
    np.testing.assert_allclose(mse, ((scores - labels) ** 2).mean(), rtol=1e-5)
    again = kd.BertRegressor.from_config(model.get_config())
    assert again.sigmoid


def test_a_classifier_has_two_classes_or_more(tiny_config):
    expected = "`class_names` .*at least 2 here.*`BertRegressor`"
    with pytest.raises(ValueError, match=expected):
        kd.BertClassifier(tiny_config, ["good"])
    with pytest.raises(ValueError, match=expected):
        kd.BertClassifier.from_encoder(
            kd.BertBackbone(tiny_config), class_names=["good"]
        )
