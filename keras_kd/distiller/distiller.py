"""Distiller: a Keras model that trains a student under a frozen teacher."""

import functools

import keras
from keras import ops
from keras_kd.distiller.fitting import Fitting
from keras_kd.distiller.term_mean import TermMean
from keras_kd.losses import LabelTerm, VocabularyTerm, vocabulary_pass
from keras_kd.models.task_training import check_backend

if keras.backend.backend() == "tensorflow":
    from keras_kd.distiller.tensorflow_step import TensorFlowStep as BackendStep
elif keras.backend.backend() == "jax":
    from keras_kd.distiller.jax_step import JaxStep as BackendStep
else:

    class BackendStep:
        """No training step of ours on this backend."""

        def train_step(self, *args):
            check_backend(self)


class Distiller(Fitting, BackendStep, keras.Model):
    """Trains `student` to do as `teacher` does, with stock `fit`.

    At each step the teacher runs once, in inference mode, outside of the
    gradient; the student once; total = Σ weight · term. Every term is logged
    unweighted under its name, the total as `loss`; batches are averaged by
    their rows, so that one that is partly filled counts less. All the terms
    that need the vocabulary share one pass over it. `x`, `y`,
    `sample_weight` are those of `keras_kd.masked_lm_batches`. Metrics given to
    `compile(metrics=...)` see `mask_ids` and the student's logits.

    The teacher is part of the Distiller's variables but is never trained and
    never saved; the object handed in is left as it was. `distiller.save(...)`
    saves the student, and so does Keras's `ModelCheckpoint`. A loss that is
    no number is logged as such, and training ends after that epoch; what
    `SkipNonFinite` leaves out, the logs of the terms leave out too.

    Args:
        teacher: `BertMaskedLM`, or a model with the same dicts and a `head`;
            where no term needs the vocabulary, a `BertBackbone` too, on the
            batches of `keras_kd.token_batches`; for a task's terms, of
            `task_losses`, a task model such as `BertClassifier`, on batches
            such as those of `keras_kd.labeled_batches`.
        student: Likewise, with the teacher's vocabulary.
        loss_terms: Dict of str to `LossTerm`, as from `distilbert_losses`.
        loss_weights: Dict of str to float >= 0, held in variables; default 1
            for each term.
        micro_batches: Int. Parts that each batch is split into inside the
            step, to need less memory. Every term stays a mean over the rows
            of the whole batch, so the update is that of the whole batch; a
            step begins and ends within one batch, so nothing is carried over
            an epoch's border. Dropout and LayerDrop are drawn for each part.
        seed: Int or None. Seed of the tokens that have soft targets, where
            not all have.

    Raises:
        ValueError: If vocabularies differ, if a term cannot compare the two
            models or needs a head that one does not have, if weights and
            terms do not match, or if `micro_batches` is below 1; on `fit`, if
            it does not divide the batch.
    """

    def __init__(
        self,
        teacher,
        student,
        loss_terms,
        loss_weights=None,
        micro_batches=1,
        seed=None,
        **kwargs,
    ):
        # Of the student's precision, so that `compile` scales a float16 loss.
        super().__init__(**{"dtype": student.dtype_policy, **kwargs})
        check_pair(teacher, student, loss_terms)
        check_heads(teacher, student, loss_terms)
        loss_weights = loss_weights or dict.fromkeys(loss_terms, 1.0)
        check_weights(loss_terms, loss_weights)
        if micro_batches < 1:
            raise ValueError(
                f"`micro_batches` must be at least 1. Received: {micro_batches}"
            )
        self.teacher = teacher
        self.student = student
        # Functions, so that Keras does not track two more models.
        names = observed_names(loss_terms)
        self.call_teacher = functools.partial(
            teacher.observing(names), training=False
        )
        self.call_student = functools.partial(student.observing(names))
        self.micro_batches = micro_batches
        self.row_draws = keras.random.SeedGenerator(seed)
        self.loss_terms = dict(loss_terms)
        self.loss_weights = hold_weights(
            self, {name: loss_weights[name] for name in loss_terms}
        )
        # 1 once a plan was applied: saved with a checkpoint, so that a
        # resumed run is not started anew.
        self.student_initialized = self.add_weight(
            name="student_initialized",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
        )
        self.term_metrics = [TermMean(name=n) for n in loss_terms]
        # Both models are Functional, so nothing is left to build: callbacks
        # that restore or initialise weights run before the first batch.
        self.built = True

    def trained_model(self):
        return self.student

    def call(self, inputs, training=False):
        return self.call_student(inputs, training=training)

    def make_batch(self, x, y, sample_weight, training):
        """What loss terms are given: a dict, every tensor (B, ...).

        In training its `draws`, (B, T) in [0, 1), decide which tokens have
        soft targets where not all have.
        """
        batch = {"x": x}
        if y is not None:  # else there is nothing but text
            if sample_weight is None:
                sample_weight = ops.ones(ops.shape(y), "float32")
            batch |= {"y": y, "sample_weight": sample_weight}
        if training:
            batch["draws"] = keras.random.uniform(
                ops.shape(x["padding_mask"]),
                dtype="float32",
                seed=self.row_draws,
            )
        return batch

    def count_rows(self, batch):
        """Sum of the weights of the rows that each term is a mean over."""
        return ops.stack(
            [
                ops.sum(ops.cast(term.row_weights(batch), "float32"))
                for term in self.loss_terms.values()
            ]
        )

    def add_up(self, batch, teacher_outputs, student_outputs, shares=None):
        """The total of a batch, and its terms.

        Args:
            batch: From `make_batch`.
            teacher_outputs: Dict.
            student_outputs: Dict.
            shares: (terms,), the share of each term's rows that this batch
                has, where it is a part of another; else None.

        Returns:
            Pair: Σ share · weight · term, and (terms,), each share · term.
        """
        teacher, student = (
            {**outputs, "head": getattr(model, "head", None)}
            for model, outputs in (
                (self.teacher, teacher_outputs),
                (self.student, student_outputs),
            )
        )
        if shares is None:
            shares = ops.ones(len(self.loss_terms), "float32")
        shares = {name: shares[i] for i, name in enumerate(self.loss_terms)}
        factors = {
            name: share * ops.convert_to_tensor(self.loss_weights[name])
            for name, share in shares.items()
        }
        in_pass = [
            name
            for name, term in self.loss_terms.items()
            if isinstance(term, VocabularyTerm)
        ]
        total, values = 0.0, {}
        if in_pass:
            total, found = vocabulary_pass(
                [self.loss_terms[name] for name in in_pass],
                [factors[name] for name in in_pass],
                batch,
                teacher,
                student,
                compile_rows=self.compile_part(),
                loop=self.loop,
                enclose=self.enclose(),
            )
            values = dict(zip(in_pass, found, strict=True))
        for name, term in self.loss_terms.items():
            if name not in in_pass:
                values[name] = term.compute(batch, teacher, student)
                total = total + factors[name] * values[name]
        terms = [shares[name] * values[name] for name in self.loss_terms]
        return total, ops.stack(terms)

    def log_terms(self, values, counts, left_out=False):
        """Takes a batch's terms, and how many rows each has, into the logs.

        Args:
            values: (terms,), the terms.
            counts: (terms,), the rows of each.
            left_out: Bool, whether the batch is to count for nothing.
        """
        for index, metric in enumerate(self.term_metrics):
            metric.update_state(values[index], counts[index], left_out)

    def update_was_left_out(self):
        """Whether `SkipNonFinite` has just left an update out."""
        in_a_row = getattr(self.optimizer, "in_a_row", None)
        return in_a_row is not None and ops.greater(in_a_row, 0)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Total loss of a batch, the teacher's outputs included.

        Updates each term's metric.
        """
        batch = self.make_batch(x, y, sample_weight, training)
        total, values = self.add_up(batch, self.call_teacher(x), y_pred)
        self.log_terms(values, self.count_rows(batch))
        return total

    def split_batch(self, batch):
        """(B, ...) tensors to (`micro_batches`, B / `micro_batches`, ...)."""
        parts = self.micro_batches

        def split(values):
            size = values.shape[0]
            if size is not None and size % parts:
                raise ValueError(
                    "`micro_batches` must divide the batch. Expected: a "
                    f"divisor of {size}. Received: {parts}"
                )
            size = -1 if size is None else size // parts
            return ops.reshape(values, (parts, size, *values.shape[1:]))

        return keras.tree.map_structure(split, batch)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics of `compile`, on the logits, and the terms."""
        logits = y_pred.get("logits")  # None of an encoder without a head
        return super().compute_metrics(x, y, logits, sample_weight)

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


def observed_names(loss_terms):
    """What the terms want to see of the encoder layers, each once."""
    names = [n for term in loss_terms.values() for n in term.observed]
    return tuple(dict.fromkeys(names))


def check_pair(teacher, student, loss_terms):
    """Refuses a teacher and a student that cannot be compared."""
    theirs, ours = (model.config for model in (teacher, student))
    if theirs.vocabulary_size != ours.vocabulary_size:
        raise ValueError(
            "`student` must have the teacher's `vocabulary_size`. Expected: "
            f"{theirs.vocabulary_size}. Received: {ours.vocabulary_size}"
        )
    expected, received = (
        getattr(model, "class_names", None) for model in (teacher, student)
    )
    if expected and received and expected != received:
        raise ValueError(
            "`student` must have the teacher's `class_names`, in their order. "
            f"Expected: {expected}. Received: {received}"
        )
    expected, received = (
        getattr(model, "sigmoid", None) for model in (teacher, student)
    )
    if None not in (expected, received) and expected != received:
        raise ValueError(
            "`student` must have the teacher's `sigmoid`: its logits stand "
            f"for the same scores. Expected: {expected}. Received: {received}"
        )
    by_labels = [n for n, t in loss_terms.items() if isinstance(t, LabelTerm)]
    if received and by_labels:  # whose squares are of logits
        raise ValueError(
            f"`loss_terms` must have no term of labels, such as {by_labels}, "
            "for a BertRegressor with `sigmoid`: kd.task_losses(alpha_label=0, "
            "regression=True) learns from the teacher's logits, and "
            "`student.fit` from labels. Received: sigmoid=True"
        )

    kinds = "num_classes", "regression", "per_token", "labels_are_positions"
    for name in kinds if hasattr(student, "regression") else ():
        expected = getattr(teacher, name, None)
        received = getattr(student, name)
        if hasattr(teacher, name) and expected != received:
            raise ValueError(
                f"`student` must have the teacher's `{name}`. Expected: "
                f"{expected}. Received: {received}"
            )
    for term in loss_terms.values():
        term.check_models(teacher, student)
        term.build_for(theirs, ours)


def check_heads(teacher, student, loss_terms):
    """Refuses a term of the vocabulary where there is nothing to score it."""
    needing = [
        name
        for name, term in loss_terms.items()
        if isinstance(term, VocabularyTerm)
    ]
    for role, model in (("teacher", teacher), ("student", student)):
        if needing and getattr(model, "head", None) is None:
            raise ValueError(
                f"`{role}` must have a masked-LM head for the terms "
                f"{needing}: leave them out to compare hidden states alone. "
                f"Received: {type(model).__name__}"
            )


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


def hold_weights(model, loss_weights):
    """Loss weights as a model's variables, which a callback may move.

    Args:
        model: Keras model.
        loss_weights: Dict of str to float.

    Returns:
        Dict of the same names to variables.
    """
    return {
        name: model.add_weight(
            name=f"{name}_weight",
            shape=(),
            dtype="float32",
            initializer=keras.initializers.Constant(weight),
            trainable=False,
        )
        for name, weight in loss_weights.items()
    }
