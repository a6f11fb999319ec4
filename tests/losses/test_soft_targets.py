import keras_kd as kd
import numpy as np
import pytest
import tensorflow as tf
from keras_kd.losses import chunked_soft_target_kl


def reference(teacher_logits, student_logits, weights, temperature):
    """temperature² · KL, weighted mean over rows, in float64 NumPy."""

    def log_softmax(logits):
        logits = np.asarray(logits, "float64") / temperature
        logits = logits - logits.max(-1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    log_p, log_q = log_softmax(teacher_logits), log_softmax(student_logits)
    kl = (np.exp(log_p) * (log_p - log_q)).sum(-1) * temperature**2
    return (kl * weights).sum() / weights.sum()


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_two_tokens_by_hand():
    # p = (3/4, 1/4), q = (1/2, 1/2): KL = 3/4 ln 3/2 + 1/4 ln 1/2
    teacher, student = np.log([[3.0, 1.0]]), np.log([[1.0, 1.0]])
    expected = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    loss = kd.SoftTargetKL(temperature=1.0)(teacher, student)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 10.0])
def test_it_is_the_float64_formula(random, temperature):
    teacher, student = 5 * random.normal(size=(2, 4, 3, 11)).astype("float32")
    weights = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0]], "float32")
    loss = kd.SoftTargetKL(temperature)(teacher, student, weights)
    expected = reference(teacher, student, weights, temperature)
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-6)


def test_it_is_zero_when_student_equals_teacher_and_ignores_a_shift(random):
    logits = (30 * random.normal(size=(2, 5))).astype("float32")
    np.testing.assert_allclose(kd.SoftTargetKL()(logits, logits), 0, atol=1e-5)
    shifted = kd.SoftTargetKL()(logits, logits + 100)
    np.testing.assert_allclose(shifted, 0, atol=1e-4)


def test_a_student_that_is_sure_and_wrong_has_a_gradient():
    teacher, student = (
        tf.constant([[50.0, -50.0]]),
        tf.constant([[-50.0, 50.0]]),
    )
    with tf.GradientTape() as tape:
        tape.watch(student)
        loss = kd.SoftTargetKL(temperature=1.0)(teacher, student)
    np.testing.assert_allclose(loss, 100.0, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, student), [[-1.0, 1.0]])


def rows_and_vocabularies(random, rows=13, width=6, vocabulary=17):
    draw = lambda *shape: random.normal(size=shape).astype("float32")  # noqa: E731
    teacher = draw(rows, width), (draw(vocabulary, width), draw(vocabulary))
    student = draw(rows, width), (draw(vocabulary, width), draw(vocabulary))
    weights = (random.random(rows) > 0.3).astype("float32")
    return teacher, student, weights


def logits(rows, vocabulary):
    return rows @ tf.transpose(vocabulary[0]) + vocabulary[1]


@pytest.mark.parametrize("chunk_rows", [1, 5, 13, 64])
@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_chunks_give_the_formula_and_its_gradients(
    random, chunk_rows, jit_compile
):
    teacher, student, weights = rows_and_vocabularies(random)
    variables = [tf.constant(a) for a in (student[0], *student[1])]

    def chunked(rows, embedding, bias):
        return chunked_soft_target_kl(
            *teacher, rows, (embedding, bias), weights, 2.0, chunk_rows
        )

    def plain(rows, embedding, bias):
        student_logits = logits(rows, (embedding, bias))
        return kd.SoftTargetKL(2.0)(logits(*teacher), student_logits, weights)

    def value_and_gradients(function):
        def run(*values):
            with tf.GradientTape() as tape:
                tape.watch(values)
                value = function(*values)
            return value, *tape.gradient(value, values)

        if jit_compile is not None:
            run = tf.function(run, jit_compile=jit_compile)
        return run(*variables)

    found, expected = map(value_and_gradients, (chunked, plain))
    exact = reference(
        logits(*teacher), logits(*student), weights, temperature=2.0
    )
    np.testing.assert_allclose(found[0], exact, rtol=1e-5)
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_half_precision_keeps_the_gradient_of_a_scaled_loss(random):
    teacher, student, weights = rows_and_vocabularies(random, rows=700)
    scale = 5 * 2.0**15  # a loss weight, and float16's usual scale

    def gradient(dtype):
        rows, theirs = (tf.cast(a[0], dtype) for a in (student, teacher))
        vocabulary = tuple(map(tf.constant, student[1]))
        with tf.GradientTape() as tape:
            tape.watch([rows, vocabulary])
            loss = scale * chunked_soft_target_kl(
                theirs, teacher[1], rows, vocabulary, weights, 2.0, 64
            )
        return tape.gradient(loss, [rows, *vocabulary])

    half, single = gradient("float16"), gradient("float32")
    assert half[0].dtype == "float16"
    for ours, exact in zip(half, single, strict=True):
        largest = np.abs(exact).max()
        np.testing.assert_allclose(ours, exact, rtol=0.02, atol=0.01 * largest)


def test_rows_that_all_have_weight_zero_give_zero(random):
    teacher, student, weights = rows_and_vocabularies(random)
    loss = chunked_soft_target_kl(*teacher, *student, 0 * weights, 2.0)
    assert float(loss) == 0.0


@pytest.mark.parametrize("temperature", [0, -1.0])
def test_a_temperature_must_be_above_zero(temperature):
    for kind in (kd.SoftTargetKL, kd.SoftTargetTerm):
        with pytest.raises(ValueError, match="`temperature` must be greater"):
            kind(temperature)


def test_the_config_comes_back():
    loss = kd.SoftTargetKL(3.0)
    assert type(loss).from_config(loss.get_config()).temperature == 3.0


@pytest.mark.parametrize("masked_only", [False, True])
def test_the_term_takes_all_real_tokens_or_the_masked_ones(
    tiny_config, masked_only
):
    teacher, student = (kd.BertMaskedLM(tiny_config, seed=s) for s in (0, 1))
    x = {
        "token_ids": np.arange(12).reshape(2, 6),
        "padding_mask": np.array([[1] * 6, [1] * 4 + [0] * 2]),
        "mask_positions": np.array([[1, 3], [2, 0]]),
    }
    weights = np.array([[1, 1], [1, 0]], "float32")
    batch = {"x": x, "y": None, "sample_weight": weights}
    outputs = [{**m(x), "head": m.head} for m in (teacher, student)]
    value = kd.SoftTargetTerm(2.0, masked_only).compute(batch, *outputs)
    if masked_only:
        rows = [o["logits"] for o in outputs]
    else:
        weights = x["padding_mask"].astype("float32")
        rows = []
        for o in outputs:
            states = tf.reshape(o["hidden_states"][-1], (12, -1))
            states = o["head"].transform(states)
            rows.append(logits(states, o["head"].vocabulary()))
        weights = weights.reshape(-1)
    expected = reference(*rows, weights, 2.0)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_the_terms_temperature_acts_inside_a_compiled_function(tiny_config):
    models = [kd.BertMaskedLM(tiny_config, seed=s) for s in (0, 1)]
    x = {
        "token_ids": np.arange(6)[None],
        "padding_mask": np.ones((1, 6), int),
        "mask_positions": np.array([[1]]),
    }
    term = kd.SoftTargetTerm(1.0)

    @tf.function
    def value():
        outputs = [{**m(x), "head": m.head} for m in models]
        return term.compute({"x": x}, *outputs)

    before = float(value())
    term.temperature.assign(5.0)
    term_5 = kd.SoftTargetTerm(5.0)
    outputs = [{**m(x), "head": m.head} for m in models]
    expected = float(term_5.compute({"x": x}, *outputs))
    assert abs(before - expected) > 1e-6
    np.testing.assert_allclose(float(value()), expected, rtol=1e-5, atol=1e-6)
