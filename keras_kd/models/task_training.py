"""TaskTraining: `compile`, `fit` and `evaluate` that count real rows alone."""

import inspect

import keras
from keras import ops
from keras_kd.data.checked_batches import BatchCheck, checked_batches
from keras_kd.metrics import of_real_rows


class TaskTraining:
    """Mixed into the models that are trained on labels.

    Attributes:
        num_classes: Int, of the labels' ids; None where they are none.
        regression: Bool. Whether labels are numbers.
        per_token: Bool. Whether there is a label for each token.
        labels_are_positions: Bool. Whether labels say where tokens stand.
    """

    num_classes = None
    regression = False
    per_token = False
    labels_are_positions = False

    def compile(self, *args, metrics=None, weighted_metrics=None, **kwargs):
        """Keras's `compile`; what has weight 0 counts in no metric.

        In `metrics` all other rows count 1, in `weighted_metrics` their weight.
        """
        weighted_metrics = of_real_rows(metrics, weighted_metrics)
        super().compile(*args, weighted_metrics=weighted_metrics, **kwargs)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics of `compile`, on logits, every row by itself.

        Keras takes a text's mean first, over as many places as its batch is
        wide: of batches of other widths a word would count otherwise.
        """
        if y is not None and y_pred is not None and len(y.shape) > 1:
            if sample_weight is not None:
                missing = (1,) * (len(y.shape) - len(sample_weight.shape))
                shape = (*ops.shape(sample_weight), *missing)
                sample_weight = ops.reshape(sample_weight, shape)
                sample_weight = ops.reshape(
                    ops.broadcast_to(sample_weight, ops.shape(y)), (-1,)
                )
            if len(y_pred.shape) > len(y.shape):
                last = ops.shape(y_pred)[-1]
                y_pred = ops.reshape(y_pred, (-1, last))
            else:
                y_pred = ops.reshape(y_pred, (-1, 1))
            y = ops.reshape(y, (-1,))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def trained_model(self):
        """The model that is trained: of a trainer, its student.

        No property: Keras would save it a second time, under that name.
        """
        return self

    def make_check(self, class_weight=None):
        """A `BatchCheck` of what the model can learn from."""
        model = self.trained_model()
        return BatchCheck(
            getattr(model, "num_classes", None),
            getattr(model, "regression", False),
            getattr(model, "labels_are_positions", False),
            model.config.vocabulary_size if hasattr(model, "config") else None,
            class_weight,
            labels_rank(model),
        )

    def fit(self, *args, **kwargs):
        """Keras's `fit`; each batch is checked before a step sees it.

        `class_weight`, of class ids, multiplies the weights there are.

        Raises:
            ValueError: If a label, a position or a weight is out of its range.
            RuntimeError: If Keras runs on neither TensorFlow nor JAX.
        """
        check_backend(self)
        given = fit_arguments(self, args, kwargs)
        check = self.make_check(given.pop("class_weight", None))
        of_validation = self.make_check()
        names = ("x", "y", "sample_weight")
        found = checked_batches(*map(given.get, names), check)
        given |= dict(zip(names, found, strict=True))
        held_out = given.get("validation_data")
        if isinstance(held_out, tuple):
            parts = (*held_out, None, None)[:3]
            given["validation_data"] = checked_batches(*parts, of_validation)
        elif held_out is not None:
            given["validation_data"], _, _ = checked_batches(
                held_out, None, None, of_validation
            )
        with raising_of(check, of_validation):
            return super().fit(**given)

    def _get_jax_state(self, purge_model_variables=False, **kinds):
        """Keras's, on JAX; an error in the first step loses no weight.

        Keras takes the values out of all variables and knows them again only
        after a step: they are told before it.
        """
        state = super()._get_jax_state(
            purge_model_variables=purge_model_variables, **kinds
        )
        if purge_model_variables:
            names = [name for name, asked in kinds.items() if asked]
            self._jax_state = dict(zip(names, state, strict=True))
        return state

    def evaluate(
        self,
        x=None,
        y=None,
        *args,
        sample_weight=None,
        _use_cached_eval_dataset=False,
        **kwargs,
    ):
        """Keras's `evaluate`; each batch is checked as by `fit`."""
        check = self.make_check()
        if _use_cached_eval_dataset:  # within `fit`, which has checked
            kwargs["_use_cached_eval_dataset"] = True
        else:
            x, y, sample_weight = checked_batches(x, y, sample_weight, check)
        with raising_of(check):
            return super().evaluate(
                x, y, *args, sample_weight=sample_weight, **kwargs
            )


def labels_rank(model):
    """Axes of a model's labels: one label for each row of its logits."""
    outputs = getattr(model, "output", None)
    if not isinstance(outputs, dict) or "logits" not in outputs:
        return None
    return len(outputs["logits"].shape) - 1


def fit_arguments(model, args, kwargs):
    """What Keras's `fit` is given, a dict by its arguments' names."""
    bound = inspect.signature(keras.Model.fit).bind(model, *args, **kwargs)
    return {n: v for n, v in bound.arguments.items() if n != "self"}


def check_backend(model):
    """Refuses to train where there is no training of ours.

    Args:
        model: Keras model whose kind is told.

    Raises:
        RuntimeError: If Keras runs on neither TensorFlow nor JAX.
    """
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise RuntimeError(
            f"`{type(model).__name__}` trains on the TensorFlow and JAX "
            "backends: set KERAS_BACKEND=tensorflow or KERAS_BACKEND=jax "
            f"before Python starts. Received: KERAS_BACKEND={backend}"
        )


class raising_of:  # noqa: N801
    """Within it, an error of tf.data is the check's own, in its words."""

    def __init__(self, *checks):
        self.checks = checks

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        for check in self.checks:
            if error is not None and check.error not in (None, error):
                raise check.error from error
