import numpy as np
import pytest
from keras_kd.losses import row_sums


@pytest.fixture(params=[True, False])
def on_processor(request, monkeypatch):
    monkeypatch.setattr(row_sums, "on_processor", lambda: request.param)


def test_rows_are_added_up(on_processor):
    values = np.array([[1.0, 2.0, 3.5], [-1.0, 0.0, 1.0]], "float32")
    np.testing.assert_allclose(row_sums.row_sum(values), [6.5, 0.0])


def test_a_long_row_keeps_its_digits(on_processor):
    values = np.random.default_rng(0).random((3, 30_522)).astype("float32")
    exact = values.astype("float64").sum(axis=-1)
    np.testing.assert_allclose(row_sums.row_sum(values), exact, rtol=3e-6)


def test_log_softmax_is_the_logarithm_of_a_share(on_processor):
    logits = np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 3.0]]).astype("float32")
    expected = np.log([[1 / 8, 2 / 8, 5 / 8], [1 / 3, 1 / 3, 1 / 3]])
    for shift in (0.0, 1e4, -1e4):
        found = row_sums.log_softmax(np.float32(shift) + logits)
        np.testing.assert_allclose(
            found, expected, atol=1e-6 + abs(shift) / 1e7
        )
