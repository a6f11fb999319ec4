"""Distiller: a Keras model that trains a student under a frozen teacher."""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_kd.distiller.tensorflow_step import TensorFlowStep as BackendStep
else:

    class BackendStep:
        """No training step of ours on this backend yet."""

        def train_step(self, *args):
            raise RuntimeError(
                "`Distiller` trains on the TensorFlow backend. Received: "
                f"KERAS_BACKEND={keras.backend.backend()}"
            )


class Distiller(BackendStep, keras.Model):
    """Trains `student` to do as `teacher` does, with stock `fit`.

    At each step the teacher runs once, in inference mode, outside of the
    gradient; the student once; total = Σ weight · term. Every term is logged
    unweighted under its name, the total as `loss`; batches are averaged by
    their rows, so that one that is partly filled counts less. `x`, `y`,
    `sample_weight` are those of `keras_kd.masked_lm_batches`. Metrics given to
    `compile(weighted_metrics=...)` see `mask_ids` and the student's logits.

    The teacher is part of the Distiller's variables but is never trained and
    never saved; the object handed in is left as it was. To save the outcome,
    save the student: `distiller.student.save(...)`.

    Args:
        teacher: `BertMaskedLM`, or a model with the same dicts and a `head`.
        student: Likewise, with the teacher's vocabulary.
        loss_terms: Dict of str to `LossTerm`, as from `distilbert_losses`.
        loss_weights: Dict of str to float >= 0, held in variables; default 1
            for each term.

    Raises:
        ValueError: If vocabularies differ, if a term that compares hidden
            states meets different widths, or if weights and terms do not
            match.
    """

    def __init__(
        self, teacher, student, loss_terms, loss_weights=None, **kwargs
    ):
        # Of the student's precision, so that `compile` scales a float16 loss.
        super().__init__(**{"dtype": student.dtype_policy, **kwargs})
        check_pair(teacher, student, loss_terms)
        loss_weights = loss_weights or dict.fromkeys(loss_terms, 1.0)
        check_weights(loss_terms, loss_weights)
        self.teacher = teacher
        self.student = student
        self.loss_terms = dict(loss_terms)
        self.loss_weights = {
            name: self.add_weight(
                name=f"{name}_weight",
                shape=(),
                dtype="float32",
                initializer=keras.initializers.Constant(loss_weights[name]),
                trainable=False,
            )
            for name in loss_terms
        }
        # 1 once a plan was applied: saved with a checkpoint, so that a
        # resumed run is not started anew.
        self.student_initialized = self.add_weight(
            name="student_initialized",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
        )
        self.term_metrics = [keras.metrics.Mean(name=n) for n in loss_terms]
        # Both models are Functional, so nothing is left to build: callbacks
        # that restore or initialise weights run before the first batch.
        self.built = True

    def call(self, inputs, training=False):
        return self.student(inputs, training=training)

    def call_teacher(self, inputs):
        """The teacher's outputs, in inference mode."""
        return self.teacher(inputs, training=False)

    def unpack_batch(self, data):
        """`x`, `y`, `sample_weight` of a batch; the weights may be None."""
        return keras.utils.unpack_x_y_sample_weight(data)

    def compute_loss(
        self,
        x=None,
        y=None,
        y_pred=None,
        sample_weight=None,
        training=True,
        teacher_outputs=None,
    ):
        """Total loss of a batch; updates each term's metric."""
        if teacher_outputs is None:
            teacher_outputs = self.call_teacher(x)
        batch = {"x": x, "y": y, "sample_weight": sample_weight}
        teacher = {**teacher_outputs, "head": self.teacher.head}
        student = {**y_pred, "head": self.student.head}
        total = 0.0
        for metric, (name, term) in zip(
            self.term_metrics, self.loss_terms.items(), strict=True
        ):
            value = term.compute(batch, teacher, student)
            rows = keras.ops.sum(term.row_weights(batch))
            metric.update_state(value, sample_weight=rows)
            total = total + self.loss_weights[name] * value
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics of `compile`, on the logits, and the terms."""
        return super().compute_metrics(x, y, y_pred["logits"], sample_weight)

    def get_metrics_result(self):
        """All logs; `loss` is the weighted sum of the terms as logged."""
        terms = [metric.result() for metric in self.term_metrics]
        weights = self.loss_weights.values()
        total = sum(w * t for w, t in zip(weights, terms, strict=True))
        return {**super().get_metrics_result(), "loss": total}

    @property
    def trainable_weights(self):
        """Those of the student and of the terms, never the teacher's."""
        frozen = {id(weight) for weight in self.teacher.weights}
        return [w for w in super().trainable_weights if id(w) not in frozen]

    @property
    def trainable_variables(self):
        """Those of the student and of the terms, never the teacher's."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self):
        """All other variables, the whole teacher included."""
        trained = {id(weight) for weight in self.trainable_weights}
        return [v for v in self.variables if id(v) not in trained]

    def __dir__(self):
        # Keras finds what to write into a checkpoint by `dir`: the frozen
        # teacher, itself or as one of `layers`, stays out of it.
        hidden = ("teacher", "layers")
        return [name for name in super().__dir__() if name not in hidden]


def check_pair(teacher, student, loss_terms):
    """Refuses a teacher and a student that cannot be compared."""
    theirs, ours = (model.config for model in (teacher, student))
    if theirs.vocabulary_size != ours.vocabulary_size:
        raise ValueError(
            "`student` must have the teacher's `vocabulary_size`. Expected: "
            f"{theirs.vocabulary_size}. Received: {ours.vocabulary_size}"
        )
    for term in loss_terms.values():
        term.build_for(theirs, ours)


def check_weights(loss_terms, loss_weights):
    """Refuses loss weights that do not belong to the terms."""
    if not loss_terms or set(loss_weights) != set(loss_terms):
        raise ValueError(
            "`loss_weights` must name each of `loss_terms`. Expected: "
            f"{sorted(loss_terms)}. Received: {sorted(loss_weights)}"
        )
    if not all(0 <= w < float("inf") for w in loss_weights.values()):
        raise ValueError(
            "`loss_weights` must be 0 or more, and finite. "
            f"Received: {loss_weights}"
        )
