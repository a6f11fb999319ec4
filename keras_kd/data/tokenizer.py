"""WordPieceTokenizer: BERT's vocabulary, trained here or loaded."""

import collections
import itertools
import json
import os
import pathlib

import numpy as np
from keras_kd.data.tokenizer_files import (
    NORMALIZER_SETTINGS,
    ROLES,
    SPECIAL_TOKENS,
    bert_tokenizer,
    class_of,
    read_normalizer,
    read_tokenizer,
    settled,
)
from keras_kd.data.word_cache import WordCache, goes_by_words
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

# Without this `transformers` gives a pair of texts no segments.
MODEL_INPUT_NAMES = ("input_ids", "token_type_ids", "attention_mask")
MOST_LETTERS = 1000  # that are kept without need
RARE_LETTERS = 0.0005  # share of a text that may be of letters beyond
TABLE_MULTIPLES = (8, 16, 32, 64, 128)  # rows of a model's token table
DOCUMENTS_AT_ONCE = 10_000
CHARACTERS_AT_ONCE = 1_500_000


class WordPieceTokenizer:
    """Text to token ids and back, by Hugging Face's `tokenizers`.

    Make one with `train` or `load`. Ids are those of Hugging Face's
    `BertTokenizerFast` with the same vocabulary.

    Args:
        tokenizer: `tokenizers.Tokenizer` with a WordPiece model. Truncation
            and padding that it has, from a file say, are left out.
        lowercase: Bool. Whether text is lower-cased.
        special_tokens: Five str, where they are not BERT's: those for
            padding, unknown words, the start, the end of a sentence, and what
            is masked.

    Raises:
        ValueError: If the vocabulary lacks one of the special tokens, or has
            two tokens of one id.
    """

    def __init__(
        self, tokenizer, lowercase=True, special_tokens=SPECIAL_TOKENS
    ):
        missing = [
            t for t in special_tokens if tokenizer.token_to_id(t) is None
        ]
        if missing:
            raise ValueError(
                f"`tokenizer` must have the tokens {list(special_tokens)}. "
                f"Received a vocabulary without {missing}"
            )
        _check_ids(tokenizer)
        self.backend = settled(tokenizer, special_tokens)
        self.lowercase = lowercase
        self._cached = None, None  # for what the backend was, its cache
        self.special_tokens = tuple(special_tokens)
        self.pad_id, self.unknown_id, self.cls_id, self.sep_id, self.mask_id = (
            tokenizer.token_to_id(token) for token in special_tokens
        )

    def __getstate__(self):
        """Without the words that were met: they are met again."""
        return self.__dict__ | {"_cached": (None, None)}

    @classmethod
    def train(cls, documents, vocabulary_size=30_000, lowercase=True):
        """Learns a vocabulary, the same one each time.

        Args:
            documents: Iterable of str.
            vocabulary_size: Int. Upper bound; a small corpus may give fewer.
                The commonest letters are always in it, a twentieth of this
                number (100 at least, 1,000 at most); then, in up to half of
                it, those that 99.95 % of the text are made of, as of Chinese
                some thousands; last, where there are no more pieces of words,
                all that there is room for. Words with rarer ones are [UNK].
            lowercase: Bool.

        Raises:
            ValueError: If there is no text, or no room for more than the
                special tokens, or none for the text's letters.
        """
        if vocabulary_size <= len(SPECIAL_TOKENS):
            raise ValueError(
                "`vocabulary_size` must be more than the "
                f"{len(SPECIAL_TOKENS)} special tokens. "
                f"Received: {vocabulary_size}"
            )
        words = _count_words(documents, lowercase)
        if not words:
            raise ValueError("`documents` must hold text. Received: no words")
        letters, others = _letters(words, vocabulary_size)
        first = [*SPECIAL_TOKENS, *letters]
        if vocabulary_size < len(first):
            raise ValueError(
                f"`vocabulary_size` must be at least {len(first)}, the special "
                f"tokens and the text's letters. Received: {vocabulary_size}"
            )
        # The letters have their ids from us: the trainer's own are in an order
        # of chance, and ids decide between pairs that are as frequent.
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary_size,
            special_tokens=first,
            limit_alphabet=0,
            show_progress=False,
        )
        learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        repeated = (" ".join([word] * count) for word, count in words.items())
        learner.train_from_iterator(repeated, trainer)
        vocabulary = learner.get_vocab()
        for forms in others:
            if len(vocabulary) + len(forms) > vocabulary_size:
                break
            vocabulary.update(zip(forms, itertools.count(len(vocabulary))))
        model = models.WordPiece(vocabulary, unk_token="[UNK]")
        return cls(bert_tokenizer(model, lowercase), lowercase)

    @classmethod
    def load(cls, path, lowercase=None):
        """Reads a `vocab.txt`, a `tokenizer.json`, or a folder with either.

        A `tokenizer_config.json` beside it says how text is normalised, which
        tokens are special and which were added, as for `transformers`. Of a
        KerasHub preset the vocabulary in its assets is read, and its case.

        Args:
            path: Str or path.
            lowercase: Bool or None. Whether text is lower-cased; None for what
                the files say. Where they say nothing, as beside a vocab.txt
                of Google's, it is unless the vocabulary holds capitals; a
                notice says which.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not a WordPiece vocabulary, or a file is
                damaged.
        """
        backend, special_tokens = read_tokenizer(path, lowercase)
        normalizer = read_normalizer(backend)
        return cls(backend, bool(normalizer.get("lowercase")), special_tokens)

    def save(self, folder, **settings):
        """Writes vocab.txt, tokenizer.json and tokenizer_config.json.

        Args:
            folder: Str or path.
            **settings: Further fields of tokenizer_config.json, such as
                `model_max_length=512`. A `tokenizer_class` is written only
                where text is split as BERT does, whose classes `transformers`
                builds without looking into tokenizer.json.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        normalizer = read_normalizer(self.backend)
        tokens = zip(ROLES, self.special_tokens, strict=True)
        settings = {
            "do_lower_case": self.lowercase,
            **{
                theirs: normalizer[ours]
                for theirs, ours in NORMALIZER_SETTINGS.items()
                if ours in normalizer
            },
            **{f"{role}_token": token for role, token in tokens},
            "model_input_names": MODEL_INPUT_NAMES,
            **settings,
        }
        wanted = settings.get("tokenizer_class", "BertTokenizer")
        settings["tokenizer_class"] = class_of(self.backend, wanted)
        texts = {
            "vocab.txt": "\n".join(self.vocabulary) + "\n",
            "tokenizer.json": self.backend.to_str(pretty=True),
            "tokenizer_config.json": json.dumps(settings, indent=2) + "\n",
        }
        for name, text in texts.items():
            beside = folder / f"{name}.partial"
            beside.write_text(text, "utf-8")
            os.replace(beside, folder / name)

    @property
    def vocabulary(self):
        """All tokens, a list of str, each at its id; "" where an id has none.

        A line of vocab.txt that is blank, or whose token comes again further
        down, leaves an id without a token.
        """
        tokens = [""] * self.vocabulary_size
        for token, index in self.backend.get_vocab().items():
            tokens[index] = token
        return tokens

    @property
    def vocabulary_size(self):
        """Number of ids (V), those without a token included."""
        return max(self.backend.get_vocab().values()) + 1

    @property
    def continuations(self):
        """Which tokens go on a word that others began ("##ing"), (V,) bool."""
        prefix = self.backend.model.continuing_subword_prefix
        goes_on = [token.startswith(prefix) for token in self.vocabulary]
        return np.array(goes_on) & (len(prefix) > 0)

    @property
    def special_ids(self):
        """Ids of [PAD], [UNK], [CLS], [SEP], [MASK]."""
        return (
            self.pad_id,
            self.unknown_id,
            self.cls_id,
            self.sep_id,
            self.mask_id,
        )

    def check_vocabulary_size(self, size, owner):
        """Refuses to go with a model of another vocabulary.

        A model's table may be longer: filled up to a multiple of 8, 16, 32,
        64 or 128 rows, as is done for speed.

        Args:
            size: Int, the model's.
            owner: Str, whose it is, in words.

        Raises:
            ValueError: If the tokenizer has more tokens, or fewer.
        """
        ours = self.vocabulary_size
        filled_up = {-(-ours // rows) * rows for rows in TABLE_MULTIPLES}
        if size != ours and size not in filled_up:
            raise ValueError(
                f"`tokenizer` must have the {owner}'s vocabulary of {size} "
                f"tokens, or so many that {size} is the next multiple of one "
                f"of {list(TABLE_MULTIPLES)}. Received: {ours}"
            )

    def encode_batch(self, texts):
        """Token ids of each text, without [CLS] and [SEP].

        Args:
            texts: List of str.

        Returns:
            List of int32 arrays.
        """
        cache = self.word_cache()
        if cache is not None:
            return cache.encode_batch(list(texts))
        encodings = self.backend.encode_batch_fast(
            list(texts), add_special_tokens=False
        )
        return [np.asarray(e.ids, "int32") for e in encodings]

    def word_cache(self):
        """The `WordCache` of the backend as it is; None where it has none."""
        backend = self.backend
        parts = str(backend.normalizer), str(backend.pre_tokenizer)
        state = *parts, backend.get_vocab_size()
        cached_for, cache = self._cached
        if state != cached_for:
            separator = self.special_tokens[0]
            by_words = goes_by_words(backend, separator)
            cache = WordCache(backend, separator) if by_words else None
            self._cached = state, cache
        return cache

    def encode_documents(self, documents):
        """Yields `encode_batch` of a stream, some million characters at a time.

        Words are parted on another core while those before are looked up.
        """
        cache = self.word_cache()
        if cache is None:
            for texts in _at_once(documents):
                yield from self.encode_batch(texts)
        else:
            yield from cache.encode_stream(_at_once(documents))

    def decode(self, token_ids):
        """Text of token ids, special tokens left out."""
        return self.backend.decode([int(i) for i in token_ids])


def _check_ids(backend):
    """Refuses two tokens of one id: one of them would never be met."""
    tokens = {}
    for token, index in backend.get_vocab().items():
        if tokens.setdefault(index, token) != token:
            both = sorted((tokens[index], token))
            raise ValueError(
                "`tokenizer` must give each token an id of its own. Received: "
                f"{index} for {both}: where a vocabulary has ids without a "
                "token, `tokenizers` numbers added tokens anew. Put those "
                "tokens in the vocabulary itself"
            )


def _at_once(documents):
    """Yields lists of documents, each of what is tokenised at once."""
    some, characters = [], 0
    for document in documents:
        some.append(document)
        characters += len(document)
        if len(some) == DOCUMENTS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            yield some
            some, characters = [], 0
    yield some


def _count_words(documents, lowercase):
    """How often each word of normalised text occurs."""
    bert = bert_tokenizer(models.WordPiece(unk_token="[UNK]"), lowercase)
    counts = collections.Counter()
    for document in documents:
        text = bert.normalizer.normalize_str(document)
        words = bert.pre_tokenizer.pre_tokenize_str(text)
        counts.update(word for word, _ in words)
    return counts


def _letters(words, vocabulary_size):
    """The letters of normalised text, and those that go on a word.

    Args:
        words: Dict of word to how often it occurs.
        vocabulary_size: Int.

    Returns:
        Pair of lists of tokens: those that a vocabulary begins with, in order,
        and the others, the commonest first, each as [letter] or
        [letter, ##letter].
    """
    counts = collections.Counter()
    for word, count in words.items():
        for letter in word:
            counts[letter] += count
    by_count = sorted(counts, key=lambda letter: (-counts[letter], letter))
    inner = {letter for word in words for letter in word[1:]}
    forms = {c: [c, f"##{c}"] if c in inner else [c] for c in by_count}
    least = min(MOST_LETTERS, max(100, vocabulary_size // 20))
    room, rest = vocabulary_size // 2, counts.total()
    for number, letter in enumerate(by_count):
        room -= len(forms[letter])
        enough = rest <= RARE_LETTERS * counts.total() or room < 0
        if number >= least and enough:
            break
        rest -= counts[letter]
    else:
        number = len(by_count)
    first = sorted(by_count[:number])
    goes_on = [f"##{letter}" for letter in first if letter in inner]
    return [*first, *goes_on], [forms[c] for c in by_count[number:]]
