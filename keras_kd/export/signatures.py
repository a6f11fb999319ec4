"""Signatures of the SavedModel: token ids in, or text in."""

import tensorflow as tf
from keras_kd.export.serving import embedding_of
from keras_kd.layers import Pooling
from keras_kd.models import (
    BertClassifier,
    BertMaskedLM,
    BertRegressor,
    longest_text,
)

TOP_K = 5


def token_ids_signature(model):
    """Ids in, outputs out, for batches and lengths of any size.

    Args:
        model: From `serving_model`.

    Returns:
        Pair of function and input signature, for `ExportArchive`.
    """
    signature = {
        tensor.name: tf.TensorSpec((None, None), tf.int32, tensor.name)
        for tensor in model.inputs
    }

    def serve(inputs):
        return model(inputs, training=False)

    return serve, [signature]


def text_signatures(student, tokenizer, in_graph, pooling=None):
    """Text in: what the student is for, and an embedding of the text.

    Texts are cut at the student's longest sequence; of a pair the longer one
    first, as `keras_kd.labeled_batches` does.

    Args:
        student: `BertMaskedLM`, `BertBackbone`, or a task model such as
            `BertClassifier`.
        tokenizer: `WordPieceTokenizer`.
        in_graph: `InGraphTokenizer` of it.
        pooling: As of `serving_model`, for `embed`.

    Returns:
        Dict of name to pair of function and input signature:
        `fill_mask` of a masked LM, text (B,) to `tokens` and `scores`
        (B, M, 5), best first, M the most [MASK]s in a text of the batch, ""
        and 0 where a text has fewer; `classify` of a classifier, text (B,) to
        `label` (B,), the name of the best class, `classes` (B, C), the names
        of all, and `scores` (B, C), the probability of each, and
        `classify_pair`, which takes text and pair;
        `rate` and `rate_pair` of a regressor, to `number` (B,), its `score`;
        `embed`, text (B,) to `embedding` (B, D), as `pooling` says; texts have
        the embedding's prompt before them and are cut at its longest.
    """
    vocabulary = tokenizer.vocabulary

    def batch_of(text, pair=None, longest=None):
        return text_inputs(student, tokenizer, in_graph, text, pair, longest)

    def fill_mask(text):
        inputs, there = batch_of(text)
        logits = student(inputs, training=False)["logits"]
        named = tf.nn.softmax(logits)[..., : len(vocabulary)]
        scores, ids = tf.math.top_k(named, TOP_K)
        tokens = tf.gather(tf.constant(vocabulary), ids)
        return {
            "tokens": tf.where(there[:, :, None], tokens, ""),
            "scores": tf.where(there[:, :, None], scores, 0.0),
        }

    def classify(text, pair=None):
        inputs, _ = batch_of(text, pair)
        logits = student(inputs, training=False)["logits"]
        names = tf.constant(student.class_names)
        return {
            "label": tf.gather(names, tf.argmax(logits, axis=-1)),
            "classes": tf.tile(names[None], [tf.shape(logits)[0], 1]),
            "scores": tf.nn.softmax(logits),
        }

    def rate(text, pair=None):
        inputs, _ = batch_of(text, pair)
        logits = student(inputs, training=False)["logits"]
        return {"number": student.score(logits)[:, 0]}

    embedding = embedding_of(student, pooling)
    pool = Pooling(embedding.pooling, embedding.normalize)
    longest = longest_text(student.config, embedding)

    def embed(text):
        text = tf.strings.join([embedding.prompt, text])
        inputs, _ = batch_of(text, longest=longest)
        states = student(inputs, training=False)["hidden_states"][-1]
        return {"embedding": pool(states, inputs["padding_mask"])}

    texts = [tf.TensorSpec((None,), tf.string, n) for n in ("text", "pair")]
    signatures = {"embed": (embed, texts[:1])}
    if isinstance(student, BertMaskedLM):
        signatures["fill_mask"] = fill_mask, texts[:1]
    for kind, name, function in (
        (BertClassifier, "classify", classify),
        (BertRegressor, "rate", rate),
    ):
        if isinstance(student, kind):
            signatures[name] = function, texts[:1]
            signatures[f"{name}_pair"] = function, texts
    return signatures


def text_inputs(student, tokenizer, in_graph, text, pair=None, longest=None):
    """A batch of texts, or of pairs of texts, for a student.

    Args:
        student: As of `text_signatures`.
        tokenizer: Likewise.
        in_graph: Likewise.
        text: (B,) str tensor.
        pair: (B,) str tensor, or None.
        longest: Int or None. Tokens of the longest; default: the student's.

    Returns:
        Pair: the student's dict of inputs, (B, T) each, and which of
        `mask_positions` there are, (B, M) bool.
    """
    longest = longest or student.config.max_sequence_length
    edge = tf.ones_like(text, tf.int32)[:, None]
    cls, sep = edge * tokenizer.cls_id, edge * tokenizer.sep_id
    first = in_graph(text)
    if pair is None:
        ids = tf.concat([cls, first[:, : longest - 2], sep], axis=1)
        begin = ids.row_lengths()
    else:
        first, second = cut_pair(first, in_graph(pair), longest - 3)
        ids = tf.concat([cls, first, sep, second, sep], axis=1)
        begin = first.row_lengths() + 2
    lengths = ids.row_lengths()
    is_mask = tf.equal(ids, tokenizer.mask_id)
    where = tf.ragged.boolean_mask(tf.ragged.range(lengths), is_mask)
    token_ids = ids.to_tensor(tokenizer.pad_id)
    place = tf.range(tf.shape(token_ids, tf.int64)[1])
    segments = (place >= begin[:, None]) & (place < lengths[:, None])
    inputs = {
        "token_ids": token_ids,
        "segment_ids": tf.cast(segments, tf.int32),
        "padding_mask": tf.cast(place < lengths[:, None], tf.int32),
        "mask_positions": tf.cast(where.to_tensor(0), tf.int32),
    }
    return inputs, tf.sequence_mask(where.row_lengths())


def cut_pair(first, second, room):
    """Ragged ids of pairs, (B, None) each, the longer one cut first."""
    one, other = first.row_lengths(), second.row_lengths()
    shorter = tf.minimum(tf.minimum(one, other), room // 2)
    kept = [
        tf.where(one <= other, shorter, room - shorter),
        tf.where(one <= other, room - shorter, shorter),
    ]
    cut = []
    for ids, most in zip((first, second), kept, strict=True):
        lengths = ids.row_lengths()
        most = tf.where(one + other > room, most, lengths)
        there = tf.ragged.range(lengths) < most[:, None]
        cut.append(tf.ragged.boolean_mask(ids, there))
    return cut
