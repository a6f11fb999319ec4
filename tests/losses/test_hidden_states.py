import keras_kd as kd
import numpy as np


def test_right_angles_opposites_and_equals_by_hand():
    teacher = np.array([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0]], "float32")
    student = np.array([[0.0, 3.0], [-5.0, 0.0], [7.0, 0.0]], "float32")
    loss = kd.HiddenStateCosine(reduction=None)(teacher, student)
    np.testing.assert_allclose(loss, [1.0, 2.0, 0.0], atol=1e-6)


def test_it_is_the_float64_formula_over_real_tokens():
    random = np.random.default_rng(0)
    teacher, student = random.normal(size=(2, 3, 5, 8)).astype("float32")
    mask = np.array([[1] * 5, [1, 1, 0, 0, 0], [1] * 4 + [0]])
    value = kd.HiddenStateTerm().compute(
        {"x": {"padding_mask": mask}},
        {"hidden_states": [0 * teacher, teacher]},
        {"hidden_states": [student]},
    )
    a, b = teacher.astype("float64"), student.astype("float64")
    cosine = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    expected = ((1 - cosine) * mask).sum() / mask.sum()
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_no_real_token_gives_zero():
    states = {"hidden_states": [np.ones((1, 2, 3), "float32")]}
    batch = {"x": {"padding_mask": np.zeros((1, 2))}}
    assert float(kd.HiddenStateTerm().compute(batch, states, states)) == 0.0
