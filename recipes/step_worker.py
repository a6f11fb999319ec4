"""A candidate of `benchmark_step.py`, in a process of its own.

Not a recipe. The candidate is made once, warmed up, and then stays: for every
line with a number of steps on standard input it takes that many and answers
with one line of JSON.
"""

import json
import os
import pathlib
import sys
import time

import step_parts
import step_peers
from worker_process import forget_peak, peak_mib

MAKERS = {
    "torch": step_peers.make_torch,
    "keras_distillation": step_peers.make_keras_distillation,
    "keras_kd": step_peers.make_keras_kd,
    "parts": step_parts.make_parts,
    "peak": step_parts.make_peak,
    "torch_peak": step_parts.make_torch_peak,
}


def serve(maker, device="cpu", **arguments):
    """Makes a candidate, warms it up, answers until its input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print does not mix with the answers
    if "size" in arguments:
        arguments["size"] = step_peers.Size(**arguments["size"])
    on_torch = maker.startswith("torch")
    if on_torch:
        arguments["device"] = device
    elif device == "cpu":
        hide_accelerators()
    peak = peak_mib if device == "cpu" else device_peak(on_torch)
    runs = MAKERS[maker](**arguments)
    first = [run(1) for run in runs.values()]
    for run in runs.values():
        run(1)
    print(json.dumps({"first_loss": first[0]}), file=answers)
    whole_peak = peak()
    forget_peak()
    for line in sys.stdin:
        sample = take_sample(runs, int(line), peak)
        whole_peak = max(whole_peak, sample["steps_mib"])
        print(json.dumps({**sample, "whole_mib": whole_peak}), file=answers)


def hide_accelerators():
    """Keeps TensorFlow on the CPU, where all candidates are compared."""
    import keras_kd  # noqa: F401  (a quiet TensorFlow)
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")


def device_peak(on_torch):
    """A function of the most memory of the GPU so far, in MiB."""
    if on_torch:
        import torch

        return lambda: torch.cuda.max_memory_allocated() / 2**20
    import jax

    device = jax.local_devices()[0]
    return lambda: device.memory_stats()["peak_bytes_in_use"] / 2**20


def take_sample(runs, steps, peak=peak_mib):
    """Seconds per step of each run, others' CPU (in cores), peak memory.

    A step goes before that is not timed: training is many steps in a row, and
    this process has slept while others took theirs.
    """
    for run in runs.values():
        run(1)
    seconds = {}
    start, busy, own = time.perf_counter(), busy_seconds(), time.process_time()
    for name, run in runs.items():
        begin = time.perf_counter()
        run(steps)
        seconds[name] = (time.perf_counter() - begin) / steps
    others = None
    if busy is not None:
        others = busy_seconds() - busy - (time.process_time() - own)
        others = max(0.0, others / (time.perf_counter() - start))
    return {"seconds": seconds, "others": others, "steps_mib": peak()}


def busy_seconds():
    """CPU seconds of all processes since the start; None off Linux."""
    try:
        line = pathlib.Path("/proc/stat").read_text().splitlines()[0]
    except OSError:
        return None
    user, nice, system, _, _, *rest = map(int, line.split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))
