import keras_kd as kd
import numpy as np
import pytest
from keras import ops
from keras_kd.losses import vocabulary_pass
from keras_kd.losses.vocabulary import masked_rows

V, D, T = 17, 6, 7
MASK = np.array([[1] * 7, [1] * 4 + [0] * 3])
POSITIONS = np.array([[1, 3], [2, 0]])
IDS = np.array([[5, 6], [7, 0]])
WEIGHTS = np.array([[1, 1], [1, 0]], "float32")
BATCH = {
    "x": {"padding_mask": MASK, "mask_positions": POSITIONS},
    "y": IDS,
    "sample_weight": WEIGHTS,
}


class Head:
    """A head whose rows meet the embedding as they are."""

    def __init__(self, embedding, bias):
        self.pair = embedding, bias

    def transform(self, rows):
        return rows

    def vocabulary(self):
        return self.pair


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    shapes = (2, T, D), (V, D), (V,)
    return [
        [random.normal(size=shape).astype("float32") for shape in shapes]
        for _ in range(2)
    ]


def outputs(states, embedding, bias):
    return {"hidden_states": [states], "head": Head(embedding, bias)}


def plain_total(teacher, factors):
    """The same sum from whole logits, by Keras's own losses."""

    def total(states, embedding, bias):
        theirs = ops.matmul(teacher[0], teacher[1].T) + teacher[2]
        ours = ops.matmul(states, ops.transpose(embedding)) + bias
        soft = kd.SoftTargetKL(2.0)(theirs, ours, sample_weight=MASK)
        rows = ops.take_along_axis(ours, POSITIONS[:, :, None], axis=1)
        log_q = ops.log_softmax(rows)
        found = ops.take_along_axis(log_q, IDS[:, :, None], axis=-1)[..., 0]
        masked = -ops.sum(found * WEIGHTS) / WEIGHTS.sum()
        squared = ops.sum((ours - theirs) ** 2, axis=-1) * MASK
        mse = ops.sum(squared) / MASK.sum()
        return factors[0] * soft + factors[1] * masked + factors[2] * mse

    return total


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("chunk_rows", [1, 3, 64])
def test_chunks_give_the_plain_sum_and_its_gradients(
    arrays, value_and_gradients, chunk_rows, jit_compile
):
    teacher, student = arrays
    terms = [kd.SoftTargetTerm(2.0), kd.MaskedLMTerm(), kd.LogitsMSETerm()]
    factors = [5.0, 2.0, 0.1]

    def passed(*parts):
        total, _ = vocabulary_pass(
            terms,
            factors,
            BATCH,
            outputs(*teacher),
            outputs(*parts),
            chunk_rows,
        )
        return total

    found = value_and_gradients(passed, student, jit_compile)
    expected = value_and_gradients(plain_total(teacher, factors), student)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    for ours, theirs in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_terms_come_back_unweighted(arrays):
    teacher, student = arrays
    terms = [kd.SoftTargetTerm(2.0), kd.MaskedLMTerm()]
    both = outputs(*teacher), outputs(*student)
    total, values = vocabulary_pass(terms, [5.0, 2.0], BATCH, *both)
    for term, value in zip(terms, values, strict=True):
        alone = term.compute(BATCH, *both)
        np.testing.assert_allclose(value, alone, rtol=1e-5)
    np.testing.assert_allclose(total, 5 * values[0] + 2 * values[1], rtol=1e-5)


def test_no_row_with_a_weight_gives_zero(arrays):
    teacher, student = arrays
    batch = {**BATCH, "sample_weight": 0 * WEIGHTS}
    value = kd.MaskedLMTerm().compute(
        batch, outputs(*teacher), outputs(*student)
    )
    assert float(value) == 0.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_the_gradient_of_a_scaled_loss(
    arrays, value_and_gradients, dtype
):
    teacher, student = arrays
    # A loss weight and a scale, as large as the outcome itself allows.
    scale = 5 * 2.0**14
    term = kd.SoftTargetTerm(2.0)

    def gradients(dtype):
        def passed(states, embedding, bias):
            theirs = ops.cast(teacher[0], dtype), *teacher[1:]
            ours = ops.cast(states, dtype), embedding, bias
            return scale * term.compute(BATCH, outputs(*theirs), outputs(*ours))

        return value_and_gradients(passed, student)[1]

    for ours, exact in zip(gradients(dtype), gradients("float32"), strict=True):
        largest = np.abs(exact).max()
        np.testing.assert_allclose(ours, exact, rtol=0.05, atol=0.03 * largest)


def test_masked_rows_stand_at_their_positions_and_add_up():
    batch = {**BATCH, "x": {**BATCH["x"], "mask_positions": [[3, 3], [2, 0]]}}
    batch["y"] = np.array([[5, 5], [7, 9]])
    ids, weights = masked_rows(batch)
    expected = np.zeros((2, T))
    expected[0, 3], expected[1, 2] = 5, 7
    np.testing.assert_array_equal(ids, expected)
    expected[0, 3], expected[1, 2] = 2, 1
    np.testing.assert_array_equal(weights, expected)


def test_a_term_that_compares_nothing_says_what_is_missing():
    class Empty(kd.VocabularyTerm):
        pass

    with pytest.raises(NotImplementedError, match="Received: Empty"):
        Empty().compare(None, None, None)
