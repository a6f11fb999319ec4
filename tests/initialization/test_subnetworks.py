import itertools

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.initialization import subnetworks
from keras_kd.initialization.subnetworks import (
    choose_subsets,
    evaluate_subnetworks,
)


@pytest.fixture
def batches(store, tokenizer):
    return kd.masked_lm_batches(store, tokenizer, 8, shuffle=False).take(3)


def log_softmax(logits):
    logits = np.asarray(logits, "float64")
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_two_subnetworks_by_hand(deep_teacher, batches):
    """From what the extracted students give of each batch, in NumPy."""
    subsets = [(1,), (0, 2)]
    found = evaluate_subnetworks(deep_teacher, batches, subsets=subsets)
    assert list(found) == subsets
    for subset in subsets:
        student, sums = kd.extract_student(deep_teacher, subset), np.zeros(3)
        for x, ids, weights in batches:
            x = {name: np.asarray(value) for name, value in x.items()}
            log_p = log_softmax(deep_teacher(x)["logits"])
            log_q = log_softmax(student(x)["logits"])
            ids, weights = np.asarray(ids)[..., None], np.asarray(weights)
            nats = -np.take_along_axis(log_q, ids, -1)[..., 0]
            kl = (np.exp(log_p) * (log_p - log_q)).sum(-1)
            sums += [(v * weights).sum() for v in (nats, kl, 1.0)]
        np.testing.assert_allclose(
            list(found[subset].values()), sums[:2] / sums[2], rtol=1e-5
        )


@pytest.mark.slow
def test_every_subnetwork_is_as_if_extracted_and_evaluated(
    deep_teacher, batches
):
    found = evaluate_subnetworks(deep_teacher, batches)
    assert list(found) == [
        (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)
    ]  # fmt: skip
    for subset, values in found.items():
        student = kd.extract_student(deep_teacher, subset)
        expected = kd.evaluate(student, batches, deep_teacher)
        for name, value in values.items():
            np.testing.assert_allclose(
                value, expected[name], rtol=1e-6, atol=1e-6
            )
    assert abs(found[0, 1, 2]["teacher_kl"]) < 1e-6
    nats = [values["masked_cross_entropy"] for values in found.values()]
    assert np.ptp(nats) > 0.01  # or nothing was compared


@pytest.mark.parametrize(
    "arguments, runs",
    [({}, 7), ({"depths": (1,)}, 5), ({"subsets": [(0, 2)]}, 4)],
)
def test_each_prefix_runs_once(
    deep_teacher, batches, monkeypatch, arguments, runs
):
    """2^3 - 1; layers 1 and 2 besides the whole; layer 2 after layer 0."""
    calls = []
    real = subnetworks.SubnetworkEvaluator.__init__

    def counted(self, *arguments):
        real(self, *arguments)
        self.layers = [
            lambda x, run=run: calls.append(1) or run(x) for run in self.layers
        ]

    monkeypatch.setattr(subnetworks.SubnetworkEvaluator, "__init__", counted)
    evaluate_subnetworks(deep_teacher, batches.take(1), **arguments)
    assert len(calls) == runs


def test_an_evaluator_is_used_again_and_sees_new_weights(deep_teacher, batches):
    one = batches.take(1)
    evaluator = subnetworks.SubnetworkEvaluator(deep_teacher)
    before = evaluator.evaluate(one, depths=(1,))
    assert before == evaluate_subnetworks(deep_teacher, one, depths=(1,))
    query = deep_teacher.backbone.encoder_layers[0].query.kernel
    query.assign(3 * np.asarray(query))
    after = evaluator.evaluate(one, subsets=[(0,), (1,)])
    assert after[0,] != before[0,]
    first = after[1,]["masked_cross_entropy"]
    assert first == pytest.approx(before[1,]["masked_cross_entropy"], rel=1e-6)


def test_subsets_of_some_depths_are_all_there_are():
    subsets = choose_subsets(6, depths=(2, 4))
    assert len(subsets) == 15 + 15
    assert subsets == sorted(subsets, key=lambda s: (len(s), s))
    assert subsets[:2] == [(0, 1), (0, 2)]
    assert choose_subsets(4, subsets=[[1, 2], (0,), (1, 2)]) == [(0,), (1, 2)]
    assert len(choose_subsets(8)) == 255
    assert sum(map(len, itertools.chain(choose_subsets(8)))) == 1024


@pytest.mark.parametrize(
    "arguments, name",
    [
        ({"depths": (0,)}, "depths"),
        ({"depths": (4,)}, "depths"),
        ({"depths": ()}, "depths"),
        ({"subsets": [(1, 0)]}, "subsets"),
        ({"subsets": [()]}, "subsets"),
        ({"subsets": [(0, 3)]}, "subsets"),
    ],
)
def test_what_there_is_not_is_refused(deep_teacher, batches, arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        evaluate_subnetworks(deep_teacher, batches, **arguments)


def test_no_masked_token_is_refused(deep_teacher, batches):
    nothing = [(x, y, 0 * weights) for x, y, weights in batches]
    with pytest.raises(ValueError, match="`batches` must hold masked tokens"):
        evaluate_subnetworks(deep_teacher, nothing, depths=(3,))
