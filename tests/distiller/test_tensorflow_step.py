import gc
import itertools
import weakref

import keras_kd as kd
import keras
import numpy as np
import pytest

# What is quick to build: TensorFlow's own graph; JAX has XLA, or nothing.
JIT = keras.backend.backend() == "jax"


def test_the_teacher_runs_once_a_step_in_inference_mode(
    tiny_config, store, tokenizer
):
    calls = []

    class Watched(kd.BertMaskedLM):
        def call(self, inputs, training=None, mask=None):
            calls.append(training)
            return super().call(inputs, training, mask)

    teacher = Watched(tiny_config, seed=0)
    student = kd.BertMaskedLM(tiny_config, seed=1)
    distiller = kd.Distiller(teacher, student, **kd.distilbert_losses())
    distiller.compile("sgd", run_eagerly=True)
    batches = kd.masked_lm_batches(store, tokenizer, 8).take(3)
    calls.clear()
    distiller.fit(batches, verbose=0)
    assert calls == [False] * 3


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_compiled_step_goes_with_its_distiller(tiny_config, store, tokenizer):
    import tensorflow as tf

    def fit():
        teacher = kd.BertMaskedLM(tiny_config, seed=0)
        student = kd.BertMaskedLM(tiny_config, seed=1)
        distiller = kd.Distiller(teacher, student, **kd.distilbert_losses())
        distiller.compile(kd.AdamW(1e-3, global_clipnorm=1.0), jit_compile=JIT)
        batch = next(iter(kd.masked_lm_batches(store, tokenizer, 8)))
        step = tf.function(lambda *batch: distiller.train_step(batch))
        step(*batch)
        return weakref.ref(step.get_concrete_function(*batch).graph)

    graph = fit()
    gc.collect()
    assert graph() is None  # else it would hold the weights of both


@pytest.mark.slow
def test_a_scaled_loss_gives_the_same_update(tiny_config, store, tokenizer):
    teacher = kd.BertMaskedLM(tiny_config, seed=0)
    weights = []
    for scaled in (False, True):
        student = kd.BertMaskedLM(tiny_config, seed=1)
        distiller = kd.Distiller(teacher, student, **kd.distilbert_losses())
        optimizer = keras.optimizers.SGD(1e-2)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(
                optimizer, initial_scale=1024.0
            )
        distiller.compile(optimizer, jit_compile=JIT)
        batches = kd.masked_lm_batches(store, tokenizer, 8, shuffle=False)
        distiller.fit(batches.take(2), verbose=0)
        weights.append(student.get_weights()[2])
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [JIT, True])
def test_batches_of_several_lengths_train_as_each_of_them_alone(
    tiny_config, tokenizer, tmp_path, jit_compile
):
    """One function for all lengths against one made for each."""
    documents = itertools.islice(kd.read_documents("docstrings"), 60)
    store = kd.TokenStore.write(
        tmp_path / "lines", documents, tokenizer, 16, line_by_line=True
    )
    batches = kd.masked_lm_batches(store, tokenizer, 8).take(12)
    lengths = [x["token_ids"].shape[1] for x, _, _ in batches]
    assert len(set(lengths)) == 3

    def distiller():
        teacher = kd.BertMaskedLM(tiny_config, seed=0)
        student = kd.BertMaskedLM(tiny_config, seed=1)
        made = kd.Distiller(teacher, student, **kd.distilbert_losses())
        made.compile(keras.optimizers.SGD(0.1), jit_compile=jit_compile)
        return made

    together, alone = distiller(), distiller()
    batches = kd.masked_lm_batches(store, tokenizer, 8).take(12)
    together.fit(batches, shuffle=False, verbose=0)
    for batch in kd.masked_lm_batches(store, tokenizer, 8).take(12):
        alone.train_on_batch(*batch)
    for a, b in zip(
        together.student.get_weights(),
        alone.student.get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
