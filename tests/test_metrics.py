import keras_kd as kd
import numpy as np


def test_perplexity_of_even_odds_is_the_number_of_tokens():
    metric = kd.Perplexity()
    metric.update_state(np.array([[1, 2]]), np.zeros((1, 2, 7), "float32"))
    np.testing.assert_allclose(metric.result(), 7.0, rtol=1e-6)


def test_perplexity_ignores_weight_0_and_averages_over_batches():
    metric = kd.Perplexity()
    logits = np.log([[[1.0, 3.0], [3.0, 1.0]]]).astype("float32")
    metric.update_state(np.array([[1, 1]]), logits, sample_weight=[[1.0, 0.0]])
    metric.update_state(np.array([[0, 0]]), logits, sample_weight=[[1.0, 0.0]])
    expected = np.exp(-(np.log(0.75) + np.log(0.25)) / 2)
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)


def test_agreement_is_the_weighted_share_of_equal_best_tokens():
    teacher = np.eye(3)[[[0, 1, 2, 0]]]
    student = np.eye(3)[[[0, 2, 2, 1]]]
    metric = kd.TeacherAgreement()
    metric.update_state(teacher, student)
    assert float(metric.result()) == 0.5
    metric.reset_state()
    metric.update_state(teacher, student, sample_weight=[[1, 0, 1, 1]])
    np.testing.assert_allclose(metric.result(), 2 / 3, rtol=1e-6)


def test_configs_come_back():
    for metric in (kd.Perplexity(name="a"), kd.TeacherAgreement(name="b")):
        again = type(metric).from_config(metric.get_config())
        assert again.name == metric.name
