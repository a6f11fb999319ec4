"""RDrop: a model that is to say the same whatever dropout takes away."""

import keras
from keras import ops
from keras_kd.distiller.fitting import Fitting
from keras_kd.losses.task_labels import row_mean


class RDrop(Fitting, keras.Model):
    """Trains a task model on its labels, under two draws of dropout at once.

    At each step every row goes through the model twice. The loss is the mean
    of both passes' own losses + weight · ½ (KL(first || second) +
    KL(second || first)), in nats, a mean over rows by their `sample_weight`;
    of a regressor, the squared difference in place of the KL. LayerDrop, where
    a model has it, skips the same layers in both passes. A step takes about
    twice as long. Validation, `predict` and the metrics of `compile` are those
    of the model (in training, of the first pass). `save` saves the model.
    Source: Liang et al., 2021, https://arxiv.org/abs/2106.14448

    Args:
        model: `BertClassifier`, `BertRegressor`, `BertTokenClassifier`,
            `BertSpanExtractor` or `BertMaskedLM`, which is trained.
        weight: Float >= 0, of how far the passes are apart.

    Raises:
        ValueError: If `weight` is out of its range.
    """

    def __init__(self, model, weight=1.0, **kwargs):
        super().__init__(**{"dtype": model.dtype_policy, **kwargs})
        if not 0 <= weight < float("inf"):
            raise ValueError(
                f"`weight` must be 0 or more, and finite. Received: {weight}"
            )
        self.student = model  # by which name callbacks look for it
        self.weight = weight
        self.built = True

    @property
    def backbone(self):
        """The model's, where schedules look for LayerDrop."""
        return self.student.backbone

    def compile(self, optimizer="adamw", loss="auto", **kwargs):
        """Keras's `compile`; "auto" is the loss of the model's own task."""
        if loss == "auto":
            loss = self.student.make_loss()
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def trained_model(self):
        return self.student

    def call(self, inputs, training=False):
        """The model's outputs; in training, `logits` and `second_logits`."""
        if not training:
            return self.student(inputs, training=False)
        twice = keras.tree.map_structure(
            lambda values: ops.concatenate([values, values]), inputs
        )
        logits = self.student(twice, training=True)["logits"]
        first, second = ops.split(logits, 2)
        return {"logits": first, "second_logits": second}

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Of the labels, and, in training, of the passes' distance."""

        def by_labels(logits):
            return super(RDrop, self).compute_loss(
                x, y, logits, sample_weight, training
            )

        first = y_pred["logits"]
        if "second_logits" not in y_pred:
            return by_labels(first)
        second = y_pred["second_logits"]
        loss = (by_labels(first) + by_labels(second)) / 2
        return loss + self.weight * self.distance(first, second, sample_weight)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred["logits"], sample_weight)

    def distance(self, first, second, weights=None):
        """Mean distance of two passes.

        Args:
            first: (..., C) logits, or (..., 1) numbers.
            second: Likewise.
            weights: (...) float, of each row; None for all alike.
        """
        first, second = ops.cast(first, "float32"), ops.cast(second, "float32")
        if first.shape[-1] == 1:
            rows = ops.square(first - second)[..., 0]
        else:
            apart = ops.log_softmax(first) - ops.log_softmax(second)
            rows = (ops.softmax(first) - ops.softmax(second)) * apart
            rows = ops.sum(rows, axis=-1) / 2
        if weights is None:
            weights = ops.ones_like(rows)
        return row_mean(rows, weights)
