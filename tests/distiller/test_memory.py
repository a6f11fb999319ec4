"""What the compiled step holds, read from the compiled program."""

import math
import re

import keras_kd as kd
import keras
import numpy as np
from keras import ops

B, T, V = 40, 128, 509  # more rows than a GPU's chunk, of 4,096, has
CONFIG = kd.BertConfig(V, 1, 8, 2, max_sequence_length=T, dropout=0.0)


class AllLogits(kd.LossTerm):
    """What must not be: logits of all tokens, held whole."""

    def compute(self, batch, teacher, student):
        rows = student["head"].transform(student["hidden_states"][-1])
        embedding, bias = student["head"].vocabulary()
        logits = ops.matmul(rows, ops.transpose(embedding)) + bias
        return ops.mean(logits**2)


def largest_array(loss_terms):
    """Elements of the largest array in the step that XLA compiled."""
    teacher = kd.BertMaskedLM(CONFIG, seed=0)
    student = kd.BertMaskedLM(CONFIG, seed=1)
    distiller = kd.Distiller(teacher, student, loss_terms)
    distiller.compile(keras.optimizers.SGD(0.1), jit_compile=True)
    distiller.optimizer.build(distiller.trainable_variables)
    ids = np.random.default_rng(0).integers(5, V, (B, T)).astype("int32")
    x = {
        "token_ids": ids,
        "segment_ids": 0 * ids,
        "padding_mask": 0 * ids + 1,
        "mask_positions": np.tile(np.arange(20, dtype="int32"), (B, 1)),
    }
    data = x, ids[:, :20], np.ones((B, 20), "float32")
    if keras.backend.backend() == "jax":
        import jax

        state = [[v.value for v in kind] for kind in distiller.kinds()]
        program = jax.jit(distiller.train_step).lower(tuple(state), data)
        program = program.compile().as_text()
    else:
        import tensorflow as tf

        data = tf.nest.map_structure(tf.constant, data)
        step = tf.function(distiller.train_step, jit_compile=True)
        program = step.experimental_get_compiler_ir(data)(stage="optimized_hlo")
    # Floats: what a GPU's library multiplies with has bytes to work in.
    shapes = re.findall(r"\bb?f\d+\[([\d,]+)\]", program)
    return max(math.prod(map(int, shape.split(","))) for shape in shapes)


def test_logits_of_all_tokens_are_never_held_whole():
    losses = kd.distilbert_losses(restrict_ce_to_mask=False, alpha_mse=0.1)[
        "loss_terms"
    ]
    assert largest_array(losses) < B * T * V


def test_logits_held_whole_would_be_seen():
    assert largest_array({"all": AllLogits()}) >= B * T * V
