from keras_kd.evaluation.evidence.words import (
    beside_teacher,
    bucket_name,
    millions,
    optional,
    percent,
    setting,
    yes_no,
)


def test_numbers_in_words():
    assert percent(0.1234) == "12.3%"
    assert millions({"parameters": 2_691_232}) == "2.69 M"
    assert optional(None, percent) == "-"
    assert optional(0.0, percent) == "0.0%"
    assert beside_teacher({"nats_above_teacher": 0.5}).startswith(
        "0.500 nats a"
    )
    assert "0.500 nats below" in beside_teacher({"nats_above_teacher": -0.5})
    assert (yes_no(True), yes_no(False)) == ("yes", "no")


def test_settings_in_words():
    values = (None, [], "", False, 0, 0.002, [0, 3], "muon")
    said = ["-", "-", "-", "no", "0", "0.002", "0, 3", "muon"]
    assert list(map(setting, values)) == said


def test_buckets_in_words():
    assert bucket_name({"from": 0, "below": 1516}) == "0 to < 1,516"
    assert bucket_name({"from": 1516, "below": None}) == "1,516 or more"
