import dataclasses

import keras_kd as kd
import keras
import numpy as np
import pytest

# What is quick to build: TensorFlow's own graph; JAX has XLA, or nothing.
JIT = keras.backend.backend() == "jax"


@pytest.fixture
def batches(store, tokenizer):
    return kd.masked_lm_batches(store, tokenizer, 8, shuffle=False).take(3)


@pytest.fixture
def distiller(tiny_config):
    teacher = kd.BertMaskedLM(tiny_config, seed=0)
    student = kd.BertMaskedLM(
        tiny_config.with_layers(2, layer_drop=0.1), seed=1
    )
    distiller = kd.Distiller(teacher, student, **kd.distilbert_losses())
    distiller.compile(keras.optimizers.SGD(0.0), jit_compile=JIT)
    return distiller


class Watch(keras.callbacks.Callback):
    """Notes a variable's value after each step."""

    def __init__(self, variable):
        super().__init__()
        self.variable = variable
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        assert self.model  # on JAX: writes the state back to the variables
        self.seen.append(float(keras.ops.convert_to_numpy(self.variable)))


def test_a_temperature_goes_down_step_by_step_over_two_fits(distiller, batches):
    schedule = keras.optimizers.schedules.PolynomialDecay(4.0, 6, 1.0)
    watch = Watch(distiller.loss_terms["soft_target"].temperature)
    callbacks = [kd.ScheduleTemperature(schedule), watch]
    history = distiller.fit(batches, callbacks=callbacks, verbose=0)
    distiller.fit(batches, callbacks=callbacks, verbose=0)
    np.testing.assert_allclose(watch.seen, [4, 3.5, 3, 2.5, 2, 1.5])
    np.testing.assert_allclose(history.history["temperature"], [3.0])


@pytest.mark.parametrize(
    "jit_compile",
    [
        pytest.param(False, marks=[pytest.mark.tensorflow, pytest.mark.slow]),
        pytest.param(True, marks=pytest.mark.slow if not JIT else ()),
    ],
)
def test_a_weight_acts_inside_the_compiled_step(
    distiller, batches, jit_compile
):
    distiller.compile(keras.optimizers.SGD(0.0), jit_compile=jit_compile)
    logs = {}
    for weight in (2.0, 7.0):
        schedule = kd.ScheduleLossWeight("masked_lm", lambda step: weight)  # noqa: B023
        history = distiller.fit(batches, callbacks=[schedule], verbose=0)
        logs[weight] = {k: v[-1] for k, v in history.history.items()}
        assert logs[weight]["masked_lm_weight"] == weight
    for weight, log in logs.items():
        total = (
            5 * log["soft_target"]
            + weight * log["masked_lm"]
            + log["hidden_state"]
        )
        np.testing.assert_allclose(log["loss"], total, rtol=1e-5)


@pytest.mark.slow
def test_the_gradient_feels_the_weight(distiller, batches):
    start = distiller.student.get_weights()
    moves = []
    for weight in (1.0, 3.0):
        distiller.student.set_weights(start)
        distiller.compile(keras.optimizers.SGD(1e-3), jit_compile=JIT)
        schedules = [
            kd.ScheduleLossWeight("masked_lm", lambda step: weight),  # noqa: B023
            kd.ScheduleLossWeight("soft_target", lambda step: 0.0),
            kd.ScheduleLossWeight("hidden_state", lambda step: 0.0),
            kd.ScheduleLayerDrop(lambda step: 0.0),
        ]
        distiller.fit(batches.take(1), callbacks=schedules, verbose=0)
        after = distiller.student.get_weights()
        moves.append(after[0] - start[0])
    np.testing.assert_allclose(moves[1], 3 * moves[0], rtol=0.01, atol=1e-6)


@pytest.mark.slow
def test_layer_drop_moves_in_student_and_in_plain_model(distiller, batches):
    student = distiller.student
    drop = kd.ScheduleLayerDrop(lambda step: 0.1 * step)
    history = distiller.fit(batches, callbacks=[drop], verbose=0)
    np.testing.assert_allclose(history.history["layer_drop"], 0.2, rtol=1e-6)
    student.compile("sgd", jit_compile=JIT)
    drop = kd.ScheduleLayerDrop(lambda step: 0.5)
    student.fit(batches, callbacks=[drop], verbose=0)
    for layer in student.backbone.layer_drops:
        assert float(keras.ops.convert_to_numpy(layer.rate)) == 0.5


def test_layer_drop_moves_in_a_teacher_that_distils_within(
    tiny_config, batches
):
    config = dataclasses.replace(tiny_config, layer_drop=0.2)
    model = kd.SelfDistiller(kd.BertMaskedLM(config, seed=0), (0,), seed=0)
    model.compile("sgd", jit_compile=JIT)
    drop = kd.ScheduleLayerDrop(lambda step: 0.1 * step)
    history = model.fit(batches, callbacks=[drop], verbose=0)
    np.testing.assert_allclose(history.history["layer_drop"], 0.2, rtol=1e-6)


def test_layer_drop_may_be_a_share_of_each_layers_rate(tiny_config):
    """Progressive: the linear law, from none to all of it."""
    rates = kd.layer_drop_rates("linear", 3, 0.4)
    config = tiny_config.with_layers(3, layer_drop=rates)
    model = kd.BertMaskedLM(config, seed=0)
    model.compile("sgd")
    drop = kd.ScheduleLayerDrop(
        keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0), relative=True
    )
    drop.set_model(model)
    for step, share in ((0, 0.0), (5, 0.5), (10, 1.0), (20, 1.0)):
        model.optimizer.iterations.assign(step)
        drop.assign()
        found = [
            float(v) for v in map(keras.ops.convert_to_numpy, drop.variables())
        ]
        np.testing.assert_allclose(found, share * np.array(rates), atol=1e-6)
    logs = {}
    drop.on_epoch_end(0, logs)
    assert logs["layer_drop"] == pytest.approx(0.4)
    wrong = kd.ScheduleLayerDrop(lambda step: 1.1, relative=True)
    wrong.set_model(model)
    with pytest.raises(ValueError, match=r"a share in \[0, 1\]"):
        wrong.assign()


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (kd.ScheduleTemperature(lambda step: 0.0), "above 0 as temperature"),
        (kd.ScheduleLossWeight("masked_lm", lambda step: -1.0), "0 or more"),
        (kd.ScheduleLayerDrop(lambda step: 1.0), r"rate in \[0, 1\)"),
        (
            kd.ScheduleLossWeight("nothing", lambda step: 1.0),
            "must be one of.*masked_lm.*Received: 'nothing'",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_step(
    distiller, batches, schedule, message
):
    with pytest.raises(ValueError, match=message):
        distiller.fit(batches, callbacks=[schedule], verbose=0)
    assert int(distiller.optimizer.iterations) == 0


def test_a_model_without_layer_drop_is_refused(tiny_config, batches):
    model = kd.BertMaskedLM(tiny_config)
    model.compile("sgd", jit_compile=JIT)
    drop = kd.ScheduleLayerDrop(lambda step: 0.5)
    with pytest.raises(ValueError, match="needs a model with LayerDrop"):
        model.fit(batches, callbacks=[drop], verbose=0)


def test_a_learning_rate_moves_step_by_step_through_what_wraps_it(
    distiller, batches
):
    distiller.compile(
        kd.SkipNonFinite(keras.optimizers.SGD(1.0)), jit_compile=JIT
    )
    start = distiller.student.get_weights()
    rates = kd.ScheduleLearningRate(lambda step: 0.0 if step < 3 else 0.1)
    history = distiller.fit(batches, callbacks=[rates], verbose=0).history
    assert history["learning_rate"] == [0.0]
    for before, after in zip(
        start, distiller.student.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    history = distiller.fit(batches, callbacks=[rates], verbose=0).history
    np.testing.assert_allclose(history["learning_rate"], [0.1])
    assert (distiller.student.get_weights()[0] != start[0]).any()


def test_an_optimizer_with_a_schedule_of_its_own_is_refused(distiller, batches):
    schedule = keras.optimizers.schedules.PolynomialDecay(0.1, 6, 0.0)
    distiller.compile(keras.optimizers.SGD(schedule), jit_compile=JIT)
    with pytest.raises(ValueError, match="made with a number.*PolynomialDecay"):
        distiller.fit(
            batches,
            callbacks=[kd.ScheduleLearningRate(lambda step: 0.1)],
            verbose=0,
        )


def test_kerass_own_schedule_is_traced_once_and_followed(distiller, batches):
    class Traced(keras.optimizers.schedules.CosineDecay):
        calls = 0

        def __call__(self, step):
            Traced.calls += 1
            return super().__call__(step)

    schedule = Traced(0.0, 4, warmup_target=0.01, warmup_steps=2)
    callback = kd.ScheduleLearningRate(schedule)
    distiller.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    rates = []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: rates.append(
            float(distiller.optimizer.learning_rate)
        )
    )
    distiller.fit(
        batches.repeat().take(4), callbacks=[callback, record], verbose=0
    )
    np.testing.assert_allclose(rates, [0.0, 0.005, 0.01, 0.0085355], rtol=1e-5)
    if keras.backend.backend() == "jax":
        assert Traced.calls == 1
