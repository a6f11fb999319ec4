import dataclasses

import keras_kd as kd
import keras
import numpy as np
import pytest


@pytest.fixture
def batches(store, tokenizer):
    return kd.masked_lm_batches(store, tokenizer, 8, seed=0)


def test_logits_stand_at_the_masked_positions(tiny_config, batches):
    model = kd.BertMaskedLM(tiny_config, seed=0)
    x, ids, _ = next(iter(batches))
    outputs = model(x)
    assert outputs["logits"].shape == (*ids.shape, tiny_config.vocabulary_size)
    head = model.head(outputs["hidden_states"][-1], x["mask_positions"])
    np.testing.assert_allclose(outputs["logits"], head, atol=1e-6)


def test_loss_is_the_cross_entropy_at_masked_positions(tiny_config, batches):
    model = kd.BertMaskedLM(tiny_config, seed=0)
    model.compile("sgd", jit_compile=False)
    x, ids, weights = next(batches.as_numpy_iterator())
    loss = model.test_on_batch(x, ids, weights)
    logits = np.asarray(model(x)["logits"], "float64")
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    truth = np.take_along_axis(log_p, np.asarray(ids)[..., None], -1)[..., 0]
    expected = -np.sum(truth * weights) / np.sum(weights)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_learns_the_sentences(tiny_config, batches, jit_compile):
    config = dataclasses.replace(tiny_config, layer_drop=0.2)
    model = kd.BertMaskedLM(config, seed=0)
    model.compile(
        keras.optimizers.AdamW(1e-2),
        weighted_metrics=["sparse_categorical_accuracy"],
        jit_compile=jit_compile,
    )
    history = model.fit(batches, epochs=15, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 0.5
    assert history["sparse_categorical_accuracy"][-1] > 0.1


def test_the_decoder_is_tied_and_named_once(tiny_config):
    model = kd.BertMaskedLM(tiny_config, seed=0)
    names = model.named_variables()
    assert len({id(v) for v in names.values()}) == len(names)
    assert len(names) == len(model.weights)
    assert (
        model.head.token_embedding is model.backbone.embeddings.token_embedding
    )


@pytest.mark.slow
def test_a_saved_model_gives_the_same_logits_and_trains_on(
    tiny_config, batches, tmp_path
):
    config = dataclasses.replace(tiny_config, layer_drop=0.3)
    model = kd.BertMaskedLM(config, seed=0)
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    model.fit(batches.take(2), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x, _, _ = next(iter(batches))
    np.testing.assert_array_equal(again(x)["logits"], model(x)["logits"])
    assert int(again.optimizer.iterations) == 2
    again.fit(batches.take(1), verbose=0)
    assert int(again.optimizer.iterations) == 3


@pytest.mark.slow
def test_the_same_seed_trains_the_same(tiny_config, store, tokenizer):
    config = dataclasses.replace(tiny_config, layer_drop=0.4, dropout=0.1)
    losses = []
    for _ in range(2):
        model = kd.BertMaskedLM(config, seed=0)
        model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
        batches = kd.masked_lm_batches(store, tokenizer, 8, seed=0)
        losses.append(model.fit(batches, epochs=2, verbose=0).history["loss"])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("dtype", [None, "mixed_bfloat16"])
def test_an_explicit_precision_is_saved_with_the_model(
    tiny_config, tmp_path, dtype
):
    model = kd.BertMaskedLM(tiny_config, seed=0, dtype=dtype)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = dtype or "float32"
    for one in (model, loaded, loaded.backbone):
        assert one.dtype_policy.name == expected
    assert loaded.head.dense.dtype_policy.name == expected
    assert loaded.get_config()["dtype"] == dtype


def test_an_observing_model_scores_the_masked_positions_too(
    tiny_config, batches
):
    config = dataclasses.replace(tiny_config, layer_drop=0.3)
    model = kd.BertMaskedLM(config, seed=0)
    observing = model.observing(("attention_scores", "values"))
    x, _, _ = next(iter(batches))
    plain, found = model(x), observing(x)
    assert set(found) == {*plain, "attention_scores", "values"}
    np.testing.assert_array_equal(found["logits"], plain["logits"])
    assert [v.shape for v in found["values"]] == [(8, 12, 2, 8)] * 2
    with pytest.raises(ValueError, match="observed in training"):
        observing(x, training=True)


def test_a_head_may_have_an_activation_and_an_epsilon_of_its_own(tiny_config):
    config = dataclasses.replace(
        tiny_config, head_activation="relu", head_layer_norm_epsilon=0.5
    )
    model = kd.BertMaskedLM(config, seed=0)
    assert model.head.activation == "relu"
    assert model.head.norm.epsilon == 0.5
    layer = model.backbone.encoder_layers[0]
    assert (layer.activation, layer.attention_norm.epsilon) == ("gelu", 1e-12)


def test_untied_the_head_has_a_matrix_that_trains_and_is_saved(
    tiny_config, tmp_path, batches
):
    config = dataclasses.replace(tiny_config, tie_embeddings=False)
    model = kd.BertMaskedLM(config, seed=0)
    names = model.named_variables()
    assert names["masked_lm_head/decoder"] is model.head.decoder
    model.compile("sgd", jit_compile=False)
    before = np.asarray(model.head.decoder)
    model.fit(batches.take(1), verbose=0)
    assert np.abs(before - np.asarray(model.head.decoder)).max() > 0
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x, _, _ = next(iter(batches))
    np.testing.assert_array_equal(again(x)["logits"], model(x)["logits"])


def test_a_subnetwork_of_a_masked_lm_has_its_head(tiny_config, batches):
    model = kd.BertMaskedLM(tiny_config.with_layers(3), seed=0)
    x, _, _ = next(iter(batches))
    np.testing.assert_allclose(
        model.subnetwork([0, 2])(x)["logits"],
        kd.extract_student(model, [0, 2])(x)["logits"],
        atol=1e-6,
    )
