import dataclasses
import json
import pathlib

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.evaluation.similarity import cosine, last_states, pool, unit

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "sentence_encoders"

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def batches(store, tokenizer):
    return kd.token_batches(store, tokenizer, 7, shuffle=False)


@pytest.fixture
def teacher(tiny_config):
    return kd.BertBackbone(tiny_config, seed=0)


def test_a_teacher_is_like_itself(teacher, batches):
    found = kd.evaluate_similarity(teacher, teacher, batches)
    for name, value in found.items():
        np.testing.assert_allclose(value, 1.0, atol=1e-5, err_msg=name)


def test_values_are_those_of_numpy(teacher, batches, store, tiny_config):
    student = kd.BertMaskedLM(tiny_config.with_layers(1), seed=1)
    found = kd.evaluate_similarity(student, teacher, batches)
    blocks = np.asarray(store.blocks, "int32")
    mask = blocks != 0
    x = {"token_ids": blocks, "padding_mask": mask.astype("int32")}
    a = np.asarray(teacher(x)["hidden_states"][-1], "float64")
    b = np.asarray(student.backbone(x)["hidden_states"][-1], "float64")

    def cos(u, v):
        return u @ v / np.sqrt(u @ u) / np.sqrt(v @ v)

    tokens = [cos(u, v) for u, v in zip(a[mask], b[mask], strict=True)]
    np.testing.assert_allclose(
        found["hidden_state_cosine"], np.mean(tokens), rtol=1e-5
    )
    a = np.array([states[m].mean(0) for states, m in zip(a, mask, strict=True)])
    b = np.array([states[m].mean(0) for states, m in zip(b, mask, strict=True)])
    texts = [cos(u, v) for u, v in zip(a, b, strict=True)]
    np.testing.assert_allclose(
        found["embedding_cosine"], np.mean(texts), rtol=1e-5
    )
    pairs = [(i, j) for i in range(len(a)) for j in range(i)]
    r = np.corrcoef(
        [cos(a[i], a[j]) for i, j in pairs], [cos(b[i], b[j]) for i, j in pairs]
    )[0, 1]
    np.testing.assert_allclose(found["similarity_correlation"], r, rtol=1e-4)


def test_pooling_by_hand():
    states = np.array([[[1.0, 0.0], [0.0, 3.0], [9.0, 9.0]]])
    mask = np.array([[True, True, False]])
    np.testing.assert_array_equal(pool(states, mask, "mean"), [[0.5, 1.5]])
    np.testing.assert_array_equal(pool(states, mask, "cls"), [[1.0, 0.0]])


def test_an_encoder_is_compared_by_its_own_vectors():
    """Those that `sentence-transformers` gives for the texts."""
    encoder = kd.load_checkpoint(GOLDEN / "cls")
    tokenizer = kd.load_tokenizer(GOLDEN / "cls")
    expected = json.loads((GOLDEN / "cls" / "expected.json").read_text())
    for text, vector in zip(*expected.values(), strict=True):
        ids = tokenizer.encode_batch([text])[0][:6]
        ids = np.array([[tokenizer.cls_id, *ids, tokenizer.sep_id]])
        mask = np.ones_like(ids)
        states = last_states(encoder, {"token_ids": ids, "padding_mask": mask})
        own = encoder.config.embedding.pooling
        found = unit(pool(states, mask, own))[0]
        np.testing.assert_allclose(found, vector, atol=1e-5)


def test_the_teachers_own_pooling_is_compared(batches, teacher, tiny_config):
    own = kd.SentenceEmbedding("cls")
    config = dataclasses.replace(tiny_config, embedding=own)
    cls_teacher = kd.BertBackbone(config, seed=0)
    student = kd.BertBackbone(tiny_config, seed=1)
    found = kd.evaluate_similarity(student, cls_teacher, batches)
    by_cls = kd.evaluate_similarity(student, teacher, batches, "cls")
    by_mean = kd.evaluate_similarity(student, teacher, batches)
    assert found == by_cls != by_mean
    dense = kd.SentenceEmbedding(unsupported="a Dense module")
    config = dataclasses.replace(config, embedding=dense)
    with pytest.raises(ValueError, match="a Dense module"):
        kd.evaluate_similarity(student, kd.BertBackbone(config), batches)


def test_cosine_by_hand():
    a, b = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[4.0, 3.0], [0, 2.0]])
    np.testing.assert_allclose(cosine(a, b), [24 / 25, 0.0])


def test_what_cannot_be_compared_is_refused(teacher, batches, tiny_config):
    with pytest.raises(ValueError, match="`pooling` must be.*'max'"):
        kd.evaluate_similarity(teacher, teacher, batches, pooling="max")
    narrow = kd.BertConfig(tiny_config.vocabulary_size, 1, 8, 2)
    with pytest.raises(ValueError, match="`hidden_dim`.*Expected: 16.*: 8"):
        kd.evaluate_similarity(kd.BertBackbone(narrow), teacher, batches)


def test_two_texts_are_too_few(teacher, store, tokenizer):
    batches = kd.token_batches(store, tokenizer, 2, shuffle=False).take(1)
    with pytest.raises(ValueError, match="at least 3 texts.*Received: 2"):
        kd.evaluate_similarity(teacher, teacher, batches)
