import keras_kd as kd
import numpy as np
import pytest
import tensorflow as tf
from keras_kd.export.signatures import text_signatures, token_ids_signature


@pytest.mark.parametrize("lowercase", [True, False])
def test_the_graph_gives_the_tokenizers_ids(lowercase):
    texts = [
        "The cat's mat, naïve café: (x + y) = 12.5!",
        "a [MASK] and [MASK].",
        "日本 “quotes” — dash… " + "x" * 120,
        "",
    ]
    tokenizer = kd.WordPieceTokenizer.train(
        texts * 4, vocabulary_size=70, lowercase=lowercase
    )
    config = kd.BertConfig(
        tokenizer.vocabulary_size, 1, 8, 2, max_sequence_length=64
    )
    _, in_graph = text_signatures(kd.BertMaskedLM(config, seed=0), tokenizer)
    found = in_graph(tf.constant(texts))
    expected = tokenizer.encode_batch(texts)
    assert [list(row) for row in found.to_list()] == [
        list(row) for row in expected
    ]


def test_long_texts_are_cut_at_the_students_length(tokenizer, tiny_config):
    student = kd.BertMaskedLM(tiny_config, seed=0)
    functions, _ = text_signatures(student, tokenizer)
    embed, _ = functions["embed"]
    text = "the cat sat on the mat " * 20
    kept = tokenizer.decode(tokenizer.encode_batch([text])[0][:14])
    vectors = embed(tf.constant([text, kept]))["embedding"].numpy()
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_padding_in_a_batch_does_not_change_a_row(tokenizer, tiny_config):
    student = kd.BertMaskedLM(tiny_config, seed=0)
    functions, _ = text_signatures(student, tokenizer)
    fill_mask, _ = functions["fill_mask"]
    short, long = "the [MASK]", "a dog and a [MASK] ran over the hill"
    alone = fill_mask(tf.constant([short]))["scores"].numpy()
    together = fill_mask(tf.constant([short, long]))["scores"].numpy()
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-5)


def test_the_token_signature_has_the_models_inputs(tiny_config):
    student = kd.BertMaskedLM(tiny_config, seed=0)
    _, (signature,) = token_ids_signature(student)
    assert set(signature) == {
        "token_ids",
        "segment_ids",
        "padding_mask",
        "mask_positions",
    }
    assert all(
        spec.shape.as_list() == [None, None] for spec in signature.values()
    )
