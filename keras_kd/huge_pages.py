"""Whether arrays could live in huge pages, for `keras_kd.doctor`."""

import os
import pathlib
import platform

SETTING = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"
FIRST_GLIBC = (2, 35)  # with this setting
MODES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")


def huge_pages_advice(backend, device):
    """What to set before Python starts, so that JAX has huge pages.

    JAX on a processor gets memory anew at each step, page by page; TensorFlow
    keeps its own. Where Linux gives pages of 2 MB on request alone, glibc can
    ask for them. recipes/README.md says what that is worth.

    Args:
        backend: Str, Keras's.
        device: Str, as "CPU:0".

    Returns:
        Str, or None where there is nothing to gain.
    """
    if backend != "jax" or not device.startswith("CPU"):
        return None
    if "glibc.malloc.hugetlb=" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    name, version = platform.libc_ver()
    numbers = tuple(map(int, version.split(".")[:2])) if version else ()
    if name != "glibc" or numbers < FIRST_GLIBC:
        return None
    try:
        on_request = "[madvise]" in MODES.read_text("ascii")
    except OSError:
        return None
    if not on_request:
        return None
    return f"{SETTING}, set before Python starts, makes JAX's steps faster"
