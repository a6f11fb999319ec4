import io

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.initialization import Source
from rich.console import Console


@pytest.mark.parametrize(
    ("plan", "teacher", "student", "expected"),
    [
        ("first", 12, 6, (0, 1, 2, 3, 4, 5)),
        ("last", 12, 6, (6, 7, 8, 9, 10, 11)),
        ("every_other", 12, 6, (0, 2, 4, 6, 8, 10)),
        ("every_other", 4, 2, (0, 2)),
        ("every_other", 12, 3, (0, 4, 8)),
        ("both_ends", 12, 6, (0, 2, 4, 7, 9, 11)),
        ("both_ends", 4, 2, (0, 3)),
        ("both_ends", 5, 3, (0, 2, 4)),
        ("both_ends", 12, 1, (0,)),
        ("hugging_face", 12, 6, (0, 2, 4, 7, 9, 11)),
        ("hugging_face", 12, 3, (0, 6, 11)),
        ("random", 4, 2, None),
        ("embeddings_only", 4, 2, None),
        ([1, 3], 4, 2, (1, 3)),
    ],
)
def test_layers_by_hand(plan, teacher, student, expected):
    assert kd.choose_layers(plan, teacher, student) == expected


@pytest.mark.parametrize("plan", ["first", "last", "every_other", "both_ends"])
@pytest.mark.parametrize("depth", [1, 2, 5, 12])
def test_full_depth_is_every_layer_in_order(plan, depth):
    assert kd.choose_layers(plan, depth, depth) == tuple(range(depth))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("evry_other", "`plan` must be one of.*'evry_other'"),
        ([0], "Expected 2 indices"),
        ([0, 1, 2], "Expected 2 indices"),
        ([1, 1], "must not repeat"),
        ([0, 4], "indices from 0 to 3"),
        ([-1, 0], "indices from 0 to 3"),
        ([0, 1.5], "indices from 0 to 3"),
        ("hugging_face", "teacher of 12 layers"),
    ],
)
def test_plans_that_cannot_be_are_refused(plan, message):
    with pytest.raises(ValueError, match=message):
        kd.choose_layers(plan, 4, 2)


def test_a_student_deeper_than_its_teacher_is_refused():
    with pytest.raises(ValueError, match="at most the teacher's 2 layers"):
        kd.choose_layers("first", 2, 3)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"hidden_dim": 32}, "hidden_dim"),
        ({"vocabulary_size": 11}, "vocabulary_size"),
        ({"intermediate_dim": 8}, "intermediate_dim"),
        ({"num_heads": 4}, "num_heads"),
        ({"max_sequence_length": 99}, "more positions"),
        ({"num_segments": 3}, "num_segments"),
    ],
)
def test_shapes_that_do_not_fit_are_named(tiny_config, changes, field):
    teacher = kd.BertBackbone(tiny_config)
    student = kd.BertBackbone(tiny_config.with_layers(1, **changes))
    with pytest.raises(ValueError, match=field):
        kd.make_plan("first", teacher, student)


def test_a_source_copies_slices_and_adds():
    variables = {"a": np.arange(6.0).reshape(3, 2), "b": np.ones((2, 2)) * 5}
    source = Source("a", rows=2, add_row=("b", 1))
    np.testing.assert_array_equal(source.value(variables), [[5, 6], [7, 8]])
    assert str(source) == "a[:2] + b[1]"
    assert str(Source("a")) == "a"


def weights_of(model):
    return {n: v.numpy() for n, v in model.named_variables().items()}


def test_every_variable_comes_from_where_the_plan_says(tiny_config):
    teacher = kd.BertMaskedLM(tiny_config.with_layers(4), seed=0)
    student = kd.BertMaskedLM(tiny_config, seed=1)
    plan = kd.make_plan([1, 3], teacher, student)
    plan.apply(teacher, student)
    theirs, ours = weights_of(teacher), weights_of(student)
    assert set(plan.sources) == set(ours)
    for name, value in ours.items():
        source = name.replace("encoder_layer_1/", "encoder_layer_3/")
        source = source.replace("encoder_layer_0/", "encoder_layer_1/")
        np.testing.assert_array_equal(value, theirs[source], err_msg=name)


def test_embeddings_only_leaves_the_layers_and_random_leaves_all(tiny_config):
    teacher = kd.BertMaskedLM(tiny_config, seed=0)
    student = kd.BertMaskedLM(tiny_config, seed=1)
    before = weights_of(student)
    kd.make_plan("random", teacher, student).apply(teacher, student)
    for name, value in weights_of(student).items():
        np.testing.assert_array_equal(value, before[name])
    kd.make_plan("embeddings_only", teacher, student).apply(teacher, student)
    theirs = weights_of(teacher)
    for name, value in weights_of(student).items():
        kept = before if name.startswith("encoder_layer") else theirs
        np.testing.assert_array_equal(value, kept[name], err_msg=name)


def test_nothing_is_written_when_one_shape_does_not_fit(tiny_config):
    teacher = kd.BertMaskedLM(tiny_config, seed=0)
    student = kd.BertMaskedLM(tiny_config, seed=1)
    plan = kd.make_plan("first", teacher, student)
    plan.sources["masked_lm_head/bias"] = Source("embeddings/norm/gamma")
    before = weights_of(student)
    with pytest.raises(ValueError, match="masked_lm_head/bias expects"):
        plan.apply(teacher, student)
    for name, value in weights_of(student).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_plan_prints_as_a_table(tiny_config):
    teacher = kd.BertMaskedLM(tiny_config.with_layers(4), seed=0)
    student = kd.BertMaskedLM(tiny_config.with_layers(2, num_segments=0))
    out = io.StringIO()
    plan = kd.make_plan("every_other", teacher, student)
    plan.print(Console(file=out, width=120))
    assert "every_other: teacher layers [0, 2]" in out.getvalue()
    lines = [line.split() for line in out.getvalue().splitlines()]
    row = [
        "│",
        "encoder_layer_1/key/bias",
        "│",
        "encoder_layer_2/key/bias",
        "│",
    ]
    assert row in lines
    assert "position/embeddings + embeddings/segment" in out.getvalue()


def test_a_plan_of_ones_own_prints_too():
    out = io.StringIO()
    kd.InitializationPlan("mine", None, {}).print(Console(file=out, width=80))
    assert "mine: no layers copied" in out.getvalue()


@pytest.mark.parametrize(
    ("target", "source", "who"),
    [
        ("nothing", "embeddings/norm/gamma", "student"),
        ("embeddings/norm/gamma", "nothing", "teacher"),
    ],
)
def test_a_plan_with_unknown_variables_is_refused(
    tiny_config, target, source, who
):
    teacher = kd.BertMaskedLM(tiny_config, seed=0)
    student = kd.BertMaskedLM(tiny_config, seed=1)
    plan = kd.InitializationPlan("mine", None, {target: Source(source)})
    with pytest.raises(ValueError, match=f"`{who}`.*Received: .'nothing'"):
        plan.apply(teacher, student)
