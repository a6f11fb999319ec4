"""whole_folder: files appear in a folder when all of them are whole."""

import contextlib
import os
import pathlib
import shutil
import tempfile


@contextlib.contextmanager
def whole_folder(folder, names, overwrite=False):
    """A folder beside, whose entries are moved in at the end of the block.

    Where the block raises, or is interrupted, nothing has changed in `folder`.

    Args:
        folder: Str or path. May exist; other files in it stay.
        names: Names that the block may write.
        overwrite: Bool. Whether entries of these names may be replaced.

    Yields:
        `pathlib.Path` to write to.

    Raises:
        FileExistsError: If there is an entry of one of the names already.
        OSError: If the folder cannot be written.
    """
    folder = pathlib.Path(folder)
    there = [name for name in names if (folder / name).exists()]
    if there and not overwrite:
        raise FileExistsError(
            "`folder` must not hold files of the names that are written, or "
            f"be given with overwrite=True. Received: {folder}, with {there}"
        )
    beside = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside = pathlib.Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
        yield beside
        _move_in(beside, folder)
    except OSError as error:
        raise OSError(
            f"`folder` could not be written: {folder}: {error}"
        ) from error
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)


def _move_in(beside, folder):
    """Moves every entry into place; what it replaces goes away after."""
    for entry in sorted(beside.iterdir()):
        target = folder / entry.name
        old = None
        if target.is_dir():
            old = pathlib.Path(tempfile.mkdtemp(prefix=".old-", dir=folder))
            os.replace(target, old / target.name)
        os.replace(entry, target)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
