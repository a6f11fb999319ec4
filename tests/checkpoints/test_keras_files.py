import keras_kd as kd
import keras
import numpy as np
import pytest


@pytest.fixture
def run(tmp_path, tokenizer):
    """A folder as the recipes leave it: config.json is their own."""
    (tmp_path / "config.json").write_text('{"run": "here", "epochs": 3}')
    tokenizer.save(tmp_path)
    config = kd.BertConfig(
        tokenizer.vocabulary_size, 1, 8, 2, max_sequence_length=8
    )
    teacher = kd.BertMaskedLM(config, seed=0)
    teacher.save(tmp_path / "teacher.keras")
    return tmp_path, teacher


def assert_same(model, expected):
    theirs = expected.named_variables()
    for name, variable in model.named_variables().items():
        np.testing.assert_array_equal(variable, theirs[name])


def test_a_run_is_opened_as_what_it_trained(run, tokenizer):
    folder, teacher = run
    model = kd.load_checkpoint(folder, layer_drop=0.2)
    assert type(model) is kd.BertMaskedLM
    assert model.config.layer_drop == 0.2
    assert_same(model, teacher)
    loaded = kd.load_tokenizer(str(folder))
    assert loaded.vocabulary_size == tokenizer.vocabulary_size
    student = kd.BertClassifier(teacher.config, ["no", "yes"], seed=1)
    student.save(folder / "student.keras")
    model = kd.load_checkpoint(str(folder))
    assert model.class_names == ["no", "yes"]
    assert_same(model, student)
    assert_same(kd.load_checkpoint(folder / "teacher.keras"), teacher)


def test_the_encoder_of_a_run_is_asked_for_by_its_class(run):
    folder, teacher = run
    encoder = kd.load_checkpoint(folder, kd.BertBackbone)
    assert type(encoder) is kd.BertBackbone
    assert_same(encoder, teacher.backbone)


def test_another_head_is_refused_with_the_way_to_get_it(run):
    with pytest.raises(ValueError, match=r"`BertClassifier.from_encoder`"):
        kd.load_checkpoint(run[0], kd.BertClassifier)


def test_other_models_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / "student.keras")
    with pytest.raises(ValueError, match="a Sequential in .*student.keras"):
        kd.load_checkpoint(tmp_path)
