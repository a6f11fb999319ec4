"""span_batches: questions with windows of their texts, to batches."""

import unicodedata

import numpy as np
from keras_kd.data.labeled_batches import (
    check_sizes,
    encoded_batches,
    input_arrays,
)

AT_ONCE = 1000  # contexts that are tokenised together


def span_batches(
    windows,
    batch_size,
    seed=0,
    shuffle=True,
    first_epoch=0,
    first_batch=0,
):
    """A `tf.data.Dataset` of batches of windows, for `fit` and `evaluate`.

    Orders and the last batch are those of `keras_kd.labeled_batches`; without
    shuffling, row i is window i, of the question `windows.question_of[i]`.

    Args:
        windows: `SpanWindows`.
        batch_size: Int (B).
        seed: Int >= 0, of the order.
        shuffle: Bool. False: windows in their order.
        first_epoch: Int. Number of the first iteration.
        first_batch: Int. The batch to begin with, counted over epochs from
            `first_epoch` on.

    Returns:
        Dataset of the dict of `token_ids`, `segment_ids` and `padding_mask`,
        each (B, T) int32, T a multiple of 8; labels (B, 2) int32, the tokens
        where the answer starts and ends; and weights (B, 2) float32.

    Raises:
        ValueError: If a size is too small.
        ImportError: If TensorFlow is not installed.
    """
    check_sizes(batch_size=(batch_size, 1), first_batch=(first_batch, 0))
    return encoded_batches(
        windows, batch_size, (2,), seed, shuffle, first_epoch, first_batch
    )


class SpanWindows:
    """Questions, each with the windows of tokens that its context has.

    A window is [CLS] question [SEP] tokens of the context [SEP]. The first
    begins with the context, each other `doc_stride` tokens after the one
    before, until one reaches the end: neighbours share what of a window is
    longer than `doc_stride`. As in the code of Devlin et al., 2018,
    https://arxiv.org/abs/1810.04805 (in Hugging Face's tokenizers a "stride"
    is what neighbours share).

    A token belongs to an answer if it has one of its characters. A window that
    has not all tokens of the answer, or whose question has none, is labelled
    (0, 0), which is [CLS].

    Args:
        questions: List of `SpanQuestion`.
        tokenizer: `WordPieceTokenizer`.
        max_length: Int (T), at most.
        doc_stride: Int, tokens from one window's start to the next one's.
        max_question_length: Int, tokens of a question; the end is cut off.

    Attributes:
        questions: List, as given.
        question_of: (N,) int, the question of each window; those of one
            question follow one another.
        begins: (N,) int, the context's token that each window begins with.
        sizes: (N,) int, tokens of the context in it.
        firsts: (N,) int, where in it these begin.
        lengths: (N,) int, all its tokens.
        labels: (N, 2) int32, where in it the answer starts, and ends, itself
            included.
        weights: (N, 2) float32, 1; 0 where the tokenizer leaves nothing of the
            answer.

    Raises:
        ValueError: If there is no question, or a size is too small.
    """

    def __init__(
        self,
        questions,
        tokenizer,
        max_length=384,
        doc_stride=128,
        max_question_length=64,
    ):
        if not questions:
            raise ValueError("`questions` must hold a question. Received: none")
        check_sizes(
            doc_stride=(doc_stride, 1),
            max_question_length=(max_question_length, 1),
            max_length=(max_length, max_question_length + 4),
        )
        self.questions = list(questions)
        self.tokenizer = tokenizer
        asked = tokenizer.encode_batch([q.question for q in questions])
        self.asked = [ids[:max_question_length] for ids in asked]
        contexts = list(dict.fromkeys(q.context for q in questions))
        found = zip(contexts, encode(contexts, tokenizer), strict=True)
        self.encoded = dict(found)
        self.make_windows(max_length, doc_stride)
        self.make_labels()

    def make_windows(self, max_length, doc_stride):
        """Which tokens of which context each window has."""
        found = [
            (index, begin, size)
            for index, ids in enumerate(self.asked)
            for begin, size in cut_windows(
                len(self.context_ids(index)),
                max_length - len(ids) - 3,
                doc_stride,
            )
        ]
        self.question_of, self.begins, self.sizes = np.array(found).T
        asked = np.array([len(ids) for ids in self.asked])
        self.firsts = asked[self.question_of] + 2  # [CLS] question [SEP]
        self.lengths = self.firsts + self.sizes + 1

    def make_labels(self):
        """Where each window has the answer."""
        spans = np.array([self.find_answer(q) for q in self.questions])
        spans = spans[self.question_of]
        ends = self.begins + self.sizes
        whole = (spans[:, 0] >= self.begins) & (spans[:, 1] < ends)
        places = spans + (self.firsts - self.begins)[:, None]
        self.labels = np.where(whole[:, None], places, 0).astype("int32")
        lost = np.array([bool(q.answers) for q in self.questions])
        lost = lost[self.question_of] & (spans[:, 0] < 0)
        self.weights = np.repeat(~lost[:, None], 2, axis=1).astype("float32")

    def context_ids(self, index):
        """Token ids of a question's context, (n,) int32."""
        return self.encoded[self.questions[index].context][0]

    def find_answer(self, question):
        """First and last token of a question's first answer; or -1, -1."""
        if not question.answers:
            return -1, -1
        answer = question.answers[0]
        offsets = self.encoded[question.context][1]
        inside = (offsets[:, 1] > answer.start) & (
            offsets[:, 0] < answer.start + len(answer.text)
        )
        tokens = np.flatnonzero(inside)
        return (tokens[0], tokens[-1]) if len(tokens) else (-1, -1)

    def text(self, index, first, last):
        """The context's characters from one token of it to another.

        Args:
            index: Int, of the question.
            first: Int, token of the context.
            last: Int, token, itself included.

        Returns:
            Str. Accents that a tokenizer drops stay with their letter.
        """
        context = self.questions[index].context
        offsets = self.encoded[context][1]
        start, end = offsets[first, 0], offsets[last, 1]
        while end < len(context) and unicodedata.combining(context[end]):
            end += 1
        return context[start:end]

    def batch(self, rows):
        """Arrays of a batch.

        Args:
            rows: (B,) int; -1 for one of padding alone.

        Returns:
            `token_ids`, `segment_ids` and `padding_mask`, (B, T) int32; labels
            (B, 2) int32 and weights (B, 2) float32.
        """
        parts = [self.pair(row) if row >= 0 else None for row in rows]
        there = np.asarray(rows)[:, None] >= 0
        labels = np.where(there, self.labels[rows], 0)
        weights = np.where(there, self.weights[rows], 0)
        inputs = input_arrays(parts, self.tokenizer)
        return *inputs, labels.astype("int32"), weights.astype("float32")

    def pair(self, row):
        """Token ids of a window's question, and of its part of the context."""
        index, begin = self.question_of[row], self.begins[row]
        ids = self.context_ids(index)[begin : begin + self.sizes[row]]
        return self.asked[index], ids


def encode(contexts, tokenizer):
    """Yields token ids, (n,) int32, and characters, (n, 2) int32, of texts."""
    for begin in range(0, len(contexts), AT_ONCE):
        for encoding in tokenizer.backend.encode_batch(
            contexts[begin : begin + AT_ONCE], add_special_tokens=False
        ):
            offsets = np.array(encoding.offsets, "int32").reshape(-1, 2)
            yield np.array(encoding.ids, "int32"), offsets


def cut_windows(length, room, doc_stride):
    """Begins and sizes of the windows over so many tokens.

    Args:
        length: Int, tokens.
        room: Int, tokens of a window at most.
        doc_stride: Int.

    Returns:
        List of (begin, size); one of size 0 where there is no token.
    """
    found = [(0, min(room, length))]
    while sum(found[-1]) < length:
        begin = found[-1][0] + min(room, doc_stride)
        found.append((begin, min(room, length - begin)))
    return found
