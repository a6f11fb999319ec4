"""WordCache: token ids of words that were met before."""

import functools
import itertools
import re
import sys

import numpy as np
from keras_kd.data.tokenizer_files import other_than_bert

AT_ONCE = 500  # new words in a text


class WordCache:
    """Tokenises texts word by word, each word but once.

    What BERT's normaliser and splitting do to a text they do to each piece of
    it between spaces, so the ids of a text are those of its pieces, one after
    the other. These come from the tokenizer itself, once; text repeats its
    words so often that looking them up is many times as fast.

    Args:
        backend: `tokenizers.Tokenizer` that `goes_by_words`.
        separator: Str, a special token, which stands between new words.
        largest: Int. Words that are remembered, some 150 bytes each; after
            that it begins anew.
    """

    def __init__(self, backend, separator, largest=500_000):
        self.backend = backend
        self.separator = separator
        self.separator_id = backend.token_to_id(separator)
        self.largest = largest
        # What Python takes for space, and BERT does not.
        others = "".join(c for c in spaces() if not _parts(backend, c))
        self.unsafe = re.compile(f"[{re.escape(others)}]" if others else "(?!)")
        self.forget()

    def forget(self):
        """Begins anew."""
        self.rows = {}  # word: where its start and its length stand
        self.starts = np.zeros(0, "int64")
        self.lengths = np.zeros(0, "int64")
        self.ids = np.zeros(0, "int32")  # of all words, one after the other

    def encode_batch(self, texts):
        """Token ids of each text, a list of int32 arrays."""
        if len(self.rows) > self.largest:
            self.forget()
        unsafe = {
            index
            for index, text in enumerate(texts)
            if self.unsafe.search(text)
        }
        split = [
            [] if index in unsafe else text.split()
            for index, text in enumerate(texts)
        ]
        words = list(itertools.chain.from_iterable(split))
        rows = self.rows_of(words)
        lengths = self.lengths[rows]
        ends = np.cumsum(lengths)
        shifts = self.starts[rows] - (ends - lengths)
        ids = self.ids[np.repeat(shifts, lengths) + np.arange(lengths.sum())]
        borders = np.cumsum([len(some) for some in split], dtype="int64")
        borders = np.concatenate([[0], ends])[borders].tolist()
        found = [
            ids[start:end] for start, end in itertools.pairwise((0, *borders))
        ]
        for index in unsafe:
            encoding = self.backend.encode(
                texts[index], add_special_tokens=False
            )
            found[index] = np.asarray(encoding.ids, "int32")
        return found

    def rows_of(self, words):
        """Where each word's ids stand, (W,); new words are learned."""
        unknown = itertools.repeat(-1)
        count = len(words)
        rows = np.fromiter(map(self.rows.get, words, unknown), "int64", count)
        new = np.flatnonzero(rows < 0)
        if len(new):
            self.learn(list(dict.fromkeys(words[i] for i in new)))
            rows[new] = [self.rows[words[i]] for i in new]
        return rows

    def learn(self, words):
        """Remembers the ids of words, some hundred of them in one text."""
        joined, alone = [], []
        for word in words:
            (alone if self.separator in word else joined).append(word)
        texts = [
            f" {self.separator} ".join(joined[start : start + AT_ONCE])
            for start in range(0, len(joined), AT_ONCE)
        ]
        encodings = self.encode([*texts, *alone])
        ids = [np.asarray(encoding.ids, "int32") for encoding in encodings]
        starts, lengths, offset = [], [], len(self.ids)
        for index, some in enumerate(ids):
            between = np.zeros(0, "int64")
            if index < len(texts):
                between = np.flatnonzero(some == self.separator_id)
            starts.append(offset + np.concatenate([[0], between + 1]))
            ends = np.concatenate([between, [len(some)]])
            lengths.append(offset + ends - starts[-1])
            offset += len(some)
        first = len(self.rows)
        self.rows.update(zip((*joined, *alone), itertools.count(first)))
        self.starts = np.concatenate([self.starts, *starts])
        self.lengths = np.concatenate([self.lengths, *lengths])
        self.ids = np.concatenate([self.ids, *ids])

    def encode(self, texts):
        """Encodings of texts, on all cores."""
        return self.backend.encode_batch_fast(texts, add_special_tokens=False)


@functools.cache
def spaces():
    """All that Python takes for space, a str."""
    codes = range(sys.maxunicode + 1)
    return "".join(chr(code) for code in codes if chr(code).isspace())


def goes_by_words(backend):
    """Whether a tokenizer does to a text what it does to its words.

    Args:
        backend: `tokenizers.Tokenizer`.
    """
    added = backend.get_added_tokens_decoder().values()
    return other_than_bert(backend) is None and not any(
        re.search(r"\s", token.content) for token in added
    )


def _parts(backend, space):
    """Whether a character stands between words and is gone with that."""
    text = backend.normalizer.normalize_str(f"a{space}b")
    words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
    return words == ["a", "b"]
