import dataclasses
import sys
import types

import keras
import pytest

from run_folder import new_run_folder
from run_logs import LOGGERS, check_loggers, log_callbacks


@dataclasses.dataclass(frozen=True)
class Config:
    loggers: tuple = LOGGERS
    run: str = "run"
    overwrite: bool = False


def test_rows_of_epochs_that_are_done_again_go(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss\n0,3\n1,2\n2,1\n")

    class Run:
        epoch = 2

    (csv_logger,) = log_callbacks(Config(("csv",)), tmp_path, Run)
    assert csv_logger.append
    assert (tmp_path / "history.csv").read_text().splitlines() == [
        "epoch,loss",
        "0,3",
        "1,2",
    ]


def test_what_logs_must_be_installed(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = Config(("csv", "wandb"), str(tmp_path / "run"))
    with pytest.raises(SystemExit, match="`--loggers` wandb.*pip install"):
        with new_run_folder(config):
            pass
    assert not (tmp_path / "run").exists()
    check_loggers(Config(("csv", "tensorboard")))


def test_other_loggers_are_their_own_callbacks(tmp_path, monkeypatch):
    """Stand-ins with the names and arguments that they have."""
    calls = []

    def note(name):
        return lambda *args, **kwargs: calls.append((name, args, kwargs))

    class Logger(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            calls.append(("epoch", epoch, sorted(logs)))

    modules = {
        "wandb": {"init": note("init"), "finish": note("finish")},
        "wandb.integration": {},
        "wandb.integration.keras": {"WandbMetricsLogger": Logger},
        "mlflow": {
            "set_experiment": note("set_experiment"),
            "start_run": note("start_run"),
            "log_params": note("log_params"),
            "end_run": note("end_run"),
            "keras": types.SimpleNamespace(MlflowCallback=Logger),
        },
    }
    for name, members in modules.items():
        module = types.ModuleType(name)
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, module)
    config = Config(("wandb", "mlflow"))
    callbacks = log_callbacks(config, tmp_path / "mine")
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse", run_eagerly=True)
    x = keras.ops.ones((2, 2))
    model.fit(x, x[:, :1], epochs=2, callbacks=callbacks, verbose=0)
    names = [call[0] for call in calls]
    assert names == [
        "init",
        "set_experiment",
        "start_run",
        "log_params",
        *["epoch"] * 4,
        "finish",
        "end_run",
    ]
    settings = calls[0][2]
    assert settings["name"] == "mine"
    assert settings["config"]["loggers"] == ("wandb", "mlflow")
    assert calls[2][2] == {"run_name": "mine"}
    assert calls[4][2] == ["loss"]
