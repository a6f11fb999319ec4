import numpy as np
import pytest
from keras_kd.data.blocks import Blocks

ROWS = np.arange(14).reshape(7, 2)


@pytest.fixture
def blocks():
    """Seven blocks of two numbers in three arrays."""
    return Blocks([ROWS[:3], ROWS[3:4], ROWS[4:]])


@pytest.mark.parametrize(
    "index",
    [0, 3, 6, [0, 3, 6], [6, 0, 0, 4], [[1, 2], [3, 4]], [], slice(2, 5)],
)
def test_it_is_indexed_like_the_one_array(blocks, index):
    expected = ROWS[index if index else np.asarray(index, int)]
    np.testing.assert_array_equal(blocks[index], expected)


def test_it_has_the_one_arrays_size(blocks):
    assert len(blocks) == 7
    assert blocks.shape == (7, 2)
    assert blocks.dtype == ROWS.dtype
    np.testing.assert_array_equal(np.asarray(blocks), ROWS)
    assert np.asarray(blocks, "int32").dtype == np.int32
    assert blocks.tolist() == ROWS.tolist()


@pytest.mark.parametrize("index", [7, -1, [0, 7], [-1]])
def test_a_block_that_there_is_not_is_refused(blocks, index):
    with pytest.raises(IndexError, match="from 0 to 6"):
        blocks[index]


def test_one_may_be_taken_less_or_go_around_again():
    blocks = Blocks([ROWS[:3], Blocks([ROWS[3:4], ROWS[4:6]])], [2, 7])
    expected = ROWS[[0, 1, 3, 4, 5, 3, 4, 5, 3]]
    np.testing.assert_array_equal(blocks, expected)
    np.testing.assert_array_equal(blocks[[8, 0, 5]], expected[[8, 0, 5]])
