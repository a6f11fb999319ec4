"""InGraphTokenizer: a `WordPieceTokenizer` as operations of a SavedModel."""

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
    """

    def __init__(self, tokenizer):
        super().__init__()
        self.lowercase = tokenizer.lowercase
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
        if self.lowercase:
            for token, stand_in in self.stand_ins.items():
                text = replace(text, re.escape(token), stand_in)
            text = tf_text.normalize_utf8(text, "NFD")
            text = replace(text, r"\p{Mn}", "")
            text = tf.strings.lower(text, encoding="utf-8")
            for token, stand_in in self.stand_ins.items():
                text = replace(text, stand_in, token)
        return tf.cast(self.word_pieces(text), tf.int32)
