import dataclasses

import keras_kd as kd
import pytest


def test_presets_have_the_published_shapes():
    shapes = {
        name: (c.num_layers, c.hidden_dim, c.num_heads, c.intermediate_dim)
        for name in kd.PRESETS
        for c in [kd.BertConfig.from_preset(name, 30_522)]
    }
    assert shapes["tiny"] == (2, 128, 2, 512)
    assert shapes["mini"] == (4, 256, 4, 1024)
    assert shapes["small"] == (4, 512, 8, 2048)
    assert shapes["medium"] == (8, 512, 8, 2048)
    assert shapes["base"] == (12, 768, 12, 3072)
    assert shapes["distilbert_base"] == (6, 768, 12, 3072)


def test_distilbert_presets_have_no_segments():
    for name in ("distilbert_base", "distilbert_mini"):
        assert kd.BertConfig.from_preset(name, 100).num_segments == 0


def test_an_unknown_preset_names_the_known():
    with pytest.raises(ValueError, match="one of.*'mini'.*Received: 'huge'"):
        kd.BertConfig.from_preset("huge", 100)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_layers": 0}, "`num_layers` must be at least 1. Received: 0"),
        ({"vocabulary_size": 0}, "`vocabulary_size` must be at least 1"),
        ({"num_heads": 3}, "`num_heads` must divide `hidden_dim`"),
        ({"layer_drop": 1.0}, r"`layer_drop` must be in \[0, 1\)"),
        ({"dropout": -0.1}, r"`dropout` must be in \[0, 1\)"),
        ({"attention_dropout": 1.5}, "`attention_dropout` must be in"),
        ({"num_segments": -1}, "`num_segments` must be 0"),
    ],
)
def test_fields_out_of_range_are_refused(changes, message):
    good = kd.BertConfig(100, 2, 8, 2)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(good, **changes)


def test_a_student_keeps_all_its_layers_unless_told_otherwise():
    teacher = kd.BertConfig(100, 4, 8, 2, layer_drop=0.2)
    student = teacher.with_layers(2)
    assert (student.num_layers, student.layer_drop) == (2, 0.0)
    assert teacher.with_layers(2, layer_drop=0.1).layer_drop == 0.1
    assert student.intermediate_dim == 32


def test_fields_of_another_kind_are_named():
    with pytest.raises(ValueError, match="`num_layers`.*whole.*'2'"):
        kd.BertConfig(9, "2", 4, 1)
    with pytest.raises(ValueError, match="`layer_norm_epsilon`.*None"):
        kd.BertConfig(9, 2, 4, 1, layer_norm_epsilon=None)
    with pytest.raises(ValueError, match="`layer_drop`.*a"):
        kd.BertConfig(9, 2, 4, 1, layer_drop="aa")


def test_changes_that_are_no_fields_are_named():
    config = kd.BertConfig(9, 2, 4, 1)
    with pytest.raises(ValueError, match=r"`changes`.*\['heads'\]"):
        config.with_layers(1, heads=2)
    with pytest.raises(ValueError, match=r"`changes`.*\['heads'\]"):
        kd.BertConfig.from_preset("tiny", 9, heads=2)
