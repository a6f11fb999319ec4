import keras_kd as kd
import numpy as np
import pytest


@pytest.fixture
def batches(store, tokenizer):
    return kd.masked_lm_batches(store, tokenizer, 8, shuffle=False)


def log_softmax(logits):
    logits = np.asarray(logits, "float64")
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def by_hand(model, batches, teacher=None):
    """The results in float64 NumPy, row by row."""
    rows = []
    for x, ids, weights in batches:
        log_q = log_softmax(model(x)["logits"])
        log_p = log_softmax(teacher(x)["logits"]) if teacher else log_q
        for b, k in np.argwhere(weights.numpy() > 0):
            truth, q, p = int(ids[b, k]), log_q[b, k], log_p[b, k]
            rows.append(
                (
                    -q[truth],
                    (q > q[truth]).sum() < 1,
                    (q > q[truth]).sum() < 5,
                    (np.exp(p) * (p - q)).sum(),
                    p.argmax() == q.argmax(),
                )
            )
    return np.mean(rows, axis=0)


def test_evaluate_is_the_weighted_mean_over_masked_positions(
    tiny_config, batches
):
    model = kd.BertMaskedLM(tiny_config, seed=0)
    teacher = kd.BertMaskedLM(tiny_config, seed=1)
    results = kd.evaluate(model, batches, teacher)
    nats, top1, top5, kl, agreement = by_hand(model, batches, teacher)
    np.testing.assert_allclose(results["masked_cross_entropy"], nats, rtol=1e-5)
    np.testing.assert_allclose(results["perplexity"], np.exp(nats), rtol=1e-5)
    np.testing.assert_allclose(results["top1"], top1, rtol=1e-6)
    np.testing.assert_allclose(results["top5"], top5, rtol=1e-6)
    np.testing.assert_allclose(results["teacher_kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(
        results["teacher_agreement"], agreement, rtol=1e-6
    )


def test_a_model_agrees_with_itself(tiny_config, batches):
    model = kd.BertMaskedLM(tiny_config, seed=0)
    results = kd.evaluate(model, batches, teacher=model)
    np.testing.assert_allclose(results["teacher_kl"], 0.0, atol=1e-6)
    assert results["teacher_agreement"] == 1.0


def test_evaluating_twice_gives_the_same_masks_and_figures(
    tiny_config, batches
):
    model = kd.BertMaskedLM(tiny_config, seed=0)
    first, second = (kd.evaluate(model, batches) for _ in range(2))
    for name in ("masked_cross_entropy", "perplexity", "top1", "top5"):
        assert first[name] == second[name]


def test_size_counts_every_weight(tiny_config, batches):
    model = kd.BertMaskedLM(tiny_config, seed=0)
    results = kd.evaluate(model, batches)
    vocabulary, width = tiny_config.vocabulary_size, 16
    embeddings = (vocabulary + 16 + 2) * width + 2 * width
    layer = 4 * (width**2 + width) + 2 * 4 * width**2 + 5 * width + 4 * width
    head = width**2 + width + 2 * width + vocabulary
    assert results["parameters"] == embeddings + 2 * layer + head
    assert results["bytes"] == 4 * results["parameters"]
    assert results["latency_ms"] > 0
    assert model.predict_function is None  # timed apart from its own settings


def test_unigram_baseline_by_hand():
    counts = np.array([9, 5, 3, 0])  # 0 is special; +1: 6, 4, 1 of 11
    ids, weights = np.array([[1, 2, 3, 3]]), np.array([[1.0, 1.0, 1.0, 0.0]])
    results = kd.evaluate_unigram(counts, (0,), [({}, ids, weights)])
    nats = -np.log(np.array([6, 4, 1]) / 11).mean()
    np.testing.assert_allclose(results["masked_cross_entropy"], nats)
    np.testing.assert_allclose(results["perplexity"], np.exp(nats))
    assert results["top1"] == pytest.approx(1 / 3)
    assert results["top5"] == 1.0
