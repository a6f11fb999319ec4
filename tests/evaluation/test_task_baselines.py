import keras_kd as kd
import numpy as np

SAID = {"good": "fine lovely good", "bad": "dull awful bad"}


def texts_of(pairs=False):
    return [
        kd.LabeledText(
            "a film" if pairs else f"a {word} film",
            f"so {word}" if pairs else None,
            label,
        )
        for label, words in SAID.items()
        for word in words.split() * 4
    ]


def test_the_majority_says_the_same_of_every_text():
    scores = kd.majority_scores(["accuracy"], [0, 1, 1], [1, 0, 0, 0], 2)
    assert scores == {"accuracy": 0.25}
    assert kd.majority_scores(["pearson"], [1.0, 3.0], [1.0, 2.0]) == {
        "pearson": 0.0
    }


def test_words_tell_classes_of_texts_and_of_pairs():
    for pairs in (False, True):
        texts = texts_of(pairs)
        ids = kd.label_ids(texts, ["bad", "good"])
        scores = kd.tfidf_scores(
            ["accuracy"], texts, ids, texts[::3], ids[::3], 2
        )
        assert scores == {"accuracy": 1.0}


def test_a_class_that_is_not_among_the_training_texts_is_never_said():
    texts = texts_of()
    ids = kd.label_ids(texts, ["neither", "bad", "good"])
    scores = kd.tfidf_scores(["accuracy"], texts, ids, texts, ids, 3)
    assert scores == {"accuracy": 1.0}


def test_words_tell_numbers():
    texts = texts_of()
    numbers = np.array([1.0 if t.label == "good" else -1.0 for t in texts])
    scores = kd.tfidf_scores(["pearson"], texts, numbers, texts, numbers)
    assert scores["pearson"] > 0.99
