import importlib
import types

import numpy as np
import pytest
from keras_kd.data.conll import TaggedWords
from keras_kd.evaluation import tag_metrics
from keras_kd.evaluation.tag_metrics import (
    ScoreTags,
    has_entities,
    most_frequent_tags,
    predict_tags,
    tag_metrics_of,
    tag_scores,
)
from keras_kd.models.bert_token_classifier import BertTokenClassifier

ALL = ("f1", "precision", "recall", "accuracy")
NAMES = ["O", "B-X", "I-X"]


def sentences(*texts):
    return [text.split() for text in texts]


def test_entities_count_where_they_are_found_whole():
    tags = sentences("B-PER I-PER O B-LOC", "O B-PER", "B-LOC B-LOC")
    guesses = sentences("B-PER I-PER O B-PER", "B-PER I-PER", "B-LOC B-LOC")
    # Right: PER 0-1, both LOC of the last. Guessed: PER twice and PER 0-1 of
    # the second, and two LOC: 5. There: 5.
    scores = tag_scores(ALL, tags, guesses)
    assert scores == pytest.approx(
        {"f1": 3 / 5, "precision": 3 / 5, "recall": 3 / 5, "accuracy": 5 / 8}
    )
    guesses = sentences("O O O B-LOC", "O O", "O B-LOC")
    scores = tag_scores(("precision", "recall", "f1"), tags, guesses)
    # Two of two are right, of five: F1 is 2 * 2 / (2 + 5).
    assert scores == pytest.approx(
        {"precision": 1.0, "recall": 2 / 5, "f1": 4 / 7}
    )
    assert list(scores) == ["precision", "recall", "f1"]


def test_an_entity_that_goes_on_over_a_sentence_is_none():
    tags = sentences("O B-X", "I-X O")
    assert tag_scores(("recall",), tags, sentences("O B-X", "O O")) == {
        "recall": 0.5
    }


@pytest.mark.parametrize(
    "scheme", ["I-X I-X O I-X I-Y", "B-X E-X O S-X S-Y", "B-X L-X O U-X U-Y"]
)
def test_schemes_of_tags_say_the_same(scheme):
    # Entities: X 0-1, X 3, Y 4.
    tags = sentences(scheme)
    guesses = sentences("B-X I-X O B-X O")
    scores = tag_scores(("precision", "recall"), tags, guesses)
    assert scores == pytest.approx({"precision": 1.0, "recall": 2 / 3})


def test_where_there_is_no_entity_scores_are_0():
    nothing = sentences("O O")
    for tags, guesses in (
        (nothing, nothing),
        (nothing, sentences("B-X O")),
        (sentences("B-X O"), nothing),
    ):
        scores = tag_scores(("f1", "precision", "recall"), tags, guesses)
        assert set(scores.values()) == {0.0}


def test_tags_without_entities_are_scored_by_words():
    assert tag_metrics_of(["NOUN", "O", "VERB"]) == ("accuracy",)
    assert tag_metrics_of(["O"]) == ("accuracy",)
    assert tag_metrics_of(["O", "B-X", "S-X"])[0] == "f1"
    assert has_entities(["O", "B", "I"]) and not has_entities(["O", "X-B"])
    tags, guesses = sentences("NOUN VERB", "X"), sentences("NOUN X", "X")
    scores = tag_scores(("accuracy",), tags, guesses)
    assert scores == pytest.approx({"accuracy": 2 / 3})
    with pytest.raises(ValueError, match="`tags` must be 'O'.*'NOUN', 'VERB'"):
        tag_scores(("f1",), tags, guesses)


@pytest.mark.parametrize(
    "metrics, tags, guesses, message",
    [
        (("f2",), ["O"], ["O"], "`metrics` must be out of.*'f2'"),
        ((), ["O"], ["O"], "`metrics` must be out of"),
        (("f1",), ["O", "O O"], ["O", "O"], "3 in 2 sentences and 2 in 2"),
        (("f1",), ["O O"], ["O", "O"], "2 in 1 sentences and 2 in 2"),
        (("f1",), [], [], "0 in 0 sentences"),
    ],
)
def test_wrong_arguments_are_named(metrics, tags, guesses, message):
    with pytest.raises(ValueError, match=message):
        tag_scores(metrics, sentences(*tags), sentences(*guesses))


def test_without_seqeval_the_extra_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    tags = sentences("B-X")
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"keras-kd\[tasks\]"):
        tag_scores(("f1",), tags, tags)
    assert tag_scores(("accuracy",), tags, tags) == {"accuracy": 1.0}


def test_baselines_say_a_tag_for_a_word():
    training = [
        TaggedWords(("Rome", "is", "Rome"), ("B", "O", "B")),
        TaggedWords(("Rome", "is", "is"), ("O", "O", "B")),
    ]
    asked = [TaggedWords(("Rome", "rome")), TaggedWords(("is",))]
    assert most_frequent_tags(training, asked) == [["B", "B"], ["O"]]
    assert most_frequent_tags(training, asked, by_word=False) == [
        ["B", "B"],
        ["B"],
    ]


@pytest.fixture
def model(tiny_config):
    return BertTokenClassifier(tiny_config, NAMES, seed=0)


def by_words(seed, length):
    """Sentences of words of several pieces, some longer than a window."""
    random = np.random.default_rng(seed)
    words = "cat dog catdog hill mat season the".split()
    return [
        TaggedWords(tuple(random.choice(words, n)))
        for n in random.integers(1, length, 7)
    ]


@pytest.mark.tensorflow
def test_windows_are_put_back_together(monkeypatch, tokenizer, model):
    asked = by_words(0, 20)
    calls = []

    def predict(model, batches):
        """Logits that say each word's first letter: c, d, or another."""
        rows = []
        for x, _, weights in batches:
            ids = np.asarray(x["token_ids"])[np.asarray(weights) > 0]
            calls.append(x["token_ids"].shape)
            rows.extend(tokenizer.vocabulary[i][0] for i in ids)
        return None, np.array(
            [[r not in "cd", r == "c", r == "d"] for r in rows]
        )

    monkeypatch.setattr(tag_metrics, "predict_task", predict)
    found = predict_tags(model, asked, tokenizer, 4, max_length=8)
    named = {"c": "B-X", "d": "I-X"}
    assert found == [
        [named.get(word[0], "O") for word in s.words] for s in asked
    ]
    assert len(calls) > 2 and {shape[1] for shape in calls} == {8}


@pytest.mark.tensorflow
def test_a_word_has_the_tag_of_its_first_piece(tokenizer, model):
    asked = by_words(1, 3)
    found = predict_tags(model, asked, tokenizer, 8, max_length=16)
    for sentence, tags in zip(asked, found, strict=True):
        pieces = tokenizer.encode_batch(sentence.words)
        ids = [tokenizer.cls_id, *np.concatenate(pieces), tokenizer.sep_id]
        starts = 1 + np.cumsum([0, *map(len, pieces)])[:-1]
        x = {
            "token_ids": np.array([ids]),
            "segment_ids": np.zeros((1, len(ids)), "int32"),
            "padding_mask": np.ones((1, len(ids)), "int32"),
        }
        logits = np.asarray(model(x)["logits"])[0, starts]
        assert tags == [NAMES[index] for index in logits.argmax(-1)]


@pytest.mark.tensorflow
def test_logits_that_are_no_numbers_are_refused(tokenizer, model):
    model.classifier.bias.assign([0.0, np.nan, 0.0])
    asked = [TaggedWords(("the", "cat"))]
    with pytest.raises(ValueError, match="those of 2 words of 2 are not"):
        predict_tags(model, asked, tokenizer)


@pytest.mark.tensorflow
def test_each_epoch_logs_the_scores(tokenizer, model):
    model.classifier.kernel.assign(0 * model.classifier.kernel)
    model.classifier.bias.assign([0.0, 1.0, 0.0])
    held_out = [TaggedWords(("the", "cat"), ("B-X", "O"))]
    score = ScoreTags(held_out, tokenizer, ("recall", "accuracy"), 1, 16)
    for trained in (model, types.SimpleNamespace(student=model)):
        score.set_model(trained)
        logs = {"loss": 1.0}
        score.on_epoch_end(0, logs)
        assert logs == {"loss": 1.0, "val_recall": 1.0, "val_accuracy": 0.5}
