"""AdamW: Keras's, with one pass over each weight where TensorFlow runs."""

import warnings

import keras


@keras.saving.register_keras_serializable(package="keras_kd")
class AdamW(keras.optimizers.AdamW):
    """`keras.optimizers.AdamW`, updated by TensorFlow's own Adam kernel.

    The same arguments, variables and formula, to rounding. Keras's update is
    some fifteen operations, each a pass over memory as large as the weights:
    of a step on two processor cores, 5 % of the time and up to 400 MB more
    than the kernel takes. A row of an embedding that a gradient lists more
    than once counts with its sum, as on other backends; Keras's own squares
    and clips the parts. On other backends, for weights that are not float32,
    with `amsgrad` and under a `tf.distribute` strategy it is Keras's update.
    A `fit` that goes on after its schedule's end, at rate 0, is told once.
    Source: Loshchilov & Hutter, 2017, https://arxiv.org/abs/1711.05101
    """

    _told_of_end = False

    def update_step(self, gradient, variable, learning_rate):
        # In low precision the kernel's 1 - beta would be 0.
        exact = keras.backend.standardize_dtype(variable.dtype) == "float32"
        if not (self.has_kernel() and exact) or self.amsgrad:
            return super().update_step(gradient, variable, learning_rate)
        import tensorflow as tf

        index = self._get_variable_index(variable)
        dtype = variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        beta_1 = tf.cast(self.beta_1, dtype)
        beta_2 = tf.cast(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=beta_1**step,
            beta2_power=beta_2**step,
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(tf.convert_to_tensor(gradient), dtype),
        )

    def has_kernel(self):
        """Whether TensorFlow runs, on variables of one device."""
        if keras.config.backend() != "tensorflow":
            return False
        import tensorflow as tf

        return not tf.distribute.has_strategy()

    def _clip_gradients(self, grads):
        if (self.global_clipnorm or 0) <= 0 or not self.has_kernel():
            return super()._clip_gradients(grads)
        import tensorflow as tf

        grads = [tf.convert_to_tensor(gradient) for gradient in grads]
        halves = [tf.nn.l2_loss(tf.cast(g, "float32")) for g in grads]
        norm = tf.sqrt(2.0 * tf.add_n(halves))
        scale = self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)
        scale += norm - norm  # what is not finite makes all NaN, as in Keras
        return [g * tf.cast(scale, g.dtype) for g in grads]

    def _all_reduce_sum_gradients(self, grads_and_vars):
        # On one device there is nothing to add up, but Keras would register a
        # function that holds the step's graph, and with it all weights, until
        # the program ends: one for each model that is fitted.
        if self.has_kernel():
            return grads_and_vars
        return super()._all_reduce_sum_gradients(grads_and_vars)

    def _apply_weight_decay(self, variables):
        if self.weight_decay:  # not the two passes for a decay of 0
            super()._apply_weight_decay(variables)

    def finalize_variable_values(self, var_list):
        super().finalize_variable_values(var_list)
        last = getattr(self._learning_rate, "total_steps", None)
        idle = 0 if last is None else int(self.iterations) - last
        if idle > 0 and not self._told_of_end:
            self._told_of_end = True
            warnings.warn(
                f"The last {idle} of {last + idle} updates had a learning rate "
                f"of 0: the schedule has {last} steps. To train on, make an "
                "optimizer with `total_steps` for all updates, and compile "
                "with it.",
                stacklevel=2,
            )
