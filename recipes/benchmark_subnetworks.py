"""What measuring all sub-networks costs, beside one after the other.

    uv run recipes/benchmark_subnetworks.py

All 2^L - 1 sub-networks of a teacher by `kd.evaluate_subnetworks`, which runs
what several have in common once; and, between two such runs, some of them
drawn at random, each extracted, compiled and measured batch by batch. Seconds
of all of them one by one come from a line through the sample's depths, with
and without extraction and compilation. Results: recipes/README.md.
"""

import dataclasses
import statistics
import time

from command_line import read_config

import keras_kd as kd
import numpy as np
from rich.console import Console
from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Config:
    """What measuring all sub-networks costs.

    Args:
        num_layers: Encoder layers of the teacher.
        hidden_dim: Width.
        vocabulary_size: Tokens of the vocabulary.
        block_length: Tokens in a sequence.
        batch_size: Sequences in a batch.
        batches: Batches of held-out text.
        sample: Sub-networks that are measured one by one.
        rounds: Runs of all, with a part of the sample after each.
        seed: Of weights, text, sample.
        smoke: Tiny sizes, to see that it runs.
    """

    num_layers: int = 8
    hidden_dim: int = 256
    vocabulary_size: int = 8192
    block_length: int = 128
    batch_size: int = 16
    batches: int = 2
    sample: int = 24
    rounds: int = 2
    seed: int = 0
    smoke: bool = False


SMOKE = {
    "num_layers": 3,
    "hidden_dim": 16,
    "vocabulary_size": 100,
    "block_length": 16,
    "batch_size": 2,
    "sample": 4,
}


def main(config):
    """Times both in turn; prints seconds, the ratio, and how far they agree."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    teacher = kd.BertMaskedLM(
        kd.BertConfig(
            config.vocabulary_size,
            config.num_layers,
            config.hidden_dim,
            num_heads=max(1, config.hidden_dim // 64),
            max_sequence_length=config.block_length,
            initializer_range=0.1,
        ),
        seed=config.seed,
    )
    batches = make_batches(config)
    subsets = kd.choose_subsets(config.num_layers)
    random = np.random.default_rng(config.seed)
    sample = random.choice(len(subsets), config.sample, replace=False)
    together, alone, found = [], [], {}
    for part in np.array_split(sample, config.rounds):
        start = time.perf_counter()
        found = kd.evaluate_subnetworks(
            teacher, batches, jit_compile=kd.choose_jit_compile()
        )
        together.append(time.perf_counter() - start)
        alone += [one_by_one(teacher, subsets[i], batches) for i in part]
    differences = [
        abs(nats - found[subset]["masked_cross_entropy"])
        for subset, nats, *_ in alone
    ]
    report = {
        "all": statistics.median(together),
        "one_by_one": len(subsets) * mean_by_depth(config, alone, 2),
        "evaluation_alone": len(subsets) * mean_by_depth(config, alone, 3),
        "difference": max(differences),
    }
    print_report(report, len(subsets))
    return report


def make_batches(config):
    """Made-up batches, all of one shape."""
    random = np.random.default_rng(config.seed)
    shape = config.batch_size, config.block_length
    slots = max(1, config.block_length * 15 // 100)
    batches = []
    for _ in range(config.batches):
        ids = random.integers(0, config.vocabulary_size, shape)
        x = {
            "token_ids": ids.astype("int32"),
            "segment_ids": np.zeros(shape, "int32"),
            "padding_mask": np.ones(shape, "int32"),
            "mask_positions": np.tile(
                np.arange(slots, dtype="int32"), (config.batch_size, 1)
            ),
        }
        y = ids[:, :slots].astype("int32")
        batches.append((x, y, np.ones(y.shape, "float32")))
    return batches


def one_by_one(teacher, subset, batches):
    """The subset, its nats, seconds of all, seconds of evaluating alone."""
    start = time.perf_counter()
    student = kd.extract_student(teacher, subset)
    student.compile(jit_compile=kd.choose_jit_compile())
    student.test_on_batch(*batches[0])  # compiles
    compiled = time.perf_counter()
    losses = []
    for batch in batches:
        student.reset_metrics()
        losses.append(student.test_on_batch(*batch))
    nats = float(np.mean(losses))
    end = time.perf_counter()
    return subset, nats, end - start, end - compiled


def mean_by_depth(config, alone, figure):
    """Mean over all sub-networks, from a line through the sample's depths."""
    depths = [len(measured[0]) for measured in alone]
    seconds = [measured[figure] for measured in alone]
    slope, start = np.polyfit(depths, seconds, 1)
    every = [len(s) for s in kd.choose_subsets(config.num_layers)]
    return float(start + slope * np.mean(every))


def print_report(report, number):
    """Seconds and ratios."""
    table = Table(title=f"{number} sub-networks")
    for heading in ("", "seconds", "all together, of that"):
        table.add_column(heading)
    for name in ("all", "one_by_one", "evaluation_alone"):
        share = report["all"] / report[name]
        table.add_row(
            name.replace("_", " "), f"{report[name]:.1f}", f"{share:.3f}"
        )
    Console().print(table)
    print(
        "Largest difference of masked cross-entropies: "
        f"{report['difference']:.1e} nats."
    )


if __name__ == "__main__":
    main(read_config(Config, __doc__))
