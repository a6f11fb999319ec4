"""Folders of keras_kd itself, read: of recipes' runs, and exported ones."""

import pathlib

import keras
import numpy as np
from keras_kd.checkpoints.checkpoint import Checkpoint, Tensor
from keras_kd.models import BertBackbone
from keras_kd.models.bert_backbone import EncoderModel

MODELS = ("student.keras", "teacher.keras")
# A folder with one of these is somebody's checkpoint, whatever else it holds.
THEIRS = ("bert_config.json", "model.safetensors", "pytorch_model.bin")


def find_keras_file(source):
    """The .keras file that `source` is, or that its folder holds; or None.

    Args:
        source: Str or path. Of a run's folder it is the student, and without
            one the teacher.
    """
    path = pathlib.Path(source)
    if path.suffix == ".keras" and path.is_file():
        return path
    if any((path / name).exists() for name in THEIRS):
        return None
    files = (path / name for name in MODELS)
    return next((file for file in files if file.is_file()), None)


def open_keras_file(path, model_class=None):
    """A .keras file of a model of ours.

    Args:
        path: `pathlib.Path`.
        model_class: None for the class that it holds; or `BertBackbone`, for
            its encoder.

    Returns:
        `Checkpoint`.

    Raises:
        ValueError: If it holds another model, or is damaged.
    """
    model = keras.saving.load_model(path, compile=False)
    if not isinstance(model, EncoderModel):
        raise ValueError(
            "`source` must hold a model of keras_kd. "
            f"Received: a {type(model).__name__} in {path}"
        )
    held = type(model)
    if model_class not in (None, held, BertBackbone):
        raise ValueError(
            f"`model_class` must be {held.__name__}, which {path} holds, or "
            "BertBackbone, its encoder, for "
            f"`{model_class.__name__}.from_encoder`. "
            f"Received: {model_class.__name__}"
        )
    arguments = {}
    if model_class in (None, held):
        shared = ("config", "seed", "dtype", "name")
        arguments = {
            name: value
            for name, value in model.get_config().items()
            if name not in shared
        }
    return Checkpoint(
        config=model.config,
        model_class=model_class or held,
        arguments=arguments,
        tensors={
            name: Tensor(name, tuple(variable.shape), _reader_of(variable))
            for name, variable in model.named_variables().items()
        },
    )


def _reader_of(variable):
    # A copy: what is read may become another variable's memory.
    return lambda: np.array(keras.ops.convert_to_numpy(variable))
