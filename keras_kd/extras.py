"""What is imported only where it is needed."""

import importlib


def import_extra(module, extra):
    """A module of an extra, or an error that says what to install.

    Args:
        module: Str, its name.
        extra: Str, the extra of keras-kd that brings it.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This needs {module}, which is not installed: "
            f"pip install 'keras-kd[{extra}]'"
        ) from error
