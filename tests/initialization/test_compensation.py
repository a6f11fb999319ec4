import keras_kd as kd
import numpy as np
import pytest
from keras_kd.initialization.compensation import Branch, spans

METHODS = list(kd.COMPENSATIONS)


@pytest.fixture
def batches(store, tokenizer):
    found = kd.masked_lm_batches(store, tokenizer, 8, shuffle=False).take(3)
    return list(found.as_numpy_iterator())


def arrays_of(model):
    return {n: np.asarray(v) for n, v in model.named_variables().items()}


def student_of(teacher, layers, **arguments):
    """The student of layers, and with a compensation, the plan."""
    student = kd.BertMaskedLM(teacher.config.with_layers(len(layers)))
    plan = kd.make_plan(layers, teacher, student)
    if arguments:
        plan = kd.compensate(plan, teacher, **arguments)
    plan.apply(teacher, student)
    return student, plan


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layers", [(0, 1, 2), (1, 2)])
def test_where_no_layer_is_missing_after_one_it_is_a_copy(
    deep_teacher, batches, method, layers
):
    copy, _ = student_of(deep_teacher, layers)
    found, plan = student_of(
        deep_teacher, layers, batches=batches, method=method
    )
    assert plan.name == f"indices + {method}"
    for name, value in arrays_of(copy).items():
        np.testing.assert_array_equal(arrays_of(found)[name], value)


def test_gains_by_hand():
    """Of (1, -1, 0, 0) and (0, 0, 1, -1) the sum is normal already.

    By the factor it moves along (-1, 1, 1, -1) / 2, across itself.
    """
    total = np.array([[1.0, -1.0, 1.0, -1.0]])
    slope = np.array([[-0.5, 0.5, 0.5, -0.5]])

    def gain(target, gamma=1.0, beta=0.0):
        branch = Branch(
            x=np.array([[1.0, -1.0, 0.0, 0.0]]),
            inputs=np.array([[0.0, 0.0, 1.0, -1.0]]),
            target=target * gamma + beta,
            kernel=np.eye(4),
            bias=np.zeros(4),
            gamma=np.full(4, gamma),
            beta=np.full(4, beta),
            epsilon=0.0,
        )
        return branch.gain()

    assert gain(total) == pytest.approx(1.0)
    assert gain(total - 0.2 * slope) == pytest.approx(0.8)
    assert gain(total + 0.5 * slope, 3.0, 7.0) == pytest.approx(1.5)
    assert gain(1.3 * total) == pytest.approx(1.0)
    assert gain(total - slope) == 0.5
    assert gain(total + 9 * slope) == 2.0


def make_branch(seed=0):
    random = np.random.default_rng(seed)
    tokens, inner, width = 60, 5, 4
    return Branch(
        x=random.normal(size=(tokens, width)),
        inputs=random.normal(size=(tokens, inner)),
        target=random.normal(size=(tokens, width)),
        kernel=random.normal(size=(inner, width)),
        bias=random.normal(size=width),
        gamma=random.uniform(0.5, 2.0, size=width),
        beta=random.normal(size=width),
        epsilon=1e-12,
    )


def test_a_small_ridge_is_the_least_squares_fit_and_a_large_one_a_copy():
    branch = make_branch()
    total = branch.x + branch.inputs @ branch.kernel + branch.bias
    scale = total.std(-1, keepdims=True)
    wanted = scale * (branch.target - branch.beta) / branch.gamma
    wanted += total.mean(-1, keepdims=True) - branch.x
    inputs = np.c_[branch.inputs, np.ones(60)]
    expected = np.linalg.lstsq(inputs / scale, wanted / scale, rcond=None)[0]
    kernel, bias = branch.refit(1e-12)
    np.testing.assert_allclose(np.vstack([kernel, bias]), expected, rtol=1e-6)
    kernel, bias = branch.refit(1e12)
    np.testing.assert_allclose(kernel, branch.kernel, rtol=1e-9)
    np.testing.assert_allclose(bias, branch.bias, rtol=1e-9)


def test_a_column_that_the_norm_hides_is_left_alone():
    branch = make_branch()
    branch.gamma[2] = 0.0
    kernel, bias = branch.refit(1e-3)
    np.testing.assert_array_equal(kernel[:, 2], branch.kernel[:, 2])
    assert bias[2] == branch.bias[2]
    assert not np.allclose(kernel[:, 1], branch.kernel[:, 1])


def distance(teacher, student, batches):
    """Mean square between last states, of real tokens."""
    total = 0.0
    for x, *_ in batches:
        last = [
            np.asarray(model.predict_on_batch(x)["hidden_states"][-1])
            for model in (teacher, student)
        ]
        real = x["padding_mask"].astype(bool)
        total += np.square(last[0] - last[1])[real].sum()
    return total


@pytest.mark.parametrize(
    "method", ["gains", pytest.param("ridge", marks=pytest.mark.slow)]
)
def test_what_is_left_comes_nearer_to_the_teacher(
    deep_teacher, batches, method
):
    copy, _ = student_of(deep_teacher, (0,))
    found, plan = student_of(
        deep_teacher, (0,), batches=batches, method=method, ridge=1e-3
    )
    assert distance(deep_teacher, found, batches) < 0.95 * distance(
        deep_teacher, copy, batches
    )
    changed = {
        name
        for name, value in arrays_of(copy).items()
        if not np.array_equal(arrays_of(found)[name], value)
    }
    branches = {"gains": ("attention_output", "feed_forward_output")}
    assert changed == {
        f"encoder_layer_0/{branch}/{part}"
        for branch in branches.get(method, ("feed_forward_output",))
        for part in ("kernel", "bias")
    }
    assert set(plan.sources) == set(arrays_of(copy))


def test_a_gain_is_folded_into_the_projection(deep_teacher, batches):
    found, plan = student_of(
        deep_teacher, (0, 2), batches=batches, method="gains"
    )
    source = plan.sources["encoder_layer_0/attention_output/kernel"]
    assert 0.5 <= source.factor <= 2.0
    assert source.factor != 1.0
    theirs = arrays_of(deep_teacher)["encoder_layer_0/attention_output/kernel"]
    ours = arrays_of(found)["encoder_layer_0/attention_output/kernel"]
    np.testing.assert_allclose(ours, source.factor * theirs, rtol=1e-6)
    assert str(source).endswith(" · encoder_layer_0/attention_output/kernel")


def test_padding_has_no_part_in_a_fit(deep_teacher, batches):
    padded = []
    for x, *_ in batches:
        more = {name: np.pad(x[name], ((0, 0), (0, 3))) for name in x}
        more["token_ids"][:, -3:] = 7
        more["mask_positions"] = x["mask_positions"]
        padded.append(more)
    sources = [
        student_of(deep_teacher, (0,), batches=text)[1].sources
        for text in (batches, padded)
    ]
    name = "encoder_layer_0/feed_forward_output/kernel"
    factors = [found[name].factor for found in sources]
    assert factors[0] == pytest.approx(factors[1], rel=1e-4)


def test_an_average_is_of_a_layer_and_those_after_it(deep_teacher):
    found, plan = student_of(deep_teacher, (0, 2), method="average")
    theirs, ours = arrays_of(deep_teacher), arrays_of(found)
    for name, value in ours.items():
        expected = theirs[name.replace("layer_1/", "layer_2/")]
        if name.startswith("encoder_layer_0/"):
            other = name.replace("layer_0/", "layer_1/")
            expected = (theirs[name] + theirs[other]) / 2
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-7)
    source = plan.sources["encoder_layer_0/query/bias"]
    assert str(source) == (
        "mean of encoder_layer_0/query/bias, encoder_layer_1/query/bias"
    )


def test_spans_reach_to_the_next_layer_that_is_kept():
    plan = kd.InitializationPlan("mine", (1, 2, 5), {})
    assert spans(plan, 7) == [(1, 2), (2, 5), (5, 7)]


@pytest.mark.parametrize(
    ("plan", "arguments", "message"),
    [
        ("first", {"method": "gain"}, "`method` must be one of"),
        ("first", {"method": "ridge", "ridge": 0.0}, "`ridge` must be above"),
        ("first", {"batches": []}, "`batches` must hold text"),
        ("first", {}, "`batches` must hold text"),
        ("random", {}, "`plan` must copy layers.*'random'"),
    ],
)
def test_what_cannot_be_is_refused(deep_teacher, plan, arguments, message):
    student = kd.BertMaskedLM(deep_teacher.config.with_layers(1))
    plan = kd.make_plan(plan, deep_teacher, student)
    with pytest.raises(ValueError, match=message):
        kd.compensate(plan, deep_teacher, **arguments)
