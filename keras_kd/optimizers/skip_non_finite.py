"""SkipNonFinite: an optimizer that leaves out updates that are no numbers."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_kd")
class SkipNonFinite(keras.optimizers.Optimizer):
    """Wraps an optimizer; a gradient that is not finite moves nothing.

    Neither weights nor the optimizer's own variables, nor its step count,
    change where any gradient has an infinity or a NaN, as all have where the
    loss is none. What was left out is counted. Under `mixed_float16` Keras's
    `LossScaleOptimizer`, which `compile` puts around this one, comes first.

    Args:
        inner_optimizer: Keras optimizer.
        name: Str or None.

    Attributes:
        updates: int32 variable, how many there were, these included.
        skipped: int32 variable, how many were left out.
        in_a_row: int32 variable, how many of the last ones were.
        longest_row: int32 variable, the most there ever were in a row.
        last_skipped: int32 variable, which update it was, from 0; else -1.
    """

    def __init__(self, inner_optimizer, name=None):
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = inner_optimizer

    def build(self, variables):
        self.inner_optimizer.build(variables)
        super().build(variables)
        counts = ("updates", "skipped", "in_a_row", "longest_row")
        for attribute, start in (
            *((name, "zeros") for name in counts),
            ("last_skipped", keras.initializers.Constant(-1)),
        ):
            variable = self.add_variable(
                shape=(), initializer=start, dtype="int32", name=attribute
            )
            setattr(self, attribute, variable)

    @property
    def variables(self):
        return self._variables + self.inner_optimizer.variables

    @property
    def learning_rate(self):
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def iterations(self):
        return self.inner_optimizer.iterations

    def apply(self, grads, trainable_variables=None):
        if not self.built:
            self.build(trainable_variables)
        finite = all_finite(grads)
        self.count(finite)
        ops.cond(
            finite,
            lambda: self.inner_optimizer.apply(grads, trainable_variables),
            lambda: None,
        )

    def stateless_apply(self, optimizer_variables, grads, trainable_variables):
        mine = len(self._variables)
        own, inner = optimizer_variables[:mine], optimizer_variables[mine:]
        finite = all_finite(grads)
        mapping = list(zip(self._variables, own, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            self.count(finite)
        own = [scope.get_current_value(v) for v in self._variables]
        trained, inner = ops.cond(
            finite,
            lambda: self.inner_optimizer.stateless_apply(
                inner, grads, trainable_variables
            ),
            lambda: (trainable_variables, inner),
        )
        return trained, [*own, *inner]

    def count(self, finite):
        """Takes an update into the counts."""
        left_out = ops.cast(ops.logical_not(finite), "int32")
        updates, row, longest, last = map(
            ops.convert_to_tensor,
            (self.updates, self.in_a_row, self.longest_row, self.last_skipped),
        )
        row = (row + 1) * left_out
        self.last_skipped.assign(ops.where(finite, last, updates))
        self.in_a_row.assign(row)
        self.longest_row.assign(ops.maximum(longest, row))
        self.skipped.assign_add(left_out)
        self.updates.assign_add(1)

    def finalize_variable_values(self, var_list):
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner_optimizer)
        return {"name": self.name, "inner_optimizer": inner}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        inner = keras.saving.deserialize_keras_object(
            config.pop("inner_optimizer"), custom_objects=custom_objects
        )
        return cls(inner, **config)


def all_finite(gradients):
    """Whether all numbers are, by one sum over each gradient."""
    sums = [
        ops.sum(ops.cast(ops.convert_to_tensor(gradient), "float32"))
        for gradient in gradients
        if gradient is not None
    ]
    return ops.isfinite(ops.sum(ops.stack(sums)))
