"""score_answers: how well answers agree with those that people gave."""

import collections
import re
import string

import keras
import numpy as np
from keras_kd.evaluation.answers import decide, predict_answers

ARTICLES = re.compile(r"\b(a|an|the)\b")
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def normalize_answer(text):
    """What of an answer counts: no case, ASCII punctuation, article, space."""
    text = text.lower().translate(WITHOUT_PUNCTUATION)
    return " ".join(ARTICLES.sub(" ", text).split())


def token_f1(answer, truth):
    """F1 of the words that two answers share, each as often as it is there.

    Where one of them has no word, 1 if both have none.
    """
    words, known = (normalize_answer(text).split() for text in (answer, truth))
    if not words or not known:
        return float(words == known)
    shared = collections.Counter(words) & collections.Counter(known)
    return 2 * shared.total() / (len(words) + len(known))


def score_answers(questions, answers):
    """Exact match and F1, the official scores of SQuAD, as shares.

    Each question counts the best over the answers that people gave, normalised;
    where there is none, "" is right, and all else wrong. By the definitions of
    Rajpurkar et al., 2016, https://arxiv.org/abs/1606.05250, and 2018,
    https://arxiv.org/abs/1806.03822, whose scripts say percent.

    Args:
        questions: List of `SpanQuestion`.
        answers: Dict of each question's id to a str, "" for no answer.

    Returns:
        Dict of `exact_match` and `f1` to floats in [0, 1]; where some question
        has no answer, the same of each kind alone too, as
        `has_answer_exact_match`, `no_answer_f1` and so on.

    Raises:
        ValueError: If there is no question, or one is not answered.
    """
    scores = question_scores(questions, answers)
    result = _means("", scores)
    impossible = np.array([q.is_impossible for q in questions])
    if impossible.any():
        for kind, rows in (("has", ~impossible), ("no", impossible)):
            if rows.any():
                result |= _means(f"{kind}_answer_", scores[rows])
    return result


def question_scores(questions, answers):
    """Exact match and F1 of each question, (N, 2); as `score_answers`."""
    missing = [q.id for q in questions if q.id not in answers]
    if missing or not questions:
        raise ValueError(
            "`answers` must hold one for each of `questions`. Received: "
            f"{len(questions)} questions, {len(missing)} of them without "
            f"answer {missing[:3]}"
        )
    scores = []
    for question in questions:
        answer = answers[question.id]
        # What is an article alone is no answer to the official script either.
        truths = [a.text for a in question.answers if normalize_answer(a.text)]
        found = [
            (
                float(normalize_answer(answer) == normalize_answer(truth)),
                token_f1(answer, truth),
            )
            for truth in truths or [""]
        ]
        scores.append(np.max(found, axis=0))
    return np.array(scores)


def best_null_threshold(questions, found):
    """The threshold of `decide` that has the best F1 on these questions.

    To be chosen on questions that do not report.

    Args:
        questions: List of `SpanQuestion`.
        found: Dict of each question's id to its `FoundAnswers`, of
            `no_answer=True`.

    Returns:
        Pair of floats: the threshold, and the F1 that it gives.
    """
    odds = np.array([found[q.id].null_odds for q in questions])
    answered = question_scores(
        questions, {name: some.answer for name, some in found.items()}
    )[:, 1]
    silent = question_scores(questions, dict.fromkeys(found, ""))[:, 1]
    order = np.argsort(odds, kind="stable")
    gains = (answered - silent)[order]
    # With the first i questions answered, in the order of their odds.
    totals = silent.sum() + np.concatenate([[0.0], np.cumsum(gains)])
    odds = odds[order]
    apart = np.concatenate([[True], odds[1:] > odds[:-1], [True]])
    best = int(np.argmax(np.where(apart, totals, -np.inf)))
    threshold = odds[best - 1] if best else np.nextafter(odds[0], -np.inf)
    return float(threshold), float(totals[best] / len(questions))


def choose_threshold(questions, found, null_threshold):
    """The threshold that is given; where it is None, the best; 0 of no odds."""
    if null_threshold is not None:
        return null_threshold
    if any(some.null_odds is None for some in found.values()):
        return 0.0
    return best_null_threshold(questions, found)[0]


def nearest_sentences(questions):
    """A baseline: of each context the sentence most like the question.

    By the words that both have; of equals the first.

    Returns:
        Dict of each question's id to a str.
    """
    found = {}
    for question in questions:
        asked = set(normalize_answer(question.question).split())
        found[question.id] = max(
            SENTENCE_END.split(question.context.strip()),
            key=lambda text: len(asked & set(normalize_answer(text).split())),
        )
    return found


class ScoreAnswers(keras.callbacks.Callback):
    """Adds the scores of held-out questions to the logs of each epoch.

    Each is logged as `val_<score>`: for
    `keras.callbacks.EarlyStopping(monitor="val_f1", mode="max")`, to stand
    after it in the list of callbacks.

    Args:
        windows: `SpanWindows`.
        batch_size: Int.
        null_threshold: Float, as of `decide`; None for that which is best at
            each epoch.
        **options: As of `find_answers`.
    """

    def __init__(self, windows, batch_size=32, null_threshold=0.0, **options):
        super().__init__()
        self.windows = windows
        self.batch_size = batch_size
        self.null_threshold = null_threshold
        self.options = options

    def on_epoch_end(self, epoch, logs=None):
        # Of a `Distiller`, its student.
        model = getattr(self.model, "student", self.model)
        found = predict_answers(
            model, self.windows, self.batch_size, **self.options
        )
        questions = self.windows.questions
        threshold = choose_threshold(questions, found, self.null_threshold)
        scores = score_answers(questions, decide(found, threshold))
        for name, score in scores.items():
            logs[f"val_{name}"] = score


def _means(prefix, scores):
    exact, f1 = np.mean(scores, axis=0)
    return {f"{prefix}exact_match": float(exact), f"{prefix}f1": float(f1)}
