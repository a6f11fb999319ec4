"""A mean over rows that says so when it is none."""

import keras
import numpy as np
import pytest
from keras_kd.distiller.term_mean import TermMean


def mean_of(*updates):
    metric = TermMean()
    for update in updates:
        metric.update_state(*update)
    return float(metric.result())


def test_it_is_a_mean_over_rows():
    assert mean_of((1.0, 1.0), (4.0, 2.0)) == pytest.approx(3.0)
    assert mean_of((5.0,)) == 5.0


def test_one_number_that_is_none_makes_it_none():
    assert np.isnan(mean_of((1.0, 1.0), (float("nan"), 2.0)))
    assert np.isinf(mean_of((1.0, 1.0), (float("inf"), 2.0)))


def test_what_was_left_out_does_not_count():
    nan = float("nan")
    assert mean_of((1.0, 1.0), (nan, nan, True), (4.0, 2.0, False)) == 3.0


def test_of_nothing_but_what_was_left_out_it_is_none():
    assert np.isnan(mean_of((1.0, 1.0, True)))
    metric = TermMean()
    metric.update_state(1.0, 1.0, True)
    metric.reset_state()
    assert float(metric.result()) == 0.0  # as Keras's mean of nothing


def test_a_term_without_rows_is_zero():
    assert mean_of((0.0, 0.0)) == 0.0


def test_config_round_trip():
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(TermMean("soft_target"))
    )
    assert isinstance(again, TermMean) and again.name == "soft_target"
