"""InGraphTokenizer: a `WordPieceTokenizer` as operations of a SavedModel."""

import json
import re

import keras_hub
import tensorflow as tf
import tensorflow_text as tf_text


class InGraphTokenizer(tf.Module):
    """Text (B,) to ragged token ids (B, None), inside the graph.

    tensorflow_text's operations do the work: whoever loads a SavedModel with
    them imports tensorflow_text first. Text is normalised here as Hugging
    Face's `BertNormalizer` does it; tensorflow_text's own case folding also
    takes ligatures and the ellipsis apart.

    Args:
        tokenizer: `WordPieceTokenizer`.

    Raises:
        ValueError: If the tokenizer normalises text in another way than
            BERT's, accents and case apart.
    """

    def __init__(self, tokenizer):
        super().__init__()
        normalizer = bert_normalizer(tokenizer)
        self.lowercase = normalizer["lowercase"]
        self.strip_accents = normalizer["strip_accents"]
        if self.strip_accents is None:  # then it goes with the case
            self.strip_accents = self.lowercase
        self.word_pieces = keras_hub.tokenizers.BertTokenizer(
            vocabulary=tokenizer.vocabulary,
            lowercase=False,
            special_tokens_in_strings=True,
        )
        # Private characters, which `__call__` has taken out of the text,
        # stand for special tokens while the rest is lower-cased.
        special = [tokenizer.vocabulary[i] for i in tokenizer.special_ids]
        self.stand_ins = {
            token: chr(0x10FF00 + index) for index, token in enumerate(special)
        }

    def __call__(self, text):
        replace = tf.strings.regex_replace
        text = replace(text, r"[\s\p{Z}]", " ")
        text = replace(text, r"[\p{C}\x{FFFD}]", "")
        if self.lowercase or self.strip_accents:
            for token, stand_in in self.stand_ins.items():
                text = replace(text, re.escape(token), stand_in)
            if self.strip_accents:
                text = tf_text.normalize_utf8(text, "NFD")
                text = replace(text, r"\p{Mn}", "")
            if self.lowercase:
                text = tf.strings.lower(text, encoding="utf-8")
            for token, stand_in in self.stand_ins.items():
                text = replace(text, stand_in, token)
        return tf.cast(self.word_pieces(text), tf.int32)


def bert_normalizer(tokenizer):
    """Settings of the tokenizer's `BertNormalizer`; refuses any other."""
    normalizer = json.loads(tokenizer.backend.to_str())["normalizer"] or {}
    always = {"clean_text": True, "handle_chinese_chars": True}
    if normalizer.get("type") != "BertNormalizer" or any(
        normalizer[name] != value for name, value in always.items()
    ):
        raise ValueError(
            "`tokenizer` must normalise text by a BertNormalizer with "
            f"{always} to be part of a SavedModel. Received: {normalizer}"
        )
    return normalizer
