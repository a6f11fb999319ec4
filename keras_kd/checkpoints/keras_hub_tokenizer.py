"""KerasHub's tokenizers of BERT and DistilBERT, here and back again."""

import tempfile
import warnings

from keras_kd.data import WordPieceTokenizer
from keras_kd.data.tokenizer_files import (
    SPECIAL_TOKENS,
    other_than_bert,
    read_normalizer,
)

# Texts of what other software's tokenizers do otherwise.
NASTY = (
    "Hello World, café Ångström 3.5%",
    "Straße",
    "ΟΔΟΣ οδος",
    "İstanbul",
    "a\u00a0b",  # a no-break space
    "a\u200bb",  # of no width
    "中文字 한국어 ひらがな",
    "[MASK] x[SEP]y",
    "e\u0301 \ufb01 \u2460",
    "$^`~|",
    "w" * 150,
)


def from_keras_hub_tokenizer(source):
    """A KerasHub tokenizer, or a task's, as one of ours.

    Args:
        source: `keras_hub.models` `BertTokenizer`, `DistilBertTokenizer`, or
            a task whose preprocessor has one.

    Returns:
        `WordPieceTokenizer`.

    Raises:
        ValueError: If there is none.
    """
    preprocessor = getattr(source, "preprocessor", source)
    theirs = getattr(preprocessor, "tokenizer", preprocessor)
    if not hasattr(theirs, "save_to_preset") or not hasattr(
        theirs, "get_vocabulary"
    ):
        raise ValueError(
            "`source` must be a KerasHub tokenizer, or a task with a "
            f"preprocessor. Received: {type(source).__name__}"
        )
    if not getattr(theirs, "split_on_cjk", True):
        raise ValueError(
            "`split_on_cjk` of KerasHub's tokenizer must be True: its files "
            "do not keep it. Received: False"
        )
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_to_preset(folder)
        return WordPieceTokenizer.load(folder)


def to_keras_hub_tokenizer(tokenizer, model):
    """A tokenizer of ours as KerasHub's, with the same ids.

    It strips accents where ours does, and finds special tokens in text. What
    KerasHub does otherwise all the same is tried on texts full of it and told:
    its lower case folds ß to ss and a final sigma to another, and composes
    Hangul; some spaces are none to it.

    Args:
        tokenizer: `WordPieceTokenizer`.
        model: Model of ours that goes with it: with segments the tokenizer is
            KerasHub's `BertTokenizer`, without its `DistilBertTokenizer`.

    Returns:
        `keras_hub.models` `BertTokenizer` or `DistilBertTokenizer`, for its
        preprocessors.

    Raises:
        ValueError: If KerasHub cannot say what the tokenizer does.

    Warns:
        UserWarning: Of texts whose ids differ.
    """
    import keras_hub

    tokenizer.check_vocabulary_size(model.config.vocabulary_size, "model")
    normalizer = read_normalizer(tokenizer.backend)
    _check_said(tokenizer, normalizer)
    hub = keras_hub.models
    of_bert = model.config.num_segments > 0
    kind = hub.BertTokenizer if of_bert else hub.DistilBertTokenizer
    strips = normalizer["strip_accents"]
    theirs = kind(
        vocabulary=tokenizer.vocabulary,
        lowercase=normalizer["lowercase"],
        strip_accents=normalizer["lowercase"] if strips is None else strips,
        special_tokens_in_strings=True,
    )
    expected = tokenizer.encode_batch(NASTY)
    received = [list(map(int, ids)) for ids in theirs(list(NASTY))]
    unlike = [
        text
        for text, a, b in zip(NASTY, expected, received, strict=True)
        if a.tolist() != b
    ]
    if unlike:
        warnings.warn(
            "KerasHub's tokenizer gives other ids than `tokenizer` for "
            f"{', '.join(map(repr, unlike))}: text with such letters or "
            "spaces should be made tokens by one of the two alone",
            stacklevel=2,
        )
    return theirs


def _check_said(tokenizer, normalizer):
    """That KerasHub's tokenizers can be told what ours does."""
    backend = tokenizer.backend
    added = [t.content for t in backend.get_added_tokens_decoder().values()]
    ids = sorted(backend.get_vocab().values())
    unlike = other_than_bert(backend)
    for holds, what in (
        (unlike is None, unlike),
        (
            tokenizer.special_tokens == SPECIAL_TOKENS,
            f"special tokens {tokenizer.special_tokens}",
        ),
        (
            set(added) <= set(SPECIAL_TOKENS),
            f"added tokens {sorted(set(added) - set(SPECIAL_TOKENS))}",
        ),
        (ids == list(range(len(ids))), "holes in its ids"),
        (
            normalizer.get("handle_chinese_chars", True),
            "tokenize_chinese_chars=False, which KerasHub's files do not keep",
        ),
    ):
        if not holds:
            raise ValueError(
                "`tokenizer` must be one that KerasHub can say: BERT's "
                "normaliser, splitting and special tokens, and no others. "
                f"Received: {what}"
            )
