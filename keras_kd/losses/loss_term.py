"""What every loss term is: a layer that turns two models' outputs to a scalar.

A layer, because a term may have state that a callback moves inside a compiled
step (a temperature) or that learns (a projection): Keras tracks both.
"""

import keras


class LossTerm(keras.layers.Layer):
    """Base of the terms that `keras_kd.Distiller` adds up.

    A term overrides `compute(batch, teacher, student)`; `row_weights` where
    its mean is not over all real tokens; `build_for` where it cannot compare
    any two models, or has variables of their sizes; `check_models` where it
    reads logits of some task models alone; `observed` where it looks
    inside the encoder layers.

    Attributes:
        observed: Tuple of names out of `keras_kd.layers.OBSERVABLE`, such as
            "attention_scores". The outputs handed to `compute` then hold, for
            each, a list with one tensor per encoder layer.

    Arguments of `compute`:
        batch: Dict of `x` (the dict of model inputs), `y` (`mask_ids`,
            (B, K)) and `sample_weight` (`mask_weights`, (B, K), or None).
        teacher: Dict of the teacher's outputs, and its `head`.
        student: Dict of the student's outputs, and its `head`.

    Returns:
        Scalar, float32: the unweighted term. 0 when student = teacher, for
        terms that are distances.
    """

    observed = ()

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.built = True

    def compute(self, batch, teacher, student):
        """The term of one batch."""
        raise NotImplementedError(
            "A loss term must define `compute(batch, teacher, student)`. "
            f"Received: {type(self).__name__}"
        )

    def row_weights(self, batch):
        """Weights of the rows that the term is a mean over.

        Their sum weighs the batch where batches are averaged for the log.
        """
        return batch["x"]["padding_mask"]

    def build_for(self, teacher, student):
        """Refuses models the term cannot compare; makes its variables.

        Called once, by the `Distiller`, before any batch.

        Args:
            teacher: The teacher's `BertConfig`.
            student: The student's.
        """

    def check_models(self, teacher, student):
        """Refuses models whose logits the term does not understand.

        Args:
            teacher: Model.
            student: Model.
        """


def mask_weights(batch):
    """`sample_weight` of a batch, (B, K); where it has none, 1 for each."""
    if batch["sample_weight"] is None:
        return keras.ops.ones_like(batch["y"])
    return batch["sample_weight"]
