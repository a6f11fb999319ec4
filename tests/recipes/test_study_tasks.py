import csv
import dataclasses
import json

import keras_kd as kd
import pytest
from study_tasks import Config, main

from card_facts import read_tasks
from classification import Task
from run_folder import keep_config
from task_runs import TaskRuns


@pytest.fixture
def config(reviews, tmp_path):
    return Config(
        task="none",
        train=str(reviews / "train.tsv"),
        validation=str(reviews / "validation.tsv"),
        encoder=str(reviews / "encoder"),
        run=str(tmp_path / "study"),
        depths=(1,),
        plans=("first", "searched"),
        seeds=(0, 1),
        tuning_rows=100,
        rates=(5e-3,),
        hold_out=0.2,
        max_length=16,
        batch_size=16,
        epochs=2,
        r_drop=0.5,
        jit_compile=False,
    )


def read_rows(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_whole_table_is_made_and_gone_on_with(
    config, tmp_path, monkeypatch
):
    train_student = TaskRuns.train_student
    seen = []

    def interrupted(self, *arguments):
        seen.append(arguments)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return train_student(self, *arguments)

    monkeypatch.setattr(TaskRuns, "train_student", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main(config)
    monkeypatch.undo()
    folder = tmp_path / "study"
    before = read_rows(folder)
    found = main(config)
    rows = read_rows(folder)
    assert rows[: len(before)] == before
    keys = [(r["kind"], r["arm"], r["seed"]) for r in rows]
    assert len(set(keys)) == len(keys)
    # Of the tuning: a teacher, two plans, three students; of each seed: a
    # teacher and three students.
    assert len(rows) == 6 + 2 * 4
    assert all(r["validation"] == "" for r in rows if r["kind"] != "run")

    distilled = "1 layers, cut from the teacher, distilled"
    assert set(found["models"]) == {
        "teacher",
        distilled,
        "1 layers, cut from the teacher, labels alone",
        "1 layers, random start, labels alone",
    }
    on_card = read_tasks(folder)
    assert len(on_card) == 2 * 3
    assert on_card[0]["rows"] == found["rows"]
    assert (
        on_card[0]["model"]["parameters"]
        < found["models"]["teacher"]["parameters"]
    )

    model = found["models"][distilled]
    assert model["mean"] == pytest.approx(sum(model["scores"]) / 2)
    assert model["interval"][0] <= model["mean"] <= model["interval"][1]
    for arm, model in found["models"].items():
        reported = [
            float(row["validation"])
            for row in rows
            if row["kind"] == "run" and row["arm"] == arm
        ]
        assert model["scores"] == reported
        assert model["retained"] == pytest.approx(
            model["mean"] / found["models"]["teacher"]["mean"]
        )
    assert set(found["baselines"]) == {
        "majority class",
        "TF-IDF and a linear model",
    }
    assert found["cost"]["teacher"]["speed_up_1"] == (1.0, 1.0, 1.0)
    report = (folder / "report.md").read_text()
    assert f"| {distilled} |" in report
    again = json.loads((folder / "report.json").read_text())
    assert again["models"][distilled]["scores"] == model["scores"]

    with pytest.raises(SystemExit, match=r"\['epochs'\] differ"):
        main(dataclasses.replace(config, epochs=1))


def test_all_seeds_choose_one_rate_for_the_teachers(tmp_path, monkeypatch):
    config = Config(rates=(3e-4,), teacher_rates=(1e-4, 2e-4), seeds=(0, 1))
    task = Task("made up", ("accuracy",), ["bad", "nice"], [], [], [], [])
    encoder = kd.BertBackbone(kd.BertConfig(20, 2, 8, 1), seed=0)
    runs = TaskRuns(config, tmp_path, task, encoder, None)
    hold_out = {  # means of 0.85 and 0.845
        (0, 1e-4): 0.80,
        (0, 2e-4): 0.85,
        (1, 1e-4): 0.90,
        (1, 2e-4): 0.84,
        (100, 3e-4): 0.7,
    }

    def learn(model, teacher, seed, rate, tuning):
        score = hold_out.pop((seed, rate))  # once each
        found = {"rows": 10, "epochs": 1, "metric": "accuracy"}
        shown = "" if tuning else seed + rate
        return {**found, "hold_out": score, "validation": shown}

    monkeypatch.setattr(runs, "learn", learn)
    runs.train_teacher(100, 3e-4)
    runs.train_teachers()
    runs.train_teachers()
    assert not hold_out
    assert runs.teacher_rate(0) == runs.teacher_rate(1) == 1e-4
    assert runs.teacher_rate(100) == 3e-4
    assert runs.reported("teacher", 1)["validation"] == "1.0001"
    files = {path.name for path in (tmp_path / "models").iterdir()}
    rates = {0: config.teacher_rates, 1: config.teacher_rates, 100: [3e-4]}
    assert files == {
        f"teacher-seed_{seed}-rate_{rate}.keras"
        for seed, each in rates.items()
        for rate in each
    }
    assert runs.teacher(1).config.num_layers == 2


def test_further_seeds_are_refused_where_they_could_choose_again(
    config, tmp_path
):
    config = dataclasses.replace(config, teacher_rates=(1e-4, 2e-4))
    folder = tmp_path / "study"
    keep_config(config, folder, ())
    with pytest.raises(SystemExit, match=r"\['seeds'\] differ"):
        main(dataclasses.replace(config, seeds=(0, 1, 2)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": (0,)}, "`--seeds` must be two at least"),
        ({"seeds": (0, 100)}, "not --tuning-seed"),
        ({"rates": ()}, "must name one at least"),
        ({"r_drop": -1.0}, "`--r-drop` must be 0 or more"),
        ({"plans": ("best",)}, "`--plans` must be out of"),
    ],
)
def test_what_could_not_be_reported_is_refused(config, changes, message):
    with pytest.raises(SystemExit, match=message):
        main(dataclasses.replace(config, **changes))
