from keras_kd.evaluation.evidence.facts import complete
from keras_kd.evaluation.evidence.pages import Text
from keras_kd.evaluation.evidence.use import downstream, filled_masks

STUDENT, ALONE = "student <b>|&", "_alone_ $1$"


def test_masks_are_filled_side_by_side(results):
    _, sentence, table = filled_masks(complete(results))
    assert "[MASK] of <x> | y" in sentence.text and "sum" in sentence.text
    assert table.headings == ("", "teacher", STUDENT, ALONE)
    assert table.rows[0] == ("1", *["| 50.0%"] * 3)
    assert table.rows[-1] == ("truth", *["2.0%"] * 3)
    results["examples"] = []
    (part,) = filled_masks(complete(results))
    assert "no sentence" in part.text


def test_tasks_stand_beside_their_baselines(results, task):
    (part,) = downstream(complete(results))
    assert isinstance(part, Text) and "Not measured" in part.text
    results["tasks"] = [task]
    scores, baselines, rows = downstream(complete(results))
    row = ("SST-2", "student", "2.00 M", "accuracy", "0.810", "90.0%", "0")
    assert scores.rows == (row,)
    assert ("SST-2", "0", "majority class", "0.510") in baselines.rows
    assert ("SST-2", "0", "train", "67,349") in rows.rows
    assert ("SST-2", "0", "validation", "872") in rows.rows
    results["tasks"] = [task, {**task, "model": {**task["model"], "name": "b"}}]
    scores, twice, rows_twice = downstream(complete(results))
    assert len(scores.rows) == 2
    assert (twice.rows, rows_twice.rows) == (baselines.rows, rows.rows)


def test_the_texts_that_report_are_named(results, task):
    own = {"task": "mine.csv", "held_out": "held.csv"}
    results["tasks"] = [{**task, **own}]
    _, _, rows = downstream(complete(results))
    assert rows.rows == (
        ("mine.csv", "0", "train", "67,349"),
        ("mine.csv", "0", "validation: held.csv", "872"),
    )
