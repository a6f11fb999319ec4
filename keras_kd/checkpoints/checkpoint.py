"""Checkpoint: a model in a folder of other software, as keras_kd sees it."""

import dataclasses
from collections.abc import Callable

import numpy as np
from keras_kd.models import BertConfig


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What every format is read to.

    Args:
        config: `BertConfig`.
        model_class: Class of the model that it holds.
        arguments: Dict of the class's further arguments.
        tensors: Dict of the name of one of our variables to a `Tensor`; may
            hold more than the model has.
        unknown: Keys of the file that nobody knows.
        scalars: Those of single numbers, which no model has.
    """

    config: BertConfig
    model_class: type
    arguments: dict
    tensors: dict
    unknown: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An array that is not read yet.

    Args:
        key: Its name in the file.
        shape: Its shape there.
        read: Function that reads it, as it lies in the file.
        transpose: Whether it is the transpose of our variable.
    """

    key: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]
    transpose: bool = False

    @property
    def our_shape(self):
        """Its shape as our variable."""
        return self.shape[::-1] if self.transpose else self.shape

    def array(self):
        """The values as our variable."""
        values = self.read()
        return values.T if self.transpose else values
