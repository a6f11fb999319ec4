import dataclasses

import keras_kd as kd
import numpy as np
import pytest

TEXTS = {
    "token_ids": np.array([[2, 9, 8, 3], [2, 7, 3, 0]]),
    "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]]),
}
TASKS = [
    (kd.BertClassifier, {"class_names": ["a", "b"]}),
    (kd.BertRegressor, {}),
    (kd.BertTokenClassifier, {"class_names": ["O", "B"]}),
    (kd.BertSpanExtractor, {}),
]


@pytest.mark.parametrize(("model_class", "arguments"), TASKS)
def test_a_task_starts_from_a_copy_of_an_encoder(
    tiny_config, model_class, arguments
):
    encoder = kd.BertMaskedLM(tiny_config, seed=3)
    model = model_class.from_encoder(encoder, seed=0, **arguments)
    np.testing.assert_array_equal(
        model(TEXTS)["hidden_states"][-1],
        encoder.backbone(TEXTS)["hidden_states"][-1],
    )
    before = np.asarray(model(TEXTS)["logits"])
    encoder.backbone.encoder_layers[0].query.kernel.assign_add(
        np.ones((16, 16))
    )
    np.testing.assert_array_equal(model(TEXTS)["logits"], before)


def test_an_encoder_outlives_the_training_of_its_copy(tiny_config):
    encoder = kd.BertMaskedLM(tiny_config, seed=3)
    before = np.asarray(encoder.backbone(TEXTS)["hidden_states"][-1])
    model = kd.BertClassifier.from_encoder(encoder, class_names=["a", "b"])
    model.compile("adamw")
    model.fit(TEXTS, np.array([0, 1]), verbose=0)
    after = encoder.backbone(TEXTS)["hidden_states"][-1]
    np.testing.assert_array_equal(after, before)


def test_a_pooler_is_copied_where_there_is_one_else_random(tiny_config):
    with_pooler = dataclasses.replace(tiny_config, pooler=True)
    encoder = kd.BertBackbone(with_pooler, seed=3)
    model = kd.BertClassifier.from_encoder(encoder, class_names=["a", "b"])
    np.testing.assert_array_equal(
        model(TEXTS)["pooled"], encoder(TEXTS)["pooled"]
    )
    encoder = kd.BertBackbone(tiny_config, seed=3)
    models = [
        kd.BertClassifier.from_encoder(encoder, seed, class_names=["a", "b"])
        for seed in (0, 0, 1)
    ]
    kernels = [np.asarray(model.backbone.pooler.kernel) for model in models]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0


def test_a_head_of_another_task_is_left_behind(tiny_config):
    first = kd.BertClassifier(tiny_config, ["a", "b", "c"], seed=0)
    second = kd.BertClassifier.from_encoder(first, class_names=["x", "y"])
    assert second(TEXTS)["logits"].shape == (2, 2)
    np.testing.assert_array_equal(
        second(TEXTS)["pooled"], first(TEXTS)["pooled"]
    )


@pytest.mark.parametrize(("model_class", "arguments"), TASKS)
def test_what_is_cut_out_of_a_task_model_is_its_sub_network(
    tiny_config, model_class, arguments
):
    model = model_class(tiny_config, seed=0, **arguments)
    student = kd.extract_student(model, [1])
    np.testing.assert_allclose(
        student(TEXTS)["logits"],
        model.subnetwork([1])(TEXTS)["logits"],
        atol=1e-6,
    )


@pytest.mark.parametrize(("model_class", "arguments"), TASKS)
def test_the_head_has_dropout_of_its_own(tiny_config, model_class, arguments):
    model = model_class(
        tiny_config, classifier_dropout=0.5, seed=0, **arguments
    )
    once, twice = (
        np.asarray(model(TEXTS, training=True)["logits"]) for _ in range(2)
    )
    assert np.abs(once - twice).max() > 0
    np.testing.assert_array_equal(
        model(TEXTS)["logits"], model(TEXTS, training=False)["logits"]
    )


@pytest.mark.parametrize(("model_class", "arguments"), TASKS)
def test_predict_gives_logits_alone_one_row_a_text(
    tiny_config, model_class, arguments
):
    model = model_class(tiny_config, seed=0, **arguments)
    filled = {n: np.pad(v, ((0, 2), (0, 0))) for n, v in TEXTS.items()}
    found = model.predict(filled, verbose=0)
    assert list(found) == ["logits"]
    np.testing.assert_allclose(
        found["logits"], model(TEXTS)["logits"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("model_class", "arguments"), TASKS)
def test_predict_takes_batches_of_several_widths(
    tiny_config, model_class, arguments
):
    model = model_class(tiny_config, seed=0, **arguments)
    wide = {n: np.pad(v, ((0, 0), (0, 2))) for n, v in TEXTS.items()}
    batches = ((x,) for x in (TEXTS, wide))
    found = model.predict(batches, steps=2, verbose=0)["logits"]
    logits = np.array(model(wide)["logits"])
    narrow = logits.copy()
    if model_class is kd.BertTokenClassifier:
        narrow[:, 4:] = 0.0
    if model_class is kd.BertSpanExtractor:
        narrow[..., 4:] = -1e9
    expected = np.concatenate([narrow, logits])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
