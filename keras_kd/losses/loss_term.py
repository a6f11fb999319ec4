"""What every loss term is: a layer that turns two models' outputs to a scalar.

A layer, because a term may have state that a callback moves inside a compiled
step (a temperature) or that learns (a projection): Keras tracks both.
"""

import keras


class LossTerm(keras.layers.Layer):
    """Base of the terms that `keras_kd.Distiller` adds up.

    A term overrides `compute(batch, teacher, student)`:
        batch: Dict of `x` (the dict of model inputs), `y` (`mask_ids`,
            (B, K)) and `sample_weight` (`mask_weights`, (B, K), or None).
        teacher: Dict of the teacher's outputs, and its `head`.
        student: Dict of the student's outputs, and its `head`.

    Returns:
        Scalar, float32: the unweighted term. 0 when student = teacher, for
        terms that are distances.
    """

    def __init__(self, **kwargs):
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.built = True

    def compute(self, batch, teacher, student):
        """The term of one batch."""
        raise NotImplementedError(
            "A loss term must define `compute(batch, teacher, student)`. "
            f"Received: {type(self).__name__}"
        )
