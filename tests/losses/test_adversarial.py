"""Values and gradients of the terms on numbers that are hard on them.

The head of the stand-in passes hidden rows on and its embedding is the
identity, so that rows plus bias are the logits. The truth is the formula and
its gradient in float64 NumPy, on the rows as rounded to their dtype.
"""

import keras_kd as kd
import numpy as np
import pytest
from keras import ops

SEQUENCES, TOKENS, MASKED, VOCABULARY = 3, 6, 4, 11

# Name of a term, and which rows it is a mean over.
SOFT_TARGETS = [("soft_target", "all"), ("soft_target", "masked")]
TERMS = [*SOFT_TARGETS, ("masked_lm", "masked")]
HIDDEN_STATES = [("hidden_state", "all")]
LOGITS_MSE = [("logits_mse", "all"), ("logits_mse", "masked")]

# Of a value, to itself; of a gradient, to its tensor's largest entry.
VALUE_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = {"float32": 1e-5, "bfloat16": 2.0**-7}


def for_each(terms):
    ids = ["-".join(term) for term in terms]
    return pytest.mark.parametrize(("name", "rows"), terms, ids=ids)


def make_term(name, rows, temperature=2.0):
    arguments = {"alpha_mse": 1.0} if name == "logits_mse" else {}
    losses = kd.distilbert_losses(
        temperature=temperature,
        restrict_ce_to_mask=rows == "masked",
        **arguments,
    )
    return losses["loss_terms"][name]


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def batch(random):
    """Three sequences of 6, 4 and 1 tokens; 4, 2 and 1 of them masked."""
    real = np.arange(TOKENS) < np.array([[6], [4], [1]])
    weights = np.arange(MASKED) < np.array([[4], [2], [1]])
    return {
        "x": {
            "padding_mask": real.astype("int32"),
            "mask_positions": np.array(
                [[0, 2, 3, 5], [1, 3, 0, 0], [0, 0, 0, 0]]
            ),
        },
        "y": random.integers(VOCABULARY, size=weights.shape),
        "sample_weight": weights.astype("float32"),
    }


def sure_and_wrong(scale):
    """Teacher sure of token 3, student of 7: `scale`, -`scale` elsewhere."""
    hot = np.eye(VOCABULARY)[[3, 7]][:, None, None]
    ones = np.ones((2, SEQUENCES, TOKENS, VOCABULARY))
    return scale * (2 * hot - 1) * ones


def noise(random, scale):
    shape = 2, SEQUENCES, TOKENS, VOCABULARY
    return random.uniform(-scale, scale, shape)


def rounded(logits, dtype):
    """What is left of `logits` in `dtype`, as float32."""
    return ops.convert_to_numpy(ops.cast(ops.cast(logits, dtype), "float32"))


class StandIn:
    """A head that passes hidden rows on to E and the bias."""

    def __init__(self, embedding, bias):
        self.pair = embedding, bias

    def transform(self, rows):
        return rows

    def vocabulary(self):
        return self.pair


def outputs(rows, embedding, bias, positions, dtype):
    """What a model with these last hidden states hands to a term."""
    rows = ops.cast(rows, dtype)
    embedding, bias = map(ops.convert_to_tensor, (embedding, bias))
    at_mask = ops.take_along_axis(rows, positions[:, :, None], axis=1)
    products = ops.matmul(at_mask, ops.transpose(ops.cast(embedding, dtype)))
    return {
        "hidden_states": [rows],
        "logits": ops.cast(products, "float32") + bias,
        "head": StandIn(embedding, bias),
    }


def found(run, term, batch, teacher, student, dtype="float32", shifts=(0, 0)):
    """Value; gradients by the student's rows and, if from logits, E and bias.

    `shifts` are added to the teacher's and to the student's logits.
    """
    fixed = batch["x"]["mask_positions"], dtype
    identity = np.eye(VOCABULARY, dtype="float32")
    theirs, ours = (np.full(VOCABULARY, s, "float32") for s in shifts)
    teacher = outputs(teacher.astype("float32"), identity, theirs, *fixed)

    def value(rows, embedding=identity, bias=ours):
        return term.compute(
            batch, teacher, outputs(rows, embedding, bias, *fixed)
        )

    inputs = [student.astype("float32"), identity, ours]
    if isinstance(term, kd.HiddenStateTerm):
        inputs = inputs[:1]
    result, gradients = run(value, inputs)
    return float(result), [np.asarray(g) for g in gradients]


def log_softmax(logits):
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def row_by_row(name, teacher, student, ids=None, temperature=2.0):
    """Term and gradient of each row, in float64: (...) and (..., V)."""
    if name == "soft_target":
        log_p = log_softmax(teacher / temperature)
        log_q = log_softmax(student / temperature)
        p, q = np.exp(log_p), np.exp(log_q)
        value = temperature**2 * (p * (log_p - log_q)).sum(-1)
        return value, temperature * (q - p)
    if name == "masked_lm":
        log_q, hot = log_softmax(student), np.eye(VOCABULARY)[ids]
        return -(log_q * hot).sum(-1), np.exp(log_q) - hot
    if name == "logits_mse":
        difference = student - teacher
        return (difference**2).sum(-1), 2 * difference
    pair = teacher, student
    squares = [(a**2).sum(-1, keepdims=True) + 1e-12 for a in pair]
    norms = np.sqrt(squares[0] * squares[1])
    cosine = (teacher * student).sum(-1, keepdims=True) / norms
    return 1 - cosine[..., 0], cosine * student / squares[1] - teacher / norms


def expected(name, rows, batch, teacher, student, temperature=2.0):
    """As `found`, in float64; logits are (B, T, V)."""
    weights, ids = batch["x"]["padding_mask"], None
    where = tuple(np.indices(weights.shape))
    if rows == "masked":
        weights, ids = batch["sample_weight"], batch["y"]
        where = np.indices(weights.shape)[0], batch["x"]["mask_positions"]
    teacher, student = (a.astype("float64") for a in (teacher, student))
    value, slopes = row_by_row(
        name, teacher[where], student[where], ids, temperature
    )
    weights = weights / max(weights.sum(), 1)  # where all are 0, 0
    by_rows = np.zeros(student.shape)
    np.add.at(by_rows, where, slopes * weights[..., None])
    by_embedding = np.einsum("btv,btd->vd", by_rows, student)
    gradients = [by_rows, by_embedding, by_rows.sum((0, 1))]
    if name == "hidden_state":
        gradients = gradients[:1]
    return (value * weights).sum(), gradients


def assert_same(ours, truth, dtype="float32"):
    np.testing.assert_allclose(ours[0], truth[0], rtol=VALUE_TOLERANCE)
    for gradient, exact in zip(ours[1], truth[1], strict=True):
        tolerance = GRADIENT_TOLERANCE[dtype] * np.abs(exact).max()
        np.testing.assert_allclose(gradient, exact, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("scale", [50.0, 1e4])
@for_each(TERMS + LOGITS_MSE)
def test_a_student_that_is_sure_and_wrong_learns(
    value_and_gradients, batch, name, rows, scale, dtype
):
    pair = rounded(sure_and_wrong(scale), dtype)
    truth = expected(name, rows, batch, *pair)
    assert all(np.abs(gradient).max() > 0.1 for gradient in truth[1])
    term = make_term(name, rows)
    ours = found(value_and_gradients, term, batch, *pair, dtype)
    assert_same(ours, truth, dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@for_each(TERMS + LOGITS_MSE)
def test_logits_up_to_ten_thousand_are_within_reach(
    value_and_gradients, batch, random, name, rows, dtype
):
    pair = rounded(noise(random, 1e4), dtype)
    truth = expected(name, rows, batch, *pair)
    term = make_term(name, rows)
    ours = found(value_and_gradients, term, batch, *pair, dtype)
    assert_same(ours, truth, dtype)


@pytest.mark.parametrize("temperature", [0.5, 10.0])
@pytest.mark.parametrize("scale", [1.0, 10.0])
@for_each(SOFT_TARGETS)
def test_low_and_high_temperatures_are_within_reach(
    value_and_gradients, batch, random, name, rows, scale, temperature
):
    pair = noise(random, scale).astype("float32")
    truth = expected(name, rows, batch, *pair, temperature)
    term = make_term(name, rows, temperature)
    assert_same(found(value_and_gradients, term, batch, *pair), truth)


# A float32 of 105 is right to 4e-6: within the tolerances, of these logits.
@pytest.mark.parametrize("shifts", [(100, 0), (0, 100), (100, 100)])
@for_each(TERMS)
def test_a_hundred_more_on_all_logits_changes_nothing(
    value_and_gradients, batch, random, name, rows, shifts
):
    pair = noise(random, 5.0).astype("float32")
    truth = expected(name, rows, batch, *pair)
    term = make_term(name, rows)
    ours = found(value_and_gradients, term, batch, *pair, shifts=shifts)
    assert_same(ours, truth)


@for_each(LOGITS_MSE)
def test_a_hundred_more_on_both_models_logits_leaves_their_difference(
    value_and_gradients, batch, random, name, rows
):
    pair = noise(random, 5.0).astype("float32")
    truth = expected(name, rows, batch, *pair)
    term = make_term(name, rows)
    ours = found(value_and_gradients, term, batch, *pair, shifts=(100, 100))
    assert_same(ours, truth)


@pytest.mark.parametrize("rest", [0.0, 1e4])
@pytest.mark.parametrize("emptied", [[1], [0, 1, 2]], ids=["one", "all"])
@for_each(TERMS + HIDDEN_STATES + LOGITS_MSE)
def test_sequences_without_a_real_token_count_for_nothing(
    value_and_gradients, batch, random, name, rows, emptied, rest
):
    pair = noise(random, 5.0)
    pair[:, emptied] = noise(random, rest)[:, emptied]
    pair = pair.astype("float32")
    batch["x"]["padding_mask"][emptied] = 0
    batch["sample_weight"][emptied] = 0
    truth = expected(name, rows, batch, *pair)
    ours = found(value_and_gradients, make_term(name, rows), batch, *pair)
    assert_same(ours, truth)
    assert not ours[1][0][emptied].any()
    if len(emptied) == SEQUENCES:
        assert ours[0] == 0 and not any(g.any() for g in ours[1])


def make_model(policy, seed, bias):
    config = kd.BertConfig(
        vocabulary_size=VOCABULARY,
        num_layers=1,
        hidden_dim=8,
        num_heads=2,
        max_sequence_length=TOKENS,
        dropout=0.0,
        initializer_range=0.3,
    )
    model = kd.BertMaskedLM(config, seed=seed, dtype=policy)
    model.head.bias.assign(bias)
    return model


def everywhere(model, x):
    """Logits of all tokens and last hidden states, as float32 arrays."""
    positions = np.tile(np.arange(TOKENS), (SEQUENCES, 1))
    output = model({**x, "mask_positions": positions})
    both = output["logits"], output["hidden_states"][-1]
    return [rounded(values, "float32") for values in both]


@pytest.mark.parametrize(
    ("policy", "mask_weight"),
    [
        ("float32", 1),
        ("float32", 0),
        pytest.param("mixed_bfloat16", 1, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("rows", ["all", "masked"])
@pytest.mark.parametrize(
    "arguments", [{}, {"alpha_mse": 0.01}], ids=["three_terms", "logits_mse"]
)
def test_the_total_of_a_distiller_stands_it_too(
    value_and_gradients, batch, arguments, rows, policy, mask_weight
):
    """Heads whose biases are sure and wrong; a sequence of padding.

    The gradient by the student's bias is exact; by the others, finite.
    """
    x = batch["x"]
    ids = np.arange(SEQUENCES * TOKENS) % VOCABULARY
    x["token_ids"] = ids.reshape(SEQUENCES, TOKENS)
    x["padding_mask"][1] = 0
    batch["sample_weight"][1] = 0
    batch["sample_weight"] *= mask_weight
    dtype = policy.removeprefix("mixed_")
    biases = rounded(sure_and_wrong(1e4), dtype)[:, 0, 0]
    teacher, student = (
        make_model(policy, seed, bias) for seed, bias in enumerate(biases)
    )
    logits, states = zip(
        everywhere(teacher, x), everywhere(student, x), strict=True
    )
    losses = kd.distilbert_losses(
        restrict_ce_to_mask=rows == "masked", **arguments
    )
    exact, by_bias = 0.0, 0.0
    for name, weight in losses["loss_weights"].items():
        if name == "hidden_state":
            value, _ = expected(name, "all", batch, *states)
        else:
            which = "masked" if name == "masked_lm" else rows
            value, slopes = expected(name, which, batch, *logits)
            by_bias = by_bias + weight * slopes[-1]
        exact += weight * value

    distiller = kd.Distiller(teacher, student, **losses)

    def total():
        y_pred = distiller(x, training=True)
        return distiller.compute_loss(**batch, y_pred=y_pred, training=True)

    names, variables = zip(*student.named_variables().items(), strict=True)
    value, gradients = value_and_gradients(total, variables)
    gradients = dict(zip(names, map(np.asarray, gradients), strict=True))
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())
    found = float(value), [gradients["masked_lm_head/bias"]]
    assert_same(found, (exact, [by_bias]), dtype)
