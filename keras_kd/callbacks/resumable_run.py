"""ResumableRun: training that goes on where it was interrupted."""

import contextlib
import json
import signal
import threading
import time

import filelock
import keras
from keras_kd.callbacks.checkpoint_folders import CheckpointFolders
from keras_kd.callbacks.run_state import (
    callback_state,
    checksum,
    from_arrays,
    own_variables,
    restore_callback,
    teacher_variables,
    to_arrays,
)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ResumableRun(keras.callbacks.Callback):
    """Saves all that training changes, and goes on from it.

    A run that was killed at any step and is started again ends with the very
    weights and history of one that was not: every variable of the model, its
    optimizer and its metrics is saved (of a `Distiller` all but the frozen
    teacher's, of which a checksum is), with the place in the data. Checkpoints
    are written beside and renamed.

    ```python
    run = kd.ResumableRun("runs/mine", every_steps=500)
    batches = kd.masked_lm_batches(
        store, tokenizer, 32, first_batch=run.batches
    )
    model.fit(
        batches.repeat(), steps_per_epoch=1000, epochs=20,
        initial_epoch=run.epoch, callbacks=[start, run],
    )
    ```

    `fit` must be given the batches that are left, as of a dataset that does
    not end (`repeat`): it passes over the steps of the epoch that were done
    and takes no batch for them.

    A signal to end (Ctrl-C, SIGTERM) lets the step finish, saves, and leaves
    with exit status 0; a second one ends at once. One that comes while held-out
    batches are looked at has that done again.

    Args:
        folder: Str or path of the checkpoints. Where it holds some, the newest
            whole one is gone on from. One process at a time.
        every_steps: Int or None. Steps between two checkpoints; the end of an
            epoch, its validation included, has one anyway.
        every_minutes: Float or None. The same by time.
        keep: Int. How many of the newest stay.
        monitor: Str. The log whose lowest value makes the best checkpoint,
            which stays too.
        config: Dict of what a resumed run must have in common with the first.
        stateful: Callbacks whose memory is part of the run, such as
            `EarlyStopping`; these stand before this one in `fit`.
        nonfinite_limit: Int. So many updates in a row that `SkipNonFinite`
            left out end the run.
        resume_command: Str. What to say after an interruption.

    Attributes:
        epoch: Int, the epoch to go on in: `initial_epoch` of `fit`.
        batches: Int, how many batches have been trained on.
        history: Dict of str to list, the logs of each epoch.
        best: Dict of `name` and `value` of the best checkpoint, or None.

    Raises:
        ValueError: If an argument is out of range, or the run in the folder
            has another config; on `fit`, if model or teacher are others.
        RuntimeError: If another process has the run.
        FloatingPointError: On `fit`, at `nonfinite_limit`.
        OSError: On `fit`, if a checkpoint cannot be written.
    """

    def __init__(
        self,
        folder,
        every_steps=None,
        every_minutes=None,
        keep=2,
        monitor="val_loss",
        config=None,
        stateful=(),
        nonfinite_limit=10,
        resume_command="start the same program again",
    ):
        super().__init__()
        for name, value in (
            ("every_steps", every_steps),
            ("every_minutes", every_minutes),
            ("keep", keep),
            ("nonfinite_limit", nonfinite_limit),
        ):
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` must be above 0. Received: {value}")
        self.every_steps = every_steps
        self.every_minutes = every_minutes
        self.keep = keep
        self.monitor = monitor
        self.config = config or {}
        self.stateful = list(stateful)
        self.nonfinite_limit = nonfinite_limit
        self.resume_command = resume_command
        self.folders = CheckpointFolders(folder)
        self.lock = _lock(self.folders.folder)
        self.folders.prune(self.folders.names())  # what was half written
        self.saved = self.folders.newest()
        self.epoch, self.step, self.batches = 0, 0, 0
        self.history, self.best = {}, None
        if self.saved:
            state = self.saved[2]
            _check_config(state["config"], self.config)
            for name in ("epoch", "step", "batches", "history", "best"):
                setattr(self, name, state[name])
        self.to_skip = self.step
        self.since_saved = 0
        self.restored = False
        self.handlers = {}
        self.ended_by = None

    def set_model(self, model):
        """Restores the model, before any callback sees training begin."""
        super().set_model(model)
        if self.restored:
            return
        self.restored = True
        self.teacher = checksum(teacher_variables(model))
        if self.saved:
            name, arrays, state = self.saved
            if state["teacher"] != self.teacher:
                raise ValueError(
                    "`teacher` must be the one that the run began with. "
                    f"Received: another one than that of {name}"
                )
            from_arrays("model", own_variables(model), arrays)

    def on_train_begin(self, logs=None):
        self.lock.acquire(timeout=0)  # again, for another `fit`
        self.saved_at = time.monotonic()
        self.give_back_signals()  # those of a `fit` that ended by an error
        if threading.current_thread() is threading.main_thread():
            self.handlers = {
                number: signal.signal(number, self.on_signal)
                for number in SIGNALS
            }

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.saved:  # metrics and the others' memory have been reset by now
            _, arrays, state = self.saved
            self.saved = None
            self.go_on(arrays, state)

    def go_on(self, arrays, state):
        """Restores what Keras sets back when `fit` and an epoch begin."""
        model = self.model
        if self.to_skip:
            from_arrays("metrics", model.metrics_variables, arrays)
            self.skip(model)
        for index, callback in enumerate(self.stateful):
            plain, names = state["stateful"][index]
            lists = {
                name: [arrays[key] for key in keys]
                for name, keys in names.items()
            }
            restore_callback(callback, plain, lists)
        self.restore_history()

    def skip(self, model):
        """Has the steps that were done take no batch and do nothing."""
        train_function = model.train_function
        logs = {k: float(v) for k, v in model.get_metrics_result().items()}

        def skipping(*arguments):
            if self.to_skip > 0:
                state = arguments[:-1]  # of JAX: all variables
                return (logs, *state) if state else logs
            model.train_function = train_function
            return train_function(*arguments)

        model.train_function = skipping

    def on_train_batch_end(self, batch, logs=None):
        if batch < self.to_skip:
            if batch + 1 == self.to_skip:
                self.to_skip = 0
            return
        done = batch + 1 - self.step
        self.step += done
        self.batches += done
        self.since_saved += done
        self.check_finite()
        if self.ended_by is not None or self.is_due():
            self.save()
        if self.ended_by is not None:
            self.leave()

    def on_test_begin(self, logs=None):
        """Keeps the metrics of training, which are reset now."""
        self.metrics = to_arrays("metrics", self.model.metrics_variables)

    def on_test_batch_end(self, batch, logs=None):
        if self.ended_by is not None:
            self.save(metrics=self.metrics)
            self.leave()

    def on_epoch_end(self, epoch, logs=None):
        self.epoch, self.step = epoch + 1, 0
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        value = (logs or {}).get(self.monitor)
        is_best = value is not None and (
            self.best is None or value < self.best["value"]
        )
        self.save(None if not is_best else float(value))
        if self.ended_by is not None:
            self.leave()

    def on_train_end(self, logs=None):
        if self.saved:  # nothing was left to do, nor is anything changed
            _, arrays, _ = self.saved
            from_arrays("model", own_variables(self.model), arrays)
            self.restore_history()
        self.close()

    def restore_history(self):
        """Has `fit` return the logs of all epochs."""
        found = getattr(self.model, "history", None)
        if found is not None:
            found.history = {k: list(v) for k, v in self.history.items()}
            found.epoch = list(range(self.epoch))

    def is_due(self):
        """Whether it is time for another checkpoint."""
        if self.every_steps and self.since_saved >= self.every_steps:
            return True
        minutes = (time.monotonic() - self.saved_at) / 60
        return bool(self.every_minutes) and minutes >= self.every_minutes

    def save(self, best_value=None, metrics=None):
        """Writes a checkpoint.

        Args:
            best_value: Float or None. The value of the best one so far.
            metrics: Dict of arrays, where not those of this moment.
        """
        model = self.model
        if metrics is None:
            metrics = to_arrays("metrics", model.metrics_variables)
        arrays = {**to_arrays("model", own_variables(model)), **metrics}
        stateful = []
        for index, callback in enumerate(self.stateful):
            plain, lists = callback_state(callback)
            names = {}
            for name, values in lists.items():
                keys = [
                    f"stateful/{index}/{name}/{i}" for i in range(len(values))
                ]
                arrays |= dict(zip(keys, values, strict=True))
                names[name] = keys
            stateful.append((plain, names))
        name = self.folders.name(self.epoch, self.step)
        if best_value is not None:
            self.best = {"name": name, "value": best_value}
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "batches": self.batches,
            "history": self.history,
            "best": self.best,
            "config": self.config,
            "teacher": self.teacher,
            "stateful": stateful,
        }
        self.folders.write(name, arrays, state)
        kept = self.folders.names()[-self.keep :]
        if self.best is not None:
            kept.append(self.best["name"])
        self.folders.prune(kept)
        self.since_saved, self.saved_at = 0, time.monotonic()

    def check_finite(self):
        """Ends the run where too many updates in a row were left out."""
        watched = getattr(self._model, "optimizer", None)
        if not hasattr(watched, "longest_row"):
            return
        if keras.backend.backend() == "jax" and self.step % 10:
            return  # to ask, JAX hands over all variables
        watched = self.model.optimizer
        if int(watched.longest_row) < self.nonfinite_limit:
            return
        last = int(watched.last_skipped)
        first = last - int(watched.longest_row) + 1
        self.close()
        raise FloatingPointError(
            f"{int(watched.longest_row)} updates in a row had a loss or "
            f"gradient that is not finite, at batches {first} to {last} of the "
            f"run, in epoch {self.epoch + 1}, {int(watched.skipped)} in all. "
            f"The last good checkpoint: {(self.folders.names() or [None])[-1]}"
            f" in {self.folders.folder}"
        )

    def on_signal(self, number, frame):
        """Asks the run to end after this step; a second time, at once."""
        self.ended_by = signal.Signals(number).name
        self.give_back_signals()

    def leave(self):
        """Ends the program, as it was asked to."""
        self.close()
        print(
            f"\n{self.ended_by}: saved {self.folders.names()[-1]} in "
            f"{self.folders.folder}. To go on: {self.resume_command}"
        )
        raise SystemExit(0)

    def close(self):
        """Gives signals and folder back."""
        self.give_back_signals()
        self.lock.release(force=True)

    def give_back_signals(self):
        for number, handler in self.handlers.items():
            with contextlib.suppress(ValueError):
                signal.signal(number, handler)
        self.handlers = {}


def _lock(folder):
    """The run, for this process alone."""
    lock = filelock.FileLock(folder / ".lock", is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise RuntimeError(
            "`folder` must be of a run that no other process has. "
            f"Received: {folder}"
        ) from error
    return lock


def _check_config(expected, received):
    """Refuses to go on with what would be another run."""
    names = sorted(set(expected) | set(received))
    received = json.loads(json.dumps(received))
    changed = [
        f"{name}: {expected.get(name)!r}, now {received.get(name)!r}"
        for name in names
        if expected.get(name) != received.get(name)
    ]
    if changed:
        raise ValueError(
            "`config` must be that of the run in the folder. Received, with "
            f"another value: {'; '.join(changed)}"
        )
