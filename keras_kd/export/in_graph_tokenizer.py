"""InGraphTokenizer: a `WordPieceTokenizer` as operations of a SavedModel."""

import json
import re

import tensorflow as tf
from keras_kd.export.character_rules import (
    BREAK,
    KEEP,
    SURROUND,
    character_rules,
    why_not_by_characters,
)

# Private characters stand for special and added tokens from here on; where text
# has such, it gets another private one, which no vocabulary knows either.
STAND_INS = 0x100000
OTHERS_LIKE_THEM = r"[\x{100000}-\x{10FFFF}]"
PRIVATE = "\ue000"


class InGraphTokenizer(tf.Module):
    """Text (B,) to ragged token ids (B, None), inside the graph.

    Ids are those of the tokenizer. The operations are TensorFlow's own, so
    that who loads a SavedModel needs nothing else.

    Args:
        tokenizer: `WordPieceTokenizer`.

    Raises:
        ValueError: If it does not normalise and split text as BERT does.
    """

    def __init__(self, tokenizer):
        super().__init__()
        reason = why_not_by_characters(tokenizer)
        if reason is not None:
            raise ValueError(
                "`tokenizer` must normalise and split text as BERT does. "
                f"Received: one of which {reason}"
            )
        rules = character_rules(tokenizer)
        self.starts = tf.constant(rules.starts)
        self.kinds = tf.constant(rules.kinds)
        replacements = rules.replacements or {0: ""}  # an empty table is none
        self.replacements = _table(replacements, tf.int64, tf.string, "")
        model = json.loads(tokenizer.backend.to_str())["model"]
        self.unknown = model["vocab"][model["unk_token"]]
        self.prefix = model["continuing_subword_prefix"]
        self.longest_word = model["max_input_chars_per_word"]
        self.longest_piece = max(map(len, model["vocab"]))
        ids = dict(model["vocab"])
        self.in_raw_text, self.in_normalized_text = {}, {}
        added = _longest_first(tokenizer.backend)
        for place, (index, token) in enumerate(added):
            stand_in = chr(STAND_INS + place)
            ids[stand_in] = index
            if token.normalized:
                words = self.normalize(tf.constant([token.content]))
                content = words.numpy()[0].decode().strip()
                if content:
                    self.in_normalized_text[content] = stand_in
            else:
                self.in_raw_text[token.content] = stand_in
        self.ids = _table(ids, tf.string, tf.int32, -1)

    def __call__(self, text):
        text = tf.strings.regex_replace(text, OTHERS_LIKE_THEM, PRIVATE)
        text = _replace(self.in_raw_text, text)
        text = _replace(self.in_normalized_text, self.normalize(text))
        words = tf.strings.split(text)
        different, index = tf.unique(words.flat_values)
        ids = tf.gather(self.pieces(different), index)
        return words.with_flat_values(ids).merge_dims(1, 2)

    def normalize(self, text):
        """Text (B,) after normalisation, with spaces around its words."""
        codes = tf.strings.unicode_decode(text, "UTF-8")
        code = codes.flat_values
        here = tf.searchsorted(self.starts, code, side="right") - 1
        kind = tf.gather(self.kinds, here)
        kind = tf.where(code >= STAND_INS, SURROUND, kind)
        same = tf.strings.unicode_encode(code[:, None], "UTF-8")
        image = self.replacements.lookup(tf.cast(code, tf.int64))
        image = tf.where(kind == KEEP, same, image)
        image = tf.where(kind == SURROUND, " " + same + " ", image)
        image = tf.where(kind == BREAK, " ", image)
        return tf.strings.reduce_join(codes.with_flat_values(image), axis=-1)

    def pieces(self, words):
        """Words (W,) to ragged ids (W, None): the longest piece first."""
        sizes = tf.strings.length(words, "UTF8_CHAR")
        whole = self.ids.lookup(words)
        # Where the next piece of each begins; -1 where one has not been found.
        begin = tf.where(whole < 0, 0, sizes)
        begin = tf.where(sizes > self.longest_word, -1, begin)
        longest = tf.reduce_max(tf.concat([[0], sizes], axis=0))
        count = tf.range(tf.minimum(self.longest_piece, longest)) + 1

        def unfinished(begin, _):
            return tf.reduce_any((begin >= 0) & (begin < sizes))

        def next_piece(begin, ids):
            there = tf.where((begin >= 0) & (begin < sizes))
            start = tf.gather_nd(begin, there)[:, None]
            end = start + count
            shape = tf.shape(end)
            found = tf.strings.substr(
                tf.broadcast_to(tf.gather_nd(words, there)[:, None], shape),
                tf.broadcast_to(start, shape),
                tf.broadcast_to(count, shape),
                "UTF8_CHAR",
            )
            found = tf.where(start > 0, self.prefix, "") + found
            found = self.ids.lookup(found)
            inside = end <= tf.gather_nd(sizes, there)[:, None]
            found = tf.where(inside, found, -1)
            best = tf.reduce_max(tf.where(found < 0, 0, count), axis=1)
            piece = tf.gather(
                found, tf.maximum(best - 1, 0), axis=1, batch_dims=1
            )
            begin = tf.tensor_scatter_nd_update(
                begin, there, tf.where(best == 0, -1, start[:, 0] + best)
            )
            column = tf.tensor_scatter_nd_update(
                tf.fill(tf.shape(begin), -1), there, piece
            )
            return begin, tf.concat([ids, column[:, None]], axis=1)

        begin, ids = tf.while_loop(
            unfinished,
            next_piece,
            (begin, whole[:, None]),
            (tf.TensorShape([None]), tf.TensorShape([None, None])),
        )
        first = tf.range(tf.shape(ids)[1]) == 0
        unknown = tf.where(first, self.unknown, -1)
        ids = tf.where(begin[:, None] < 0, unknown, ids)
        return tf.ragged.boolean_mask(ids, ids >= 0)


def _longest_first(backend):
    """Pairs of id and added token; of two that fit, the longer one counts."""
    added = backend.get_added_tokens_decoder().items()
    return sorted(added, key=lambda pair: (-len(pair[1].content), pair[0]))


def _replace(stand_ins, text):
    for content, stand_in in stand_ins.items():
        text = tf.strings.regex_replace(
            text, re.escape(content), f" {stand_in} "
        )
    return text


def _table(values, key_type, value_type, default):
    pairs = tf.lookup.KeyValueTensorInitializer(
        list(values), list(values.values()), key_type, value_type
    )
    return tf.lookup.StaticHashTable(pairs, default)
