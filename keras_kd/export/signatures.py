"""Signatures of the SavedModel: token ids in, or text in."""

import tensorflow as tf

TOP_K = 5


def token_ids_signature(student):
    """The model itself: its dict of ids in, logits at `mask_positions` out.

    Args:
        student: `BertMaskedLM`.

    Returns:
        Pair of function and input signature, for `ExportArchive`.
    """
    signature = {
        tensor.name: tf.TensorSpec((None, None), tf.int32, tensor.name)
        for tensor in student.inputs
    }

    def serve(inputs):
        return {"logits": student(inputs, training=False)["logits"]}

    return serve, [signature]


def text_signatures(student, tokenizer, in_graph):
    """Text in: what stands for [MASK], and an embedding of the text.

    Texts are cut at the student's longest sequence.

    Args:
        student: `BertMaskedLM`.
        tokenizer: `WordPieceTokenizer`.
        in_graph: `InGraphTokenizer` of it.

    Returns:
        Dict of name to pair of function and input signature:
        `fill_mask`, text (B,) to `tokens` and `scores` (B, M, 5), best first,
        M the most [MASK]s in a text of the batch, "" and 0 where a text has
        fewer; `embed`, text (B,) to `embedding` (B, D), the mean of the last
        hidden states, of length 1.
    """
    vocabulary = tokenizer.vocabulary
    longest = student.config.max_sequence_length
    mask_id, pad_id = tokenizer.mask_id, tokenizer.pad_id

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
        token_ids = ids.to_tensor(pad_id)
        inputs = {
            "token_ids": token_ids,
            "padding_mask": tf.cast(token_ids != pad_id, tf.int32),
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

    def embed(text):
        inputs, _ = batch_of(text)
        states = student(inputs, training=False)["hidden_states"][-1]
        weights = tf.cast(inputs["padding_mask"], states.dtype)[:, :, None]
        mean = tf.reduce_sum(states * weights, 1) / tf.reduce_sum(weights, 1)
        return {"embedding": tf.math.l2_normalize(mean, axis=-1)}

    signature = [tf.TensorSpec((None,), tf.string, "text")]
    return {
        "fill_mask": (fill_mask, signature),
        "embed": (embed, signature),
    }
