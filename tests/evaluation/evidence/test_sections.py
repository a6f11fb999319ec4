import copy

from keras_kd.evaluation.evidence.facts import complete
from keras_kd.evaluation.evidence.pages import Figure
from keras_kd.evaluation.evidence.sections import quality, rarity, sureness

STUDENT, ALONE = "student <b>|&", "_alone_ $1$"


def test_quality_has_a_row_for_every_model_and_baseline(results):
    measured = results["models"][STUDENT]["measured"]
    measured["latency_rounds_ms"] = [4.0, 4.4, 3.9]
    text, figure, table = quality(complete(results))
    assert "76 hidden tokens in 640 sequences of 64" in text.text
    rows = {first: rest for first, *rest in table.rows}
    assert list(rows) == ["teacher", STUDENT, ALONE, "unigram"]
    assert rows[STUDENT] == [
        "3.500",
        "33.1",
        "32.5%",
        "52.5%",
        "2.10 M",
        "4.0",
        "3.9 to 4.4",
        "83.3%",
        "-",
        "-",
        "yes",
        "yes",
    ]
    assert rows[ALONE][-2:] == ["no", "no"]
    assert rows["unigram"] == ["6.000", "403.4", "5.0%", "15.0%", *"--------"]
    assert all(len(row) == len(table.headings) for row in table.rows)
    assert "0.500 nats above the teacher, with 50.0% of" in figure.alt


def test_several_seeds_have_their_mean(results):
    twin = copy.deepcopy(results["models"][STUDENT])
    twin["run"]["config"]["seed"] = 1
    twin["measured"]["masked_cross_entropy"] = 3.7
    results["models"]["twin"] = twin
    *_, seeds = quality(complete(results))
    row = (f"{STUDENT}, twin", "0, 1", "3.600", "0.141")
    assert row in seeds.rows


def test_buckets_are_rows_and_empty_ones_have_dashes(results):
    _, _, table = rarity(complete(results))
    assert table.headings[3:5] == ("teacher, nats", f"{STUDENT}, nats")
    first, empty, last = table.rows
    assert first[:5] == ("0 to < 12", "7", "31", "4.000", "4.500")
    assert empty[2:] == ("0", *"------")
    assert last[0] == "1,500 or more"


def test_calibration_has_its_source_its_words_and_its_bins(results):
    text, figure, table, *bins = sureness(complete(results))
    assert text.link == "https://arxiv.org/abs/1706.04599"
    assert isinstance(figure, Figure)
    assert "teacher is surer than it is right" in figure.alt
    assert len(table.rows) == len(bins) == 3
    assert all(len(b.rows) == 15 and b.folded for b in bins)


def test_a_student_that_is_too_modest_is_called_so(results):
    found = results["models"]["teacher"]["calibration"]
    found["accuracy"] = found["confidence"] + 0.1
    _, figure, *_ = sureness(complete(results))
    assert "teacher is less sure than it is right" in figure.alt
