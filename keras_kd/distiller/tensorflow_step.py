"""The training step on TensorFlow."""

import tensorflow as tf


class TensorFlowStep:
    """Mixed into the Distiller where Keras runs on TensorFlow."""

    def train_step(self, data):
        """Teacher once, outside the tape; student once; terms; update."""
        x, y, sample_weight = self.unpack_batch(data)
        teacher_outputs = self.call_teacher(x)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(
                x, y, y_pred, sample_weight, teacher_outputs=teacher_outputs
            )
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        return self.compute_metrics(x, y, y_pred, sample_weight)
