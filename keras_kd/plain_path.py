"""Paths that TensorFlow would take for patterns, under plain names."""

import contextlib
import pathlib
import tempfile


@contextlib.contextmanager
def plain_paths(paths):
    """Other names for files or folders, which no pattern can be read out of.

    TensorFlow matches the paths of checkpoints: brackets, stars, question
    marks and backslashes in them find nothing.

    Args:
        paths: Dict of str, a plain name, to `pathlib.Path`, which may not be
            there yet, but its folder must.

    Yields:
        `pathlib.Path` of a folder with a link of each name.
    """
    with tempfile.TemporaryDirectory(prefix="keras_kd-") as folder:
        folder = pathlib.Path(folder)
        for name, path in paths.items():
            (folder / name).symlink_to(path.resolve())
        yield folder
