import keras_kd as kd
import keras
import numpy as np
import pytest
from keras import ops

MASK = np.array([[1] * 5, [1, 1, 0, 0, 0], [1] * 4 + [0]])
BATCH = {"x": {"padding_mask": MASK}}


def reference(distance, teacher, student):
    """The distance over the real tokens of MASK, in float64 NumPy."""
    a, b = np.asarray(teacher, "float64"), np.asarray(student, "float64")
    if distance == "mse":
        rows = ((a - b) ** 2).mean(-1)
    else:
        norms = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
        rows = 1 - (a * b).sum(-1) / norms
    return (rows * MASK).sum() / MASK.sum()


@pytest.fixture
def draw():
    random = np.random.default_rng(0)
    return lambda *shape: random.normal(size=shape).astype("float32")


def configs(**changes):
    """A teacher's config, 4 layers of width 8, and a student's of 2."""
    teacher = kd.BertConfig(30, 4, 8, 2, dropout=0.0)
    return teacher, teacher.with_layers(2, **changes)


def test_right_angles_opposites_and_equals_by_hand():
    teacher = np.array([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0]], "float32")
    student = np.array([[0.0, 3.0], [-5.0, 0.0], [7.0, 0.0]], "float32")
    loss = kd.HiddenStateCosine(reduction=None)(teacher, student)
    np.testing.assert_allclose(loss, [1.0, 2.0, 0.0], atol=1e-6)


def test_mean_squares_by_hand():
    teacher = np.array([[1.0, 2.0], [0.0, 0.0], [5.0, 5.0]], "float32")
    student = np.array([[0.0, 0.0], [3.0, 4.0], [5.0, 5.0]], "float32")
    rows = kd.HiddenStateMSE(reduction=None)(teacher, student)
    np.testing.assert_allclose(rows, [2.5, 12.5, 0.0])
    mean = kd.HiddenStateMSE()(teacher, student, sample_weight=[1, 1, 0])
    np.testing.assert_allclose(mean, 7.5)


@pytest.mark.parametrize("distance", ["cosine", "mse"])
def test_it_is_the_float64_formula_over_real_tokens(draw, distance):
    teacher, student = draw(2, 3, 5, 8)
    value = kd.HiddenStateTerm(distance).compute(
        BATCH,
        {"hidden_states": [0 * teacher, teacher]},
        {"hidden_states": [student]},
    )
    expected = reference(distance, teacher, student)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layer_map", "pairs"),
    [
        ("last", [(4, 2)]),
        ("uniform", [(2, 1), (4, 2)]),
        ([(-1, -1), (2, 0), (3, 1)], [(0, 0), (3, 1), (4, 2)]),
    ],
)
@pytest.mark.parametrize("distance", ["cosine", "mse"])
def test_a_layer_map_is_the_mean_over_its_pairs(
    draw, distance, layer_map, pairs
):
    teacher, student = draw(5, 3, 5, 8), draw(3, 3, 5, 8)
    value = kd.HiddenStateTerm(distance, layer_map).compute(
        BATCH,
        {"hidden_states": list(teacher)},
        {"hidden_states": list(student)},
    )
    expected = np.mean(
        [reference(distance, teacher[t], student[s]) for t, s in pairs]
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("distance", ["cosine", "mse"])
def test_a_projection_meets_each_pair(draw, distance):
    term = kd.HiddenStateTerm(distance, "uniform", project=True, seed=0)
    term.build_for(*configs(hidden_dim=6))
    first, second = (p.kernel for p in term.projections)
    learned = [id(v) for v in term.trainable_variables]
    assert learned == [id(first), id(second)]
    assert first.shape == second.shape == (6, 8)
    teacher, student = draw(5, 3, 5, 8), draw(3, 3, 5, 6)
    value = term.compute(
        BATCH,
        {"hidden_states": list(teacher)},
        {"hidden_states": list(student)},
    )
    expected = np.mean(
        [
            reference(distance, teacher[t], student[s] @ np.asarray(kernel))
            for t, s, kernel in [(2, 1, first), (4, 2, second)]
        ]
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_projections_start_differently_and_by_their_seed():
    def kernels(seed):
        term = kd.HiddenStateTerm(layer_map="uniform", project=True, seed=seed)
        term.build_for(*configs(hidden_dim=6))
        return [np.asarray(v) for v in term.trainable_variables]

    first, again, other = kernels(0), kernels(0), kernels(1)
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any() and (first[0] != other[0]).any()


def test_another_pair_of_models_gets_projections_of_its_own():
    term = kd.HiddenStateTerm(layer_map="uniform", project=True, seed=0)
    term.build_for(*configs(hidden_dim=6))
    before = {id(v) for v in term.variables}
    term.build_for(*configs(hidden_dim=4))
    assert [v.shape for v in term.trainable_variables] == [(4, 8)] * 2
    assert not before & {id(v) for v in term.variables}


def test_the_gradient_reaches_the_projections_and_the_student(
    value_and_gradients,
):
    term = kd.HiddenStateTerm("mse", "uniform", project=True, seed=0)
    theirs, ours = configs(hidden_dim=6)
    term.build_for(theirs, ours)
    teacher, student = kd.BertBackbone(theirs, 0), kd.BertBackbone(ours, 1)
    x = {"token_ids": np.arange(15).reshape(3, 5), "padding_mask": MASK}
    kernels = term.trainable_variables
    assert not {id(v) for v in kernels} & {id(v) for v in student.variables}
    goal = [ops.convert_to_numpy(a) for a in teacher(x)["hidden_states"]]

    def value():
        return term.compute({"x": x}, {"hidden_states": goal}, student(x))

    query = student.encoder_layers[0].query.kernel

    def run():
        return value_and_gradients(value, [*kernels, query])

    before, gradients = run()
    for gradient in gradients:
        assert np.abs(gradient).max() > 1e-6
    # Down the gradients, by their squared length.
    rate = 1e-3
    for kernel, gradient in zip(kernels, gradients, strict=False):
        kernel.assign(kernel - rate * ops.convert_to_tensor(gradient))
    squared = sum((np.asarray(g) ** 2).sum() for g in gradients[:2])
    after, _ = run()
    np.testing.assert_allclose(before - after, rate * squared, rtol=0.01)


@pytest.mark.parametrize("distance", ["cosine", "mse"])
def test_padded_rows_do_not_count(draw, value_and_gradients, distance):
    teacher, student = draw(2, 3, 5, 8)
    other = np.where(MASK[..., None] > 0, student, 99.0).astype("float32")
    term = kd.HiddenStateTerm(distance)

    def value(states):
        return term.compute(
            BATCH, {"hidden_states": [teacher]}, {"hidden_states": [states]}
        )

    first, (by_first,) = value_and_gradients(value, [student])
    second, (by_second,) = value_and_gradients(value, [other])
    np.testing.assert_allclose(first, second, rtol=1e-6)
    np.testing.assert_allclose(by_first, by_second, atol=1e-7)
    assert not np.asarray(by_first)[MASK == 0].any()


@pytest.mark.parametrize("distance", ["cosine", "mse"])
def test_no_real_token_gives_zero(value_and_gradients, distance):
    states = np.ones((1, 2, 3), "float32")
    batch = {"x": {"padding_mask": np.zeros((1, 2))}}

    def value(student):
        return kd.HiddenStateTerm(distance).compute(
            batch, {"hidden_states": [-states]}, {"hidden_states": [student]}
        )

    found, (gradient,) = value_and_gradients(value, [states])
    assert float(found) == 0.0
    np.testing.assert_array_equal(gradient, 0 * states)


def test_half_precision_states_are_compared_in_float32():
    teacher = ops.cast(np.full((1, 1, 4), 300.0), "float16")
    value = kd.HiddenStateTerm("mse").compute(
        {"x": {"padding_mask": np.ones((1, 1))}},
        {"hidden_states": [teacher]},
        {"hidden_states": [0 * teacher]},
    )
    np.testing.assert_allclose(value, 90_000.0)  # above float16's largest


def test_another_width_needs_a_projection():
    with pytest.raises(
        ValueError,
        match="`hidden_dim` to compare.*`project=True`.*8. Received: 6",
    ):
        kd.HiddenStateTerm().build_for(*configs(hidden_dim=6))


def test_what_the_term_cannot_do_is_refused_before_any_batch():
    with pytest.raises(ValueError, match="`distance` must be.*'manhattan'"):
        kd.HiddenStateTerm("manhattan")
    with pytest.raises(ValueError, match="`layer_map` must be"):
        kd.HiddenStateTerm(layer_map=[(4, 1)]).build_for(*configs())


def test_the_config_comes_back():
    arguments = {
        "distance": "mse",
        "layer_map": [[3, 1]],
        "project": True,
        "seed": 7,
    }
    term = kd.HiddenStateTerm(**arguments)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(term)
    )
    assert {name: getattr(again, name) for name in arguments} == arguments
