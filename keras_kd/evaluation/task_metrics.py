"""Official scores of a task, of what a model gives on labelled texts."""

import keras
import numpy as np
import scipy.stats
from keras_kd.extras import import_extra


def _accuracy(labels, logits):
    return np.mean(labels == np.argmax(logits, axis=-1))


def _f1(labels, logits):
    metrics = import_extra("sklearn.metrics", "tasks")
    guesses = np.argmax(logits, axis=-1)
    return metrics.f1_score(labels, guesses, zero_division=0.0)


def _matthews(labels, logits):
    metrics = import_extra("sklearn.metrics", "tasks")
    return metrics.matthews_corrcoef(labels, np.argmax(logits, axis=-1))


def _correlation(function):
    def correlate(labels, logits):
        guesses = logits[:, 0]
        if np.ptp(guesses) == 0 or np.ptp(labels) == 0:
            return 0.0  # of what does not vary, it is not defined
        return function(labels, guesses).statistic

    return correlate


TASK_METRICS = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _correlation(scipy.stats.pearsonr),
    "spearman": _correlation(scipy.stats.spearmanr),
}


def task_scores(metrics, labels, logits):
    """Scores of logits against labels.

    Args:
        metrics: Names out of `TASK_METRICS`: "accuracy"; "f1", of class 1
            against class 0; "matthews", Matthews' correlation; "pearson" and
            "spearman", of numbers.
        labels: (N,) int, ids of classes; or float, numbers.
        logits: (N, C) float, or (N, 1) of numbers.

    Returns:
        Dict of each name to a float. A correlation of what does not vary is
        0; so is an F1 where neither labels nor guesses have class 1.

    Raises:
        ValueError: If a name is unknown, there is nothing to score, "f1" is
            asked for of more than two classes, or a logit is no number.
        ImportError: If scikit-learn, of the extra "tasks", is not installed
            and needed.
    """
    labels, logits = np.asarray(labels), np.asarray(logits, "float64")
    unknown = [name for name in metrics if name not in TASK_METRICS]
    if unknown or not metrics:
        raise ValueError(
            f"`metrics` must be out of {sorted(TASK_METRICS)}. "
            f"Received: {list(metrics)}"
        )
    if logits.ndim != 2 or not len(labels) or len(labels) != len(logits):
        raise ValueError(
            "`labels` and `logits` must be (N,) and (N, C), N at least 1. "
            f"Received: {labels.shape} and {logits.shape}"
        )
    bad = np.flatnonzero(~np.all(np.isfinite(logits), axis=-1))
    if len(bad):
        raise ValueError(
            f"`logits` must be numbers. Received: {len(bad)} rows of "
            f"{len(logits)} that are not, the first is row {bad[0]}"
        )
    if "f1" in metrics and logits.shape[-1] != 2:
        raise ValueError(
            "`metrics` may have 'f1' for two classes alone. "
            f"Received: {logits.shape[-1]} classes"
        )
    return {name: float(TASK_METRICS[name](labels, logits)) for name in metrics}


def predict_task(model, batches):
    """What a task model gives on labelled batches, dropout off.

    Args:
        model: `BertClassifier`, `BertRegressor` or `BertTokenClassifier`.
        batches: Dataset of `keras_kd.labeled_batches` without shuffling, or
            of the like.

    Returns:
        Pair: the labels that have weight, (N,), and their logits, (N, C); of
        a `BertRegressor` its numbers, (N, 1), the sigmoid where it has one.
    """
    return _predict(_logits_of(model), batches)


def _logits_of(model):
    logits = _Logits(model)
    logits.compile(jit_compile=False)
    return logits


def _predict(scorer, batches):
    labels, logits = [], []
    for x, y, weights in batches:
        x = {name: np.asarray(value) for name, value in x.items()}
        found = np.asarray(scorer.predict_on_batch(x))
        kept = np.asarray(weights) > 0
        labels.append(np.asarray(y)[kept])
        logits.append(found[kept])
    return np.concatenate(labels), np.concatenate(logits)


class _Logits(keras.Model):
    """The logits of a model alone, compiled without touching the model."""

    def __init__(self, model):
        super().__init__(name="logits")
        self.model = model
        self.built = True

    def call(self, inputs):
        logits = self.model(inputs, training=False)["logits"]
        score = getattr(self.model, "score", None)  # a regressor's
        return logits if score is None else score(logits)


class ScoreTask(keras.callbacks.Callback):
    """Adds a task's scores on held-out texts to the logs of each epoch.

    Each is logged as `val_<metric>`, such as `val_matthews`: for
    `keras.callbacks.EarlyStopping(monitor="val_matthews", mode="max")`, to
    stand after it in the list of callbacks.

    Args:
        batches: As of `predict_task`.
        metrics: As of `task_scores`.

    Raises:
        ValueError: At the end of an epoch, as `task_scores`.
    """

    def __init__(self, batches, metrics):
        super().__init__()
        self.batches = batches
        self.metrics = tuple(metrics)
        self.scorer = None

    def on_train_begin(self, logs=None):
        # Of a `Distiller`, its student; compiled once for all epochs.
        self.scorer = _logits_of(getattr(self.model, "student", self.model))

    def on_epoch_end(self, epoch, logs=None):
        scores = task_scores(self.metrics, *_predict(self.scorer, self.batches))
        for name, score in scores.items():
            logs[f"val_{name}"] = score
