"""Logs of a run, by Keras's own callbacks and by others'. Not a recipe.

From a frozen `Config`'s field: loggers. Weights & Biases and MLflow are taken
as they are installed and set up: their own variables, such as WANDB_MODE and
MLFLOW_TRACKING_URI, say where they write. A run that is gone on with begins
another there.
"""

import csv
import dataclasses
import importlib.util
import sys

LOGGERS = ("csv", "tensorboard", "wandb", "mlflow")
DEFAULT_LOGGERS = LOGGERS[:2]
PROJECT = "keras_kd"


def check_loggers(config):
    """Ends the program where what is to log is not installed."""
    for name in getattr(config, "loggers", DEFAULT_LOGGERS):
        if (
            name not in DEFAULT_LOGGERS
            and importlib.util.find_spec(name) is None
        ):
            sys.exit(
                f"`--loggers` {name} needs the package of that name: "
                f"pip install {name}"
            )


def log_callbacks(config, folder, run=None):
    """The callbacks that log a run: history.csv, logs/, and others.

    Args:
        config: The recipe's.
        folder: `pathlib.Path` to write them in.
        run: `kd.ResumableRun` or None. Rows of epochs that it does again go.
    """
    makers = {
        "csv": log_csv,
        "tensorboard": log_tensorboard,
        "wandb": log_wandb,
        "mlflow": log_mlflow,
    }
    names = getattr(config, "loggers", DEFAULT_LOGGERS)
    return [
        callback
        for name in dict.fromkeys(names)
        for callback in makers[name](config, folder, run)
    ]


def log_csv(config, folder, run):
    """history.csv, a row an epoch."""
    import keras

    path = folder / "history.csv"
    epochs = run.epoch if run else 0
    if epochs and path.exists():
        with path.open(newline="") as file:
            rows = list(csv.reader(file))[: 1 + epochs]
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return [keras.callbacks.CSVLogger(str(path), append=epochs > 0)]


def log_tensorboard(config, folder, run):
    """logs/, for TensorBoard."""
    import keras

    return [keras.callbacks.TensorBoard(str(folder / "logs"), profile_batch=0)]


def log_wandb(config, folder, run):
    """A run of Weights & Biases, with the config."""
    import keras
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    wandb.init(
        project=PROJECT,
        name=folder.name,
        dir=str(folder),
        config=dataclasses.asdict(config),
    )
    return [
        WandbMetricsLogger(),
        keras.callbacks.LambdaCallback(on_train_end=lambda _: wandb.finish()),
    ]


def log_mlflow(config, folder, run):
    """A run of MLflow, with the config."""
    import keras
    import mlflow

    mlflow.set_experiment(PROJECT)
    mlflow.start_run(run_name=folder.name)
    mlflow.log_params(dataclasses.asdict(config))
    return [
        mlflow.keras.MlflowCallback(),
        keras.callbacks.LambdaCallback(on_train_end=lambda _: mlflow.end_run()),
    ]
