import gc
import weakref

import keras_kd as kd
import keras
import numpy as np
import pytest
from keras import ops

SHAPES = ((5, 3), (3,), ())

# Twelve steps of at most 0.05. Keras takes the moment's share 1 - beta as it
# is and corrects it by one of a rounded beta, which costs its first digits.
CLOSE = {"rtol": 1e-5, "atol": 5e-6}


def make_variables():
    random = np.random.default_rng(0)
    return [
        keras.Variable(random.normal(size=shape), dtype="float32")
        for shape in SHAPES
    ]


def values(variables):
    return [ops.convert_to_numpy(v) for v in variables]


def gradients(steps=12):
    random = np.random.default_rng(1)
    return [
        [
            ops.convert_to_tensor(random.normal(size=s), "float32")
            for s in SHAPES
        ]
        for _ in range(steps)
    ]


def trained(optimizer):
    variables = make_variables()
    for step in gradients():
        optimizer.apply(step, variables)
    return values(variables), values(optimizer.variables)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_decay": 0.1, "epsilon": 0.01},
        {"global_clipnorm": 1.0},
        {"clipnorm": 0.5, "beta_1": 0.5, "beta_2": 0.9},
        {"amsgrad": True},
        {"gradient_accumulation_steps": 3},
        {"use_ema": True, "ema_overwrite_frequency": 5},
    ],
)
def test_weights_and_moments_are_those_of_keras(changes):
    changes = {"weight_decay": 0.0, **changes}
    ours, theirs = (
        trained(adamw(0.05, **changes))
        for adamw in (kd.AdamW, keras.optimizers.AdamW)
    )
    for mine, other in zip(ours, theirs, strict=True):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_allclose(a, b, **CLOSE)


def test_two_updates_by_hand():
    variable = keras.Variable([1.0, -2.0])
    optimizer = kd.AdamW(
        0.1, weight_decay=0.5, beta_1=0.5, beta_2=0.75, epsilon=0.0
    )
    # Without epsilon the first step is the rate, in the gradient's direction.
    optimizer.apply([ops.convert_to_tensor([3.0, -0.1])], [variable])
    decayed = np.array([1.0, -2.0]) * 0.95
    np.testing.assert_allclose(variable, decayed - [0.1, -0.1], rtol=1e-6)
    # m: 1.5, then 0.75; v: 9/4, then 27/16; corrected by 3/4 and 7/16.
    before = np.array(variable)
    optimizer.apply([ops.convert_to_tensor([0.0, 0.0])], [variable])
    step = 0.1 * (0.75 / 0.75) / (27 / 16 / (7 / 16)) ** 0.5
    np.testing.assert_allclose(variable[0], before[0] * 0.95 - step, rtol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("global_clipnorm", [None, 1.0])
def test_a_row_listed_twice_counts_with_its_sum(global_clipnorm):
    import tensorflow as tf

    rows = tf.IndexedSlices([[3.0, 6.0], [-3.0, 2.0]], [1, 1], (4, 2))
    results = []
    for gradient in (rows, tf.convert_to_tensor(rows)):
        variable = keras.Variable(np.ones((4, 2), "float32"))
        optimizer = kd.AdamW(
            0.1, weight_decay=0.0, global_clipnorm=global_clipnorm
        )
        optimizer.apply([gradient], [variable])
        results.append(values([variable, *optimizer.variables]))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    # Its sum is (0, 8): a step of 0.1 where there is a gradient.
    np.testing.assert_allclose(results[0][0][1], [1.0, 0.9], rtol=1e-6)
    clipped = 8.0 if global_clipnorm is None else 1.0
    np.testing.assert_allclose(
        [m[1, 1] for m in results[0] if m.shape == (4, 2)][1:],
        [0.1 * clipped, 0.001 * clipped**2],
        rtol=1e-4,
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_kernel_is_in_the_graph_once_a_weight(jit_compile):
    import tensorflow as tf

    variables = make_variables()
    optimizer = kd.AdamW(0.05, global_clipnorm=1.0)
    optimizer.build(variables)
    steps = gradients()

    @tf.function(jit_compile=jit_compile)
    def update(*gradients):
        optimizer.apply(gradients, variables)

    graph = update.get_concrete_function(*steps[0]).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("ResourceApplyAdam") == len(SHAPES)
    for step in steps:
        update(*step)
    expected, _ = trained(keras.optimizers.AdamW(0.05, global_clipnorm=1.0))
    for a, b in zip(values(variables), expected, strict=True):
        np.testing.assert_allclose(a, b, **CLOSE)


@pytest.mark.tensorflow
def test_under_a_strategy_it_is_keras_update():
    import tensorflow as tf

    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
        variables = make_variables()
        optimizer = kd.AdamW(0.05, weight_decay=0.0)
        optimizer.build(variables)

    @tf.function
    def update(*gradients):
        strategy.run(lambda: optimizer.apply(gradients, variables))

    steps = gradients()
    graph = update.get_concrete_function(*steps[0]).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert "ResourceApplyAdam" not in kinds
    for step in steps:
        update(*step)
    expected, _ = trained(keras.optimizers.AdamW(0.05, weight_decay=0.0))
    for a, b in zip(values(variables), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.tensorflow
def test_a_compiled_update_goes_with_its_function():
    import tensorflow as tf

    def trace():
        variables = make_variables()
        optimizer = kd.AdamW(0.05, global_clipnorm=1.0)
        optimizer.build(variables)

        @tf.function
        def update(*gradients):
            optimizer.apply(gradients, variables)

        return weakref.ref(update.get_concrete_function(*gradients(1)[0]).graph)

    graph = trace()
    gc.collect()
    assert graph() is None  # else it would hold the weights


def test_one_infinite_gradient_shows_in_all_weights():
    variables = make_variables()
    optimizer = kd.AdamW(0.05, global_clipnorm=1.0)
    bad = [ops.ones(shape) for shape in SHAPES]
    bad[1] = ops.full(SHAPES[1], np.inf)
    optimizer.apply(bad, variables)
    assert all(np.isnan(value).all() for value in values(variables))


def test_a_weight_without_a_gradient_stays():
    variables = make_variables()
    before = values(variables)
    optimizer = kd.AdamW(0.05, weight_decay=0.0, global_clipnorm=1.0)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([ops.ones(SHAPES[0]), None, ops.ones(())], variables)
    np.testing.assert_array_equal(values(variables)[1], before[1])
    np.testing.assert_allclose(values(variables)[0], before[0] - 0.05, **CLOSE)


@pytest.mark.tensorflow
def test_weights_of_two_precisions_are_clipped_together():
    low, high = (
        keras.Variable(np.zeros(1), dtype=d) for d in ("bfloat16", "float32")
    )
    optimizer = kd.AdamW(1.0, weight_decay=0.0, global_clipnorm=5.0)
    gradients = [ops.full((1,), 6.0, "bfloat16"), ops.full((1,), 8.0)]
    optimizer.apply(gradients, [low, high])
    moments = [float(v[0]) for v in optimizer.variables[2:6]]
    np.testing.assert_allclose(
        moments[:4:2] + moments[1:4:2], [0.3, 0.4, 0.009, 0.016], rtol=0.02
    )


@pytest.mark.tensorflow  # on JAX, Keras's scaling wants a compiled step
def test_a_scaled_loss_gives_the_same_updates():
    scaled = keras.optimizers.LossScaleOptimizer(
        kd.AdamW(0.05, weight_decay=0.0, global_clipnorm=1.0),
        initial_scale=64.0,
    )
    variables = make_variables()
    for step in gradients():
        scaled.apply([64.0 * gradient for gradient in step], variables)
    plain = kd.AdamW(0.05, weight_decay=0.0, global_clipnorm=1.0)
    for a, b in zip(values(variables), trained(plain)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_a_run_in_two_parts_ends_as_one():
    steps = gradients()
    whole, _ = trained(kd.AdamW(0.05))
    variables = make_variables()
    first, second = kd.AdamW(0.05), kd.AdamW(0.05)
    for step in steps[:5]:
        first.apply(step, variables)
    state = {}
    first.save_own_variables(state)
    second.build(variables)
    second.load_own_variables(state)
    for step in steps[5:]:
        second.apply(step, variables)
    for a, b in zip(values(variables), whole, strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_comes_back_from_its_config():
    optimizer = kd.AdamW(0.05, weight_decay=0.1, beta_2=0.98)
    saved = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(saved)
    assert type(again) is kd.AdamW
    assert again.get_config() == optimizer.get_config()


def make_line(optimizer):
    """A weight, and a function that fits it for some steps."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    eagerly = keras.backend.backend() == "tensorflow"
    model.compile(optimizer, "mse", run_eagerly=eagerly)

    def fit(steps):
        x = np.ones((steps, 1), "float32")
        model.fit(x, x, batch_size=1, verbose=0)

    return fit


@pytest.mark.parametrize("wrap", [lambda x: x, kd.SkipNonFinite])
def test_a_fit_beyond_its_schedule_is_told_once(wrap):
    fit = make_line(wrap(kd.distilbert_optimizer(3, 1e-3)))
    fit(4)  # the schedule has one more, as in the scripts
    with pytest.warns(UserWarning, match="rate of 0") as told:
        fit(2)
    assert str(told[-1].message) == (
        "The last 2 of 6 updates had a learning rate of 0: the schedule has 4 "
        "steps. To train on, make an optimizer with `total_steps` for all "
        "updates, and compile with it."
    )
    fit(1)


def test_other_schedules_and_rates_have_no_such_end():
    schedule = keras.optimizers.schedules.PolynomialDecay(1e-3, 2, 0.0)
    make_line(kd.AdamW(schedule))(3)
    make_line(kd.AdamW(1e-3))(3)
