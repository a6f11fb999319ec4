"""Signatures of the SavedModel: token ids in, or text in."""

import tensorflow as tf
from keras_kd.layers import MeanPooling
from keras_kd.models import BertClassifier, BertMaskedLM

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


def text_signatures(student, tokenizer, in_graph):
    """Text in: what the student is for, and an embedding of the text.

    Texts are cut at the student's longest sequence.

    Args:
        student: `BertMaskedLM`, `BertClassifier` or `BertBackbone`.
        tokenizer: `WordPieceTokenizer`.
        in_graph: `InGraphTokenizer` of it.

    Returns:
        Dict of name to pair of function and input signature:
        `fill_mask` of a masked LM, text (B,) to `tokens` and `scores`
        (B, M, 5), best first, M the most [MASK]s in a text of the batch, ""
        and 0 where a text has fewer; `classify` of a classifier, text (B,) to
        `label` (B,), the name of the best class, and `scores` (B, C), the
        probability of each; `embed`, text (B,) to `embedding` (B, D), the
        mean of the last hidden states, of length 1.
    """
    vocabulary = tokenizer.vocabulary
    longest = student.config.max_sequence_length
    mask_id = tokenizer.mask_id

    def batch_of(text):
        ids = in_graph(text)[:, : longest - 2]
        edge = tf.ones_like(text, tf.int32)[:, None]
        ids = tf.concat(
            [edge * tokenizer.cls_id, ids, edge * tokenizer.sep_id], axis=1
        )
        is_mask = tf.equal(ids, mask_id)
        where = tf.ragged.boolean_mask(
            tf.ragged.range(ids.row_lengths()), is_mask
        )
        inputs = {
            "token_ids": ids.to_tensor(tokenizer.pad_id),
            "padding_mask": tf.cast(
                tf.sequence_mask(ids.row_lengths()), tf.int32
            ),
            "mask_positions": tf.cast(where.to_tensor(0), tf.int32),
        }
        return inputs, tf.sequence_mask(where.row_lengths())

    def fill_mask(text):
        inputs, there = batch_of(text)
        logits = student(inputs, training=False)["logits"]
        scores, ids = tf.math.top_k(tf.nn.softmax(logits), TOP_K)
        tokens = tf.gather(tf.constant(vocabulary), ids)
        return {
            "tokens": tf.where(there[:, :, None], tokens, ""),
            "scores": tf.where(there[:, :, None], scores, 0.0),
        }

    def classify(text):
        inputs, _ = batch_of(text)
        logits = student(inputs, training=False)["logits"]
        names = tf.constant(student.class_names)
        return {
            "label": tf.gather(names, tf.argmax(logits, axis=-1)),
            "scores": tf.nn.softmax(logits),
        }

    pooling = MeanPooling()

    def embed(text):
        inputs, _ = batch_of(text)
        states = student(inputs, training=False)["hidden_states"][-1]
        return {"embedding": pooling(states, inputs["padding_mask"])}

    functions = {"embed": embed}
    if isinstance(student, BertMaskedLM):
        functions["fill_mask"] = fill_mask
    if isinstance(student, BertClassifier):
        functions["classify"] = classify
    signature = [tf.TensorSpec((None,), tf.string, "text")]
    return {name: (f, signature) for name, f in functions.items()}
