"""token_label_batches: sentences in words to batches with a tag a word."""

import numpy as np
from keras_kd.data.conll import tag_ids
from keras_kd.data.labeled_batches import (
    MULTIPLE,
    check_sizes,
    encoded_batches,
    input_arrays,
)
from keras_kd.quiet import import_tensorflow


def token_label_batches(
    sentences,
    tokenizer,
    batch_size,
    tag_names,
    max_length=128,
    seed=0,
    shuffle=True,
    first_epoch=0,
    first_batch=0,
):
    """A `tf.data.Dataset` of batches of tagged words, for `fit`, `evaluate`.

    A word's tag stands at the first of its pieces, with weight 1; all other
    tokens have weight 0. A sentence of more than `max_length` tokens becomes
    several windows, cut between words into parts of about one size: each word
    is in one of them, and does not see the words that are in another. Epochs,
    their order and the last batch are as of `labeled_batches`.
    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805

    Args:
        sentences: List of `TaggedWords`.
        tokenizer: `WordPieceTokenizer`. A word of which it leaves nothing is
            [UNK].
        batch_size: Int (B).
        tag_names: List of str, in the order of ids.
        max_length: Int (T), at most, [CLS] and [SEP] included. A single word
            of more pieces is cut at its end.
        seed: Int >= 0, of the order.
        shuffle: Bool. False: sentences in their order.
        first_epoch: Int. Number of the first iteration.
        first_batch: Int. As of `labeled_batches`.

    Returns:
        Dataset of the dict of `token_ids`, `segment_ids` and `padding_mask`,
        each (B, T) int32, T a multiple of 8; tags (B, T) int32, ids; and
        weights (B, T) float32, 0 in sentences without tags.

    Raises:
        ValueError: If there is no sentence, or one without a word, a size is
            too small, or a tag is none of the names.
        ImportError: If TensorFlow is not installed.
    """
    import_tensorflow("`token_label_batches` (tf.data)")
    check_sizes(
        batch_size=(batch_size, 1),
        max_length=(max_length, MULTIPLE),
        first_batch=(first_batch, 0),
    )
    encoded = EncodedWords(sentences, tokenizer, tag_names, max_length)
    return encoded_batches(
        encoded, batch_size, (None,), seed, shuffle, first_epoch, first_batch
    )


class EncodedWords:
    """Windows of sentences as token ids, and their words' tags as ids.

    Args:
        sentences: List of `TaggedWords`.
        tokenizer: `WordPieceTokenizer`.
        tag_names: List of str.
        max_length: Int.

    Attributes:
        lengths: (N,) int, tokens of each window, [CLS] and [SEP] included.
        labels: (W,) int32, ids of all words' tags in their order.

    Raises:
        ValueError: If there is no sentence, one has no word, or a tag is none
            of the names.
    """

    def __init__(self, sentences, tokenizer, tag_names, max_length):
        empty = [s for s in sentences if not s.words]
        if not sentences or empty:
            raise ValueError(
                "`sentences` must hold a sentence, and each a word. Received: "
                f"{f'no word at {empty[0].place}' if empty else 'none'}"
            )
        self.tokenizer = tokenizer
        self.labels = np.concatenate(tag_ids(sentences, tag_names))
        room = max_length - 2
        pieces = pieces_of_words(sentences, tokenizer)
        self.token_ids, self.starts, self.words, self.weights = [], [], [], []
        before = 0  # words of the sentences before
        for sentence in sentences:
            ids = [pieces[word][:room] for word in sentence.words]
            sizes = np.array([len(some) for some in ids])
            for first, end in cut_to_windows(sizes, room):
                self.token_ids.append(np.concatenate(ids[first:end]))
                starts = 1 + np.cumsum(sizes[first:end]) - sizes[first:end]
                self.starts.append(starts)  # after [CLS]
                self.words.append(slice(before + first, before + end))
                self.weights.append(float(sentence.tags is not None))
            before += len(sentence.words)
        self.lengths = np.array([len(ids) + 2 for ids in self.token_ids])

    def batch(self, rows):
        """Arrays of a batch.

        Args:
            rows: (B,) int, windows; -1 for one of padding alone.

        Returns:
            `INPUTS`, each (B, T) int32, tags (B, T) int32 and weights (B, T)
            float32.
        """
        parts = [(self.token_ids[r], None) if r >= 0 else None for r in rows]
        inputs = input_arrays(parts, self.tokenizer)
        labels = np.zeros(inputs[0].shape, "int32")
        weights = np.zeros(inputs[0].shape, "float32")
        for index, row in enumerate(rows):
            if row >= 0:
                labels[index, self.starts[row]] = self.labels[self.words[row]]
                weights[index, self.starts[row]] = self.weights[row]
        return *inputs, labels, weights


def pieces_of_words(sentences, tokenizer):
    """Token ids of each word that sentences have.

    As with `is_split_into_words` in Hugging Face's tokenizers, but for words
    of which nothing is left: these are [UNK].

    Args:
        sentences: List of `TaggedWords`.
        tokenizer: `WordPieceTokenizer`.

    Returns:
        Dict of str to int32 array.
    """
    words = list(dict.fromkeys(w for s in sentences for w in s.words))
    unknown = np.array([tokenizer.unknown_id], "int32")
    return {
        word: ids if len(ids) else unknown
        for word, ids in zip(words, tokenizer.encode_batch(words), strict=True)
    }


def cut_to_windows(sizes, room):
    """Where a sentence is cut, so that its windows are about as long.

    Args:
        sizes: (W,) int, pieces of each word, `room` at most.
        room: Int, pieces that a window holds.

    Returns:
        List of pairs of int: a window's first word, and the one after its
        last.
    """
    even = sum(sizes) / -(-sum(sizes) // room)
    begins, held = [0], 0
    for word, size in enumerate(sizes):
        if held >= even or held + size > room:
            begins.append(word)
            held = 0
        held += size
    return list(zip(begins, [*begins[1:], len(sizes)], strict=True))
