import keras_kd as kd
import numpy as np
import pytest


@pytest.fixture
def batches(store, tokenizer):
    return kd.masked_lm_batches(store, tokenizer, 8, shuffle=False).take(2)


@pytest.mark.parametrize(
    ("plan", "robustness"), [("searched", 0.0), ("robust", 1.0)]
)
def test_a_searched_plan_has_the_layers_of_the_search(
    deep_teacher, batches, plan, robustness
):
    expected = kd.search_layers(deep_teacher, 2, batches, robustness)
    student = kd.BertMaskedLM(deep_teacher.config.with_layers(2))
    found = kd.make_plan(plan, deep_teacher, student, batches)
    assert found.layers_to_keep == expected
    assert found.name == plan
    extracted = kd.extract_student(deep_teacher, plan, 2, batches=batches)
    found.apply(deep_teacher, student)
    for name, value in student.named_variables().items():
        np.testing.assert_array_equal(
            np.asarray(extracted.named_variables()[name]), np.asarray(value)
        )


def test_the_most_influential_layers_are_kept(deep_teacher, batches):
    influence = kd.block_influence(deep_teacher, batches)
    student = kd.BertMaskedLM(deep_teacher.config.with_layers(2))
    found = kd.make_plan("block_influence", deep_teacher, student, batches)
    expected = set(range(3)) - {int(np.argmin(influence))}
    assert set(found.layers_to_keep) == expected


@pytest.mark.parametrize("plan", ["searched", "robust", "block_influence"])
def test_text_is_asked_for(deep_teacher, plan):
    student = kd.BertMaskedLM(deep_teacher.config.with_layers(2))
    with pytest.raises(ValueError, match=f"'{plan}' needs text"):
        kd.make_plan(plan, deep_teacher, student)


def test_more_layers_than_there_are_cannot_be_influential(
    deep_teacher, batches
):
    student = kd.BertMaskedLM(deep_teacher.config.with_layers(4))
    with pytest.raises(ValueError, match="`num_layers` must be from 1 to 3"):
        kd.make_plan("block_influence", deep_teacher, student, batches)
