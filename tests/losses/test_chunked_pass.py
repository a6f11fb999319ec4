import keras_kd as kd
import keras
import numpy as np
import pytest
from keras import ops
from keras_kd.losses import chunked_pass as module
from keras_kd.losses.chunked_pass import (
    as_bits,
    chunked_pass,
    divide_up,
    split_rows,
)


def test_rows_are_split_into_few_chunks_of_one_size():
    rows = np.arange(10.0, dtype="float32")
    np.testing.assert_array_equal(
        split_rows(rows, 4), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]
    )
    assert ops.shape(split_rows(rows, 64)) == (1, 10)
    assert ops.shape(split_rows(rows, 64, multiple=16)) == (1, 16)
    assert ops.shape(split_rows(np.zeros((50, 3)), 40, 16)) == (2, 32, 3)
    assert [divide_up(n, 4) for n in (1, 4, 5)] == [1, 1, 2]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_rows_of_no_weight_cost_their_chunk_nothing(compiled, jit_compile):
    """A row of NaN in a chunk without any weight is never looked at."""
    random = np.random.default_rng(0)
    rows, width, vocabulary = 64, 4, 11
    teacher, student = (
        (
            random.normal(size=(rows, width)).astype("float32"),
            random.normal(size=(vocabulary, width)).astype("float32"),
            np.zeros(vocabulary, "float32"),
        )
        for _ in range(2)
    )
    weights = np.zeros((rows, 1), "float32")
    weights[:20] = 1.0
    student[0][32:] = np.nan  # the second of two chunks of 32

    term = kd.SoftTargetTerm(2.0)

    def total():
        return chunked_pass(
            [term],
            [(rows, [0])],
            *(tuple(map(ops.convert_to_tensor, m)) for m in (teacher, student)),
            ops.zeros(rows, "int32"),
            ops.convert_to_tensor(weights),
            ops.full((1,), 1 / 20),
            lambda function: function,
            ops.fori_loop,
            chunk_rows=32,
        )[0]

    found = compiled(total, [], jit_compile)()
    logits = [m[0][:20] @ m[1].T for m in (teacher, student)]
    expected = ops.mean(kd.SoftTargetKL(2.0, reduction=None)(*logits))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_blocks_that_do_not_fill_a_chunk_change_nothing(
    monkeypatch, value_and_gradients
):
    random = np.random.default_rng(0)
    theirs, ours = random.normal(size=(2, 24, 5)).astype("float32")
    embedding = random.normal(size=(7, 5)).astype("float32")
    bias = random.normal(size=7).astype("float32")

    term = kd.SoftTargetTerm(2.0)

    def total(*student):
        return chunked_pass(
            [term],
            [(24, [0])],
            tuple(map(ops.convert_to_tensor, (theirs, embedding, bias))),
            student,
            ops.zeros(24, "int32"),
            ops.ones((24, 1)),
            ops.full((1,), 1 / 24),
            lambda function: function,
            ops.fori_loop,
            chunk_rows=32,
        )[0]

    results = []
    for rows in (10, 5, 24):  # blocks of 8; of 5, one too many; a single one
        monkeypatch.setattr(module, "BLOCK_NUMBERS", rows * 7)
        monkeypatch.setattr(module, "BLOCK_ROWS", 1)
        value, slopes = value_and_gradients(total, [ours, embedding, bias])
        results.append([np.array(value), *map(np.array, slopes)])
    for found in results[:-1]:
        for a, b in zip(found, results[-1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("bfloat16", 0.02)])
def test_whole_chunks_and_blocks_give_the_same(
    monkeypatch, value_and_gradients, dtype, rtol
):
    """As GPUs take them, and as processors do."""
    random = np.random.default_rng(0)
    theirs, ours = random.normal(size=(2, 24, 5)).astype("float32")
    embedding = random.normal(size=(7, 5)).astype("float32")
    bias = random.normal(size=7).astype("float32")
    weights = random.uniform(size=(24, 2)).astype("float32")

    def total(rows, *student):
        return chunked_pass(
            terms,
            [(10, [0, 1]), (14, [0])],
            (ops.cast(theirs, dtype), *map(ops.convert_to_tensor, teacher)),
            (ops.cast(rows, dtype), *student),
            ops.convert_to_tensor(ids),
            ops.convert_to_tensor(weights),
            ops.convert_to_tensor(np.array([0.1, 0.3], "float32")),
            lambda function: function,
            ops.fori_loop,
        )[0]

    teacher, ids = (embedding, bias), random.integers(0, 7, 24, "int32")
    terms = [kd.SoftTargetTerm(2.0), kd.MaskedLMTerm()]
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 4 * 7)
    monkeypatch.setattr(module, "BLOCK_ROWS", 1)
    results = []
    for device in (True, False):
        monkeypatch.setattr(module, "on_processor", lambda here=device: here)
        value, slopes = value_and_gradients(total, [ours, embedding, bias])
        results.append([np.array(value), *map(np.array, slopes)])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_bits_are_those_of_the_numbers(dtype):
    values = ops.cast(ops.convert_to_tensor([1.0, -2.0, 0.0]), dtype)
    bits = as_bits(values)
    kind = keras.backend.standardize_dtype(bits.dtype)
    assert kind == ("float32" if dtype == "float32" else "int16")
    again = ops.cast(ops.view(bits, dtype), "float32")
    np.testing.assert_array_equal(again, [1.0, -2.0, 0.0])
