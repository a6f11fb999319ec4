"""Terms of a task: its labels, and the teacher's logits on the same texts.

A task's logits are a softmax over their last axis: (B, C) of a classifier,
(B, T, C) of a token classifier, (B, 2, T) of a span extractor; or a number,
(B, 1), of a regressor. The formulas are the same for all.
"""

import keras
from keras import ops
from keras_kd.losses.hidden_states import HiddenStateTerm
from keras_kd.losses.loss_term import LossTerm
from keras_kd.losses.relations import RelationTerm
from keras_kd.losses.soft_targets import check_temperature, kl_and_gradient


def row_mean(values, weights):
    """Mean of `values` by `weights`, of one shape; 0 where all are 0."""
    values = ops.cast(values, "float32") * ops.cast(weights, "float32")
    total = ops.sum(ops.cast(weights, "float32"))
    return ops.divide_no_nan(ops.sum(values), total)


def check_task(name, expected, *models):
    """Refuses task models that an argument of `task_losses` is not made for.

    Args:
        name: Str, "regression" or "per_token": the argument, and the models'
            attribute.
        expected: Bool, as the argument was given.
        *models: Models; those that do not say are taken as they are.

    Raises:
        ValueError: If a model is of another kind, or no task model.
    """
    for model in models:
        if getattr(model, "head", None) is not None:
            raise ValueError(
                "`task_losses` are for task models such as `BertClassifier`; "
                "for a masked LM take `distilbert_losses`. Received: "
                f"{type(model).__name__}"
            )
        right = getattr(model, name, expected)
        if right != expected:
            raise ValueError(
                f"`{name}` must be {right} for a {type(model).__name__}: "
                f"`task_losses({name}={right})`. Received: {name}={expected}"
            )


@keras.saving.register_keras_serializable(package="keras_kd")
class LabelTerm(LossTerm):
    """Mean cross-entropy in nats of the student on the hard labels.

    Rows: those of `y` whose `sample_weight` is not 0: texts, (B,), tokens,
    (B, T), or starts and ends, (B, 2). Reduction: mean. Power of the
    temperature: 0. Teacher: not used.

    Args:
        regression: Bool. Whether the labels are numbers: the term is then the
            mean squared error.
    """

    def __init__(self, regression=False, **kwargs):
        super().__init__(**kwargs)
        self.regression = regression

    def row_weights(self, batch):
        return ops.cast(batch["sample_weight"], "float32")

    def check_models(self, teacher, student):
        check_task("regression", self.regression, student)

    def compute(self, batch, teacher, student):
        logits = ops.cast(student["logits"], "float32")
        if self.regression:
            errors = logits[..., 0] - ops.cast(batch["y"], "float32")
            return row_mean(errors**2, self.row_weights(batch))
        nats = ops.sparse_categorical_crossentropy(
            ops.cast(batch["y"], "int32"), logits, from_logits=True
        )
        return row_mean(nats, self.row_weights(batch))


class TeacherLogitsTerm(LossTerm):
    """Base: a mean over rows of a distance between both models' logits.

    Rows: every text of the batch, labelled or not; with `per_token`, every
    real token. Where a text has several rows of logits, as starts and ends,
    it counts their mean.
    """

    def __init__(self, per_token=False, **kwargs):
        super().__init__(**kwargs)
        self.per_token = per_token

    def check_models(self, teacher, student):
        check_task("per_token", self.per_token, teacher, student)

    def row_weights(self, batch):
        real = ops.cast(batch["x"]["padding_mask"], "float32")
        return real if self.per_token else ops.max(real, axis=-1)

    def compute(self, batch, teacher, student):
        weights = self.row_weights(batch)
        theirs, ours = (
            ops.cast(outputs["logits"], "float32")
            for outputs in (teacher, student)
        )
        distances = self.distance(theirs, ours)
        if len(distances.shape) > len(weights.shape):
            distances = ops.mean(distances, axis=-1)
        return row_mean(distances, weights)

    def distance(self, teacher_logits, student_logits):
        """Distance of each row: (..., C) twice, to (...)."""
        raise NotImplementedError(
            "A term of logits must define `distance(teacher_logits, "
            f"student_logits)`. Received: {type(self).__name__}"
        )


@keras.saving.register_keras_serializable(package="keras_kd")
class TaskSoftTargetTerm(TeacherLogitsTerm):
    """Mean over rows of temperature² · KL(teacher || student), of a task.

    Rows: as of `TeacherLogitsTerm`. Reduction: mean over rows of a sum over
    classes; over positions, of starts and ends, padding apart. Power of the
    temperature: 2.
    Source: Hinton et al., 2015, https://arxiv.org/abs/1503.02531

    Args:
        temperature: Float > 0. Held in a variable, so that a callback may
            assign to it inside a compiled step.
        per_token: Bool. Whether the logits are of tokens, (B, T, C).

    Raises:
        ValueError: If `temperature` is not above 0 or not finite.
    """

    def __init__(self, temperature=2.0, per_token=False, **kwargs):
        super().__init__(per_token, **kwargs)
        check_temperature(temperature)
        self.temperature = self.add_weight(
            name="temperature",
            shape=(),
            initializer=keras.initializers.Constant(temperature),
            trainable=False,
        )

    def check_models(self, teacher, student):
        super().check_models(teacher, student)
        check_task("regression", False, teacher, student)

    def distance(self, teacher_logits, student_logits):
        temperature = ops.convert_to_tensor(self.temperature)
        return kl_and_gradient(teacher_logits, student_logits, temperature)[0]


@keras.saving.register_keras_serializable(package="keras_kd")
class TaskLogitsMSETerm(TeacherLogitsTerm):
    """Mean over rows of the mean squared distance between logits, of a task.

    Rows: as of `TeacherLogitsTerm`. Reduction: mean over rows of a mean over
    the last axis. Power of the temperature: 0. For regressors, and where it
    does better than soft targets.
    Source: Ba & Caruana, 2013, https://arxiv.org/abs/1312.6184

    Args:
        per_token: Bool. Whether the logits are of tokens, (B, T, C).
    """

    def distance(self, teacher_logits, student_logits):
        return ops.mean((teacher_logits - student_logits) ** 2, axis=-1)


def task_losses(
    alpha_ce=0.5,
    alpha_label=0.5,
    alpha_hidden=0.0,
    alpha_relation=0.0,
    temperature=2.0,
    layer_map="uniform",
    project=False,
    regression=False,
    per_token=False,
    seed=None,
):
    """The terms of task distillation, ready for a `Distiller`.

    Of the first two, and their weights, as for questions and answers in the
    scripts of Sanh et al., 2019, https://arxiv.org/abs/1910.01108; hidden
    states by mean squares over a layer map as in the second stage of Jiao et
    al., 2019, https://arxiv.org/abs/1909.10351; relations as Wang et al.,
    2021, https://arxiv.org/abs/2012.15828.

    Args:
        alpha_ce: Float >= 0. Weight of `soft_target`, on every text; of a
            regressor, a mean squared distance.
        alpha_label: Float >= 0. Weight of `label`, on texts that have one.
        alpha_hidden: Float >= 0. Weight of `hidden_state`.
        alpha_relation: Float >= 0. Weight of `relation`, of the last layers.
        temperature: Float > 0, of the soft targets.
        layer_map: Of `hidden_state`, as of `HiddenStateTerm`.
        project: Likewise: for a student of another width.
        regression: Bool. Whether labels are numbers.
        per_token: Bool. Whether labels are of tokens.
        seed: Int or None. Of projections.

    Returns:
        Dict of `loss_terms` and `loss_weights`, for
        `Distiller(teacher, student, **task_losses())`. A term of weight 0 is
        left out.

    Raises:
        ValueError: If a weight is negative or not finite, all are 0, or
            `temperature` is not above 0 or not finite.
    """
    weights = {
        "soft_target": float(alpha_ce),
        "label": float(alpha_label),
        "hidden_state": float(alpha_hidden),
        "relation": float(alpha_relation),
    }
    allowed = all(0 <= w < float("inf") for w in weights.values())
    if not allowed or not any(weights.values()):
        raise ValueError(
            "`alpha_ce`, `alpha_label`, `alpha_hidden` and `alpha_relation` "
            "must be 0 or more and finite, and one of them above 0. Received: "
            f"{alpha_ce}, {alpha_label}, {alpha_hidden}, {alpha_relation}"
        )
    soft_target = TaskSoftTargetTerm(temperature, per_token)
    if regression:
        soft_target = TaskLogitsMSETerm(per_token)
    terms = {
        "soft_target": soft_target,
        "label": LabelTerm(regression),
        "hidden_state": HiddenStateTerm("mse", layer_map, project, seed),
        "relation": RelationTerm(),
    }
    used = [name for name, weight in weights.items() if weight > 0]
    return {
        "loss_terms": {name: terms[name] for name in used},
        "loss_weights": {name: weights[name] for name in used},
    }
