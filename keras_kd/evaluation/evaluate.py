"""evaluate: one model on held-out batches, with fixed masks, as a dict."""

import statistics
import time

import keras
import numpy as np
from keras import ops
from keras_kd.losses import SoftTargetKL
from keras_kd.metrics import Perplexity, TeacherAgreement

WARM_UP_CALLS = 3
TIMED_CALLS = 100


def evaluate(model, batches, teacher=None, jit_compile="auto", verbose=0):
    """Measures a masked-LM model on held-out text, dropout off.

    Fixed masks come from `masked_lm_batches(..., shuffle=False)`: two models
    given the same batches meet the same masks.

    Args:
        model: `BertMaskedLM`.
        batches: Dataset of `x`, `y`, `sample_weight`.
        teacher: `BertMaskedLM` to compare with, or None.
        jit_compile: Bool or "auto", as in Keras's `compile`; of the timed
            calls too, whatever the model itself was compiled with.
        verbose: 1 for Keras's bar, 0 for silence.

    Returns:
        Dict of float: `masked_cross_entropy` (nats), `perplexity`, `top1`,
        `top5` (shares); with a teacher, `teacher_kl` (nats, temperature 1)
        and `teacher_agreement` (share); `parameters`, `bytes` (of the
        weights), `latency_ms` (median of a batch of one sequence of the
        batches' length, warm; machines differ, compare within one).
    """
    held_out = _HeldOut(model, teacher)
    held_out.compile(jit_compile=jit_compile)
    results = held_out.evaluate(batches, return_dict=True, verbose=verbose)
    results.pop("loss", None)
    weights = model.weights
    return {
        **{name: float(value) for name, value in results.items()},
        "parameters": model.count_params(),
        "bytes": sum(
            int(np.prod(w.shape)) * np.dtype(_numpy_name(w.dtype)).itemsize
            for w in weights
        ),
        "latency_ms": _latency(model, next(iter(batches))[0], jit_compile),
    }


def evaluate_unigram(token_counts, special_ids, batches):
    """The baseline that knows token frequencies only, on the same masks.

    Args:
        token_counts: (V,) int, from the training text
            (`TokenStore.token_counts`). Each count is raised by 1.
        special_ids: Ids that are never hidden.
        batches: Dataset of `x`, `y`, `sample_weight`.

    Returns:
        Dict of float: `masked_cross_entropy`, `perplexity`, `top1`, `top5`.
    """
    counts = np.asarray(token_counts, "float64") + 1
    counts[list(special_ids)] = 0
    with np.errstate(divide="ignore"):
        log_p = np.log(counts / counts.sum())
    rank = np.empty(len(counts), int)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    totals = np.zeros(4)
    for _, ids, weights in batches:
        ids, weights = np.asarray(ids), np.asarray(weights) > 0
        hidden = ids[weights]
        totals += (
            -log_p[hidden].sum(),
            (rank[hidden] < 1).sum(),
            (rank[hidden] < 5).sum(),
            len(hidden),
        )
    nats, top1, top5 = totals[:3] / totals[3]
    return {
        "masked_cross_entropy": float(nats),
        "perplexity": float(np.exp(nats)),
        "top1": float(top1),
        "top5": float(top5),
    }


class _HeldOut(keras.Model):
    """Runs model and teacher side by side under stock `evaluate`."""

    def __init__(self, model, teacher):
        super().__init__(name="held_out")
        self.models = [model, teacher] if teacher is not None else [model]
        self.token_metrics = [
            keras.metrics.SparseCategoricalCrossentropy(
                from_logits=True, name="masked_cross_entropy"
            ),
            Perplexity(),
            keras.metrics.SparseCategoricalAccuracy(name="top1"),
            keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5"),
        ]
        self.teacher_metrics = []
        if teacher is not None:
            self.teacher_metrics = [
                keras.metrics.MeanMetricWrapper(
                    SoftTargetKL(temperature=1.0, reduction=None).call,
                    name="teacher_kl",
                ),
                TeacherAgreement(),
            ]
        self.built = True

    def call(self, inputs, training=False):
        return [
            model(inputs, training=False)["logits"] for model in self.models
        ]

    def compute_loss(self, *_, **__):
        return ops.zeros(())

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for metric in self.token_metrics:
            metric.update_state(y, y_pred[0], sample_weight)
        for metric in self.teacher_metrics:
            metric.update_state(y_pred[1], y_pred[0], sample_weight)
        return {m.name: m.result() for m in self.metrics}


def _latency(model, x, jit_compile):
    """Median milliseconds of one sequence."""
    alone = _HeldOut(model, None)
    alone.compile(jit_compile=jit_compile)
    one = {name: np.asarray(value)[:1] for name, value in x.items()}
    seconds = []
    for _ in range(WARM_UP_CALLS + TIMED_CALLS):
        start = time.perf_counter()
        alone.predict_on_batch(one)
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds[WARM_UP_CALLS:])


def _numpy_name(dtype):
    """A NumPy type of the same size."""
    return "float16" if dtype == "bfloat16" else dtype
