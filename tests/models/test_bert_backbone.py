import keras_kd as kd
import keras
import numpy as np
import pytest

X = {
    "token_ids": np.arange(10).reshape(2, 5),
    "segment_ids": np.array([[0, 0, 0, 1, 1]] * 2),
    "padding_mask": np.array([[1] * 5, [1, 1, 1, 0, 0]]),
}


def test_hidden_states_are_the_embeddings_and_each_layers(tiny_config):
    backbone = kd.BertBackbone(tiny_config, seed=0)
    states = backbone(X)["hidden_states"]
    assert len(states) == tiny_config.num_layers + 1
    x = backbone.embeddings(X["token_ids"], X["segment_ids"])
    np.testing.assert_allclose(states[0], x, atol=1e-6)
    for index, layer in enumerate(backbone.encoder_layers):
        x = layer(x, padding_mask=X["padding_mask"])
        np.testing.assert_allclose(states[index + 1], x, atol=1e-5)


def test_a_batch_without_segments_means_segment_0(tiny_config):
    backbone = kd.BertBackbone(tiny_config, seed=0)
    zeros = {**X, "segment_ids": np.zeros((2, 5), int)}
    without = {name: X[name] for name in ("token_ids", "padding_mask")}
    np.testing.assert_array_equal(
        backbone(without)["hidden_states"][-1],
        backbone(zeros)["hidden_states"][-1],
    )


def test_a_model_without_segments_takes_batches_that_have_them(tiny_config):
    config = tiny_config.with_layers(1, num_segments=0)
    backbone = kd.BertBackbone(config, seed=0)
    assert backbone.embeddings.segment_embedding is None
    assert backbone(X)["hidden_states"][-1].shape == (2, 5, 16)


def test_a_batch_without_token_ids_is_refused(tiny_config):
    backbone = kd.BertBackbone(tiny_config, seed=0)
    with pytest.raises(ValueError, match="`inputs` must hold"):
        backbone(
            {"padding_mask": X["padding_mask"], "segment_ids": X["segment_ids"]}
        )


def test_the_pooler_is_tanh_of_a_dense_over_the_first_token(tiny_config):
    config = tiny_config.with_layers(1, pooler=True)
    backbone = kd.BertBackbone(config, seed=0)
    outputs = backbone(X)
    kernel, bias = backbone.pooler.get_weights()
    first = np.asarray(outputs["hidden_states"][-1])[:, 0]
    np.testing.assert_allclose(
        outputs["pooled"], np.tanh(first @ kernel + bias), atol=1e-5
    )


def test_names_do_not_depend_on_layer_drop(tiny_config):
    plain = kd.BertBackbone(tiny_config, seed=0)
    dropping = kd.BertBackbone(tiny_config.with_layers(2, layer_drop=0.5))
    assert set(plain.named_variables()) == set(dropping.named_variables())
    assert len(plain.named_variables()) == 5 + 2 * 16
    assert "encoder_layer_1/query/kernel" in plain.named_variables()


def test_the_same_seed_gives_the_same_model(tiny_config):
    first, second, other = (
        kd.BertBackbone(tiny_config, seed=seed).get_weights()
        for seed in (0, 0, 1)
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first[0] != other[0]).any()


def test_a_saved_backbone_gives_the_same_states(tiny_config, tmp_path):
    config = tiny_config.with_layers(2, layer_drop=0.3, pooler=True)
    backbone = kd.BertBackbone(config, seed=0)
    backbone.save(tmp_path / "backbone.keras")
    again = keras.saving.load_model(tmp_path / "backbone.keras")
    assert again.config == config
    np.testing.assert_array_equal(again(X)["pooled"], backbone(X)["pooled"])
