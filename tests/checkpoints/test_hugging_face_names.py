import dataclasses

import keras_kd as kd
import pytest
from keras_kd.checkpoints.hugging_face_names import (
    common_name,
    read_config,
    their_names,
    write_config,
)


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_every_variable_has_one_name_of_theirs(kind):
    segments = 2 if kind == "bert" else 0
    config = kd.BertConfig(
        9, 2, 4, 1, num_segments=segments, pooler=True, tie_embeddings=False
    )
    ours = set(kd.BertMaskedLM(config).named_variables())
    ours |= set(kd.BertClassifier(config, ["a", "b"]).named_variables())
    ours |= set(kd.BertSpanExtractor(config).named_variables())
    names = their_names(config, kind)
    assert len(set(names.values())) == len(names)
    spare = {"embeddings/segment/embeddings"} if kind == "distilbert" else set()
    assert set(names.values()) - spare == ours


def test_names_by_hand():
    config = kd.BertConfig(9, 2, 4, 1)
    names = their_names(config, "bert")
    key = "encoder.layer.1.attention.output.LayerNorm.weight"
    assert names[key] == "encoder_layer_1/attention_norm/gamma"
    assert names["cls.predictions.bias"] == "masked_lm_head/bias"
    names = their_names(config, "distilbert")
    key = "transformer.layer.0.ffn.lin2.bias"
    assert names[key] == "encoder_layer_0/feed_forward_output/bias"
    assert names["vocab_projector.bias"] == "masked_lm_head/bias"


@pytest.mark.parametrize(
    ("key", "common"),
    [
        ("bert.embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"),
        ("embeddings.LayerNorm.beta", "embeddings.LayerNorm.bias"),
        ("distilbert.transformer.layer.0.x", "transformer.layer.0.x"),
        ("vocab_layer_norm.gamma", "vocab_layer_norm.weight"),
        ("cls.predictions.bias", "cls.predictions.bias"),
    ],
)
def test_keys_of_all_ages_are_the_same(key, common):
    assert common_name(key) == common


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_a_config_comes_back_as_it_was_written(kind):
    config = kd.BertConfig(
        30,
        3,
        8,
        2,
        intermediate_dim=20,
        max_sequence_length=7,
        num_segments=3 if kind == "bert" else 0,
        dropout=0.3,
        attention_dropout=0.2,
        activation="gelu_tanh",
        initializer_range=0.1,
        tie_embeddings=False,
        padding_id=5,
    )
    assert read_config(write_config(config, kind)) == (kind, config)
    config = dataclasses.replace(config, attention_dropout=None)
    found = read_config(write_config(config, kind))[1]
    assert found.attention_dropout == 0.3


def test_an_activation_they_do_not_have_is_refused():
    config = kd.BertConfig(30, 3, 8, 2, activation="elu")
    with pytest.raises(ValueError, match="`activation`.*'elu'"):
        write_config(config, "bert")
