"""A benchmark's turn in a process of its own, and its memory. Not a recipe."""

import json
import pathlib
import resource
import subprocess
import sys


def run_worker(recipe, flags, name):
    """Runs a recipe as a worker: the JSON on the last line that it prints.

    Args:
        recipe: Str, its file.
        flags: List of str.
        name: Str, for `--worker`.
    """
    done = subprocess.run(
        [sys.executable, recipe, *flags, "--worker", name],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_mib():
    """Most resident memory so far, or since `forget_peak`, on Linux."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:  # macOS: of the whole life of the process, in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def forget_peak():
    """What follows is the memory of that, not of what came before."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
