import copy

import pytest
from keras_kd.evaluation.evidence.facts import complete, on_front, seed_groups

STUDENT, ALONE = "student <b>|&", "_alone_ $1$"


def test_what_was_kept_by_hand(results):
    before = copy.deepcopy(results)
    found = complete(results)
    assert results == before
    kept = found["models"][STUDENT]["retained"]
    assert kept["learnt"] == pytest.approx(2.5 / 3)  # of 3 nats below 6
    assert kept["top1"] == pytest.approx(0.325 / 0.35)
    assert kept["nats_above_teacher"] == pytest.approx(0.5)
    assert kept["parameters"] == pytest.approx(0.5)
    assert kept["latency"] == pytest.approx(0.5)
    assert found["models"]["teacher"]["retained"] is None
    assert found["best_student"] == STUDENT


def test_without_a_teacher_or_beside_a_poor_one_nothing_is_kept(results):
    results["baselines"]["unigram"]["masked_cross_entropy"] = 2.9
    assert complete(results)["models"][STUDENT]["retained"]["learnt"] is None
    results["teacher"] = None
    found = complete(results)
    assert found["models"][STUDENT]["retained"] is None
    assert found["best_student"] == STUDENT  # of no teacher, be it better
    results["models"]["teacher"]["role"] = "unknown"
    assert complete(results)["best_student"] == "teacher"  # like the others
    assert any(s.startswith("The teacher:") for s in found["not_measured"])


def test_the_front_is_what_none_beats():
    def of(nats, parameters):
        measured = {"masked_cross_entropy": nats, "parameters": parameters}
        return {"measured": measured}

    models = {
        "large": of(3.0, 40),
        "small": of(4.0, 10),
        "worse": of(4.5, 10),
        "larger": of(3.0, 50),
        "twin": of(4.0, 10),
    }
    on = [name for name in models if on_front(name, models, "parameters")]
    assert on == ["large", "small", "twin"]


def test_seeds_of_one_experiment_are_grouped():
    def of(nats, **config):
        measured = {"masked_cross_entropy": nats}
        return {"measured": measured, "run": {"config": config}}

    found = seed_groups(
        {
            "a": of(3.0, seed=0, steps=9, run="a"),
            "b": of(4.0, seed=1, steps=9, run="b"),
            "c": of(5.0, seed=0, steps=8, run="c"),
            "d": of(5.0),  # of which no config is known
        }
    )
    assert found[0]["runs"] == ["a", "b"]
    assert found[0]["seeds"] == [0, 1]
    assert found[0]["mean"] == 3.5
    assert found[0]["deviation"] == pytest.approx(0.5**0.5)
    assert found[1] == {
        "runs": ["c"],
        "seeds": [0],
        "mean": 5.0,
        "deviation": None,
    }
    assert len(found) == 2


def starts(results):
    """First words of what was not measured."""
    said = complete(results)["not_measured"]
    return {sentence.split(":")[0].split(",")[0] for sentence in said}


def test_what_is_absent_is_said_and_what_is_there_is_not(results, task):
    said = starts(results)
    assert {"Another seed", "Downstream tasks", "Apple Metal"} <= said
    assert {"8-bit weights (int8)", "A GPU"} <= said
    assert "The same student without distillation" not in said

    results["tasks"] = [task]
    results["environment"]["device"] = "Metal, Apple M1"
    twin = copy.deepcopy(results["models"][STUDENT])
    twin["run"]["config"]["seed"] = 1
    results["models"]["twin"] = twin
    del results["models"][ALONE]
    said = starts(results)
    assert not {"Another seed", "Downstream tasks", "Apple Metal"} & said
    assert "A GPU" not in said
    assert {
        "Significance",
        "The same student without distillation",
        "The same student from a random start",
    } <= said


def test_a_task_keeps_its_share_of_the_teachers_score(results, task):
    other = copy.deepcopy(task)
    del other["baselines"]["teacher"]
    results["tasks"] = [task, other]
    found = complete(results)
    assert found["tasks"][0]["retained"] == pytest.approx(0.9)
    assert found["tasks"][1]["retained"] is None
    assert "The teacher on a downstream task" in starts(results)
    assert [kept["seeds"] for kept in found["kept_on_tasks"]] == [1]


def test_of_a_model_s_seeds_the_mean_is_kept(results, task):
    seeds = [
        {**task, "seed": n, "scores": {"accuracy": 0.81 + n / 100}}
        for n in range(3)
    ]
    other = {**task, "model": {**task["model"], "name": "other"}}
    results["tasks"] = [*seeds, other]
    first, second = complete(results)["kept_on_tasks"]
    assert first["retained"] == pytest.approx(0.82 / 0.9)
    assert (first["model"], first["seeds"]) == ("student", 3)
    assert second["retained"] == pytest.approx(0.9)
    assert (second["model"], second["seeds"]) == ("other", 1)
