import itertools

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.initialization import search
from keras_kd.initialization.search import (
    block_influence,
    most_influential,
    one_less,
    scout,
    search_layers,
)


class Teacher:
    """Stands for one whose sub-networks' losses are known."""

    def __init__(self, num_layers):
        self.config = kd.BertConfig(10, num_layers, 4, 1)


@pytest.fixture
def losses(monkeypatch):
    """Sets what sub-networks lose, and lists which were asked for."""

    def set_losses(loss):
        asked = []

        class Evaluator:
            def __init__(self, teacher):
                """Nothing to compile."""

            def evaluate(self, batches, subsets, verbose=0):
                asked.extend(subsets)
                return {s: {"masked_cross_entropy": loss(s)} for s in subsets}

        monkeypatch.setattr(search, "SubnetworkEvaluator", Evaluator)
        return asked

    return set_losses


def test_all_are_tried_and_the_best_is_chosen(losses):
    asked = losses(lambda subset: abs(sum(subset) - 7) + subset[0] / 10)
    assert search_layers(Teacher(5), 3, []) == (0, 3, 4)
    assert sorted(asked) == list(itertools.combinations(range(5), 3))


def test_a_robust_one_survives_one_more_loss(losses):
    """(0, 1) is the best, but neither of its layers stands alone."""
    table = {(0, 1): 1.0, (0, 2): 2.0, (1, 2): 1.5}
    table |= {(0,): 9.0, (1,): 9.0, (2,): 1.0}
    losses(table.__getitem__)
    assert search_layers(Teacher(3), 2, []) == (0, 1)
    # 1 + 9, 2 + 5, 1.5 + 5
    assert search_layers(Teacher(3), 2, [], robustness=1.0) == (1, 2)
    assert search_layers(Teacher(3), 2, [], robustness=0.1) == (0, 1)


def test_a_greedy_search_goes_where_each_step_is_best(losses):
    """Without 3 is the best first step; (2, 3) can then not be reached."""

    def loss(subset):
        if subset == (2, 3):
            return 0.0
        return 1.0 if 3 not in subset else 2.0

    asked = losses(loss)
    assert search_layers(Teacher(4), 2, [], beam_width=1) == (0, 1)
    assert len(asked) == 4 + 3
    losses(loss)
    assert search_layers(Teacher(4), 2, [], beam_width=4) == (2, 3)


def test_a_deep_teacher_is_searched_by_a_beam(losses):
    asked = losses(lambda subset: -sum(subset))
    found = search_layers(Teacher(13), 10, [])
    assert found == tuple(range(3, 13))
    assert len(asked) == len(set(asked)) < 13 + 8 * 12 + 8 * 11


def test_one_less_by_hand():
    assert one_less((1, 4, 6)) == [(4, 6), (1, 6), (1, 4)]
    assert one_less((3,)) == [()]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_layers": 0}, "`num_layers` must be from 1 to 3"),
        ({"num_layers": 4}, "`num_layers` must be from 1 to 3"),
        ({"num_layers": 1, "robustness": -1.0}, "`robustness` must be 0"),
        ({"num_layers": 1, "beam_width": 0}, "`beam_width` must be at"),
    ],
)
def test_what_is_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        search_layers(Teacher(3), batches=[], **arguments)


@pytest.fixture
def batches(store, tokenizer):
    return kd.masked_lm_batches(store, tokenizer, 8, shuffle=False)


def test_influence_is_one_minus_the_cosine_of_real_tokens(
    deep_teacher, batches
):
    found = block_influence(deep_teacher, batches.take(2))
    sums, tokens = np.zeros(3), 0
    for x, _, _ in batches.take(2):
        x = {name: np.asarray(value) for name, value in x.items()}
        states = [
            np.asarray(s, "float64") for s in deep_teacher(x)["hidden_states"]
        ]
        for row, column in zip(*np.nonzero(x["padding_mask"]), strict=True):
            tokens += 1
            for layer in range(3):
                a, b = (states[layer + i][row, column] for i in (0, 1))
                length = np.linalg.norm(a) * np.linalg.norm(b)
                sums[layer] += 1 - a @ b / length
    np.testing.assert_allclose(found, sums / tokens, rtol=1e-4)
    ranked = np.argsort(found)[::-1][:2].tolist()
    assert most_influential(deep_teacher, 2, batches.take(2)) == tuple(
        sorted(ranked)
    )


@pytest.mark.slow
def test_scouting_ranks_all_plans_on_other_batches(
    deep_teacher, batches, capsys
):
    table = scout(deep_teacher, 2, batches.take(4))
    assert set(table) == {
        *("searched", "robust", "block_influence"),
        *("first", "last", "every_other", "both_ends"),
    }
    nats = [row["masked_cross_entropy"] for row in table.values()]
    assert nats == sorted(nats)
    halves = list(batches.take(4))
    chosen = search_layers(deep_teacher, 2, halves[::2])
    assert table["searched"]["layers"] == chosen
    (expected,) = kd.evaluate_subnetworks(
        deep_teacher, halves[1::2], subsets=[chosen]
    ).values()
    for name, value in expected.items():
        assert table["searched"][name] == pytest.approx(value, abs=1e-6)
    assert table["every_other"]["layers"] == (0, 1)
    assert table["both_ends"]["layers"] == (0, 2)
    assert "block_influence" in capsys.readouterr().out


def test_one_batch_is_too_few_to_choose_and_report(deep_teacher, batches):
    with pytest.raises(ValueError, match="`batches` must be two at least"):
        scout(deep_teacher, 2, batches.take(1))
    reported = scout(
        deep_teacher, 1, batches.take(1), batches.skip(1).take(1), verbose=0
    )
    assert len(reported) == 7
