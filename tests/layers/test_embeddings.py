import keras_kd as kd
import numpy as np
import pytest
from keras_kd.layers.embeddings import sinusoids


def normalised(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(
        x.var(-1, keepdims=True) + 1e-12
    )


def test_tokens_positions_and_segments_are_summed_and_normalised():
    layer = kd.BertEmbeddings(9, 4, max_sequence_length=6, seed=0)
    ids, segments = np.array([[3, 1, 8]]), np.array([[0, 1, 1]])
    found = layer(ids, segments)
    token, position, segment = (
        e.get_weights()[0].astype("float64")
        for e in (
            layer.token_embedding,
            layer.position_embedding,
            layer.segment_embedding,
        )
    )
    expected = normalised(token[ids] + position[:3] + segment[segments])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_sequence_longer_than_the_positions_is_refused():
    layer = kd.BertEmbeddings(9, 4, max_sequence_length=4, num_segments=0)
    with pytest.raises(ValueError, match="`max_sequence_length` = 4 long.*: 5"):
        layer(np.zeros((1, 5), int))


def test_the_same_seed_gives_the_same_weights_and_parts_differ():
    first, second, other = (
        kd.BertEmbeddings(6, 4, max_sequence_length=6, seed=seed)
        for seed in (0, 0, 1)
    )
    for layer in (first, second, other):
        layer.build((None, None))
    np.testing.assert_array_equal(
        first.get_weights()[0], second.get_weights()[0]
    )
    assert (first.get_weights()[0] != other.get_weights()[0]).any()
    assert (first.get_weights()[0] != first.get_weights()[1]).any()


def test_sinusoids_by_hand():
    waves = sinusoids(positions=3, width=4, standard_deviation=0.5**0.5)
    np.testing.assert_allclose(waves[0], [0, 1, 0, 1])
    expected = [np.sin(2), np.cos(2), np.sin(2 / 100), np.cos(2 / 100)]
    np.testing.assert_allclose(waves[2], expected, rtol=1e-6)


def test_positions_may_start_as_sinusoids():
    layer = kd.BertEmbeddings(
        9, 8, 16, initializer_range=0.05, sinusoidal_positions=True
    )
    layer.build((None, None))
    positions = layer.position_embedding.get_weights()[0]
    np.testing.assert_array_equal(positions, sinusoids(16, 8, 0.05))
    assert np.sqrt((positions**2).mean()) == pytest.approx(0.05, rel=1e-5)
    assert layer.position_embedding.trainable


def test_the_config_comes_back():
    layer = kd.BertEmbeddings(9, 4, 6, 0, sinusoidal_positions=True, seed=3)
    again = kd.BertEmbeddings.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
