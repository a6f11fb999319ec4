"""The precision that a recipe trains with. Not a recipe.

The config fields it reads: precision, jit_compile, run, overwrite, resume.
"""

import dataclasses
import json
import pathlib
import sys

import keras
from keras_kd.runtime import precision_choice, training_device

from run_folder import is_resumed

AUTO = "auto"


def set_precision(config):
    """Sets Keras's policy; the config with its name in place of "auto".

    "auto" is what `kd.choose_precision` has, and is said with its reason. A
    run that is gone on with keeps the policy that it began with.

    Args:
        config: The recipe's.
    """
    precision = config.precision
    if precision == AUTO:
        precision, why = begun_with(config) or suits(config)
        print(f"Precision: {precision}. {why}")
    try:
        keras.config.set_dtype_policy(precision)
    except ValueError:
        sys.exit(
            "`--precision` must be auto or a policy of Keras, such as float32 "
            f"or mixed_bfloat16. Received: {precision}"
        )
    return dataclasses.replace(config, precision=precision)


def suits(config):
    """The policy that suits this machine and the recipe's XLA, and why."""
    device = training_device()
    if config.jit_compile and device.startswith("CPU"):  # recipes/README.md
        return "float32", "On a CPU, XLA gains nothing from bfloat16."
    return precision_choice(device)


def begun_with(config):
    """Policy of the run that is there, and why; None where one is begun."""
    path = pathlib.Path(config.run, "config.json")
    if getattr(config, "overwrite", False) and not is_resumed(config):
        return None
    try:
        precision = json.loads(path.read_text("utf-8"))["precision"]
    except (OSError, ValueError, LookupError, TypeError):
        return None  # what is no run is refused where it would be written
    return precision, f"{config.run} began with it."
