"""The training step on JAX."""

import jax
import keras
from jax import numpy as jnp


class JaxStep:
    """Mixed into the Distiller where Keras runs on JAX.

    JAX wants functions without side effects: the values of all variables
    (trained, others, the optimizer's, the metrics') are handed in, and those
    that changed are handed back.
    """

    def train_step(self, state, data):
        """One update; the batch in one piece or in micro-batches."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with self.variables_as(state) as scope:
            batch = self.make_batch(x, y, sample_weight, training=True)
            counts = self.count_rows(batch)
        state = self.state_after(scope, state)
        if self.micro_batches == 1:
            gradients, terms, state = self.gradients_of(state, batch)
        else:
            gradients, terms, state = self.gradients_of_parts(
                state, batch, counts
            )
        trained, others, optimizer, metrics = state
        trained, optimizer = self.optimizer.stateless_apply(
            optimizer, gradients, trained
        )
        state = trained, others, optimizer, metrics
        with self.variables_as(state) as scope:
            self.log_terms(terms, counts, self.update_was_left_out())
            logs = self.get_metrics_result()
        return logs, self.state_after(scope, state)

    def test_step(self, state, data):
        """Terms and metrics of a batch, dropout off.

        Keras's own makes the logs where it has put away the loss weights.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        trained, others, metrics = state
        nothing = [variable.value for variable in self.optimizer.variables]
        state = trained, others, nothing, metrics
        with self.variables_as(state) as scope:
            outputs = self(x, training=False)
            self.compute_loss(x, y, outputs, sample_weight, training=False)
            logs = self.compute_metrics(x, y, outputs, sample_weight)
        trained, others, _, metrics = self.state_after(scope, state)
        return logs, (trained, others, metrics)

    def gradients_of(self, state, batch, shares=None):
        """Teacher once, outside the gradient; student once; terms."""
        x, y, sample_weight = map(batch.get, ("x", "y", "sample_weight"))
        with self.variables_as(state):
            teacher_outputs = self.call_teacher(x)

        def total_of(trained):
            here = (trained, *state[1:])
            with self.variables_as(here) as scope:
                outputs = self(x, training=True)
                total, terms = self.add_up(
                    batch, teacher_outputs, outputs, shares
                )
                total = self.optimizer.scale_loss(total)
                self.compute_metrics(x, y, outputs, sample_weight)
            return total, (terms, self.state_after(scope, here)[1:])

        differentiate = jax.grad(total_of, has_aux=True)
        gradients, (terms, changed) = differentiate(state[0])
        return gradients, terms, (state[0], *changed)

    def gradients_of_parts(self, state, batch, counts):
        """The same, part by part: only one part's activations are held."""

        def add_part(sums, part):
            gradients, terms, changed = sums
            here = state[0], *changed
            with self.variables_as(here):
                rows = self.count_rows(part)
            shares = jnp.where(counts > 0, rows / jnp.maximum(counts, 1e-30), 0)
            found, values, here = self.gradients_of(here, part, shares)
            gradients = [a + b for a, b in zip(gradients, found, strict=True)]
            return (gradients, terms + values, here[1:]), None

        start = [jnp.zeros_like(value) for value in state[0]]
        sums = start, jnp.zeros_like(counts), tuple(state[1:])
        sums, _ = jax.lax.scan(add_part, sums, self.split_batch(batch))
        gradients, terms, changed = sums
        return gradients, terms, (state[0], *changed)

    def compile_part(self):
        """Nothing: JAX compiles the step as a whole."""
        return None

    def enclose(self):
        """Nothing: JAX keeps nothing of a step."""
        return None

    loop = staticmethod(keras.ops.fori_loop)

    def variables_as(self, state):
        """A scope in which all variables have the values of `state`."""
        pairs = [
            pair
            for variables, values in zip(self.kinds(), state, strict=True)
            for pair in zip(variables, values, strict=True)
        ]
        return keras.StatelessScope(state_mapping=pairs)

    def state_after(self, scope, state):
        """The values at the end of a scope; the trained ones as they were."""
        changed = [
            [scope.get_current_value(variable) for variable in variables]
            for variables in self.kinds()[1:]
        ]
        return state[0], *changed

    def kinds(self):
        """Variables in the order in which Keras hands over their values."""
        return (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
