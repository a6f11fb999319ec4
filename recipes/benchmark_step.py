"""One whole training step: ours, and those of the programs it succeeds.

    uv run --extra bench recipes/benchmark_step.py --output step.json

The step of Hugging Face's distillation project (in PyTorch, written from its
maths), `keras.distillation.Distiller`, and `keras_kd.Distiller` on TensorFlow
and JAX: tokens per second, memory, and how near the step comes to the speed
of its own matrix products. On the CPU, or on one GPU (`--groups gpu`: JAX and
PyTorch alone, no TensorFlow needed), with the same batch and DistilBERT's
objective. Each candidate stays in a process of its own; they take turns, a few
steps each, in an order that turns around. A ratio is the median of the rounds'
ratios to the first candidate of the group; `keras-kd-graph` is in every group
of the CPU, so that groups can be chained. A round in which other programs took
CPU shows in the column `others`.
"""

import contextlib
import dataclasses
import importlib.util
import json
import os
import pathlib
import platform
import subprocess
import sys
from importlib import metadata

from command_line import read_config

from keras_kd import huge_pages

from run_folder import wide_console, write_json
from step_parts import step_products
from step_peers import Size
from step_tables import print_tables


@dataclasses.dataclass(frozen=True)
class Config:
    """Times one whole training step, ours and its peers', taking turns.

    Args:
        sizes: Of mini, base, tiny; base-64, of larger batches, for GPUs.
        rows: Of all, masked: where the soft targets are taken.
        groups: Of torch, keras, kerashub, bfloat16, huge-pages, parts: what
            takes turns together; gpu, where there is one.
        candidates: Only these of the groups, beside each group's first; all
            where none is named.
        rounds: Rounds; each ratio is within one.
        steps: Steps of each candidate in a round.
        output: New JSON file for all samples.
        tables: Such a file, to print its tables again; measures nothing.
        seed: Of weights and batch.
        smoke: Tiny sizes, to see that it runs.
    """

    sizes: tuple[str, ...] = ("mini", "base")
    rows: tuple[str, ...] = ("all", "masked")
    groups: tuple[str, ...] = (
        "torch",
        "keras",
        "kerashub",
        "bfloat16",
        "huge-pages",
        "parts",
    )
    candidates: tuple[str, ...] = ()
    rounds: int = 7
    steps: int = 2
    output: str | None = None
    tables: str | None = None
    seed: int = 0
    smoke: bool = False


SMOKE = {"sizes": ("tiny",), "rows": ("masked",), "rounds": 1, "steps": 1}

# BERT's sizes as in Turc et al., 2019, students of half the layers.
SIZES = {
    "mini": Size(4, 2, 256, 4, 1024, 30522, batch_size=32, block_length=128),
    "base": Size(12, 6, 768, 12, 3072, 30522, batch_size=8, block_length=128),
    "base-64": Size(
        12, 6, 768, 12, 3072, 30522, batch_size=64, block_length=128
    ),
    "tiny": Size(2, 1, 16, 2, 32, 100, batch_size=2, block_length=16),
}


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What runs in a process, and how.

    Args:
        maker: Str, one of `step_worker.MAKERS`.
        precision: Str, "float32" or "bfloat16".
        arguments: Dict of the maker's further arguments.
        environment: Dict of environment variables.
        device: Str, "cpu" or "cuda".
    """

    maker: str
    precision: str = "float32"
    arguments: dict = dataclasses.field(default_factory=dict)
    environment: dict = dataclasses.field(default_factory=dict)
    device: str = "cpu"


# glibc gives large arrays back at once and gets them again, page by page, for
# the next step: half of PyTorch's time where page faults are slow.
KEEP_MEMORY = {
    "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=8589934592"
    ":glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=67108864"
}
# Arrays of 2 MB pages where Linux gives them on request alone ("madvise").
HUGE_PAGES = dict([huge_pages.SETTING.split("=", 1)])
KEEP_HUGE_PAGES = {
    name: f"{KEEP_MEMORY[name]}:{value}" for name, value in HUGE_PAGES.items()
}
ON_JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
# Else JAX takes most of a GPU's memory at once; others have theirs beside it.
ON_GPU = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cuda",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
CANDIDATES = {
    "torch-default": Candidate("torch"),
    "torch-tuned": Candidate("torch", environment=KEEP_MEMORY),
    "torch-bfloat16": Candidate("torch", "bfloat16", environment=KEEP_MEMORY),
    "keras-distillation-graph": Candidate(  # what Keras chooses without a GPU
        "keras_distillation", arguments={"xla": False}
    ),
    "keras-distillation-xla": Candidate(
        "keras_distillation", arguments={"xla": True}
    ),
    "keras-distillation-hub": Candidate(  # over KerasHub's models, not ours
        "keras_distillation", arguments={"xla": False, "hub": True}
    ),
    "keras-kd-graph": Candidate("keras_kd", arguments={"xla": False}),
    "keras-kd-xla": Candidate("keras_kd", arguments={"xla": True}),
    "keras-kd-bfloat16": Candidate(
        "keras_kd", "bfloat16", arguments={"xla": False}
    ),
    "keras-kd-jax": Candidate(
        "keras_kd", arguments={"xla": True}, environment=ON_JAX
    ),
    "torch-huge-pages": Candidate("torch", environment=KEEP_HUGE_PAGES),
    "keras-kd-graph-huge-pages": Candidate(
        "keras_kd", arguments={"xla": False}, environment=HUGE_PAGES
    ),
    "keras-kd-jax-huge-pages": Candidate(
        "keras_kd", arguments={"xla": True}, environment=ON_JAX | HUGE_PAGES
    ),
    "keras-kd-gpu": Candidate(
        "keras_kd", "bfloat16", {"xla": True}, ON_GPU, "cuda"
    ),
    "torch-gpu": Candidate("torch", "bfloat16", device="cuda"),
    "torch-gpu-compiled": Candidate(
        "torch", "bfloat16", {"compiled": True}, device="cuda"
    ),
    "parts": Candidate("parts"),
    "peak": Candidate("peak", environment=KEEP_MEMORY),
}
# What is in memory together: at most about 18 GB. The peak is in each, so that
# a fraction of it is of the same minutes.
GROUPS = {
    "torch": ("keras-kd-graph", "torch-default", "torch-tuned"),
    "keras": (
        "keras-kd-graph",
        "keras-distillation-graph",
        "keras-distillation-xla",
        "keras-kd-xla",
        "keras-kd-jax",
    ),
    "kerashub": ("keras-kd-graph", "keras-distillation-hub"),
    "bfloat16": ("keras-kd-bfloat16", "keras-kd-graph", "torch-bfloat16"),
    "huge-pages": (
        "keras-kd-graph",
        "keras-kd-graph-huge-pages",
        "keras-kd-jax",
        "keras-kd-jax-huge-pages",
        "torch-tuned",
        "torch-huge-pages",
    ),
    "parts": ("keras-kd-graph", "parts"),
    "gpu": ("keras-kd-gpu", "torch-gpu", "torch-gpu-compiled"),
}


def main(config):
    """Measures, or reads, all samples; prints the tables."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    check(config)
    if config.tables:
        results = json.loads(pathlib.Path(config.tables).read_text("utf-8"))
        print_tables(results, wide_console())
        return results
    results = {"machine": describe_machine(config), "groups": []}
    for size in config.sizes:
        for rows in config.rows:
            for group in config.groups:
                found = measure_group(config, size, rows, group)
                results["groups"].append(found)
                if config.output:  # a long run that is stopped leaves a part
                    write_json(pathlib.Path(config.output), results)
    print_tables(results, wide_console())
    return results


def check(config):
    """Ends the program where a choice is unknown or a package missing."""
    choices = {
        "sizes": SIZES,
        "rows": ("all", "masked"),
        "groups": GROUPS,
        "candidates": CANDIDATES,
    }
    for field, known in choices.items():
        unknown = set(getattr(config, field)) - set(known)
        if unknown:
            sys.exit(
                f"`--{field}` must be of {sorted(known)}. "
                f"Received: {sorted(unknown)}"
            )
    for field in ("rounds", "steps"):
        if getattr(config, field) < 1:
            sys.exit(
                f"`--{field}` must be at least 1. "
                f"Received: {getattr(config, field)}"
            )
    if config.tables and not pathlib.Path(config.tables).is_file():
        sys.exit(f"`--tables` must be a file. Received: {config.tables}")
    if config.output and pathlib.Path(config.output).exists():
        sys.exit(
            "`--output` must be a new file. "
            f"Received: {config.output}, which exists"
        )
    needed = {"jax", "torch", "transformers"}
    missing = sorted(p for p in needed if not importlib.util.find_spec(p))
    if missing and not config.tables:
        sys.exit(
            "The peers need the extra `bench`: uv run --extra bench "
            f"recipes/benchmark_step.py. Missing: {', '.join(missing)}"
        )
    if "gpu" in config.groups and not config.tables:
        import torch

        if not torch.cuda.is_available():
            sys.exit(
                "`--groups gpu` needs a GPU that PyTorch sees. Received: none"
            )


def describe_machine(config):
    """What the figures are of."""
    packages = ["keras", "jax", "torch", "transformers"]
    machine = {"platform": platform.platform(), "processors": os.cpu_count()}
    if "gpu" in config.groups:
        import torch

        machine["gpu"] = torch.cuda.get_device_name()
    if set(config.groups) - {"gpu"}:
        packages.insert(1, "tensorflow")
    return machine | {name: metadata.version(name) for name in packages}


def measure_group(config, size_name, rows, group):
    """All samples of the candidates that take turns together.

    A candidate whose process ends is left out from there on.

    Returns:
        Dict of `size`, `shape`, `rows`, `group`, `device`, `steps` and
        `candidates`: of each its `precision`, `first_loss`, `samples` (one a
        round) and `error` (None where there was none).
    """
    size = SIZES[size_name]
    anchor, *others = GROUPS[group]
    device = CANDIDATES[anchor].device
    chosen = config.candidates or others
    names = ["peak", anchor, *(name for name in others if name in chosen)]
    candidates = {}
    with contextlib.ExitStack() as stack:
        processes = {}
        for name in names:
            arguments = worker_arguments(
                name, names, device, size, rows, config.seed
            )
            process = Process(arguments, CANDIDATES[name].environment)
            processes[name] = stack.enter_context(process)
        for name, process in processes.items():  # once all are warm
            candidates[name] = {
                "precision": CANDIDATES[name].precision,
                "first_loss": None,
                "error": None,
                **process.answer(),
                "samples": [],
            }
        for index in range(config.rounds):
            for name in names if index % 2 else reversed(names):
                if candidates[name]["error"]:
                    continue
                answer = processes[name].ask(config.steps)
                candidates[name]["error"] = answer.pop("error", None)
                if answer:
                    sample = {"round": index, **answer}
                    candidates[name]["samples"].append(sample)
    return {
        "size": size_name,
        "shape": dataclasses.asdict(size),
        "rows": rows,
        "group": group,
        "device": device,
        "steps": config.steps,
        "candidates": candidates,
    }


def worker_arguments(name, names, device, size, rows, seed):
    """What `step_worker.serve` is called with."""
    candidate = CANDIDATES[name]
    if name == "peak":
        products = step_products(size, size.rows(rows), device)
        return {
            "maker": "peak" if device == "cpu" else "torch_peak",
            "device": device,
            "products": sorted({(p.name, p.shape) for p in products}),
            "precisions": sorted({CANDIDATES[n].precision for n in names}),
            "seed": seed,
        }
    return {
        "maker": candidate.maker,
        "device": device,
        "size": dataclasses.asdict(size),
        "rows": rows,
        "precision": candidate.precision,
        "seed": seed,
        **candidate.arguments,
    }


class Process:
    """A candidate's process: takes steps when asked, ends with the block."""

    def __init__(self, arguments, environment):
        worker = pathlib.Path(__file__).with_name("step_worker.py")
        self.process = subprocess.Popen(
            [sys.executable, worker, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "KERAS_BACKEND": "tensorflow", **environment},
        )

    def ask(self, steps):
        """Has it take steps; its answer."""
        with contextlib.suppress(BrokenPipeError):  # then it does not answer
            print(steps, file=self.process.stdin, flush=True)
        return self.answer()

    def answer(self):
        """Its next answer, a dict; with an `error` where it has ended."""
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        return {"error": f"ended with status {self.process.wait()}"}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()  # nothing to keep, and frameworks end slowly
        self.process.communicate()


if __name__ == "__main__":
    main(read_config(Config, __doc__))
