import math

import keras_kd as kd
import keras
import numpy as np
import pytest
from keras import ops
from keras_kd.layers import OBSERVABLE

erf = np.vectorize(math.erf)


def reference(layer, x, mask):
    """The block in float64 NumPy, head by head."""
    weights = {
        v.path.split("/", 1)[1]: np.asarray(v.numpy(), "float64")
        for v in layer.weights
    }

    def dense(name, a):
        return a @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    def norm(name, a):
        a = a - a.mean(-1, keepdims=True)
        a = a / np.sqrt(a.var(-1, keepdims=True) + layer.layer_norm_epsilon)
        return a * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    query, key, value = (dense(n, x) for n in ("query", "key", "value"))
    width = layer.hidden_dim // layer.num_heads
    context = np.zeros_like(x)
    for head in range(layer.num_heads):
        part = slice(head * width, (head + 1) * width)
        logits = query[..., part] @ np.swapaxes(key[..., part], 1, 2)
        logits = logits / np.sqrt(width) - 1e9 * (1 - mask[:, None, :])
        scores = np.exp(logits - logits.max(-1, keepdims=True))
        scores = scores / scores.sum(-1, keepdims=True)
        context[..., part] = scores @ value[..., part]
    x = norm("attention_norm", x + dense("attention_output", context))
    inner = dense("intermediate", x)
    inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
    return norm("feed_forward_norm", x + dense("feed_forward_output", inner))


@pytest.fixture
def layer():
    layer = kd.EncoderLayer(8, 2, 12, dropout=0.1, seed=0)
    layer.build((None, None, 8))
    random = np.random.default_rng(0)
    for variable in layer.weights:
        variable.assign(random.normal(size=variable.shape))
    return layer


@pytest.fixture
def x():
    return np.random.default_rng(1).normal(size=(2, 5, 8)).astype("float32")


MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def test_it_is_the_float64_block_with_padding(layer, x):
    found = layer(x, padding_mask=MASK)
    expected = reference(layer, x.astype("float64"), MASK)
    real = MASK > 0
    np.testing.assert_allclose(
        np.asarray(found)[real], expected[real], rtol=1e-5, atol=1e-5
    )


def test_padding_does_not_reach_real_tokens(layer, x):
    other = x.copy()
    other[1, 3:] = 99.0
    before, after = (
        np.asarray(layer(a, padding_mask=MASK)) for a in (x, other)
    )
    np.testing.assert_array_equal(before[1, :3], after[1, :3])


def test_dropout_follows_its_seeds(layer, x):
    seeds = layer.draw_dropout_seeds()
    first, second = (
        np.asarray(layer(x, dropout_seeds=seeds, training=True))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    third = np.asarray(layer(x, training=True))  # draws its own
    assert np.abs(first - third).max() > 0.01


def test_without_dropout_no_seed_is_drawn_and_training_changes_nothing(x):
    layer = kd.EncoderLayer(8, 2, 12, dropout=0.0, seed=0)
    assert layer.draw_dropout_seeds() is None
    np.testing.assert_array_equal(layer(x, training=True), layer(x))


def test_query_key_and_value_start_differently():
    layer = kd.EncoderLayer(8, 2, 12, seed=0)
    layer.build((None, None, 8))
    query, key = layer.query.get_weights()[0], layer.key.get_weights()[0]
    assert (query != key).any()


def test_scores_are_float32_in_mixed_precision(x):
    layer = kd.EncoderLayer(8, 2, 12, dropout=0.0, dtype="mixed_bfloat16")
    out = layer(x, padding_mask=MASK)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    assert np.isfinite(ops.convert_to_numpy(ops.cast(out, "float32"))).all()


def test_the_config_comes_back():
    layer = kd.EncoderLayer(8, 2, 12, activation="relu", seed=5)
    again = kd.EncoderLayer.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_observing_changes_no_output_and_shows_the_attention(layer, x):
    plain = layer(x, padding_mask=MASK)
    states, inside = layer(x, padding_mask=MASK, observe=True)
    np.testing.assert_array_equal(states, plain)
    assert tuple(inside) == OBSERVABLE
    inside = {name: np.asarray(a, "float64") for name, a in inside.items()}
    for name in ("query", "key", "value"):
        kernel, bias = getattr(layer, name).get_weights()
        seen = inside["queries" if name == "query" else f"{name}s"]
        expected = (x @ kernel + bias).reshape(2, 5, 2, 4)
        np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-5)
    for sequence, length in enumerate(MASK.sum(1)):
        queries, keys = (inside[n][sequence] for n in ("queries", "keys"))
        logits = np.einsum("the,she->hts", queries, keys[:length]) / 4**0.5
        expected = np.zeros((2, 5, 5))
        expected[..., :length] = np.exp(logits)
        expected /= expected.sum(-1, keepdims=True)
        found = inside["attention_scores"][sequence]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_observed_scores_are_those_before_dropout(layer, x):
    _, inside = layer(x, padding_mask=MASK, observe=True, training=True)
    np.testing.assert_allclose(
        ops.sum(inside["attention_scores"], -1), np.ones((2, 2, 5)), rtol=1e-6
    )


def test_what_is_observed_has_the_shapes_and_types_it_is_said_to_have():
    layer = kd.EncoderLayer(8, 2, 12, dtype="mixed_bfloat16")
    x = np.ones((3, 5, 8), "float32")
    said = layer.compute_output_spec(keras.KerasTensor(x.shape), observe=True)
    found = layer(x, observe=True)
    for spec, tensor in zip(
        keras.tree.flatten(said), keras.tree.flatten(found), strict=True
    ):
        assert spec.shape == tuple(tensor.shape)
        assert spec.dtype == keras.backend.standardize_dtype(tensor.dtype)
    assert said[1]["attention_scores"].dtype == "float32"
    assert said[1]["queries"].dtype == "bfloat16"


def test_attention_may_drop_out_by_another_rate(x):
    plain = kd.EncoderLayer(8, 2, 12, dropout=0.0, seed=1)
    expected = plain(x, padding_mask=MASK)
    layer = kd.EncoderLayer(
        8, 2, 12, dropout=0.0, attention_dropout=0.9, seed=1
    )
    np.testing.assert_array_equal(layer(x, padding_mask=MASK), expected)
    dropped = layer(x, padding_mask=MASK, training=True)
    assert np.abs(dropped - expected).max() > 0.001
    layer = kd.EncoderLayer(
        8, 2, 12, dropout=0.9, attention_dropout=0.0, seed=1
    )
    layer.build(x.shape)
    layer.attention_output.kernel.assign(np.zeros((8, 8)))
    layer.feed_forward_output.kernel.assign(np.zeros((12, 8)))
    np.testing.assert_array_equal(  # nothing is left to drop but attention
        layer(x, padding_mask=MASK, training=True),
        layer(x, padding_mask=MASK),
    )
    assert kd.EncoderLayer(8, 2, 12, dropout=0.3).attention_dropout == 0.3
