"""WordCache: token ids of words that were met before."""

import dataclasses
import itertools
import os
import re
import string
import threading
import weakref
from concurrent import futures

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from keras_kd.data.tokenizer_files import other_than_bert

AT_ONCE = 500  # new words in a text
PUNCTUATION = f"([{re.escape(string.punctuation)}])"
CACHES = weakref.WeakSet()  # of this process


@dataclasses.dataclass(frozen=True)
class Words:
    """Texts in words.

    Args:
        texts: List of str.
        whole: Indices of those that are not to be split.
        distinct: List of str, each word once.
        indices: (W,) int array, the words of all texts in order.
        borders: (N + 1,) int array, where each text starts and ends in those.
    """

    texts: list
    whole: list
    distinct: list
    indices: np.ndarray
    borders: np.ndarray


@dataclasses.dataclass(frozen=True)
class Known:
    """Words that were met, each in a row.

    Args:
        starts: (R,) int64 array, where each word's ids begin in `ids`.
        lengths: (R,) int64 array, how many each word has.
        ids: (I,) int32 array, of all words, one after the other.
    """

    starts: np.ndarray
    lengths: np.ndarray
    ids: np.ndarray


class WordCache:
    """Tokenises texts word by word, each word but once.

    What BERT's normaliser and splitting do to a text they do to each piece of
    it between spaces and ASCII punctuation, so the ids of a text are those of
    its pieces, one after the other. These come from the tokenizer itself,
    once; text repeats its words so often that looking them up is many times as
    fast. Texts in which an added token stands ("[MASK]"), or a space that is
    none to BERT, are tokenised whole. Any number of threads may use it, one
    after the other; a forked process begins anew.

    Args:
        backend: `tokenizers.Tokenizer` that `goes_by_words` with it.
        separator: Str, a special token, which stands between new words.
        largest: Int. Words that are remembered, some 150 bytes each; after
            that it begins anew.
    """

    def __init__(self, backend, separator, largest=500_000):
        self.backend = backend
        self.separator = separator
        self.separator_id = backend.token_to_id(separator)
        self.largest = largest
        added = backend.get_added_tokens_decoder().values()
        others = (c for c in string.whitespace if not _parts(backend, c))
        unsafe = itertools.chain((token.content for token in added), others)
        self.unsafe = "|".join(map(re.escape, unsafe))
        self.parts_punctuation = not any(map(_may_cross_punctuation, added))
        self.begin()
        CACHES.add(self)

    def begin(self):
        """Begins anew, as in a forked process, where no thread has the lock."""
        self.lock = threading.Lock()
        self.forget()

    def forget(self):
        """Forgets all words."""
        self.rows = {}  # word: where its start and its length stand
        # All three at once: whatever stops a thread, they fit each other.
        self.known = Known(
            *(np.zeros(0, d) for d in ("int64", "int64", "int32"))
        )

    def encode_batch(self, texts):
        """Token ids of each text, a list of int32 arrays."""
        return self.encode_words(self.split(texts))

    def encode_stream(self, batches):
        """Yields the token ids of each text of several lists of texts."""
        with futures.ThreadPoolExecutor(1) as other:
            before = None
            for texts in batches:
                words = other.submit(self.split, texts)
                if before is not None:
                    yield from self.encode_words(before.result())
                before = words
            if before is not None:
                yield from self.encode_words(before.result())

    def split(self, texts):
        """`Words` of texts; while it works, other threads may."""
        texts = list(texts)
        array = pa.array(texts, pa.large_string())
        whole = pc.match_substring_regex(array, self.unsafe)
        array = pc.if_else(whole, "", array)
        if self.parts_punctuation:
            array = pc.replace_substring_regex(array, PUNCTUATION, r" \1 ")
        words = pc.ascii_split_whitespace(array)
        encoded = words.flatten().dictionary_encode()
        # At the edges of a text the split leaves an empty word.
        return Words(
            texts,
            pc.indices_nonzero(whole).to_pylist(),
            encoded.dictionary.to_pylist(),
            encoded.indices.to_numpy(zero_copy_only=False),
            words.offsets.to_numpy() - words.offsets[0].as_py(),
        )

    def encode_words(self, words):
        """Token ids of each text, a list of int32 arrays."""
        with self.lock:
            if len(self.rows) > self.largest:
                self.forget()
            rows = self.rows_of(words.distinct)[words.indices]
            known = self.known
        lengths = known.lengths[rows]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        shifts = known.starts[rows] - ends[:-1]
        ids = known.ids[np.repeat(shifts, lengths) + np.arange(ends[-1])]
        found = [
            ids[start:end]
            for start, end in itertools.pairwise(ends[words.borders].tolist())
        ]
        encodings = self.encode([words.texts[i] for i in words.whole])
        for index, encoding in zip(words.whole, encodings, strict=True):
            found[index] = np.asarray(encoding.ids, "int32")
        return found

    def rows_of(self, words):
        """Where each word's ids stand, (W,); new words are learned."""
        unknown = itertools.repeat(-1)
        rows = np.fromiter(
            map(self.rows.get, words, unknown), "int64", len(words)
        )
        new = np.flatnonzero(rows < 0)
        rows[new] = len(self.known.starts) + np.arange(len(new))
        self.learn([words[index] for index in new])
        return rows

    def learn(self, words):
        """Remembers the ids of words, some hundred of them in one text."""
        texts = [
            f" {self.separator} ".join(words[start : start + AT_ONCE])
            for start in range(0, len(words), AT_ONCE)
        ]
        known = self.known
        starts, lengths, offset = [], [], len(known.ids)
        ids = [np.asarray(e.ids, "int32") for e in self.encode(texts)]
        for some in ids:
            between = np.flatnonzero(some == self.separator_id)
            starts.append(offset + np.concatenate([[0], between + 1]))
            ends = np.concatenate([between, [len(some)]])
            lengths.append(offset + ends - starts[-1])
            offset += len(some)
        self.known = Known(
            np.concatenate([known.starts, *starts]),
            np.concatenate([known.lengths, *lengths]),
            np.concatenate([known.ids, *ids]),
        )
        self.rows.update(zip(words, itertools.count(len(known.starts))))

    def encode(self, texts):
        """Encodings of texts, on all cores."""
        return self.backend.encode_batch_fast(texts, add_special_tokens=False)


def goes_by_words(backend, separator):
    """Whether a tokenizer does to a text what it does to its words.

    Args:
        backend: `tokenizers.Tokenizer`.
        separator: Str, the token to stand between words.
    """
    added = backend.get_added_tokens_decoder().values()
    return (
        other_than_bert(backend) is None
        and separator in {token.content for token in added}
        and not any(re.search(r"\s", token.content) for token in added)
    )


def _may_cross_punctuation(token):
    """Whether an added token may be met, or not, by more than one piece.

    One that is met in the text as it is sends that the long way; one that is
    met in normalised text may be there unseen.
    """
    hidden = token.normalized and re.search(PUNCTUATION, token.content)
    return bool(hidden) or token.single_word


def _parts(backend, space):
    """Whether a character stands between words and is gone with that."""
    text = backend.normalizer.normalize_str(f"a{space}b")
    words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
    return words == ["a", "b"]


def _begin_all():
    """In a forked process another thread's lock would never be free."""
    for cache in list(CACHES):
        cache.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)
