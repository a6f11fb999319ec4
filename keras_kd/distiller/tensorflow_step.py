"""The training step on TensorFlow."""

import keras
import tensorflow as tf
from keras_kd.probes import xla_available
from keras_kd.runtime import training_device


class TensorFlowStep:
    """Mixed into the Distiller where Keras runs on TensorFlow."""

    def train_step(self, data):
        """One update; the batch in one piece or in micro-batches."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        batch = self.make_batch(x, y, sample_weight, training=True)
        counts = self.count_rows(batch)
        if self.micro_batches == 1:
            gradients, terms = self.gradients_of(batch)
        else:
            gradients, terms = self.gradients_of_parts(batch, counts)
        self.optimizer.apply(gradients, self.trainable_weights)
        self.log_terms(terms, counts, self.update_was_left_out())
        return self.get_metrics_result()

    def gradients_of(self, batch, shares=None):
        """Teacher once, outside the tape; student once; terms; gradients."""
        x, y, sample_weight = map(batch.get, ("x", "y", "sample_weight"))
        teacher_outputs = self.call_teacher(x)
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            total, terms = self.add_up(batch, teacher_outputs, outputs, shares)
            total = self.optimizer.scale_loss(total)
        self.compute_metrics(x, y, outputs, sample_weight)
        gradients = tape.gradient(total, self.trainable_weights)
        # Of the embeddings TensorFlow lists rows, some of them often: a clip
        # by the norm of that list is another than by the gradient's.
        gradients = [
            None if value is None else tf.convert_to_tensor(value)
            for value in gradients
        ]
        return gradients, terms

    def gradients_of_parts(self, batch, counts):
        """The same, part by part: only one part's activations are held."""
        parts = self.split_batch(batch)

        def add_part(index, gradients, terms):
            part = tf.nest.map_structure(lambda values: values[index], parts)
            shares = tf.math.divide_no_nan(self.count_rows(part), counts)
            found, values = self.gradients_of(part, shares)
            pairs = zip(gradients, found, strict=True)
            gradients = [a if b is None else a + b for a, b in pairs]
            return index + 1, gradients, terms + values

        start = [tf.zeros_like(weight) for weight in self.trainable_weights]
        _, gradients, terms = tf.while_loop(
            lambda index, *_: index < self.micro_batches,
            add_part,
            (0, start, tf.zeros_like(counts)),
            parallel_iterations=1,
        )
        return gradients, terms

    def compile_part(self):
        """XLA for a part of a step that is otherwise a graph; None for none.

        For what goes over a chunk's logits again and again: they are then
        read and written once or twice rather than some twenty times. Matmuls
        stay TensorFlow's own, which are as fast as XLA's or faster.
        """
        if self.jit_compile or tf.executing_eagerly():
            return None
        if tf.distribute.has_strategy():  # whose variables XLA cannot see
            return None
        if not xla_available(training_device())[0]:
            return None
        return lambda function: tf.function(
            function, jit_compile=True, autograph=False
        )

    def enclose(self):
        """A graph of its own for a part with a gradient of its own.

        TensorFlow keeps the graph in which such a gradient was defined until
        the program ends. That of the step would keep all weights with it.
        """
        if tf.executing_eagerly():
            return None
        return lambda function: tf.function(function, autograph=False)

    @staticmethod
    def loop(lower, upper, body, values):
        """`keras.ops.fori_loop`, its turns one by one.

        TensorFlow would begin the next chunk's matmuls meanwhile, and so hold
        the logits of several chunks.
        """
        _, *values = tf.while_loop(
            lambda index, *_: index < upper,
            lambda index, *values: (index + 1, *body(index, values)),
            (lower, *values),
            parallel_iterations=1,
        )
        return values
