import pathlib

import numpy as np
import pytest

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "checkpoints"


@pytest.fixture(scope="session")
def golden():
    """The folder of tiny folders that `transformers` wrote."""
    return GOLDEN


@pytest.fixture(scope="session")
def expected():
    """Function of a folder's name: its inputs for us, its expected outputs."""

    def read(name):
        with np.load(GOLDEN / name / "expected.npz") as file:
            values = dict(file)
        inputs = {
            key: values.pop(key)
            for key in ("token_ids", "segment_ids", "padding_mask")
        }
        batch, length = inputs["token_ids"].shape
        positions = np.tile(np.arange(length, dtype="int32"), (batch, 1))
        return {**inputs, "mask_positions": positions}, values

    return read
