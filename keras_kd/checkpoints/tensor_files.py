"""The tensors of a Hugging Face folder, read one at a time."""

import functools
import json
import pathlib

import ml_dtypes  # noqa: F401  (gives NumPy the bfloat16 of many files)
import numpy as np
import safetensors
from keras_kd.checkpoints.assign import ALIGNMENT
from keras_kd.checkpoints.checkpoint import Tensor

SAFETENSORS = "model.safetensors"
PICKLED = "pytorch_model.bin"
NUMBERS_AT_ONCE = 2**20  # 4 MB


def list_tensors(folder):
    """The tensors of a folder: whole, in shards, or PyTorch's pickled ones.

    Args:
        folder: `pathlib.Path`.

    Returns:
        List of `Tensor`.

    Raises:
        FileNotFoundError: If there are none, or a shard is missing.
        ValueError: If a file is damaged.
        ImportError: If the file needs PyTorch, and it is not installed.
    """
    tensors = []
    for path in tensor_files(folder):
        pickled = path.suffix == ".bin"
        tensors += (_list_pickled if pickled else _list_safetensors)(path)
    return tensors


def tensor_files(folder):
    """The files that hold the tensors, each there."""
    for name in (SAFETENSORS, PICKLED):
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = _shards(index)
            missing = [s for s in shards if not (folder / s).is_file()]
            if missing:
                raise FileNotFoundError(
                    f"`source` must hold all shards of {index.name}. "
                    f"Missing in {folder}: {missing}"
                )
            return [folder / shard for shard in shards]
    raise FileNotFoundError(
        f"`source` must hold {SAFETENSORS} or {PICKLED}, or an index of "
        f"their shards. Received: {folder}, with "
        f"{sorted(p.name for p in folder.iterdir())}"
    )


def _shards(index):
    try:
        return sorted(set(read_json(index)["weight_map"].values()))
    except (KeyError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{index.name} must hold a `weight_map` of tensor to file. "
            f"Received: {index}"
        ) from error


def read_json(path):
    """A JSON file, or an error that names it."""
    path = pathlib.Path(path)
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:  # JSON and UTF-8 alike
        raise ValueError(
            f"{path.name} must be JSON. Received: {path}: {error}"
        ) from error


def _list_safetensors(path):
    try:
        with safetensors.safe_open(path, "numpy") as file:
            keys = file.keys()
            shapes = {key: file.get_slice(key).get_shape() for key in keys}
    except safetensors.SafetensorError as error:
        raise ValueError(
            "`source` must hold whole files: copy or download it again. "
            f"Received: {path}: {error}"
        ) from error
    return [
        Tensor(key, tuple(shape), functools.partial(_read, path, key, shape))
        for key, shape in shapes.items()
    ]


def _read(path, key, shape):
    """A tensor as float32, some rows at a time.

    The file is opened anew for each: what is mapped counts as memory, and a
    vocabulary is half of a small model.
    """
    values = aligned(shape)
    if not shape:
        with safetensors.safe_open(path, "numpy") as file:
            return np.asarray(file.get_tensor(key), "float32")
    rows = max(1, NUMBERS_AT_ONCE * shape[0] // max(1, values.size))
    for start in range(0, shape[0], rows):
        some = slice(start, min(start + rows, shape[0]))
        with safetensors.safe_open(path, "numpy") as file:
            values[some] = file.get_slice(key)[some]
    return values


def aligned(shape):
    """A float32 array that lies as `assign` likes it, not yet filled."""
    numbers = int(np.prod(shape))
    memory = np.empty(numbers + ALIGNMENT // 4, "float32")
    start = -memory.ctypes.data % ALIGNMENT // 4
    return memory[start : start + numbers].reshape(shape)


def _list_pickled(path):
    """What PyTorch pickled: as tensors, never as code."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path} is read by PyTorch, which is not installed: `pip install "
            f"torch`, or save the model as {SAFETENSORS}"
        ) from error
    try:
        tensors = torch.load(
            path, map_location="cpu", weights_only=True, mmap=True
        )
    except Exception as error:  # as many kinds as there are damages
        raise ValueError(
            "`source` must hold whole files, of tensors alone. "
            f"Received: {path}: {error}"
        ) from error
    return [
        Tensor(
            key,
            tuple(tensor.shape),
            lambda tensor=tensor: tensor.float().numpy(),
        )
        for key, tensor in tensors.items()
    ]
