import dataclasses
import json

import keras_kd as kd
import keras
import pytest
from keras_kd.models import choose_embedding, longest_text

OWN = kd.SentenceEmbedding(
    "cls",
    normalize=False,
    max_length=8,
    prompts={"query": "is the "},
    default_prompt="query",
)


def test_what_is_asked_for_comes_before_the_encoders_own(tiny_config):
    plain, own = tiny_config, dataclasses.replace(tiny_config, embedding=OWN)
    assert choose_embedding(plain) == kd.SentenceEmbedding("mean")
    assert choose_embedding(plain, "cls") == kd.SentenceEmbedding("cls")
    assert choose_embedding(own) == OWN
    asked = choose_embedding(own, "mean")
    assert asked == dataclasses.replace(OWN, pooling="mean")
    assert choose_embedding(own, kd.SentenceEmbedding()).normalize


def test_its_prompt_and_its_longest_text(tiny_config):
    assert OWN.prompt == "is the "
    assert kd.SentenceEmbedding(prompts={"query": "is the "}).prompt == ""
    assert longest_text(tiny_config, OWN) == 8
    assert longest_text(tiny_config, kd.SentenceEmbedding()) == 16
    short = dataclasses.replace(tiny_config, max_sequence_length=4)
    assert longest_text(short, OWN) == 4


def test_it_says_what_it_is():
    assert str(OWN) == "the first token, not normalised"
    assert str(kd.SentenceEmbedding()) == "the mean of the tokens, of length 1"


def test_a_student_and_a_saved_model_keep_it(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, embedding=OWN)
    teacher = kd.BertBackbone(config, seed=0)
    student = kd.extract_student(teacher, "first", 1)
    assert student.config.embedding == OWN
    student.save(tmp_path / "student.keras")
    again = keras.saving.load_model(tmp_path / "student.keras")
    assert again.config == student.config
    fields = json.loads(json.dumps(dataclasses.asdict(config)))
    assert kd.BertConfig(**fields) == config


def test_what_no_code_does_is_refused_by_name(tiny_config):
    dense = kd.SentenceEmbedding(unsupported="a Dense module (2_Dense)")
    config = dataclasses.replace(tiny_config, embedding=dense)
    with pytest.raises(ValueError, match=r"own embedding.*a Dense module"):
        choose_embedding(config)
    assert choose_embedding(config, "mean") == kd.SentenceEmbedding()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling": "max"}, "`pooling` must be one of.*'max'"),
        ({"max_length": 2}, "`max_length` must be at least 3.*: 2"),
        ({"default_prompt": "q"}, "`default_prompt` must be one of.*'q'"),
    ],
)
def test_values_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        kd.SentenceEmbedding(**fields)
