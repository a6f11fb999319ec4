import dataclasses
import json
import pathlib

import keras_kd as kd
import numpy as np
import pytest
import tensorflow as tf
from keras_kd.export.in_graph_tokenizer import InGraphTokenizer
from keras_kd.export.serving import serving_model
from keras_kd.export.signatures import text_signatures, token_ids_signature

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "sentence_encoders"


def test_long_texts_are_cut_at_the_students_length(tokenizer, tiny_config):
    student = kd.BertMaskedLM(tiny_config, seed=0)
    functions = text_signatures(student, tokenizer, InGraphTokenizer(tokenizer))
    embed = tf.function(functions["embed"][0])
    text = "the cat sat on the mat " * 20
    kept = tokenizer.decode(tokenizer.encode_batch([text])[0][:14])
    vectors = embed(tf.constant([text, kept]))["embedding"].numpy()
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_padding_in_a_batch_does_not_change_a_row(tokenizer, tiny_config):
    student = kd.BertMaskedLM(tiny_config, seed=0)
    functions = text_signatures(student, tokenizer, InGraphTokenizer(tokenizer))
    fill_mask = tf.function(functions["fill_mask"][0])
    short, long = "the [MASK]", "a dog and a [MASK] ran over the hill"
    alone = fill_mask(tf.constant([short]))["scores"].numpy()
    together = fill_mask(tf.constant([short, long]))["scores"].numpy()
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-5)


def test_rows_of_the_table_without_a_token_fill_no_mask(tokenizer, tiny_config):
    config = dataclasses.replace(tiny_config, vocabulary_size=128)
    student = kd.BertMaskedLM(config, seed=0)
    bias = np.zeros(128, "float32")
    bias[[tokenizer.vocabulary_size, 127]] = 2.0  # of no token
    bias[7] = 1.0
    student.head.bias.assign(bias)
    functions = text_signatures(student, tokenizer, InGraphTokenizer(tokenizer))
    fill_mask = tf.function(functions["fill_mask"][0])
    tokens = fill_mask(tf.constant(["the [MASK]"]))["tokens"].numpy()[0, 0]
    assert tokens[0].decode() == tokenizer.vocabulary[7]
    assert b"" not in tokens


def test_the_token_signature_has_the_models_inputs(tiny_config):
    student = kd.BertMaskedLM(tiny_config, seed=0)
    _, (signature,) = token_ids_signature(serving_model(student))
    assert set(signature) == {
        "token_ids",
        "segment_ids",
        "padding_mask",
        "mask_positions",
    }
    assert all(
        spec.shape.as_list() == [None, None] for spec in signature.values()
    )


def test_a_classifier_names_its_labels(tokenizer, tiny_config):
    student = kd.BertClassifier(tiny_config, ["bad", "good"], seed=0)
    student.classifier.bias.assign([0.0, 5.0])
    functions = text_signatures(student, tokenizer, InGraphTokenizer(tokenizer))
    assert set(functions) == {"classify", "classify_pair", "embed"}
    classify = tf.function(functions["classify"][0])
    found = classify(tf.constant(["the cat", "a dog ran"]))
    assert found["label"].numpy().tolist() == [b"good", b"good"]
    ids = [tokenizer.cls_id, *tokenizer.encode_batch(["the cat"])[0]]
    ids = np.array([[*ids, tokenizer.sep_id]])
    logits = student({"token_ids": ids, "padding_mask": np.ones_like(ids)})
    logits = np.asarray(logits["logits"][0], "float64")
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(found["scores"][0], expected, rtol=1e-4)
    assert found["classes"].numpy().tolist() == [[b"bad", b"good"]] * 2


def test_a_bare_encoder_embeds(tokenizer, tiny_config):
    student = kd.BertBackbone(tiny_config, seed=0)
    functions = text_signatures(student, tokenizer, InGraphTokenizer(tokenizer))
    assert set(functions) == {"embed"}


@pytest.mark.parametrize("name", ["cls", "cls_old", "mean_prompted"])
def test_a_sentence_encoder_embeds_as_sentence_transformers(name):
    """Pooling, normalisation, prompt and longest text are the folder's."""
    student = kd.load_checkpoint(GOLDEN / name, pooler=False)
    tokenizer = kd.load_tokenizer(GOLDEN / name)
    functions = text_signatures(student, tokenizer, InGraphTokenizer(tokenizer))
    expected = json.loads((GOLDEN / name / "expected.json").read_text())
    found = functions["embed"][0](tf.constant(expected["texts"]))["embedding"]
    np.testing.assert_allclose(found, expected["vectors"], atol=1e-5)


def test_a_head_embeds_by_the_pooling_that_is_asked_for(tokenizer, tiny_config):
    student = kd.BertMaskedLM(tiny_config, seed=0)
    functions = text_signatures(
        student, tokenizer, InGraphTokenizer(tokenizer), "cls"
    )
    found = functions["embed"][0](tf.constant(["the cat"]))["embedding"]
    ids = tokenizer.encode_batch(["the cat"])[0]
    ids = np.array([[tokenizer.cls_id, *ids, tokenizer.sep_id]])
    x = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    first = np.asarray(student.backbone(x)["hidden_states"][-1][:, 0])
    expected = first / np.linalg.norm(first)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "longest", [pytest.param(32, marks=pytest.mark.slow), 12]
)
def test_a_pair_is_classified_as_its_batch_is(tokenizer, tiny_config, longest):
    config = dataclasses.replace(
        tiny_config, max_sequence_length=longest, initializer_range=0.5
    )
    student = kd.BertClassifier(config, ["bad", "good"], seed=0)
    functions = text_signatures(student, tokenizer, InGraphTokenizer(tokenizer))
    function, signature = functions["classify_pair"]
    assert [spec.name for spec in signature] == ["text", "pair"]
    pairs = [
        ("the cat sat", "a dog and a cat ran over the hill to the sea"),
        ("the sea is blue and the hill is green and old", "a dog"),
        ("the sea is blue and the hill", "the cat sat on the mat and looked"),
        ("the cat", "the dog"),
    ]
    texts = [kd.LabeledText(*pair, label="bad") for pair in pairs]
    batches = kd.labeled_batches(
        texts, tokenizer, 4, ["bad", "good"], longest, shuffle=False
    )
    _, logits = kd.predict_task(student, batches)
    found = tf.function(function)(*map(tf.constant, zip(*pairs, strict=True)))
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(found["scores"], expected, atol=1e-5)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_a_regressor_rates(tokenizer, tiny_config, sigmoid):
    student = kd.BertRegressor(tiny_config, seed=0, sigmoid=sigmoid)
    student.classifier.bias.assign([3.0])
    functions = text_signatures(student, tokenizer, InGraphTokenizer(tokenizer))
    assert set(functions) == {"rate", "rate_pair", "embed"}
    texts = [kd.LabeledText("the cat", label=0.0)]
    batches = kd.labeled_batches(texts, tokenizer, 1, max_length=16)
    _, numbers = kd.predict_task(student, batches)
    found = tf.function(functions["rate"][0])(tf.constant(["the cat"]))
    np.testing.assert_allclose(found["number"], numbers[:, 0], rtol=1e-5)
    x = next(iter(batches))[0]
    logits = np.asarray(student(x)["logits"])
    expected = 1 / (1 + np.exp(-logits)) if sigmoid else logits
    np.testing.assert_allclose(found["number"], expected[:, 0], rtol=1e-5)
