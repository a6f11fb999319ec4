"""Metrics of a masked-LM student, alone and beside its teacher."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_kd")
class Perplexity(keras.metrics.Mean):
    """exp of the mean cross-entropy in nats, of ids under logits.

    Call arguments: `y_true` ids (...), `y_pred` logits (..., V),
    `sample_weight` (...).
    """

    def __init__(self, name="perplexity", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        nats = keras.losses.sparse_categorical_crossentropy(
            y_true, y_pred, from_logits=True
        )
        super().update_state(*as_rows(nats, sample_weight))

    def result(self):
        return ops.exp(super().result())


@keras.saving.register_keras_serializable(package="keras_kd")
class TeacherAgreement(keras.metrics.Mean):
    """Share of rows where teacher's and student's best token are the same.

    Call arguments: `y_true` the teacher's logits (..., V), `y_pred` the
    student's, `sample_weight` (...).
    """

    def __init__(self, name="teacher_agreement", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        same = ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, -1))
        same = ops.cast(same, "float32")
        super().update_state(*as_rows(same, sample_weight))


def as_rows(values, weights=None):
    """Values and weights of one shape, flat: each counts by itself.

    Of more axes Keras takes the mean of each row first, and one of few values
    would count as much as one of many.
    """
    if weights is not None:
        weights = ops.broadcast_to(weights, ops.shape(values))
        weights = ops.reshape(weights, (-1,))
    return ops.reshape(values, (-1,)), weights


@keras.saving.register_keras_serializable(package="keras_kd")
class RealRows(keras.metrics.Metric):
    """A metric in which rows of weight 0 do not count, and all others count 1.

    Filler, padding and what nobody has labelled have weight 0.

    Args:
        metric: Metric, function of labels and logits, or Keras's name of one;
            "accuracy" and "crossentropy" are those of ids under logits.

    Call arguments: `y_true` (...), `y_pred` logits (..., C), `sample_weight`
    (...).
    """

    def __init__(self, metric, name=None, **kwargs):
        if isinstance(metric, str):
            name = name or metric
        metric = make_metric(metric)
        super().__init__(name=name or metric.name, **kwargs)
        self.metric = metric

    def update_state(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            real = ops.not_equal(sample_weight, 0)
            sample_weight = ops.cast(real, "float32")
        self.metric.update_state(y_true, y_pred, sample_weight)

    def result(self):
        return self.metric.result()

    def reset_state(self):
        self.metric.reset_state()

    def get_config(self):
        metric = keras.saving.serialize_keras_object(self.metric)
        return {**super().get_config(), "metric": metric}

    @classmethod
    def from_config(cls, config):
        metric = keras.saving.deserialize_keras_object(config["metric"])
        return cls(**{**config, "metric": metric})


def make_metric(metric):
    """Keras's metric of a name or a function; a metric as it is."""
    if metric in ("accuracy", "acc"):
        return keras.metrics.SparseCategoricalAccuracy(name=metric)
    if metric in ("crossentropy", "ce"):
        return keras.metrics.SparseCategoricalCrossentropy(
            name=metric, from_logits=True
        )
    metric = keras.metrics.get(metric)
    if isinstance(metric, keras.metrics.Metric):
        return metric
    name = getattr(metric, "__name__", type(metric).__name__)
    return keras.metrics.MeanMetricWrapper(metric, name=name)


def of_real_rows(metrics, weighted_metrics=None):
    """`weighted_metrics` of `compile` that hold what `metrics` asks for."""
    if metrics is None:
        return weighted_metrics
    found = [RealRows(m) for m in keras.tree.flatten(metrics)]
    return [*found, *keras.tree.flatten(weighted_metrics or [])]
