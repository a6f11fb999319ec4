import itertools

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.evaluation.scout_encoder import count_texts

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def teacher(tokenizer):
    """Three layers, of which only the last one does anything of note."""
    config = kd.BertConfig(
        tokenizer.vocabulary_size,
        3,
        8,
        2,
        max_sequence_length=16,
        initializer_range=0.5,
    )
    teacher = kd.BertBackbone(config, seed=0)
    for name, variable in teacher.named_variables().items():
        if name.startswith(("encoder_layer_0/", "encoder_layer_1/")):
            if name.endswith("kernel"):
                variable.assign(np.asarray(variable) * 0.01)
    return teacher


@pytest.fixture
def batches(store, tokenizer):
    return kd.token_batches(store, tokenizer, 8, shuffle=False).take(4)


def test_the_plan_that_is_nearest_comes_first(teacher, batches, capsys):
    table = kd.scout_encoder(teacher, 1, batches)
    names = {"first", "last", "every_other", "both_ends", "block_influence"}
    assert set(table) == {"searched", *names}
    for name in ("searched", "block_influence", "last"):
        assert table[name]["layers"] == [2]
    cosines = [row["embedding_cosine"] for row in table.values()]
    assert cosines == sorted(cosines, reverse=True)
    assert list(table)[-1] in ("first", "every_other", "both_ends")
    assert "before any training" in capsys.readouterr().out


def test_figures_are_those_of_the_extracted_student(teacher, batches):
    table = kd.scout_encoder(teacher, 2, batches, "cls", verbose=0)
    reported = list(batches)[1::2]
    student = kd.extract_student(teacher, "first", 2)
    expected = kd.evaluate_similarity(student, teacher, reported, "cls")
    for name, value in expected.items():
        np.testing.assert_allclose(table["first"][name], value, rtol=1e-5)


def test_the_search_finds_the_best_subset(teacher, batches):
    table = kd.scout_encoder(teacher, 2, batches, verbose=0)
    chosen_on = list(batches)[::2]
    found = {
        subset: kd.evaluate_similarity(
            teacher.subnetwork(subset), teacher, chosen_on
        )["embedding_cosine"]
        for subset in itertools.combinations(range(3), 2)
    }
    assert tuple(table["searched"]["layers"]) == max(found, key=found.get)


def test_of_one_batch_nothing_is_searched(teacher, batches):
    table = kd.scout_encoder(teacher, 1, batches.take(1), verbose=0)
    assert set(table) == {"first", "last", "every_other", "both_ends"}


def test_texts_of_padding_alone_do_not_count():
    batch = {"padding_mask": np.array([[1, 0], [0, 0], [1, 1]])}
    assert count_texts([batch, batch]) == 4


def test_too_many_layers_are_refused(teacher, batches):
    with pytest.raises(ValueError, match="`num_layers` must be from 1 to 3"):
        kd.scout_encoder(teacher, 4, batches)
