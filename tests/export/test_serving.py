import dataclasses

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.export.serving import (
    check_outputs,
    embedding_of,
    sample_inputs,
    serving_model,
)

pytestmark = pytest.mark.tensorflow


def test_a_head_s_logits_leave_and_nothing_else(tiny_config):
    for student in (
        kd.BertMaskedLM(tiny_config, seed=0),
        kd.BertClassifier(tiny_config, ["a", "b"], seed=0),
    ):
        inputs = sample_inputs(student)
        served = serving_model(student)(inputs)
        assert set(served) == {"logits"}
        expected = student(inputs)["logits"]
        np.testing.assert_array_equal(served["logits"], expected)


def test_of_a_bare_encoder_its_states_and_embedding_leave(tiny_config):
    student = kd.BertBackbone(tiny_config.with_layers(1, pooler=True), seed=0)
    inputs = sample_inputs(student, length=9)
    served = serving_model(student)(inputs)
    outputs = student(inputs)
    states = np.asarray(outputs["hidden_states"][-1])
    np.testing.assert_array_equal(served["last_hidden_state"], states)
    np.testing.assert_array_equal(served["pooled"], outputs["pooled"])
    mean = states[1, :6].mean(0)  # the rest is padding
    np.testing.assert_allclose(
        served["embedding"][1], mean / np.linalg.norm(mean), atol=1e-5
    )


def test_the_embedding_is_the_one_that_is_asked_for(tiny_config):
    own = kd.SentenceEmbedding("cls", normalize=False)
    config = dataclasses.replace(tiny_config, embedding=own)
    student = kd.BertBackbone(config, seed=0)
    inputs = sample_inputs(student, length=9)
    states = np.asarray(student(inputs)["hidden_states"][-1])
    for pooling, expected in (
        (None, states[:, 0]),
        ("mean", np.stack([states[0].mean(0), states[1, :6].mean(0)])),
    ):
        found = serving_model(student, pooling)(inputs)["embedding"]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_an_encoder_has_and_no_code_does_is_refused(tiny_config):
    dense = kd.SentenceEmbedding(unsupported="a Dense module (2_Dense)")
    config = dataclasses.replace(tiny_config, embedding=dense)
    with pytest.raises(ValueError, match="a Dense module"):
        serving_model(kd.BertBackbone(config))
    classifier = kd.BertClassifier(config, ["a", "b"])
    assert embedding_of(classifier) == kd.SentenceEmbedding("mean")


def test_samples_are_fixed_padded_and_of_the_models_inputs(tiny_config):
    student = kd.BertMaskedLM(tiny_config.with_layers(1, num_segments=0))
    inputs = sample_inputs(student, length=6)
    assert set(inputs) == {"token_ids", "padding_mask", "mask_positions"}
    assert inputs["padding_mask"].tolist() == [[1] * 6, [1] * 4 + [0] * 2]
    again = sample_inputs(student, length=6)
    np.testing.assert_array_equal(inputs["token_ids"], again["token_ids"])


def test_what_differs_is_refused(tiny_config):
    model = serving_model(kd.BertMaskedLM(tiny_config, seed=0))
    inputs = sample_inputs(kd.BertMaskedLM(tiny_config))
    logits = np.array(model(inputs)["logits"])
    check_outputs(model, inputs, {"logits": logits}, "The file")
    logits[0, 0, 3] += 2e-4
    with pytest.raises(RuntimeError, match="The file must give Keras's logits"):
        check_outputs(model, inputs, {"logits": logits}, "The file")
    logits[0, 0, 3] = np.nan
    with pytest.raises(RuntimeError, match="a difference of nan"):
        check_outputs(model, inputs, {"logits": logits}, "The file")
