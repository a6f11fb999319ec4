"""predict_answers: from starts and ends in windows to answers in words."""

import dataclasses

import keras
import numpy as np
from scipy.special import softmax


@dataclasses.dataclass(frozen=True)
class FoundAnswer:
    """One of the answers that a model finds.

    Attributes:
        text: Str, out of the context; "" for no answer.
        start_logit: Float.
        end_logit: Float.
        probability: Float, among all that were found for the question.
    """

    text: str
    start_logit: float
    end_logit: float
    probability: float = 1.0

    @property
    def score(self):
        """Sum of both logits."""
        return self.start_logit + self.end_logit


@dataclasses.dataclass(frozen=True)
class FoundAnswers:
    """All that a model finds for a question.

    Attributes:
        answer: Str, the likeliest that is an answer.
        n_best: Tuple of `FoundAnswer`, the likeliest first; no answer, "", is
            one of them where there may be none.
        null_odds: Float, the score of no answer less that of `answer`; None
            where there must be one.
    """

    answer: str
    n_best: tuple[FoundAnswer, ...]
    null_odds: float | None = None


def decide(found, null_threshold=0.0):
    """What is answered to each question.

    Args:
        found: Dict of each question's id to its `FoundAnswers`.
        null_threshold: Float. No answer is given, "", where its score is above
            the best answer's by more than this.

    Returns:
        Dict of each question's id to a str.
    """
    return {
        name: ""
        if some.null_odds is not None and some.null_odds > null_threshold
        else some.answer
        for name, some in found.items()
    }


def predict_answers(model, windows, batch_size=32, **options):
    """Answers of a model to questions, dropout off.

    Args:
        model: `BertSpanExtractor`.
        windows: `SpanWindows`.
        batch_size: Int.
        **options: As of `find_answers`.

    Returns:
        Dict of each question's id to its `FoundAnswers`.
    """
    logits = predict_spans(model, windows, batch_size)
    return find_answers(windows, logits, **options)


def predict_spans(model, windows, batch_size=32):
    """What a model gives on each window, dropout off.

    Returns:
        List of N float32 arrays, (2, tokens of the window), of starts and of
        ends, in the order of the windows.
    """
    inputs = {tensor.name: tensor for tensor in model.inputs}
    scorer = keras.Model(inputs, model.output["logits"], name="span_logits")
    scorer.compile(jit_compile=False)  # without touching the model
    rows = np.argsort(windows.lengths, kind="stable")
    rows = np.concatenate([rows, np.full(-len(rows) % batch_size, -1)])
    found = [None] * len(windows.lengths)
    for some in rows.reshape(-1, batch_size):
        ids, segments, mask, _, _ = windows.batch(some)
        x = {"token_ids": ids, "segment_ids": segments, "padding_mask": mask}
        x = {name: x[name] for name in inputs}
        logits = np.asarray(scorer.predict_on_batch(x))
        for index, row in enumerate(some):
            if row >= 0:
                found[row] = logits[index, :, : windows.lengths[row]]
    return found


def find_answers(
    windows, logits, no_answer=False, n_best=20, max_answer_length=30
):
    """Answers to questions, of the logits over all their windows.

    An answer is from a token of the context to one that is not before it, by
    the sum of two logits. A token that is in several windows counts, as a
    start, in the one where it has the most tokens on the side that has fewer
    of them. No answer is by the sum at [CLS], the least of all windows. As in
    the code of Devlin et al., 2018, https://arxiv.org/abs/1810.04805, but that
    the n best starts and ends are those of tokens that may be one; where none
    of these go together, all are tried.

    Args:
        windows: `SpanWindows`.
        logits: List of (2, tokens of the window), one a window.
        no_answer: Bool. Whether a question may have none, as in SQuAD v2.
        n_best: Int, starts and ends of a window that are tried, and answers
            that are given back.
        max_answer_length: Int, tokens of an answer, at most.

    Returns:
        Dict of each question's id to its `FoundAnswers`.

    Raises:
        ValueError: If a size is below 1, there is not one array a window, or
            a logit is no number.
    """
    _check(windows, logits, n_best, max_answer_length)
    borders = np.searchsorted(
        windows.question_of, np.arange(len(windows.questions) + 1)
    )
    found = {}
    for index, question in enumerate(windows.questions):
        rows = range(borders[index], borders[index + 1])
        spans = find_spans(windows, logits, rows, n_best, max_answer_length)
        if not len(spans):  # each of the n best ends is before a start
            most = max(windows.lengths[rows])
            spans = find_spans(windows, logits, rows, most, max_answer_length)
        answers = distinct_answers(windows, index, spans, n_best)
        null = None
        if no_answer:
            null = min((logits[row][:, 0] for row in rows), key=np.sum)
        found[question.id] = rank_answers(answers, null, n_best)
    return found


def find_spans(windows, logits, rows, n_best, max_answer_length):
    """Tokens and logits of what may be answers, the likeliest first.

    Args:
        windows: `SpanWindows`.
        logits: As of `find_answers`.
        rows: Windows of one question.
        n_best: Int.
        max_answer_length: Int.

    Returns:
        (spans, 4) float64: first and last token of the context, and the
        logits of start and end.
    """
    found = []
    allowed = maximum_context(windows.begins[rows], windows.sizes[rows])
    for row, may_start in zip(rows, allowed, strict=True):
        first, size = windows.firsts[row], windows.sizes[row]
        start, end = logits[row][:, first : first + size].astype("float64")
        starts = np.argsort(np.where(may_start, -start, np.inf), kind="stable")
        starts = starts[: min(n_best, may_start.sum()), None]
        ends = np.argsort(-end, kind="stable")[None, :n_best]
        lengths = ends - starts + 1
        places = np.nonzero((lengths >= 1) & (lengths <= max_answer_length))
        starts, ends = starts[places[0], 0], ends[0, places[1]]
        begin = windows.begins[row]
        columns = starts + begin, ends + begin, start[starts], end[ends]
        found.append(np.stack(columns, axis=1))
    found = np.concatenate(found)
    return found[np.argsort(-found[:, 2:].sum(axis=1), kind="stable")]


def maximum_context(begins, sizes):
    """Which tokens of each window have nowhere more context.

    Context is the tokens on the side with fewer of them, and a hundredth of
    the window's tokens; of equals, the first window counts.

    Args:
        begins: (W,) int, of one question's windows.
        sizes: (W,) int.

    Returns:
        List of (size,) bool.
    """
    ends = begins + sizes
    owner = np.full(max(ends), -1)
    best = np.full(max(ends), -np.inf)
    for index, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        places = np.arange(begin, end)
        context = np.minimum(places - begin, end - 1 - places)
        context = context + 0.01 * (end - begin)
        better = context > best[begin:end]
        owner[begin:end][better] = index
        best[begin:end][better] = context[better]
    pairs = enumerate(zip(begins, ends, strict=True))
    return [owner[begin:end] == index for index, (begin, end) in pairs]


def distinct_answers(windows, index, spans, n_best):
    """The n best spans as a list of `FoundAnswer`, each text once."""
    found = {}
    for first, last, start_logit, end_logit in spans.tolist():
        text = windows.text(index, int(first), int(last))
        found.setdefault(text, FoundAnswer(text, start_logit, end_logit))
        if len(found) == n_best:
            break
    return list(found.values())


def rank_answers(answers, null, n_best):
    """`FoundAnswers` of answers, the likeliest first, and of none of them.

    Args:
        answers: List of `FoundAnswer`.
        null: (2,), the logits of no answer; None where there must be one.
        n_best: Int.
    """
    answers = answers or [FoundAnswer("", 0.0, 0.0)]  # of a text of no token
    odds, ranked = None, answers
    if null is not None:
        null = FoundAnswer("", *map(float, null))
        odds = null.score - answers[0].score
        ranked = sorted([*answers, null], key=lambda a: -a.score)[:n_best]
        ranked += [] if null in ranked else [null]
    shares = softmax([answer.score for answer in ranked])
    ranked = tuple(
        dataclasses.replace(answer, probability=float(share))
        for answer, share in zip(ranked, shares, strict=True)
    )
    return FoundAnswers(answers[0].text, ranked, odds)


def _check(windows, logits, n_best, max_answer_length):
    sizes = {"n_best": n_best, "max_answer_length": max_answer_length}
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}")
    if len(logits) != len(windows.lengths):
        raise ValueError(
            "`logits` must be one array for each window. Expected: "
            f"{len(windows.lengths)}. Received: {len(logits)}"
        )
    for row, some in enumerate(logits):
        expected = 2, windows.lengths[row]
        if some.shape != expected or not np.all(np.isfinite(some)):
            raise ValueError(
                f"`logits` must be numbers, (2, tokens). Expected: {expected}. "
                f"Received: {some.shape}, window {row}, with "
                f"{np.sum(~np.isfinite(some))} that are none"
            )
