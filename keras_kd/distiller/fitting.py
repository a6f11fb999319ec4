"""What all trainers add to Keras's `fit` and `save`."""

import math
import warnings

import keras
from keras_kd.models.task_training import TaskTraining, fit_arguments


class Fitting(TaskTraining):
    """Mixed into `Distiller`, `SelfDistiller` and `RDrop`.

    `fit` ends after an epoch whose loss is no number, with a warning that says
    what to do (not where it is given a `CallbackList`, which is taken as it
    is). `save` writes the model that is trained, as its own `save` does, so
    that `ModelCheckpoint("best.keras")` keeps what is worth keeping;
    `load_weights` and `save_weights` are those of the whole trainer.
    """

    def fit(self, *args, **kwargs):
        given = fit_arguments(self, args, kwargs)
        callbacks = given.get("callbacks") or []
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            if isinstance(callbacks, keras.callbacks.Callback):
                callbacks = [callbacks]
            callbacks = [*callbacks, StopAtNonFinite()]
        given["callbacks"] = callbacks
        return super().fit(**given)

    def predict(self, x, *args, **kwargs):
        """The trained model's `predict`: logits of real rows."""
        return self.trained_model().predict(x, *args, **kwargs)

    def export(self, filepath, *args, **kwargs):
        """Exports the trained model, `keras.Model.export` of it."""
        return self.trained_model().export(filepath, *args, **kwargs)

    def save(self, filepath, overwrite=True, **kwargs):
        """Saves the trained model, `keras.Model.save` of it."""
        return self.trained_model().save(filepath, overwrite, **kwargs)


class StopAtNonFinite(keras.callbacks.Callback):
    """Ends training after an epoch whose loss is NaN or infinite, and says so.

    `TerminateOnNaN` does so after a step, `ResumableRun` with `SkipNonFinite`
    after some updates in a row that had to be left out. A `loss` that is none
    since `SkipNonFinite` left updates out, not the last one, ends nothing: no
    weight was moved by them.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.left_out_before = self.left_out()

    def left_out(self):
        """How many updates `SkipNonFinite` has left out; 0 without it."""
        return int(getattr(self.model.optimizer, "skipped", 0))

    def on_epoch_end(self, epoch, logs=None):
        logs = dict(logs or {})
        went_on = int(getattr(self.model.optimizer, "in_a_row", 0)) == 0
        if went_on and self.left_out() > self.left_out_before:
            logs.pop("loss", None)
        bad = {
            name: logs[name]
            for name in ("loss", "val_loss")
            if not math.isfinite(logs.get(name, 0.0))
        }
        if not bad:
            return
        self.model.stop_training = True
        warnings.warn(
            f"Epoch {epoch + 1} ended with {bad}: training stops, since the "
            "weights may hold numbers that are none. Go on from the last good "
            "checkpoint with a lower learning rate or a clip of the gradient "
            "(`clipnorm=1.0`); `kd.SkipNonFinite(optimizer)` leaves single bad "
            "updates out.",
            stacklevel=2,
        )
