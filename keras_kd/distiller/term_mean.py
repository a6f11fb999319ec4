"""TermMean: what a loss term is on average over the rows of an epoch."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_kd")
class TermMean(keras.metrics.Mean):
    """Mean of a term over rows; batches that were left out do not count.

    One number that is none makes the mean none, as a diverged model's should
    be. Where every batch was left out there is nothing to average, and the
    mean is NaN, never 0.

    Call arguments: `values` the term, a scalar; `sample_weight` its rows;
    `left_out` whether the optimizer left the batch's update out.
    """

    def __init__(self, name="term", **kwargs):
        super().__init__(name=name, **kwargs)
        self.batches_left_out = self.add_variable(
            shape=(), initializer=keras.initializers.Zeros(), name="left_out"
        )

    def update_state(self, values, sample_weight=None, left_out=False):
        if sample_weight is None:
            sample_weight = 1.0
        left_out = ops.cast(left_out, "bool")
        super().update_state(
            ops.where(left_out, 0.0, values),
            ops.where(left_out, 0.0, sample_weight),
        )
        self.batches_left_out.assign_add(ops.cast(left_out, self.dtype))

    def reset_state(self):
        super().reset_state()
        self.batches_left_out.assign(0)

    def result(self):
        nothing = ops.logical_and(
            ops.equal(self.count, 0), self.batches_left_out > 0
        )
        return ops.where(nothing, float("nan"), super().result())
