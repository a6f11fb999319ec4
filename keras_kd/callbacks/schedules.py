"""Schedules of what is neither a weight nor a learning rate.

Each moves a variable, so that it acts inside a step that is compiled. A
schedule is any function of the step, counted from 0 and going on over epochs,
fits and resumed runs, to a number: Keras's learning-rate schedules are such.
With `steps_per_execution` above 1 it is asked once an execution.
"""

import itertools

import keras
from keras import ops


class Schedule(keras.callbacks.Callback):
    """Base: assigns `schedule(step)` before each step, and logs it.

    A schedule overrides `variables`, and what values it allows.

    Args:
        schedule: Function of an int step to a float, such as
            `keras.optimizers.schedules.PolynomialDecay(4.0, 10_000, 1.0)`.

    Raises:
        ValueError: On `fit`, if there is nothing to schedule in the model,
            or when the schedule gives a value that is not allowed.
    """

    name = "value"
    expected = "any number"

    def __init__(self, schedule):
        super().__init__()
        self.schedule = _traced_once(schedule)

    def variables(self):
        """The variables of `self.model` that the schedule moves."""
        raise NotImplementedError(
            f"A schedule must define `variables()`. Received: {type(self)}"
        )

    def shares(self):
        """What each variable gets of the schedule's value: all of it."""
        return itertools.repeat(1.0)

    def allowed(self, value):
        """Whether a variable may have this value."""
        return True

    def on_train_begin(self, logs=None):
        self.assign()

    def on_train_batch_begin(self, batch, logs=None):
        self.assign()

    def assign(self):
        """Moves the variables to the value of the optimizer's step."""
        step = int(self.model.optimizer.iterations)
        value = float(ops.convert_to_numpy(self.schedule(step)))
        if not self.allowed(value):
            raise ValueError(
                f"`schedule` must give {self.expected} as {self.name}. "
                f"Received: {value} at step {step}"
            )
        for variable, share in zip(
            self.variables(), self.shares(), strict=False
        ):
            variable.assign(share * value)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            values = map(ops.convert_to_numpy, self.variables())
            logs[self.name] = max(float(value) for value in values)


class ScheduleLearningRate(Schedule):
    """Moves an optimizer's learning rate, step by step.

    For a model that is fitted several times by other rates and not compiled
    anew: a schedule that is handed to an optimizer cannot be changed, and
    Keras's `LearningRateScheduler` goes by epochs.

    Args:
        schedule: Function of an int step to a float >= 0.

    Raises:
        ValueError: On `fit`, if the optimizer has a schedule of its own, or
            when this one gives a rate below 0 or not finite.
    """

    name = "learning_rate"
    expected = "a finite number of 0 or more"

    def variables(self):
        optimizer = self.model.optimizer
        while hasattr(optimizer, "inner_optimizer"):
            optimizer = optimizer.inner_optimizer
        rate = optimizer._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            raise ValueError(
                "`ScheduleLearningRate` needs an optimizer made with a number "
                f"as `learning_rate`. Received: {type(rate).__name__}"
            )
        return [rate]

    def allowed(self, value):
        return 0 <= value < float("inf")


class ScheduleLossWeight(Schedule):
    """Moves the weight of one term of a `Distiller`.

    Args:
        term: Str, a name in the Distiller's `loss_terms`.
        schedule: Function of an int step to a float >= 0.

    Raises:
        ValueError: On `fit`, if the model has no such term, or when the
            schedule gives a weight below 0 or not finite.
    """

    expected = "a finite number of 0 or more"

    def __init__(self, term, schedule):
        super().__init__(schedule)
        self.term = term
        self.name = f"{term}_weight"

    def variables(self):
        weights = getattr(self.model, "loss_weights", None) or {}
        return [_find(weights, self.term)]

    def allowed(self, value):
        return 0 <= value < float("inf")


class ScheduleTemperature(Schedule):
    """Moves the temperature of a `Distiller`'s soft targets.

    Args:
        schedule: Function of an int step to a float > 0.
        term: Str, the term's name in the Distiller's `loss_terms`.

    Raises:
        ValueError: On `fit`, if the model has no such term, or when the
            schedule gives a temperature not above 0 or not finite.
    """

    name = "temperature"
    expected = "a finite number above 0"

    def __init__(self, schedule, term="soft_target"):
        super().__init__(schedule)
        self.term = term

    def variables(self):
        terms = getattr(self.model, "loss_terms", None) or {}
        return [_find(terms, self.term).temperature]

    def allowed(self, value):
        return 0 < value < float("inf")


class ScheduleLayerDrop(Schedule):
    """Moves the rate of all of a model's LayerDrop layers.

    Of the model that is fitted; where that is a `Distiller`, of its student.
    Constant, warmed up, decayed by a cosine or a line: any schedule of Keras's
    is one. Progressive, as in PLD: from 0 to more, with `relative` on rates of
    the linear law (Zhang & He, 2020, https://arxiv.org/abs/2010.13369).

    Args:
        schedule: Function of an int step to a float in [0, 1).
        relative: Bool. Whether that is a share, in [0, 1], of the rate that
            each layer has by the config, where these differ.

    Raises:
        ValueError: On `fit`, if the model has no LayerDrop, or when the
            schedule gives a rate out of [0, 1).
    """

    name = "layer_drop"
    expected = "a rate in [0, 1)"

    def __init__(self, schedule, relative=False):
        super().__init__(schedule)
        self.relative = relative
        if relative:
            self.expected = "a share in [0, 1]"

    def shares(self):
        if self.relative:
            return self.backbone().config.layer_drop_rates
        return super().shares()

    def backbone(self):
        """What holds the LayerDrop layers."""
        model = getattr(self.model, "student", self.model)
        return getattr(model, "backbone", model)

    def variables(self):
        backbone = self.backbone()
        layers = getattr(backbone, "layer_drops", None)
        if not layers:
            raise ValueError(
                "`ScheduleLayerDrop` needs a model with LayerDrop: a config "
                f"with `layer_drop` above 0. Received: {backbone.name}"
            )
        return [layer.rate for layer in layers]

    def allowed(self, value):
        return 0 <= value < 1 or (self.relative and value == 1)


def _traced_once(schedule):
    """On JAX Keras's schedules trace their branches anew at each call."""
    keras_own = keras.optimizers.schedules.LearningRateSchedule
    if keras.backend.backend() != "jax" or not isinstance(schedule, keras_own):
        return schedule
    import jax

    return jax.jit(schedule)


def _find(named, term):
    """The entry of a term, or an error that names those there are."""
    if term not in named:
        raise ValueError(
            "`term` must be one of the model's `loss_terms`. Expected: "
            f"{sorted(named)}. Received: {term!r}"
        )
    return named[term]
