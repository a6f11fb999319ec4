"""WordPieceTokenizer: BERT's vocabulary, trained here or loaded."""

import collections
import itertools
import json
import os
import pathlib

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MOST_LETTERS = 1000  # of a trained vocabulary


class WordPieceTokenizer:
    """Text to token ids and back, by Hugging Face's `tokenizers`.

    Make one with `train` or `load`. Ids are those of Hugging Face's
    `BertTokenizerFast` with the same vocabulary.

    Args:
        tokenizer: `tokenizers.Tokenizer` with a WordPiece model.
        lowercase: Bool. Whether text is lower-cased and stripped of accents.

    Raises:
        ValueError: If the vocabulary lacks one of BERT's special tokens.
    """

    def __init__(self, tokenizer, lowercase=True):
        missing = [
            t for t in SPECIAL_TOKENS if tokenizer.token_to_id(t) is None
        ]
        if missing:
            raise ValueError(
                f"`tokenizer` must have the tokens {list(SPECIAL_TOKENS)}. "
                f"Received a vocabulary without {missing}"
            )
        self.backend = tokenizer
        self.lowercase = lowercase
        self.pad_id, self.unknown_id, self.cls_id, self.sep_id, self.mask_id = (
            tokenizer.token_to_id(token) for token in SPECIAL_TOKENS
        )

    @classmethod
    def train(cls, documents, vocabulary_size=30_000, lowercase=True):
        """Learns a vocabulary, the same one each time.

        Args:
            documents: Iterable of str.
            vocabulary_size: Int. Upper bound; a small corpus may give fewer.
                The commonest letters are always in it, a twentieth of this
                number (100 at least, 1,000 at most); words with rarer ones
                are [UNK].
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
        most = min(MOST_LETTERS, max(100, vocabulary_size // 20))
        first = [*SPECIAL_TOKENS, *_letters(words, most)]
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
        learner = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
        learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        repeated = (" ".join([word] * count) for word, count in words.items())
        learner.train_from_iterator(repeated, trainer)
        model = models.WordPiece(learner.get_vocab(), unk_token="[UNK]")
        return cls(_bert_tokenizer(model, lowercase), lowercase)

    @classmethod
    def load(cls, path, lowercase=None):
        """Reads a `vocab.txt`, a `tokenizer.json`, or a folder with either.

        Args:
            path: Str or path.
            lowercase: Bool or None. With a `vocab.txt`, whether its text was
                lower-cased; None looks into a `tokenizer_config.json` beside
                it, and takes True where there is none.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not a WordPiece vocabulary.
        """
        path = pathlib.Path(path)
        if path.is_dir():
            found = [
                path / name
                for name in ("tokenizer.json", "vocab.txt")
                if (path / name).exists()
            ]
            if not found:
                raise FileNotFoundError(
                    "`path` must hold a tokenizer.json or vocab.txt. "
                    f"Received: {path}"
                )
            path = found[0]
        if not path.exists():
            raise FileNotFoundError(
                f"`path` must be a tokenizer file. Received: {path}"
            )
        if path.suffix == ".json":
            try:
                backend = tokenizers.Tokenizer.from_file(str(path))
            except Exception as error:  # the library has no narrower one
                raise ValueError(
                    f"`path` must hold a tokenizer. Received: {path}: {error}"
                ) from error
            backend.no_truncation()  # as saved with some checkpoints
            backend.no_padding()
            if not isinstance(backend.model, models.WordPiece):
                raise ValueError(
                    "`path` must hold a WordPiece model. Received: "
                    f"{type(backend.model).__name__} in {path}"
                )
            normalizer = json.loads(path.read_text("utf-8"))["normalizer"]
            return cls(backend, bool((normalizer or {}).get("lowercase")))
        if lowercase is None:
            settings = path.with_name("tokenizer_config.json")
            lowercase = True
            if settings.exists():
                settings = json.loads(settings.read_text("utf-8"))
                lowercase = settings.get("do_lower_case", True)
        with path.open(encoding="utf-8") as lines:  # `splitlines` splits more
            tokens = [line.rstrip("\n") for line in lines]
        vocabulary = {token: index for index, token in enumerate(tokens)}
        model = models.WordPiece(vocabulary, unk_token="[UNK]")
        return cls(_bert_tokenizer(model, lowercase), lowercase)

    def save(self, folder):
        """Writes vocab.txt, tokenizer.json and tokenizer_config.json."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "do_lower_case": self.lowercase,
            "tokenizer_class": "BertTokenizer",
            **{
                f"{name}_token": token
                for name, token in zip(
                    ("pad", "unk", "cls", "sep", "mask"),
                    SPECIAL_TOKENS,
                    strict=True,
                )
            },
        }
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
        """All tokens, a list of str in the order of their ids."""
        ids = self.backend.get_vocab()
        return sorted(ids, key=ids.get)

    @property
    def vocabulary_size(self):
        """Number of tokens (V)."""
        return self.backend.get_vocab_size()

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

    def encode_batch(self, texts):
        """Token ids of each text, without [CLS] and [SEP], on all cores.

        Args:
            texts: List of str.

        Returns:
            List of int32 arrays.
        """
        encodings = self.backend.encode_batch_fast(
            list(texts), add_special_tokens=False
        )
        return [np.asarray(e.ids, "int32") for e in encodings]

    def encode_documents(self, documents, documents_at_once=1000):
        """Yields `encode_batch` of a stream, a few documents at a time."""
        documents = iter(documents)
        while some := list(itertools.islice(documents, documents_at_once)):
            yield from self.encode_batch(some)

    def decode(self, token_ids):
        """Text of token ids, special tokens left out."""
        return self.backend.decode([int(i) for i in token_ids])


def _count_words(documents, lowercase):
    """How often each word of normalised text occurs."""
    bert = _bert_tokenizer(models.WordPiece(unk_token="[UNK]"), lowercase)
    counts = collections.Counter()
    for document in documents:
        text = bert.normalizer.normalize_str(document)
        words = bert.pre_tokenizer.pre_tokenize_str(text)
        counts.update(word for word, _ in words)
    return counts


def _letters(words, most):
    """The most frequent letters in order, then those that go on a word."""
    counts = collections.Counter()
    for word, count in words.items():
        for letter in word:
            counts[letter] += count
    by_count = sorted(counts, key=lambda letter: (-counts[letter], letter))
    letters = set(by_count[:most])
    inner = letters & {letter for word in words for letter in word[1:]}
    return [*sorted(letters), *(f"##{letter}" for letter in sorted(inner))]


def _bert_tokenizer(model, lowercase):
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    # So that a literal [MASK] in text is the token, as in BertTokenizerFast.
    known = [t for t in SPECIAL_TOKENS if model.token_to_id(t) is not None]
    tokenizer.add_special_tokens(known)
    return tokenizer
