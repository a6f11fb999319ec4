import keras_kd as kd
import numpy as np
import pytest
from keras_kd.data.span_batches import SpanWindows
from keras_kd.data.squad import Answer, SpanQuestion
from keras_kd.evaluation.answer_scores import (
    ScoreAnswers,
    best_null_threshold,
    choose_threshold,
    nearest_sentences,
    normalize_answer,
    question_scores,
    score_answers,
    token_f1,
)
from keras_kd.evaluation.answers import FoundAnswers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat's, hat!\n", "cats hat"),
        ("an answer; a theory", "answer theory"),
        ("A.", ""),
        ("co-op in the U.S.", "coop in us"),
        ("Zürich\u2019s 12,000", "zürich\u2019s 12000"),  # ASCII's alone goes
        ("the a an", ""),
    ],
)
def test_case_articles_punctuation_and_space_do_not_count(text, expected):
    assert normalize_answer(text) == expected


@pytest.mark.parametrize(
    ("answer", "truth", "f1"),
    [
        ("the cat sat", "cat sat down", 0.8),  # 2 of 2, and 2 of 3
        ("x x y", "x y y", 2 / 3),  # each as often as it is there
        ("x", "y", 0),
        ("X", "the x.", 1),
        ("", "x", 0),
        ("", "", 1),
        ("the", "", 1),
    ],
)
def test_f1_is_of_the_words_that_are_shared(answer, truth, f1):
    assert token_f1(answer, truth) == pytest.approx(f1)
    assert token_f1(truth, answer) == pytest.approx(f1)


def question_of(name, *texts):
    answers = tuple(Answer(text, 0) for text in texts)
    return SpanQuestion(name, "?", " ".join(texts), answers, not texts)


ALL = [
    question_of("q1", "the old cat", "cat"),
    question_of("q2", "in 1990", "1990"),
    question_of("q3"),
    question_of("q4"),
]


def test_a_question_counts_its_best_answer():
    answers = {"q1": "a cat", "q2": "year 1990"}
    # q1: equal to "cat"; q2: F1 of 1/2 with the first, 2/3 with the second.
    expected = {"exact_match": 0.5, "f1": (1 + 2 / 3) / 2}
    assert score_answers(ALL[:2], answers) == pytest.approx(expected)


def test_each_kind_of_question_has_its_scores():
    answers = {"q1": "cat", "q2": "", "q3": "", "q4": "sea"}
    assert score_answers(ALL, answers) == pytest.approx(
        {
            "exact_match": 0.5,
            "f1": 0.5,
            "has_answer_exact_match": 0.5,
            "has_answer_f1": 0.5,
            "no_answer_exact_match": 0.5,
            "no_answer_f1": 0.5,
        }
    )
    assert set(score_answers(ALL[2:], answers)) == {
        "exact_match",
        "f1",
        "no_answer_exact_match",
        "no_answer_f1",
    }


def test_all_questions_must_be_answered():
    with pytest.raises(ValueError, match=r"without answer \['q2'\]"):
        score_answers(ALL[:2], {"q1": "cat"})
    with pytest.raises(ValueError, match="0 questions"):
        score_answers([], {})


def test_the_best_threshold_parts_answers_from_none():
    found = {
        "q1": FoundAnswers("cat", (), -2.0),
        "q2": FoundAnswers("1990", (), 1.0),
        "q3": FoundAnswers("sea", (), 1.5),
        "q4": FoundAnswers("sea", (), 2.0),
    }
    assert best_null_threshold(ALL, found) == (1.0, 1.0)
    found["q1"] = FoundAnswers("dog", (), -2.0)
    assert best_null_threshold(ALL, found) == (1.0, 0.75)
    only = [ALL[2]]  # nothing is to be answered
    threshold, f1 = best_null_threshold(only, found)
    assert threshold < 1.5 and f1 == 1.0


def test_the_best_threshold_is_the_best_of_all():
    random = np.random.default_rng(0)
    questions = [question_of(f"q{i}", *"x"[: i % 2]) for i in range(40)]
    found = {
        q.id: FoundAnswers("xyz"[random.integers(3)], (), round(odds, 1))
        for q, odds in zip(questions, random.normal(size=40), strict=True)
    }

    def f1_at(threshold):
        answers = {
            name: "" if some.null_odds > threshold else some.answer
            for name, some in found.items()
        }
        return question_scores(questions, answers)[:, 1].mean()

    threshold, f1 = best_null_threshold(questions, found)
    assert f1 == pytest.approx(f1_at(threshold))
    candidates = [-np.inf, *(some.null_odds for some in found.values())]
    assert f1 == pytest.approx(max(map(f1_at, candidates)))


def test_a_threshold_is_given_or_the_best_or_none_is_needed():
    found = {q.id: FoundAnswers("cat", (), 2.0) for q in ALL[:2]}
    assert choose_threshold(ALL[:2], found, -1.5) == -1.5
    assert choose_threshold(ALL[:2], found, None) == 2.0
    found = {q.id: FoundAnswers("cat", ()) for q in ALL[:2]}
    assert choose_threshold(ALL[:2], found, None) == 0.0


def test_the_nearest_sentence_shares_most_words():
    context = "A dog ran. The cat sat on the mat! Was the cat old?"
    question = SpanQuestion("q", "Where sat the cat?", context)
    assert nearest_sentences([question]) == {"q": "The cat sat on the mat!"}


@pytest.mark.tensorflow
def test_scores_of_an_epoch_are_logged(tokenizer, tiny_config):
    context = "the cat sat on the mat"
    question = SpanQuestion("q", "the cat", context, (Answer(context, 0),))
    windows = SpanWindows([question], tokenizer, 16, 8, 4)
    model = kd.BertSpanExtractor(tiny_config, seed=0)
    model.classifier.kernel.assign(0 * model.classifier.kernel)
    callback = ScoreAnswers(windows, batch_size=2)
    callback.set_model(model)
    logs = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    # All logits are equal: of all answers, the first token: "the", an article.
    assert logs == {"loss": 1.0, "val_exact_match": 0.0, "val_f1": 0.0}
    none = SpanQuestion("q", "the cat", "old cat", is_impossible=True)
    windows = SpanWindows([none], tokenizer, 16, 8, 4)
    for threshold, f1 in ((0.0, 0.0), (-1.0, 1.0), (None, 1.0)):
        callback = ScoreAnswers(windows, 2, threshold, no_answer=True)
        callback.set_model(model)
        callback.on_epoch_end(0, logs)
        assert logs["val_no_answer_f1"] == f1, threshold
