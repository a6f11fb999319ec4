"""With the extra `litert`: written, run and compared."""

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.export import litert_model
from keras_kd.export.litert_model import (
    fit_length,
    singly,
    some_texts,
    write_litert,
    write_litert_int8,
)

pytestmark = pytest.mark.tensorflow


def test_texts_come_one_by_one_with_so_many_positions():
    inputs = {
        "token_ids": np.array([[1, 2], [3, 4]]),
        "mask_positions": np.array([[1], [0]]),
    }
    first, second = singly(inputs)
    assert first["token_ids"].tolist() == [[1, 2]]
    assert second["mask_positions"].shape == (1, litert_model.POSITIONS)


def test_texts_are_cut_or_padded():
    assert fit_length(np.array([[1, 2, 3]]), 2).tolist() == [[1, 2]]
    assert fit_length(np.array([[1, 2, 3]]), 4).tolist() == [[1, 2, 3, 0]]


def test_held_out_texts_are_of_the_models_inputs(store, tokenizer):
    batches = kd.masked_lm_batches(store, tokenizer, 8, shuffle=False)
    names = ["token_ids", "padding_mask"]
    texts = list(some_texts(batches, names, 9))
    assert len(texts) == min(litert_model.TEXTS, len(store))
    assert set(texts[0]) == set(names)
    np.testing.assert_array_equal(
        texts[0]["padding_mask"], np.ones((1, 9), "int32")
    )


@pytest.mark.slow
def test_every_kind_computes_what_keras_does(any_student, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="needs the extra litert")
    write_litert(any_student, tmp_path / "model.tflite", 12)


def test_eight_bits_are_compared_by_what_a_model_is_for(tiny_config):
    """By hand; what stands at padding does not count."""
    inputs = {"padding_mask": np.array([[1, 1, 0, 0]])}
    near, far = np.array([[2.0]]), np.array([[2.2]])
    tags = np.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]])
    others = np.array([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
    vector = np.array([[3.0, 4.0]])
    for student, name, a, b, expected in (
        (kd.BertRegressor(tiny_config), "logits", near, near + 0.05, 1.0),
        (kd.BertRegressor(tiny_config), "logits", near, far, 0.0),
        (
            kd.BertTokenClassifier(tiny_config, "ab"),
            "logits",
            tags,
            others,
            0.5,
        ),
        (
            kd.BertClassifier(tiny_config, "ab"),
            "logits",
            tags[0],
            others[0],
            0.25,
        ),
        (kd.BertBackbone(tiny_config), "embedding", vector, 2 * vector, 1.0),
    ):
        found = litert_model.agreement(student, inputs, {name: a}, {name: b})
        assert found == pytest.approx(expected)


@pytest.mark.slow
def test_one_that_differs_is_refused(any_student, tmp_path, monkeypatch):
    pytest.importorskip("ai_edge_litert", reason="needs the extra litert")
    real = litert_model.runner

    def spoilt(path):
        run = real(path)
        return lambda inputs: {n: v + 0.01 for n, v in run(inputs).items()}

    monkeypatch.setattr(litert_model, "runner", spoilt)
    with pytest.raises(RuntimeError, match="The LiteRT file must give"):
        write_litert(any_student, tmp_path / "model.tflite", 12)


@pytest.mark.slow
def test_eight_bits_are_checked_on_held_out_text(
    any_student, tmp_path, store, tokenizer, monkeypatch
):
    pytest.importorskip("ai_edge_litert", reason="needs the extra litert")
    batches = kd.masked_lm_batches(store, tokenizer, 8, shuffle=False)
    arguments = any_student, tmp_path / "int8.tflite", 12, batches
    monkeypatch.setattr(litert_model, "AGREEMENT", 0.7)  # tiny, and random
    what, found, texts = write_litert_int8(*arguments)
    assert "Keras's" in what and 0.7 <= found <= 1
    assert 0 < texts <= 100
    whole = tmp_path / "model.tflite"
    write_litert(any_student, whole, 12)
    assert arguments[1].stat().st_size < whole.stat().st_size
    monkeypatch.setattr(litert_model, "AGREEMENT", 1.01)
    monkeypatch.setattr(litert_model, "COSINE", 1.01)
    with pytest.raises(RuntimeError, match="of at least 1.01 on held-out"):
        write_litert_int8(*arguments)
