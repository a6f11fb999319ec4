import math

import keras_kd as kd
import keras
import numpy as np
import pytest


@pytest.fixture
def head():
    embedding = keras.layers.Embedding(9, 4, embeddings_initializer="normal")
    embedding.build((None, None))
    head = kd.MaskedLMHead(embedding, initializer_range=0.5, seed=0)
    head.build((None, None, 4), (None, None))
    head.bias.assign(np.arange(9))
    return head


STATES = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
POSITIONS = np.array([[4, 0], [2, 2]])


def test_only_the_masked_rows_are_scored_against_the_embedding(head):
    rows = STATES[[[0, 0], [1, 1]], POSITIONS]
    table = head.token_embedding.get_weights()[0]
    expected = np.asarray(head.transform(rows)) @ table.T + np.arange(9)
    found = head(STATES, POSITIONS)
    assert found.shape == (2, 2, 9)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_rows_that_are_not_asked_for_do_not_matter(head):
    other = STATES.copy()
    other[0, 1:4] = 99.0
    other[1, [0, 1, 3, 4]] = 99.0
    np.testing.assert_array_equal(
        head(STATES, POSITIONS), head(other, POSITIONS)
    )


def test_the_vocabulary_is_tied_to_the_embedding(head):
    head.token_embedding.embeddings.assign(np.ones((9, 4)))
    embedding, bias = head.vocabulary()
    np.testing.assert_array_equal(embedding, np.ones((9, 4)))
    np.testing.assert_array_equal(bias, np.arange(9))


def test_the_transform_is_dense_gelu_norm(head):
    kernel, bias = (w.astype("float64") for w in head.dense.get_weights())
    inner = STATES @ kernel + bias
    inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / np.sqrt(2)))
    inner = inner - inner.mean(-1, keepdims=True)
    expected = inner / np.sqrt(inner.var(-1, keepdims=True) + 1e-12)
    np.testing.assert_allclose(
        head.transform(STATES), expected, rtol=1e-5, atol=1e-5
    )


def test_the_config_comes_back(head):
    again = kd.MaskedLMHead.from_config(head.get_config())
    assert again.token_embedding.input_dim == 9
    assert again.seed == 0


def test_untied_it_scores_by_a_matrix_of_its_own(head):
    head = kd.MaskedLMHead(
        head.token_embedding,
        initializer_range=0.5,
        tie_embeddings=False,
        seed=0,
    )
    head.build((None, None, 4), (None, None))
    matrix, bias = head.vocabulary()
    assert matrix.shape == (9, 4)
    table = head.token_embedding.get_weights()[0]
    assert np.abs(np.asarray(matrix) - table).max() > 0.1
    rows = STATES[[[0, 0], [1, 1]], POSITIONS]
    expected = np.asarray(head.transform(rows)) @ np.asarray(matrix).T
    np.testing.assert_allclose(
        head(STATES, POSITIONS), expected, rtol=1e-5, atol=1e-6
    )
    assert not kd.MaskedLMHead.from_config(head.get_config()).tie_embeddings
