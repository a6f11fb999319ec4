"""Checkpoints of a run: folders that are whole, or not there."""

import json
import os
import pathlib
import shutil
import tempfile
import warnings

import safetensors.numpy
from keras_kd.file_digest import digest_of

VARIABLES = "variables.safetensors"
STATE = "state.json"
DIGESTS = "digests.json"
PREFIX = "epoch-"
DAMAGED = "damaged-"


class CheckpointFolders:
    """The checkpoints in a folder, each a folder by its place in training.

    Each is written beside and renamed, and holds the digests of its files.

    Args:
        folder: Str or path; made where it does not exist.

    Raises:
        OSError: If the folder cannot be made.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def names(self):
        """Names of all there are, the oldest first."""
        return sorted(
            path.name
            for path in self.folder.glob(f"{PREFIX}*")
            if path.is_dir()
        )

    @staticmethod
    def name(epoch, step):
        """Name of the checkpoint before a step of an epoch, both from 0."""
        return f"{PREFIX}{epoch:05d}-step-{step:09d}"

    def write(self, name, arrays, state):
        """Writes a checkpoint.

        Args:
            name: Str, from `name`.
            arrays: Dict of str to array.
            state: What JSON can say.

        Raises:
            OSError: If it could not be written; those that were there are
                whole.
        """
        try:
            beside = pathlib.Path(
                tempfile.mkdtemp(prefix=".partial-", dir=self.folder)
            )
            try:
                _write(beside / VARIABLES, safetensors.numpy.save(arrays))
                _write(beside / STATE, json.dumps(state, indent=1).encode())
                digests = {
                    file: digest_of(beside / file)
                    for file in (VARIABLES, STATE)
                }
                _write(beside / DIGESTS, json.dumps(digests).encode())
                shutil.rmtree(self.folder / name, ignore_errors=True)
                os.replace(beside, self.folder / name)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
        except OSError as error:
            last = (self.names() or ["there is none"])[-1]
            raise OSError(
                f"`folder` could not take a checkpoint: {self.folder}: "
                f"{error}. The last whole one: {last}"
            ) from error

    def newest(self):
        """The newest whole one; newer ones that are damaged are set aside.

        They stay, under names that begin with "damaged-".

        Returns:
            Triple of name, arrays and state; or None where there is none.

        Warns:
            UserWarning: Of each newer one that is damaged.
        """
        for name in reversed(self.names()):
            try:
                return name, *self.read(name)
            except (OSError, ValueError, KeyError) as error:
                warnings.warn(
                    f"The checkpoint {self.folder / name} is damaged, and not "
                    f"used: {error}",
                    stacklevel=2,
                )
                aside = self.folder / f"{DAMAGED}{name}"
                shutil.rmtree(aside, ignore_errors=True)
                os.replace(self.folder / name, aside)
        return None

    def read(self, name):
        """Arrays and state of a checkpoint.

        Raises:
            OSError: If a file is missing.
            ValueError: If a file is not as it was written.
        """
        folder = self.folder / name
        digests = json.loads((folder / DIGESTS).read_bytes())
        for file in (VARIABLES, STATE):
            if digest_of(folder / file) != digests[file]:
                raise ValueError(f"{file} is not as it was written")
        arrays = safetensors.numpy.load_file(folder / VARIABLES)
        return arrays, json.loads((folder / STATE).read_bytes())

    def prune(self, keep):
        """Deletes all but those of the names in `keep`, and half-written."""
        for name in self.names():
            if name not in keep:
                shutil.rmtree(self.folder / name, ignore_errors=True)
        for path in self.folder.glob(".partial-*"):
            shutil.rmtree(path, ignore_errors=True)


def _write(path, content):
    """Writes a file down to the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
