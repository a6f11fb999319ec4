import math

import keras_kd as kd
import numpy as np
import pytest
from keras_kd.data.span_batches import SpanWindows
from keras_kd.data.squad import Answer, SpanQuestion
from keras_kd.data.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer
from keras_kd.evaluation.answers import (
    FoundAnswers,
    decide,
    find_answers,
    maximum_context,
    predict_answers,
    predict_spans,
)


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    file = tmp_path_factory.mktemp("letters") / "vocab.txt"
    tokens = [*SPECIAL_TOKENS, *map(chr, range(97, 123))]
    file.write_text("\n".join(tokens), "utf-8")
    return WordPieceTokenizer.load(file)


def windows_of(tokenizer, contexts, **sizes):
    questions = [
        SpanQuestion(f"q{i}", "z", context, (Answer(context[:1], 0),))
        for i, context in enumerate(contexts)
    ]
    sizes = {"max_length": 16, "doc_stride": 8, **sizes}
    return SpanWindows(questions, tokenizer, max_question_length=4, **sizes)


def test_answers_are_ranked_by_the_sum_of_their_logits(letters):
    windows = windows_of(letters, ["a b, c d"])
    # [CLS] z [SEP] a b , c d [SEP]; "," is unknown to the vocabulary.
    start = np.array([1, 90, 90, 3, 2, -9, 0, 0, 90], "float32")
    end = np.array([4, 90, 90, 1, 5, -9, 0, 2, 90], "float32")
    found = find_answers(windows, [np.stack([start, end])])["q0"]
    best = [(a.text, a.start_logit, a.end_logit) for a in found.n_best[:4]]
    assert best == [
        ("a b", 3, 5),
        ("b", 2, 5),
        ("a b, c d", 3, 2),
        ("a", 3, 1),  # as "b, c d": of equals, the likelier start
    ]
    assert found.answer == "a b" and found.null_odds is None
    assert len(found.n_best) == 15  # all from one of 5 tokens to another
    # 8 + 7 + 5 + ...: probabilities are of the n best that are given back.
    shares = np.exp([a.score for a in found.n_best])
    np.testing.assert_allclose(
        [a.probability for a in found.n_best], shares / shares.sum()
    )
    two = find_answers(windows, [np.stack([start, end])], n_best=2)["q0"]
    assert [a.text for a in two.n_best] == ["a b", "b"]
    assert two.n_best[0].probability == pytest.approx(1 / (1 + math.exp(-1)))


def test_an_answer_has_so_many_tokens_at_most(letters):
    windows = windows_of(letters, ["a b c d"])
    logits = np.zeros((2, 8), "float32")
    logits[0, 3], logits[1, 6] = 5, 4
    texts = [
        find_answers(windows, [logits], max_answer_length=n)["q0"].answer
        for n in (4, 3)
    ]
    assert texts == ["a b c d", "a"]


def test_no_answer_is_the_least_that_a_window_says_of_it(letters):
    # Windows of 4 tokens: a b c d, c d e f.
    windows = windows_of(letters, ["a b c d e f"], max_length=8, doc_stride=2)
    assert len(windows.lengths) == 2
    logits = np.zeros((2, 2, 8), "float32")
    logits[0, :, 0] = 3, 4
    logits[1, :, 0] = 2, 1
    logits[1, 0, 4], logits[1, 1, 5] = 1, 1.5  # d e
    found = find_answers(windows, list(logits), no_answer=True)
    assert found["q0"].answer == "d e"
    assert found["q0"].null_odds == 3 - 2.5
    first, second = found["q0"].n_best[:2]
    assert (first.text, first.start_logit, first.end_logit) == ("", 2, 1)
    assert second.text == "d e"
    assert decide(found) == {"q0": ""}
    assert decide(found, 0.5) == {"q0": "d e"}
    assert decide(found, 0.49) == {"q0": ""}
    least = find_answers(windows, list(logits - 9), no_answer=True, n_best=1)
    assert len(least["q0"].n_best) == 1
    logits[:, :, 0] = -5
    last = find_answers(windows, list(logits), no_answer=True, n_best=1)
    assert [a.text for a in last["q0"].n_best] == ["d e", ""]


def test_a_token_counts_where_it_has_most_context():
    # Tokens 3 and 4 are in both: 3 has 1 and 0 beside it, 4 has 0 and 1.
    found = maximum_context(np.array([0, 3]), np.array([5, 5]))
    assert [some.tolist() for some in found] == [
        [True, True, True, True, False],
        [False, True, True, True, True],
    ]
    # Of equals a longer window, by a hundredth a token; else the first.
    found = maximum_context(np.array([0, 2]), np.array([4, 3]))
    assert [some.tolist() for some in found] == [
        [True, True, True, False],
        [False, True, True],
    ]
    found = maximum_context(np.array([0, 1]), np.array([2, 3]))
    assert [some.tolist() for some in found] == [
        [True, False],
        [True, True, True],
    ]


def by_loops(windows, index, logits, n_best, longest):
    """The likeliest answer, in plain Python."""
    rows = np.flatnonzero(windows.question_of == index)
    allowed = maximum_context(windows.begins[rows], windows.sizes[rows])
    best = (-math.inf, None)
    for row, may_start in zip(rows, allowed, strict=True):
        first = windows.firsts[row]
        start, end = logits[row][:, first : first + windows.sizes[row]]
        starts = [i for i in range(len(start)) if may_start[i]]
        starts = sorted(starts, key=lambda i: -start[i])[:n_best]
        ends = sorted(range(len(end)), key=lambda i: -end[i])[:n_best]
        for i in starts:
            for j in ends:
                score = float(start[i]) + float(end[j])
                if i <= j < i + longest and score > best[0]:
                    begin = windows.begins[row]
                    best = score, windows.text(index, i + begin, j + begin)
    return best


def test_answers_are_those_of_plain_loops(letters):
    random = np.random.default_rng(0)
    contexts = [
        " ".join(map(chr, random.integers(97, 123, length)))
        for length in (3, 9, 20, 40)
    ]
    windows = windows_of(letters, contexts, doc_stride=5)
    logits = [
        random.normal(size=(2, n)).astype("float32") for n in windows.lengths
    ]
    for n_best, longest in ((20, 30), (3, 4), (1, 30)):
        found = find_answers(
            windows, logits, n_best=n_best, max_answer_length=longest
        )
        assert list(found) == ["q0", "q1", "q2", "q3"]
        for index, some in enumerate(found.values()):
            score, text = by_loops(windows, index, logits, n_best, longest)
            if text is None:  # no end of the n best is after such a start
                score, text = by_loops(windows, index, logits, 99, longest)
            assert some.answer == text
            assert some.n_best[0].score == pytest.approx(score)
            scores = [a.score for a in some.n_best]
            assert scores == sorted(scores, reverse=True)
            texts = [a.text for a in some.n_best]
            assert len(set(texts)) == len(texts) <= n_best


def test_a_context_without_tokens_has_no_answer(letters):
    windows = windows_of(letters, ["\u200b"])
    logits = [np.array([[1, 0, 0, 0], [2, 0, 0, 0]], "float32")]
    found = find_answers(windows, logits, no_answer=True)["q0"]
    assert found.answer == "" and found.null_odds == 3


def test_logits_are_checked(letters):
    windows = windows_of(letters, ["a b c d", "e f"])
    logits = [np.zeros((2, 8)), np.zeros((2, 6))]
    with pytest.raises(ValueError, match="Expected: 2. Received: 1"):
        find_answers(windows, logits[:1])
    with pytest.raises(ValueError, match="window 1"):
        find_answers(windows, [logits[0], logits[0]])
    logits[1][0, 3] = np.nan
    with pytest.raises(ValueError, match="window 1, with 1 that are none"):
        find_answers(windows, logits)
    with pytest.raises(ValueError, match="`n_best`"):
        find_answers(windows, logits, n_best=0)
    with pytest.raises(ValueError, match="`max_answer_length`"):
        find_answers(windows, logits, max_answer_length=0)


def test_questions_without_odds_are_always_answered():
    assert decide({"q": FoundAnswers("a", ())}, -9.0) == {"q": "a"}


@pytest.mark.parametrize("num_segments", [0, 2])
def test_each_window_has_the_logits_of_the_model(letters, num_segments):
    contexts = ["a b c d e f g h i j k l", "m n", "o p q r s t u v"]
    windows = windows_of(letters, contexts, max_length=12, doc_stride=4)
    config = kd.BertConfig(
        vocabulary_size=letters.vocabulary_size,
        num_layers=1,
        hidden_dim=16,
        num_heads=2,
        max_sequence_length=16,
        num_segments=num_segments,
        dropout=0.3,
    )
    model = kd.BertSpanExtractor(config, seed=0)
    found = predict_spans(model, windows, batch_size=4)
    assert [len(some[0]) for some in found] == windows.lengths.tolist()
    for row, logits in enumerate(found):
        ids, segments, mask, _, _ = windows.batch([row])
        x = {"token_ids": ids, "segment_ids": segments, "padding_mask": mask}
        alone = np.asarray(model(x)["logits"])[0, :, : windows.lengths[row]]
        np.testing.assert_allclose(logits, alone, atol=1e-5)
    answers = predict_answers(model, windows, batch_size=4, n_best=2)
    assert answers == find_answers(windows, found, n_best=2)
    assert not model.compiled
