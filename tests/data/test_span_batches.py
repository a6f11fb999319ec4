import numpy as np
import pytest
from keras_kd.data.span_batches import SpanWindows, cut_windows, span_batches
from keras_kd.data.squad import Answer, SpanQuestion
from keras_kd.data.tokenizer import WordPieceTokenizer

LONG = (
    "The old café by the sea, opened in 1990, is blue; a naïve cat sat on "
    "the mat and a dog ran over the hill to the sea. In 1990 the cat saw "
    "Zürich (日本 too) and the sea: 12,000 green hills, old and blue. "
) * 3


@pytest.fixture(scope="module")
def words():
    return WordPieceTokenizer.train([LONG.lower()], vocabulary_size=150)


def question_of(text, start=None, context=LONG, name="q"):
    start = context.index(text) if start is None else start
    return SpanQuestion(name, "where is it", context, (Answer(text, start),))


def letters_of(length, start, end, **sizes):
    """Windows over the letters "a b c ..." with an answer of tokens."""
    context = " ".join(chr(97 + i) for i in range(length))
    text = context[2 * start : 2 * end + 1]
    question = SpanQuestion("q", "z y", context, (Answer(text, 2 * start),))
    return [question], {"max_question_length": 4, **sizes}


@pytest.mark.parametrize(
    ("length", "room", "stride", "expected"),
    [
        (5, 5, 2, [(0, 5)]),
        (6, 5, 2, [(0, 5), (2, 4)]),
        (10, 4, 3, [(0, 4), (3, 4), (6, 4)]),
        (11, 4, 3, [(0, 4), (3, 4), (6, 4), (9, 2)]),
        (7, 3, 9, [(0, 3), (3, 3), (6, 1)]),  # nothing is left out
        (0, 5, 2, [(0, 0)]),
    ],
)
def test_windows_start_a_stride_apart(length, room, stride, expected):
    assert cut_windows(length, room, stride) == expected


def test_a_window_is_the_question_and_its_tokens(letters):
    # 10 letters; a question of 2, so 5 of the text: from 0, 3, 6.
    questions, sizes = letters_of(10, 4, 6, max_length=10, doc_stride=3)
    windows = SpanWindows(questions, letters, **sizes)
    ids, segments, mask, labels, weights = windows.batch([0, 1, -1, 2])
    assert ids.shape == (4, 16)
    assert ids[0].tolist() == [2, 30, 29, 3, 5, 6, 7, 8, 9, 3] + [0] * 6
    assert ids[1, 4:10].tolist() == [8, 9, 10, 11, 12, 3]
    assert ids[3].tolist() == [2, 30, 29, 3, 11, 12, 13, 14, 3] + [0] * 7
    assert segments[3].tolist() == [0] * 4 + [1] * 5 + [0] * 7
    assert mask.sum(axis=1).tolist() == [10, 10, 0, 9]
    # The answer, tokens 4 to 6, is whole in the second window alone.
    assert labels.tolist() == [[0, 0], [5, 7], [0, 0], [0, 0]]
    assert weights.tolist() == [[1, 1], [1, 1], [0, 0], [1, 1]]
    assert labels.dtype == "int32" and weights.dtype == "float32"


@pytest.mark.parametrize(
    ("start", "end", "labels"),
    [
        (0, 0, [[4, 4], [0, 0], [0, 0]]),  # the very first token
        (0, 4, [[4, 8], [0, 0], [0, 0]]),  # a whole window
        (3, 4, [[7, 8], [4, 5], [0, 0]]),  # in two
        (9, 9, [[0, 0], [0, 0], [7, 7]]),  # the very last
        (1, 6, [[0, 0], [0, 0], [0, 0]]),  # longer than a window
    ],
)
def test_labels_are_where_a_window_has_the_whole_answer(
    letters, start, end, labels
):
    questions, sizes = letters_of(10, start, end, max_length=10, doc_stride=3)
    windows = SpanWindows(questions, letters, **sizes)
    assert windows.labels.tolist() == labels


def test_a_long_question_is_cut_at_its_end(letters):
    question = SpanQuestion("q", "z y x w v", "a b c", (Answer("b", 2),))
    windows = SpanWindows(
        [question], letters, max_length=16, max_question_length=3
    )
    ids, _, _, labels, _ = windows.batch([0])
    assert ids[0, :9].tolist() == [2, 30, 29, 28, 3, 5, 6, 7, 3]
    assert labels.tolist() == [[6, 6]]


ANSWERS = [
    ("café", None),
    ("1990", None),
    ("1990", LONG.index("In 1990") + 3),  # again
    ("1990", LONG.rindex("1990")),
    ("naïve", None),
    ("Zürich (日本 too)", None),
    ("本", LONG.rindex("本")),
    ("12,000 green hills", None),
    ("The", 0),
    ("blue.", LONG.rindex("blue.")),
]


@pytest.mark.parametrize(("text", "start"), ANSWERS)
@pytest.mark.parametrize("doc_stride", [1, 7, 20])
def test_each_window_that_has_an_answer_gives_it_back(
    words, text, start, doc_stride
):
    question = question_of(text, start)
    windows = SpanWindows([question], words, 40, doc_stride, 8)
    assert len(windows.lengths) > 3 and max(windows.lengths) <= 40
    found = 0
    for row, (first, last) in enumerate(windows.labels):
        if first == 0:
            assert last == 0
            continue
        shift = windows.begins[row] - windows.firsts[row]
        assert windows.text(0, first + shift, last + shift) == text
        ids = windows.batch([row])[0][0, first : last + 1]
        assert ids.tolist() == words.encode_batch([text])[0].tolist()
        found += 1
    assert found
    # Windows without it are those that lack one of its tokens.
    first, last = windows.find_answer(question)
    ends = windows.begins + windows.sizes
    assert found == np.sum((windows.begins <= first) & (ends > last))


def test_all_tokens_of_the_context_are_in_a_window(words):
    windows = SpanWindows([question_of("1990")], words, 40, 7, 8)
    whole = words.encode_batch([LONG])[0]
    for row, begin in enumerate(windows.begins):
        ids = windows.pair(row)[1]
        np.testing.assert_array_equal(ids, whole[begin : begin + len(ids)])
    assert windows.begins[0] == 0
    assert set(np.diff(windows.begins)) == {7}
    assert windows.begins[-1] + windows.sizes[-1] == len(whole)


def test_a_part_of_a_token_is_answered_by_the_token(letters):
    context = "a 日本 b"
    question = SpanQuestion("q", "z", context, (Answer("a 日", 0),))
    windows = SpanWindows([question], letters, 16, 8, 4)
    assert windows.labels.tolist() == [[3, 4]]
    assert windows.text(0, 0, 1) == "a 日"


def test_an_accent_stays_with_its_letter(words):
    context = "the cafe\u0301 is old"  # the accent is a character of its own
    question = question_of("cafe\u0301", context=context)
    windows = SpanWindows([question], words, 40, 8, 8)
    first, last = windows.find_answer(question)
    assert windows.text(0, first, last) == "cafe\u0301"


def test_what_the_tokenizer_drops_is_not_learnt(letters):
    context = "a \u200b b"  # a space of no width
    lost = SpanQuestion("q", "z", context, (Answer("\u200b", 2),))
    none = SpanQuestion("r", "z", context, is_impossible=True)
    windows = SpanWindows([lost, none], letters, 16, 8, 4)
    assert windows.labels.tolist() == [[0, 0], [0, 0]]
    assert windows.weights.tolist() == [[0, 0], [1, 1]]


def test_a_context_without_tokens_has_a_window(letters):
    question = SpanQuestion("q", "z", "\u200b", is_impossible=True)
    windows = SpanWindows([question], letters, 16, 8, 4)
    assert windows.batch([0])[0][0].tolist() == [2, 30, 3, 3, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"doc_stride": 0}, "`doc_stride` must be at least 1"),
        ({"max_question_length": 0}, "`max_question_length`"),
        ({"max_length": 67}, "`max_length` must be at least 68"),
    ],
)
def test_sizes_are_checked(letters, sizes, message):
    with pytest.raises(ValueError, match=message):
        SpanWindows([question_of("1990")], letters, **sizes)
    with pytest.raises(ValueError, match="`questions`"):
        SpanWindows([], letters)


@pytest.mark.tensorflow
def test_batches_in_order_are_the_windows_in_order(words):
    questions = [question_of(text, start, name=text) for text, start in ANSWERS]
    questions[3] = SpanQuestion("r", "where", "the sea", is_impossible=True)
    windows = SpanWindows(questions, words, 40, 20, 8)
    batches = span_batches(windows, 4, shuffle=False)
    assert batches.element_spec[1].shape == (4, 2)
    number = len(windows.lengths)
    assert len(batches) == -(-number // 4)
    rows = np.concatenate([np.asarray(y) for _, y, _ in batches])
    weights = np.concatenate([np.asarray(w) for _, _, w in batches])
    np.testing.assert_array_equal(rows[:number], windows.labels)
    assert weights[number:].sum() == 0
    assert set(windows.question_of) == set(range(len(questions)))
    assert (np.diff(windows.question_of) >= 0).all()


@pytest.mark.tensorflow
def test_shuffled_batches_have_each_window_once(words):
    questions = [question_of(text, start) for text, start in ANSWERS]
    windows = SpanWindows(questions, words, 40, 20, 8)
    batches = span_batches(windows, 4, seed=1)
    epochs = [
        [row for x, _, _ in batches for row in np.asarray(x["token_ids"])]
        for _ in range(2)
    ]

    def without_padding(rows):
        found = [row[row > 0].tolist() for row in rows]
        return [row for row in found if row]

    expected = windows.batch(range(len(windows.lengths)))[0]
    for epoch in epochs:
        rows = without_padding(epoch)
        assert sorted(rows) == sorted(without_padding(expected))
    assert without_padding(epochs[0]) != without_padding(epochs[1])
    later = span_batches(windows, 4, seed=1, first_batch=2)
    x = np.asarray(next(iter(later))[0]["token_ids"])
    np.testing.assert_array_equal(x, epochs[0][8:12])


@pytest.mark.tensorflow
def test_a_batch_has_a_size(words):
    windows = SpanWindows([question_of("1990")], words, 40, 20, 8)
    with pytest.raises(ValueError, match="`batch_size`"):
        span_batches(windows, 0)
