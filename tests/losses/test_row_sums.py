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


@pytest.mark.parametrize("width", [5, 1024, 1031, 30_522])
def test_the_largest_of_a_row_wherever_it_stands(on_processor, width):
    rows = -1e4 * np.ones((2, 3, width), "float32")
    rows[0, :, 0], rows[1, 0, -1], rows[1, 1, width // 2] = 7.0, 8.0, 9.0
    expected = [[7.0, 7.0, 7.0], [8.0, 9.0, -1e4]]
    np.testing.assert_array_equal(row_sums.row_max(rows), expected)
    for place in range(0, width, 101):
        row = np.zeros((1, width), "float32")
        row[0, place] = 1 + place
        np.testing.assert_array_equal(row_sums.row_max(row), [1 + place])


def test_exponentials_are_what_softmax_is_made_of(on_processor):
    logits = np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 3.0]]).astype("float32")
    for shift, atol in ((0.0, 1e-6), (1e4, 2e-3), (-1e4, 2e-3)):
        shifted, exponential, total = row_sums.exponentials(
            np.float32(shift) + logits, scale=2.0
        )
        expected = np.array([[1 / 25, 4 / 25, 1.0], [1.0, 1.0, 1.0]])
        np.testing.assert_allclose(shifted, np.log(expected), atol=atol)
        np.testing.assert_allclose(exponential, expected, atol=atol)
        np.testing.assert_allclose(total, [[30 / 25], [3.0]], atol=2 * atol)
