"""The tensors of a Hugging Face folder, read one at a time."""

import contextlib
import json
import pathlib

import ml_dtypes  # noqa: F401  (gives NumPy the bfloat16 of many files)
import numpy as np
import safetensors
from keras_kd.checkpoints.checkpoint import Tensor

SAFETENSORS = "model.safetensors"
PICKLED = "pytorch_model.bin"


@contextlib.contextmanager
def open_tensors(folder):
    """The tensors of a folder: whole, in shards, or PyTorch's pickled ones.

    Args:
        folder: `pathlib.Path`.

    Yields:
        List of `Tensor`, to be read inside the block.

    Raises:
        FileNotFoundError: If there are none, or a shard is missing.
        ValueError: If a file is damaged.
        ImportError: If the file needs PyTorch, and it is not installed.
    """
    with contextlib.ExitStack() as stack:
        tensors = []
        for path in tensor_files(folder):
            read = _read_pickled if path.suffix == ".bin" else _read_safetensors
            tensors += read(path, stack)
        yield tensors


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


def _read_safetensors(path, stack):
    try:
        file = stack.enter_context(safetensors.safe_open(path, "numpy"))
    except safetensors.SafetensorError as error:
        raise ValueError(
            "`source` must hold whole files: copy or download it again. "
            f"Received: {path}: {error}"
        ) from error
    return [
        Tensor(
            key,
            tuple(file.get_slice(key).get_shape()),
            lambda key=key: np.asarray(file.get_tensor(key), "float32"),
        )
        for key in file.keys()  # noqa: SIM118  (no dict)
    ]


def _read_pickled(path, stack):
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
