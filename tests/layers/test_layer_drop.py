import keras_kd as kd
import keras
import numpy as np
import pytest
from keras import ops

# Without a compiler, JAX goes op by op: as right, and too slow to count coins.
JIT = [pytest.param(False, marks=pytest.mark.tensorflow), True]


@keras.saving.register_keras_serializable(package="tests")
class Double(keras.layers.Layer):
    """Multiplies by a weight of 2: kept or not is seen in the output."""

    def build(self, *_):
        two = keras.initializers.Constant(2.0)
        self.factor = self.add_weight(shape=(), initializer=two)

    def call(self, x, padding_mask=None, training=False):
        return x * self.factor


ONES = np.ones((1, 2, 3), "float32")


@pytest.fixture
def drops(compiled):
    """For each step and layer, whether it was skipped, in one function."""

    def run(layers, steps, jit_compile):
        for layer in layers:
            layer.build(ONES.shape)

        def step():
            x = ops.convert_to_tensor(ONES)
            outs = [layer(x, training=True) for layer in layers]
            return ops.stack([out[0, 0, 0] for out in outs])

        variables = [v for layer in layers for v in layer.variables]
        step = compiled(step, variables, jit_compile)
        return np.array([np.asarray(step()) for _ in range(steps)]) == 1.0

    return run


@pytest.mark.parametrize("jit_compile", JIT)
def test_a_thousand_steps_drop_as_often_as_asked_and_independently(
    drops, jit_compile
):
    layers = [
        kd.LayerDrop(Double(), rate, seed=seed)
        for seed, rate in enumerate((0.5, 0.5, 0.2))
    ]
    skipped = drops(layers, 1000, jit_compile)
    for share, rate in zip(skipped.mean(0), (0.5, 0.5, 0.2), strict=True):
        # 3.3 standard deviations: one in a thousand seeds would fail.
        assert abs(share - rate) < 3.3 * np.sqrt(rate * (1 - rate) / 1000)
    both = (skipped[:, 0] & skipped[:, 1]).mean()
    assert abs(both - 0.25) < 3.3 * np.sqrt(0.25 * 0.75 / 1000)


@pytest.mark.tensorflow
@pytest.mark.parametrize("batch_size", [2, None])
def test_a_skipped_layer_is_the_identity_whatever_it_would_have_done(
    batch_size,
):
    import tensorflow as tf

    layer = kd.LayerDrop(kd.EncoderLayer(8, 2, 16, seed=0), 0.5, seed=0)
    layer.rate.assign(1.0)
    x = np.random.default_rng(0).normal(size=(2, 3, 8)).astype("float32")
    mask = np.array([[1, 1, 0], [1, 0, 0]], "float32")
    shape = tf.TensorSpec((batch_size, 3, 8), tf.float32)

    @tf.function(input_signature=[shape])
    def step(x):
        return layer(x, padding_mask=mask, training=True)

    np.testing.assert_array_equal(step(x), x)


@pytest.mark.tensorflow
@pytest.mark.parametrize(("batch_size", "branches"), [(2, 1), (None, 0)])
def test_only_a_static_shape_gets_a_branch(batch_size, branches):
    import tensorflow as tf

    layer = kd.LayerDrop(kd.EncoderLayer(8, 2, 16, seed=0), 0.5, seed=0)
    shape = tf.TensorSpec((batch_size, 3, 8), tf.float32)

    @tf.function(input_signature=[shape])
    def step(x):
        return layer(x, training=True)

    graph = step.get_concrete_function().graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("If") + kinds.count("StatelessIf") == branches
    # With a branch, the block's matmuls are inside of it.
    assert ("MatMul" in kinds or "Einsum" in kinds) == (not branches)


def test_inference_keeps_every_layer():
    layer = kd.LayerDrop(Double(), 0.9, seed=0)
    for training in (False, None):
        np.testing.assert_array_equal(layer(ONES, training=training), 2 * ONES)


def test_the_same_seed_drops_at_the_same_steps(drops):
    first, second = (
        drops([kd.LayerDrop(Double(), 0.5, seed=4)], 30, True) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("jit_compile", JIT)
def test_a_rate_that_is_assigned_acts_inside_the_compiled_step(
    compiled, jit_compile
):
    layer = kd.LayerDrop(Double(), 0.5, seed=0)
    layer.build(ONES.shape)

    def step():
        return layer(ops.convert_to_tensor(ONES), training=True)[0, 0, 0]

    step = compiled(step, layer.variables, jit_compile)
    step()
    layer.rate.assign(0.0)
    assert {float(step()) for _ in range(20)} == {2.0}
    layer.rate.assign(1.0)
    assert {float(step()) for _ in range(20)} == {1.0}


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("batch_size", [4, None])
def test_gradients_are_zero_when_dropped_and_the_plain_ones_when_kept(
    jit_compile, batch_size
):
    import tensorflow as tf

    encoder = kd.EncoderLayer(8, 2, 16, dropout=0.0, seed=0)
    layer = kd.LayerDrop(encoder, 0.5, seed=1)
    x = np.random.default_rng(0).normal(size=(4, 3, 8)).astype("float32")
    layer.build(x.shape)

    def gradients(call):
        with tf.GradientTape() as tape:
            out = call()
            loss = tf.reduce_sum(out**3)
        return out, tape.gradient(loss, [v.value for v in encoder.weights])

    shape = tf.TensorSpec((batch_size, 3, 8), tf.float32)

    @tf.function(jit_compile=jit_compile, input_signature=[shape])
    def step(x):
        return gradients(lambda: layer(x, training=True))

    _, plain = gradients(lambda: encoder(x, training=True))
    seen = set()
    for _ in range(12):
        out, found = step(x)
        dropped = bool((out.numpy() == x).all())
        seen.add(dropped)
        for ours, theirs in zip(found, plain, strict=True):
            expected = 0.0 * theirs if dropped else theirs
            np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)
            if dropped:
                assert not ours.numpy().any()
    assert seen == {True, False}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_kept_it_has_the_plain_gradients_and_dropped_none(
    value_and_gradients, jit_compile, rate
):
    encoder = kd.EncoderLayer(8, 2, 16, dropout=0.0, seed=0)
    layer = kd.LayerDrop(encoder, 0.5, seed=1)
    x = np.random.default_rng(0).normal(size=(4, 3, 8)).astype("float32")
    layer.build(x.shape)
    layer.rate.assign(rate)

    def loss_of(called):
        return lambda: ops.sum(called(x, training=True) ** 3)

    found = value_and_gradients(loss_of(layer), encoder.weights, jit_compile)
    if rate == 1.0:
        np.testing.assert_allclose(found[0], (x**3).sum(), rtol=1e-5)
        assert not any(np.any(gradient) for gradient in found[1])
        return
    expected = value_and_gradients(loss_of(encoder), encoder.weights)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    for ours, theirs in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def double_in_a_model(optimizer, **compile_arguments):
    """A model of one wrapped Double, kept until its rate is assigned."""
    inputs = keras.Input(batch_shape=(2, 3, 4))
    layer = kd.LayerDrop(Double(), 0.0, seed=0)
    model = keras.Model(inputs, layer(inputs))
    model.compile(optimizer, loss="mse", **compile_arguments)
    return model, layer


DATA = np.ones((2, 3, 4)), np.zeros((2, 3, 4))


def test_adam_still_moves_a_dropped_layer_by_its_momentum():
    model, layer = double_in_a_model(
        keras.optimizers.Adam(0.1), jit_compile=False
    )
    model.train_on_batch(*DATA)
    np.testing.assert_allclose(float(layer.layer.factor), 1.9, rtol=1e-6)
    layer.rate.assign(1.0)
    model.train_on_batch(*DATA)
    # Gradients g and 0: moments (1 - b1) b1 g and (1 - b2) b2 g², corrected.
    first = 0.1 * 0.9 / (1 - 0.9**2)
    second = 0.001 * 0.999 / (1 - 0.999**2)
    expected = 1.9 - 0.1 * first / np.sqrt(second)
    np.testing.assert_allclose(float(layer.layer.factor), expected, rtol=1e-5)


def test_weight_decay_still_shrinks_a_dropped_layer():
    model, layer = double_in_a_model(
        keras.optimizers.SGD(0.1, weight_decay=0.5), jit_compile=False
    )
    layer.rate.assign(1.0)
    model.train_on_batch(*DATA)
    expected = 2.0 - 2.0 * 0.1 * 0.5
    np.testing.assert_allclose(float(layer.layer.factor), expected, rtol=1e-6)


@pytest.mark.tensorflow
def test_eagerly_a_dropped_layer_is_left_alone():
    model, layer = double_in_a_model(
        keras.optimizers.Adam(0.1), run_eagerly=True
    )
    model.train_on_batch(*DATA)
    kept = float(layer.layer.factor)
    layer.rate.assign(1.0)
    with pytest.raises(ValueError, match="No gradients provided"):
        model.train_on_batch(*DATA)  # Keras: there was nothing else to train
    assert float(layer.layer.factor) == kept


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_dropped_encoder_layer_with_dropout_trains(jit_compile, dtype):
    import tensorflow as tf

    layer = kd.LayerDrop(
        kd.EncoderLayer(8, 2, 16, dropout=0.5, seed=0, dtype=dtype),
        0.5,
        seed=0,
        dtype=dtype,
    )
    x = tf.ones((2, 3, 8), layer.compute_dtype)
    layer.build(x.shape)
    kernel = layer.layer.feed_forward_output.kernel

    @tf.function(jit_compile=jit_compile)
    def step():
        with tf.GradientTape() as tape:
            out = tf.cast(layer(x, training=True), tf.float32)
            loss = tf.reduce_sum(out**3)
        return out, tape.gradient(loss, kernel.value)

    steps = [
        [tf.cast(a, tf.float32).numpy() for a in step()] for _ in range(20)
    ]
    kept = [(out, by) for out, by in steps if not (out == 1.0).all()]
    assert 0 < len(kept) < 20
    assert (kept[0][0] != kept[1][0]).any()  # another dropout at each step
    for out, by_kernel in steps:
        assert by_kernel.any() == (not (out == 1.0).all())


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match=r"`rate` must be in \[0, 1\)"):
        kd.LayerDrop(Double(), rate)


def test_the_config_comes_back_with_the_rate_in_force():
    layer = kd.LayerDrop(Double(), 0.25, seed=3)
    layer.rate.assign(0.5)
    again = kd.LayerDrop.from_config(layer.get_config())
    assert float(again.rate) == 0.5
    assert again.seed == 3
    assert isinstance(again.layer, Double)
