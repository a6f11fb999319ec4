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
