import keras_kd as kd
import keras
import numpy as np
import pytest
from keras_kd.layers import OBSERVABLE

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


@pytest.mark.parametrize("layer_drop", [0.0, 0.5])
def test_an_observing_model_shows_each_layer_and_is_the_same_model(
    tiny_config, layer_drop
):
    config = tiny_config.with_layers(2, layer_drop=layer_drop, pooler=True)
    backbone = kd.BertBackbone(config, seed=0)
    observing = backbone.observing(OBSERVABLE)
    plain, found = backbone(X), observing(X)
    assert set(found) == {*plain, *OBSERVABLE}
    for name, tensors in plain.items():
        for a, b in zip(
            keras.tree.flatten(tensors),
            keras.tree.flatten(found[name]),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    for index, layer in enumerate(backbone.encoder_layers):
        x = plain["hidden_states"][index]
        _, inside = layer(x, padding_mask=X["padding_mask"], observe=True)
        for name in OBSERVABLE:
            assert len(found[name]) == 2
            np.testing.assert_allclose(
                found[name][index], inside[name], atol=1e-6
            )
    ids = {id(v) for v in backbone.trainable_variables}
    assert {id(v) for v in observing.trainable_variables} == ids


def test_an_observing_model_follows_its_model(tiny_config):
    backbone = kd.BertBackbone(tiny_config, seed=0)
    observing = backbone.observing(["queries"])
    bias = backbone.encoder_layers[1].query.bias
    before = np.asarray(observing(X)["queries"][1])
    bias.assign(bias + 1.0)
    after = np.asarray(observing(X)["queries"][1])
    np.testing.assert_allclose(after, before + 1.0, atol=1e-6)


def test_an_observed_student_drops_out_by_the_same_seeds(tiny_config):
    config = tiny_config.with_layers(2, dropout=0.5)
    plain, observed = (kd.BertBackbone(config, seed=0) for _ in range(2))
    observing = observed.observing(["keys"])
    for _ in range(2):  # the second step has other seeds than the first
        expected = plain(X, training=True)["hidden_states"][-1]
        found = observing(X, training=True)["hidden_states"][-1]
        np.testing.assert_allclose(found, expected, atol=1e-6)
    still = np.abs(observing(X)["hidden_states"][-1] - found).max()
    assert still > 0.1


def test_observing_takes_batches_as_leniently(tiny_config):
    observing = kd.BertBackbone(tiny_config, seed=0).observing(["values"])
    zeros = {**X, "segment_ids": np.zeros((2, 5), int)}
    without = {name: X[name] for name in ("token_ids", "padding_mask")}
    np.testing.assert_array_equal(
        observing(without)["values"][-1], observing(zeros)["values"][-1]
    )


def test_observing_nothing_is_the_model_itself_and_twice_is_once(tiny_config):
    backbone = kd.BertBackbone(tiny_config, seed=0)
    assert backbone.observing(()) is backbone
    observing = backbone.observing(["keys", "keys"])
    assert len(observing(X)["keys"]) == tiny_config.num_layers


def test_a_skipped_layer_cannot_be_observed(tiny_config):
    config = tiny_config.with_layers(2, layer_drop=0.5)
    observing = kd.BertBackbone(config, seed=0).observing(["values"])
    with pytest.raises(ValueError, match="observed in training.*=0.5"):
        observing(X, training=True)


def test_an_unknown_name_cannot_be_observed(tiny_config):
    backbone = kd.BertBackbone(tiny_config, seed=0)
    with pytest.raises(ValueError, match="`names` must be out of.*'weather'"):
        backbone.observing(["weather"])


def test_an_observing_model_is_not_saved_nor_observed_again(
    tiny_config, tmp_path
):
    observing = kd.BertBackbone(tiny_config, seed=0).observing(["keys"])
    with pytest.raises(NotImplementedError, match="save the model it was made"):
        observing.save(tmp_path / "observing.keras")
    with pytest.raises(NotImplementedError, match="Received: ObservingModel"):
        observing.observing(["values"])


def test_a_saved_model_that_was_observed_comes_back_plain(
    tiny_config, tmp_path
):
    backbone = kd.BertBackbone(tiny_config, seed=0)
    backbone.observing(["keys"])
    backbone.save(tmp_path / "backbone.keras")
    again = keras.saving.load_model(tmp_path / "backbone.keras")
    assert set(again(X)) == {"hidden_states"}
    np.testing.assert_array_equal(
        again(X)["hidden_states"][-1], backbone(X)["hidden_states"][-1]
    )


def test_a_subnetwork_is_what_extraction_gives(tiny_config):
    config = tiny_config.with_layers(4, layer_drop=0.5, pooler=True)
    backbone = kd.BertBackbone(config, seed=0)
    for layers in ((0, 2), (3,), (0, 1, 2, 3)):
        found = backbone.subnetwork(layers)(X)
        expected = kd.extract_student(backbone, layers)(X)
        assert len(found["hidden_states"]) == len(layers) + 1
        np.testing.assert_allclose(
            found["hidden_states"][-1], expected["hidden_states"][-1], atol=1e-6
        )
        np.testing.assert_allclose(
            found["pooled"], expected["pooled"], atol=1e-6
        )


def test_a_subnetwork_shares_the_variables(tiny_config):
    backbone = kd.BertBackbone(tiny_config.with_layers(3), seed=0)
    part = backbone.subnetwork([1])
    assert part.config.num_layers == 1
    ids = {id(variable) for variable in backbone.variables}
    assert {id(variable) for variable in part.variables} < ids
    bias = backbone.encoder_layers[1].feed_forward_norm.beta
    before = np.asarray(part(X)["hidden_states"][-1])
    bias.assign(bias + 1.0)
    after = np.asarray(part(X)["hidden_states"][-1])
    np.testing.assert_allclose(after, before + 1.0, atol=1e-6)


@pytest.mark.parametrize("layers", [[], [2], [-1], [1, 0], [0, 0]])
def test_layers_of_a_subnetwork_are_checked(tiny_config, layers):
    backbone = kd.BertBackbone(tiny_config, seed=0)
    with pytest.raises(ValueError, match="`layers` must be different.*0 to 1"):
        backbone.subnetwork(layers)


def test_a_subnetwork_is_not_saved(tiny_config, tmp_path):
    part = kd.BertBackbone(tiny_config, seed=0).subnetwork([0])
    with pytest.raises(NotImplementedError, match="save the model it was made"):
        part.save(tmp_path / "part.keras")
