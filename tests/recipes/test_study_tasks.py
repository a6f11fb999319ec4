import csv
import dataclasses
import json

import pytest
import study_tasks
from study_tasks import Config, main

from card_facts import read_tasks


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
    train_student = study_tasks.TaskRuns.train_student
    seen = []

    def interrupted(self, *arguments):
        seen.append(arguments)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return train_student(self, *arguments)

    monkeypatch.setattr(study_tasks.TaskRuns, "train_student", interrupted)
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


@pytest.mark.slow
def test_all_texts_choose_the_teachers_rate(config, tmp_path):
    rates = 5e-3, 1e-4
    config = dataclasses.replace(
        config, depths=(1,), plans=("first",), teacher_rates=rates
    )
    found = main(config)
    folder = tmp_path / "study"
    teachers = [
        row
        for row in read_rows(folder)
        if row["kind"] == "run" and row["arm"] == "teacher"
    ]
    assert [(row["seed"], float(row["learning_rate"])) for row in teachers] == [
        (seed, rate) for seed in "01" for rate in rates
    ]
    # At 1e-4 nothing is learnt in two epochs.
    low = [float(row["hold_out"]) for row in teachers[1::2]]
    high = [float(row["hold_out"]) for row in teachers[::2]]
    assert sum(high) > sum(low)
    chosen = [float(row["validation"]) for row in teachers[::2]]
    assert found["models"]["teacher"]["scores"] == chosen
    assert found["chosen"]["teacher"]["learning_rate"] == "0.005"
    with pytest.raises(SystemExit, match=r"\['seeds'\] differ"):
        main(dataclasses.replace(config, seeds=(0, 1, 2)))


def test_the_teachers_rate_is_the_best_by_the_mean_of_held_out_texts(tmp_path):
    config = Config(rates=(1e-4,), teacher_rates=(1e-4, 2e-4), seeds=(0, 1))
    runs = study_tasks.TaskRuns(config, tmp_path, None, None, None)
    runs.add("rate", "teacher", (), 100, 1e-4, scores(0.7))
    runs.add("run", "teacher", (), 0, 1e-4, scores(0.80, 0.1))
    runs.add("run", "teacher", (), 0, 2e-4, scores(0.85, 0.2))
    runs.add("run", "teacher", (), 1, 1e-4, scores(0.90, 0.3))
    runs.add("run", "teacher", (), 1, 2e-4, scores(0.84, 0.4))
    assert runs.teacher_rate(0) == runs.teacher_rate(1) == 1e-4
    assert runs.teacher_rate(100) == 1e-4
    assert runs.reported("teacher", 1)["validation"] == "0.3"
    assert runs.teacher_path(0, 1e-4) != runs.teacher_path(0, 2e-4)


def scores(hold_out, validation=""):
    """What a run leaves beside its name."""
    return {
        "rows": 10,
        "epochs": 1,
        "metric": "accuracy",
        "hold_out": hold_out,
        "validation": validation,
    }


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
