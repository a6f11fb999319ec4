import keras_kd as kd
import numpy as np
import pytest
from keras_kd.evaluation.frequency import (
    evaluate_by_frequency,
    frequency_borders,
    score_hidden_tokens,
)


class Fixed:
    """A model whose logits are what the batch says."""

    def __call__(self, x, training):
        assert not training
        return {"logits": x["logits"]}


COUNTS = np.array([90, 1, 1, 2, 4, 8])  # 0 is special


def fixed_batch():
    """Four hidden tokens, the last of weight 0; probabilities by hand."""
    p = np.full((1, 4, 6), 0.1)
    p[0, 0, 1] = 0.5  # token 1, occurs once, right
    p[0, 1, 5] = 0.5  # token 3, occurs twice, wrong: 0.1
    p[0, 2, 5] = 0.5  # token 5, occurs 8 times, right
    ids = np.array([[1, 3, 5, 2]])
    weights = np.array([[1.0, 3.0, 1.0, 0.0]])
    return {"logits": np.log(p).astype("float32")}, ids, weights


def test_borders_part_the_text_in_equal_shares():
    assert frequency_borders(COUNTS, (0,), 2) == [8]  # 8 of 16 on each side
    assert frequency_borders(COUNTS, (0,), 4) == [4, 8]  # 8 has two shares
    assert frequency_borders(COUNTS, (0,), 1) == []
    assert frequency_borders([5, 5, 5], (), 3) == []  # all are alike
    even = frequency_borders(np.arange(1, 1001), (), 5)
    sums = [
        sum(range(low, high))
        for low, high in zip([1, *even], [*even, 1001], strict=True)
    ]
    np.testing.assert_allclose(sums, 500500 / 5, rtol=0.01)


def test_buckets_by_hand():
    rare, common = evaluate_by_frequency(
        Fixed(), [fixed_batch()], COUNTS, (0,), buckets=2
    )
    assert (rare["from"], rare["below"], rare["tokens"]) == (0, 8, 4)
    assert (common["from"], common["below"], common["tokens"]) == (8, None, 1)
    assert (rare["hidden"], common["hidden"]) == (2, 1)
    # The row of weight 3 counts three times.
    nats = (-np.log(0.5) - 3 * np.log(0.1)) / 4
    np.testing.assert_allclose(rare["masked_cross_entropy"], nats, rtol=1e-6)
    assert rare["top1"] == 0.25
    nats = -np.log(0.5)
    np.testing.assert_allclose(common["masked_cross_entropy"], nats, rtol=1e-6)
    assert common["top1"] == 1.0


def test_a_bucket_without_hidden_tokens_has_no_figures():
    found = evaluate_by_frequency(
        Fixed(), [fixed_batch()], COUNTS, (0,), borders=(3, 5)
    )
    assert [row["hidden"] for row in found] == [2, 0, 1]
    assert found[1]["masked_cross_entropy"] is None
    assert found[1]["top1"] is None
    assert found[1]["tokens"] == 1


def test_the_first_choice_and_its_probability_by_hand():
    scores = score_hidden_tokens(Fixed(), [fixed_batch(), fixed_batch()])
    assert scores["token_ids"].tolist() == [1, 3, 5] * 2
    assert scores["weights"].tolist() == [1, 3, 1] * 2
    assert scores["correct"].tolist() == [True, False, True] * 2
    np.testing.assert_allclose(scores["confidence"], 0.5, rtol=1e-6)
    assert scores["confidence"].max() <= 1


def test_scores_of_a_model_are_those_of_numpy(tiny_config):
    model = kd.BertMaskedLM(tiny_config, seed=0)
    rng = np.random.default_rng(0)
    x = {
        "token_ids": rng.integers(5, 60, (2, 12)),
        "segment_ids": np.zeros((2, 12), int),
        "padding_mask": np.ones((2, 12), int),
        "mask_positions": np.array([[1, 2, 3], [4, 5, 0]]),
    }
    x = {name: value.astype("int32") for name, value in x.items()}
    ids = rng.integers(5, 60, (2, 3))
    weights = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    scores = score_hidden_tokens(model, [(x, ids, weights)])
    logits = np.asarray(model(x)["logits"], "float64")
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p = (p / p.sum(-1, keepdims=True))[weights > 0]
    truth = p[np.arange(5), ids[weights > 0]]
    np.testing.assert_allclose(
        scores["cross_entropy"], -np.log(truth), rtol=1e-5
    )
    np.testing.assert_allclose(scores["confidence"], p.max(-1), rtol=1e-5)
    right = p.argmax(-1) == ids[weights > 0]
    np.testing.assert_array_equal(scores["correct"], right)


@pytest.mark.parametrize(
    "counts, arguments, message",
    [
        (COUNTS, {"buckets": 0}, "`buckets` must be at least 1. Received: 0"),
        (COUNTS * 0, {}, "`token_counts` must be .* above 0 for some"),
        (-COUNTS, {}, "`token_counts` must be .* of 0 or more"),
        (COUNTS[:3], {"borders": (2,)}, "one number for each token"),
        (COUNTS, {"borders": (4, 2)}, "`borders` must ascend"),
    ],
)
def test_what_makes_no_buckets_is_named(counts, arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate_by_frequency(
            Fixed(), [fixed_batch()], counts, (0,), **arguments
        )
