"""KerasHub's models here, ours there: the same outputs."""

import keras_kd as kd
import keras_hub
import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

SHAPE = {
    "vocabulary_size": 40,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 12,
    "max_sequence_length": 16,
}


def randomize(model):
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(random.normal(0, 0.3, variable.shape))
    return model


def bert():
    return randomize(keras_hub.models.BertBackbone(**SHAPE))


def distilbert():
    return randomize(keras_hub.models.DistilBertBackbone(**SHAPE))


def batch(model):
    random = np.random.default_rng(0)
    padding_mask = (np.arange(9) < [[9], [4]]).astype("int32")
    inputs = {
        "token_ids": random.integers(0, 40, (2, 9)).astype("int32"),
        "padding_mask": padding_mask,
        "segment_ids": padding_mask * (np.arange(9) > 2).astype("int32"),
        "mask_positions": np.array([[0, 2], [3, 1]], "int32"),
    }
    return {tensor.name: inputs[tensor.name] for tensor in model.inputs}


def check_equal(ours, theirs):
    received = ours(batch(ours))
    expected = theirs(batch(theirs))
    states = received["hidden_states"][-1]
    if isinstance(ours, kd.BertMaskedLM):
        expected = {"logits": expected}
        pairs = [(received["logits"], expected["logits"])]
    elif isinstance(expected, dict):
        pairs = [
            (states, expected["sequence_output"]),
            (received["pooled"], expected["pooled_output"]),
        ]
    else:
        pairs = [(states, expected)]
    for a, b in pairs:
        np.testing.assert_allclose(a, b, atol=1e-5)


MODELS = {
    "BertBackbone": bert,
    "BertMaskedLM": lambda: randomize(keras_hub.models.BertMaskedLM(bert())),
    "DistilBertBackbone": distilbert,
    "DistilBertMaskedLM": lambda: randomize(
        keras_hub.models.DistilBertMaskedLM(distilbert())
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_theirs_here_and_back_again(name):
    theirs = MODELS[name]()
    ours = kd.load_checkpoint(theirs)
    check_equal(ours, theirs)
    back = kd.to_keras_hub(ours)
    assert type(back) is type(theirs)
    check_equal(ours, back)


@pytest.mark.parametrize("name", MODELS)
def test_a_preset_is_a_folder_like_any(name, tmp_path):
    theirs = MODELS[name]()
    theirs.save_to_preset(str(tmp_path / "preset"))
    ours = kd.load_checkpoint(tmp_path / "preset", dropout=0.0)
    assert ours.config.dropout == 0.0
    check_equal(ours, theirs)


def test_a_student_without_segments_goes_there():
    config = kd.BertConfig(40, 2, 8, 2, 12, num_segments=0)
    student = kd.BertBackbone(config, seed=0)
    check_equal(student, kd.to_keras_hub(student))


def test_what_they_cannot_say_is_refused():
    config = kd.BertConfig(40, 2, 8, 2, 12)
    with pytest.raises(ValueError, match="'activation': 'gelu_tanh'.*'gelu'"):
        kd.to_keras_hub(kd.BertBackbone(config))
    config = config.with_layers(2, num_segments=0)
    with pytest.raises(ValueError, match="head_layer_norm_epsilon.*1e-05"):
        kd.to_keras_hub(kd.BertMaskedLM(config))
    with pytest.raises(ValueError, match="`model` must be.*BertClassifier"):
        kd.to_keras_hub(kd.BertClassifier(config, ["a", "b"]))


def test_other_models_of_theirs_are_refused():
    other = keras_hub.models.RobertaBackbone(**SHAPE)
    with pytest.raises(ValueError, match="`source` must be.*RobertaBackbone"):
        kd.load_checkpoint(other)


def test_weights_that_are_not_as_trained_are_refused():
    lora = bert()
    lora.enable_lora(2)
    with pytest.raises(ValueError, match="nor with LoRA. Received: .*lora"):
        kd.load_checkpoint(lora)
    quantized = bert()
    quantized.token_embedding.quantize("int8")
    with pytest.raises(ValueError, match="neither quantised.*_scale"):
        kd.load_checkpoint(quantized)


def test_a_model_of_ours_is_no_checkpoint():
    model = kd.BertBackbone(kd.BertConfig(40, 1, 8, 2))
    with pytest.raises(ValueError, match="Received: keras_kd.*BertBackbone"):
        kd.load_checkpoint(model)


def test_a_head_that_they_lack_is_random_and_told():
    with pytest.warns(UserWarning, match="masked_lm_head/bias.*stay random"):
        ours = kd.load_checkpoint(bert(), kd.BertMaskedLM)
    assert type(ours) is kd.BertMaskedLM
    with pytest.raises(ValueError, match="`model_class` must be.*from_encoder"):
        kd.load_checkpoint(bert(), kd.BertClassifier)


def test_a_damaged_preset_is_named(tmp_path):
    bert().save_to_preset(str(tmp_path))
    weights = tmp_path / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="`source` must hold a whole preset"):
        kd.load_checkpoint(tmp_path)
