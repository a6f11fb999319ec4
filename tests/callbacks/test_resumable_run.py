"""A run that was interrupted ends as one that was not, bit for bit."""

import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import keras_kd as kd
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_kd.callbacks.checkpoint_folders import CheckpointFolders

JIT = keras.backend.backend() == "jax"
STEPS, EPOCHS = 4, 3


class Killed(Exception):
    """Stands for a process that is gone: nothing is saved any more."""


class Kill(keras.callbacks.Callback):
    """Ends training after so many steps."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        if self.left <= 0:
            return
        self.left -= 1
        if not self.left:
            raise Killed


def make_distiller(config, jit_compile=JIT, **arguments):
    """With dropout, LayerDrop, projection, accumulation and a clip."""
    teacher = kd.BertMaskedLM(config, seed=0)
    student = kd.BertMaskedLM(
        config.with_layers(2, layer_drop=0.4, dropout=0.2), seed=1
    )
    distiller = kd.Distiller(
        teacher,
        student,
        **kd.distilbert_losses(restrict_ce_to_mask=True, unmasked_share=0.5),
        micro_batches=2,
        seed=3,
    )
    optimizer = kd.SkipNonFinite(
        keras.optimizers.Adam(1e-2, gradient_accumulation_steps=3)
    )
    distiller.compile(optimizer, jit_compile=jit_compile, **arguments)
    return distiller


def train(folder, store, tokenizer, distiller, callbacks=(), **arguments):
    """Fits for the epochs that are left; returns the run and its history."""
    run = kd.ResumableRun(folder, **{"every_steps": 3, **arguments})
    batches = kd.masked_lm_batches(
        store, tokenizer, 8, seed=5, first_batch=run.batches
    )
    temperature = kd.ScheduleTemperature(lambda step: 2.0 + 0.1 * step)
    start = kd.InitializeStudent("first")
    try:
        history = distiller.fit(
            batches.repeat(),
            steps_per_epoch=STEPS,
            epochs=EPOCHS,
            initial_epoch=run.epoch,
            validation_data=kd.masked_lm_batches(
                store, tokenizer, 8, shuffle=False
            ).take(1),
            callbacks=[start, temperature, *run.stateful, run, *callbacks],
            verbose=0,
        )
    finally:
        run.close()
    return run, history


def values(distiller):
    """All that is trained or counted, the teacher left out."""
    theirs = {id(v) for v in distiller.teacher.variables}
    variables = [v for v in distiller.variables if id(v) not in theirs]
    variables += distiller.optimizer.variables
    return {
        f"{index} {v.path}": keras.ops.convert_to_numpy(v)
        for index, v in enumerate(variables)
    }


def assert_equal(one, other):
    assert len(one) == len(other) > 20
    for (path, a), b in zip(one.items(), other.values(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=path)


CONFIG = {"seed": 1, "corpus": ("a", "b")}


@pytest.fixture(scope="module")
def uninterrupted(tokenizer, tmp_path_factory):
    """A run that nothing came between: store, folder, weights, history."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    store = make_store(folder, tokenizer)
    distiller = make_distiller(make_config(tokenizer))
    run, history = train(
        folder / "run", store, tokenizer, distiller, keep=1, config=CONFIG
    )
    assert history.history == run.history
    return store, folder / "run", values(distiller), history.history


@pytest.fixture
def finished(uninterrupted, tmp_path):
    """Store, and a copy of the uninterrupted run's folder."""
    store, folder, *_ = uninterrupted
    return store, shutil.copytree(folder, tmp_path / "finished")


def make_store(folder, tokenizer):
    texts = ["the cat sat on the mat and looked at the dog"] * 60
    return kd.TokenStore.write(folder / "store", texts, tokenizer, 12)


def make_config(tokenizer):
    return kd.BertConfig(
        tokenizer.vocabulary_size, 2, 16, 2, max_sequence_length=16, dropout=0.1
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps",
    [
        2,  # before any checkpoint
        6,  # two steps into the second epoch
        9,  # at the third's first
    ],
)
def test_a_killed_run_ends_as_if_nothing_had_been(
    uninterrupted, tokenizer, tmp_path, steps
):
    store, _, weights, history = uninterrupted
    config = make_config(tokenizer)
    with pytest.raises(Killed):
        train(tmp_path, store, tokenizer, make_distiller(config), [Kill(steps)])
    distiller = make_distiller(config)
    run, found = train(tmp_path, store, tokenizer, distiller)
    assert run.batches == STEPS * EPOCHS
    assert found.history == run.history == history
    assert found.epoch == list(range(EPOCHS))
    assert_equal(values(distiller), weights)


@pytest.mark.slow
def test_a_run_that_has_ended_is_left_as_it_is(
    uninterrupted, finished, tokenizer
):
    *_, weights, history = uninterrupted
    store, folder = finished
    distiller = make_distiller(make_config(tokenizer))
    run, found = train(folder, store, tokenizer, distiller, config=CONFIG)
    assert run.epoch == EPOCHS
    assert found.history == history
    assert_equal(values(distiller), weights)


@pytest.mark.slow
def test_another_teacher_is_refused(finished, tokenizer):
    store, folder = finished
    distiller = make_distiller(make_config(tokenizer))
    distiller.teacher.set_weights(
        [weight + 1 for weight in distiller.teacher.get_weights()]
    )
    with pytest.raises(ValueError, match="`teacher` must be the one"):
        train(folder, store, tokenizer, distiller, config=CONFIG)


@pytest.mark.slow
def test_another_student_is_refused(finished, tokenizer):
    store, folder = finished
    config = make_config(tokenizer)
    teacher = kd.BertMaskedLM(config, seed=0)
    student = kd.BertMaskedLM(config.with_layers(1))
    distiller = kd.Distiller(teacher, student, **kd.distilbert_losses())
    distiller.compile(kd.SkipNonFinite(keras.optimizers.Adam()))
    with pytest.raises(ValueError, match="must have the model variables"):
        train(folder, store, tokenizer, distiller, config=CONFIG)


def fit_line(folder, inputs, callbacks=(), dropout=0.0, **arguments):
    """A plain Keras model, y = w x, a step for each number."""
    first = keras.Input((1,))
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    dropped = keras.layers.Dropout(dropout, seed=4)(first)
    model = keras.Model(first, layer(dropped))
    model.compile(kd.SkipNonFinite(keras.optimizers.Adam(0.1)), "mse")
    x = np.array(inputs, "float32")[:, None]
    run = kd.ResumableRun(folder, **{"every_steps": 1, **arguments})
    try:
        batches = tf.data.Dataset.from_tensor_slices((x, np.zeros_like(x)))
        model.fit(
            batches.batch(1).repeat().skip(run.batches),
            epochs=3,
            steps_per_epoch=len(inputs),
            initial_epoch=run.epoch,
            validation_data=(np.ones((1, 1)), np.ones((1, 1))),
            shuffle=False,
            callbacks=[*run.stateful, run, *callbacks],
            verbose=0,
        )
    finally:
        run.close()
    run.weights = model.get_weights()
    return run


@pytest.mark.parametrize("steps", [1, 2, 4, 5])
def test_a_killed_line_ends_as_if_nothing_had_been(tmp_path, steps):
    numbers = [1.0, 2.0, -1.0]
    whole = fit_line(tmp_path / "whole", numbers, dropout=0.5)
    arguments = {"dropout": 0.5, "every_steps": 2}
    with pytest.raises(Killed):
        fit_line(tmp_path / "cut", numbers, [Kill(steps)], **arguments)
    found = fit_line(tmp_path / "cut", numbers, **arguments)
    np.testing.assert_array_equal(found.weights, whole.weights)
    assert found.history == whole.history
    assert found.batches == 9


class AskToEnd(keras.callbacks.Callback):
    """Sends SIGTERM while the held-out batches of an epoch are looked at."""

    def __init__(self, validation):
        super().__init__()
        self.validations = validation

    def on_test_batch_begin(self, batch, logs=None):
        self.validations -= 1
        if self.validations == 0:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("validation", [1, 2, 3])
def test_an_end_while_validating_is_as_if_nothing_had_been(
    tmp_path, validation, capsys
):
    numbers = [1.0, 2.0, -1.0]
    whole = fit_line(tmp_path / "whole", numbers, dropout=0.5)
    arguments = {"dropout": 0.5, "every_steps": 100}
    with pytest.raises(SystemExit) as ended:
        fit_line(tmp_path / "cut", numbers, [AskToEnd(validation)], **arguments)
    assert ended.value.code == 0
    name = f"epoch-0000{validation - 1}-step-000000003"
    assert f"SIGTERM: saved {name}" in capsys.readouterr().out
    found = fit_line(tmp_path / "cut", numbers, **arguments)
    np.testing.assert_array_equal(found.weights, whole.weights)
    assert found.history == whole.history
    assert found.batches == 9


def test_the_last_ones_and_the_best_are_kept(tmp_path):
    run = fit_line(tmp_path, [2.0, 0.0, 0.0], keep=1)
    lowest = int(np.argmin(run.history["val_loss"])) + 1
    names = {run.folders.name(lowest, 0), run.folders.name(3, 0)}
    assert set(run.folders.names()) == names
    best = {"name": run.folders.name(lowest, 0)}
    assert run.best == {**best, "value": min(run.history["val_loss"])}


def test_another_config_is_refused_field_by_field(tmp_path):
    fit_line(tmp_path, [1.0], config=CONFIG)
    kd.ResumableRun(tmp_path, config=CONFIG).close()
    with pytest.raises(ValueError, match="seed: 1, now 2; width: None, now 8"):
        kd.ResumableRun(tmp_path, config={**CONFIG, "seed": 2, "width": 8})


def test_the_memory_of_other_callbacks_is_restored(tmp_path):
    def early_stopping():
        return keras.callbacks.EarlyStopping(
            "val_loss", patience=5, restore_best_weights=True
        )

    first, second, seen = early_stopping(), early_stopping(), []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append({**vars(second)})

    with pytest.raises(Killed):
        fit_line(tmp_path, [1.0, 2.0], [Kill(5)], stateful=[first])
    fit_line(tmp_path, [1.0, 2.0], [Look()], stateful=[second])
    assert first.best is not None
    for name in ("best", "wait", "best_epoch", "stopped_epoch"):
        assert seen[0][name] == getattr(first, name)
    np.testing.assert_array_equal(seen[0]["best_weights"], first.best_weights)


def test_too_many_updates_that_are_no_numbers_end_the_run(tmp_path):
    good, bad = [1.0] * 4, [np.nan] * 2
    fit_line(tmp_path / "few", [*good, *bad, 1.0], nonfinite_limit=3)
    with pytest.raises(
        FloatingPointError,
        match="2 updates in a row.* at batches 4 to 5 .* epoch 1, 2 in all. "
        "The last good checkpoint: epoch-00000-step-0000000",
    ):
        fit_line(tmp_path / "many", [*good, *bad, *good], nonfinite_limit=2)


@pytest.mark.parametrize(
    "name", ["every_steps", "every_minutes", "keep", "nonfinite_limit"]
)
def test_numbers_out_of_range_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"`{name}` must be above 0"):
        kd.ResumableRun(tmp_path, **{name: 0})


def test_time_too_makes_a_checkpoint_due(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    run = kd.ResumableRun(tmp_path, every_minutes=2)
    run.saved_at = 0.0
    assert not run.is_due()
    now[0] = 121.0
    assert run.is_due()
    run.close()


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    """Ten years, back and forth: not when it saves, nor which is newest."""
    numbers = [1.0, 2.0, -1.0]
    whole = fit_line(tmp_path / "whole", numbers)
    real, jumps = time.time, itertools.cycle([-3e8, 0.0, 3e8])
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    arguments = {"every_steps": None, "every_minutes": 1}
    with pytest.raises(Killed):
        fit_line(tmp_path / "cut", numbers, [Kill(5)], **arguments)
    folders = CheckpointFolders(tmp_path / "cut")
    assert folders.names() == ["epoch-00001-step-000000000"]
    with pytest.raises(Killed):
        fit_line(tmp_path / "cut", numbers, [Kill(4)], every_steps=1)
    older, newest = folders.names()[-2:]
    os.utime(folders.folder / older, (3e9, 3e9))
    os.utime(folders.folder / newest, (0, 0))
    assert folders.newest()[0] == newest
    found = fit_line(tmp_path / "cut", numbers)
    np.testing.assert_array_equal(found.weights, whole.weights)
    assert found.history == whole.history


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import pathlib
import keras_kd as kd
from test_resumable_run import *

folder = pathlib.Path({folder!r})
tokenizer = kd.WordPieceTokenizer.load(folder / "tokenizer")
store = kd.TokenStore(folder / "store")
distiller = make_distiller(make_config(tokenizer), jit_compile={jit})

class Signal(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.params.get("done", 0) + 1 == {at}:
            os.kill(os.getpid(), {number})
        self.params["done"] = self.params.get("done", 0) + 1

run, history = train(
    folder / "run", store, tokenizer, distiller, [Signal()],
    resume_command="go on")
np.savez(folder / "end.npz", **values(distiller))
print("HISTORY", history.history)
"""


def run_program(folder, at, number=signal.SIGKILL, jit=JIT):
    program = PROGRAM.format(
        tests=str(pathlib.Path(__file__).parent),
        folder=str(folder),
        at=at,
        number=int(number),
        jit=jit,
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )


@pytest.fixture
def folder(tmp_path, tokenizer):
    tokenizer.save(tmp_path / "tokenizer")
    make_store(tmp_path, tokenizer)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("jit", [JIT, True])
def test_a_process_killed_at_five_steps_ends_as_one_that_was_not(folder, jit):
    (folder / "run").mkdir()
    whole = run_program(folder, at=0, jit=jit)
    assert whole.returncode == 0, whole.stderr
    expected = dict(np.load(folder / "end.npz"))
    (folder / "end.npz").unlink()
    (folder / "run").rename(folder / "whole")
    random = np.random.default_rng(0)
    for at in random.integers(1, 5, 5):
        done = run_program(folder, at=int(at), jit=jit)
        assert done.returncode == -signal.SIGKILL, done.stderr
    done = run_program(folder, at=0, jit=jit)
    assert done.returncode == 0, done.stderr
    found = dict(np.load(folder / "end.npz"))
    assert_equal(found, expected)
    assert done.stdout.split("HISTORY")[1] == whole.stdout.split("HISTORY")[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_says_how_to_go_on(folder, number):
    done = run_program(folder, at=2, number=number)
    assert done.returncode == 0, done.stderr
    assert "saved epoch-00000-step-000000003" in done.stdout
    assert "To go on: go on" in done.stdout
    assert not (folder / "end.npz").exists()
    done = run_program(folder, at=0)
    assert done.returncode == 0, done.stderr
    assert (folder / "end.npz").exists()


@pytest.mark.slow
def test_a_second_process_is_refused(tmp_path):
    run = kd.ResumableRun(tmp_path)
    program = f"import keras_kd as kd; kd.ResumableRun({str(tmp_path)!r})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert "no other process has" in done.stderr
    run.close()
    assert os.path.exists(tmp_path)
