import keras_kd as kd
import keras
import numpy as np
from keras_kd.metrics import RealRows, of_real_rows


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


def test_real_rows_count_1_whatever_their_weight_and_the_others_nothing():
    metric = RealRows("accuracy")
    assert metric.name == "accuracy"
    logits = np.array([[1, 0], [1, 0], [0, 1]], "float32")
    metric.update_state([0, 1, 1], logits, sample_weight=[9.0, 0.5, 0.0])
    assert float(metric.result()) == 0.5
    again = RealRows.from_config(metric.get_config())
    assert again.name == "accuracy" and float(again.result()) == 0.0
    metric.reset_state()
    metric.update_state([0, 1, 1], logits)
    np.testing.assert_allclose(metric.result(), 2 / 3, rtol=1e-6)


def test_names_and_functions_become_metrics_of_real_rows():
    found = of_real_rows(
        ["crossentropy", "mae", keras.ops.abs], [RealRows("acc")]
    )
    assert [m.name for m in found[:2]] == ["crossentropy", "mae"]
    found[0].update_state(
        np.array([1]), np.log([[1.0, 3.0]]), sample_weight=[2.0]
    )
    np.testing.assert_allclose(found[0].result(), -np.log(0.75), rtol=1e-6)
    assert of_real_rows(None) is None and len(found) == 4


def test_rows_of_narrow_batches_count_as_much_as_others():
    metric = kd.TeacherAgreement()
    same, other = np.eye(2)[[[0]]], np.eye(2)[[[1, 1, 1]]]
    metric.update_state(same, same, sample_weight=[[1]])
    metric.update_state(other, 1 - other, sample_weight=[[1, 1, 1]])
    assert float(metric.result()) == 0.25
