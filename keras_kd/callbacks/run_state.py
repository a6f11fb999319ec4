"""All that training changes, as arrays and as JSON; and back again."""

import hashlib

import keras
import numpy as np
from keras import ops

PLAIN = (bool, int, float, str, type(None))


def own_variables(model):
    """Every variable of a model and its optimizer but a frozen teacher's.

    Weights, seeds of random draws, schedules, projections, the optimizer's.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    teacher = {id(v) for v in teacher_variables(model)}
    variables = [v for v in model.variables if id(v) not in teacher]
    known = {id(v) for v in variables}
    others = [v for v in model.optimizer.variables if id(v) not in known]
    return [*variables, *others]


def teacher_variables(model):
    """Those of a `Distiller`'s teacher; none of another model."""
    teacher = getattr(model, "teacher", None)
    return [] if teacher is None else teacher.variables


def checksum(variables):
    """BLAKE2 of all values, in order, as hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for variable in variables:
        digest.update(np.ascontiguousarray(ops.convert_to_numpy(variable)))
    return digest.hexdigest()


def to_arrays(kind, variables):
    """Dict of array by kind, place and path; bfloat16 as its bits."""
    found = {}
    for index, variable in enumerate(variables):
        array = ops.convert_to_numpy(variable)
        if keras.backend.standardize_dtype(variable.dtype) == "bfloat16":
            array = array.view("uint16")
        found[f"{kind}/{index:05d}/{variable.path}"] = np.array(array)
    return found


def from_arrays(kind, variables, arrays):
    """Assigns what `to_arrays` made of variables like these.

    Raises:
        ValueError: If there are more or fewer, or one has another shape.
    """
    names = sorted(name for name in arrays if name.startswith(f"{kind}/"))
    if len(names) != len(variables):
        raise ValueError(
            f"`model` must have the {kind} variables of the checkpoint. "
            f"Expected: {len(names)}. Received: {len(variables)}"
        )
    unfit = [
        f"{name} {arrays[name].shape}, but {variable.path} "
        f"{tuple(variable.shape)}"
        for name, variable in zip(names, variables, strict=True)
        if arrays[name].shape != tuple(variable.shape)
    ]
    if unfit:
        raise ValueError(
            f"`model` must have the {kind} variables of the checkpoint. "
            f"Received: {'; '.join(unfit[:5])}"
        )
    for name, variable in zip(names, variables, strict=True):
        array = arrays[name]
        if keras.backend.standardize_dtype(variable.dtype) == "bfloat16":
            array = array.view(ops.convert_to_numpy(variable).dtype)
        variable.assign(array)


def callback_state(callback):
    """What a callback remembers: its plain attributes, and lists of arrays.

    Returns:
        Pair of dicts: what JSON can say, and lists of arrays.
    """
    plain, lists = {}, {}
    for name, value in vars(callback).items():
        if name in ("_model", "params"):
            continue
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, PLAIN):
            plain[name] = value
        elif isinstance(value, list) and all(
            isinstance(each, np.ndarray) for each in value
        ):
            lists[name] = value
    return plain, lists


def restore_callback(callback, plain, lists):
    """Gives a callback what `callback_state` found."""
    for name, value in {**plain, **lists}.items():
        setattr(callback, name, value)
