"""What LayerDrop saves: a training step with and without, interleaved.

    uv run recipes/benchmark_layer_drop.py

Both models stay in memory and take turns, a round of steps each, in an order
that turns around; the ratio is the median of the rounds' ratios. Absolute
times are of this machine at this hour. Results: recipes/README.md.
"""

import dataclasses
import statistics
import time

from command_line import read_config

import keras_kd as kd
import numpy as np
import tensorflow as tf
from keras_kd.probes import xla_available
from keras_kd.runtime import training_device
from rich.console import Console
from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Config:
    """What LayerDrop saves in a training step.

    Args:
        layer_drop: Probability of skipping a layer.
        num_layers: Encoder layers.
        hidden_dim: Width.
        vocabulary_size: Tokens of the vocabulary.
        block_length: Tokens in a sequence.
        batch_size: Sequences in a step.
        rounds: Rounds; each ratio is within one.
        steps: Steps of each model in a round.
        seed: Of weights, batch, LayerDrop.
        smoke: Tiny sizes, to see that it runs.
    """

    layer_drop: float = 0.5
    num_layers: int = 8
    hidden_dim: int = 256
    vocabulary_size: int = 1000
    block_length: int = 128
    batch_size: int = 8
    rounds: int = 15
    steps: int = 20
    seed: int = 0
    smoke: bool = False


SMOKE = {
    "num_layers": 2,
    "hidden_dim": 16,
    "block_length": 16,
    "rounds": 2,
    "steps": 2,
}


def main(config):
    """Times both models, XLA on and off; prints the ratios."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    batches = one_batch(config)
    table = Table("XLA", "ms without", "ms with", "ratio", "rounds' range")
    ratios = {}
    for xla in (True, False):
        if xla and not xla_available(training_device())[0]:
            continue
        models = {
            rate: make_model(config, rate, xla)
            for rate in (0.0, config.layer_drop)
        }
        for model in models.values():  # traces, compiles, warms up
            model.fit(batches, verbose=0, shuffle=False)
        rounds = [
            {
                rate: milliseconds(models[rate], batches, config)
                for rate in sorted(models, reverse=bool(index % 2))
            }
            for index in range(config.rounds)
        ]
        shares = [r[config.layer_drop] / r[0.0] for r in rounds]
        ratios[xla] = statistics.median(shares)
        table.add_row(
            "on" if xla else "off",
            f"{statistics.median(r[0.0] for r in rounds):.1f}",
            f"{statistics.median(r[config.layer_drop] for r in rounds):.1f}",
            f"{ratios[xla]:.2f}",
            f"{min(shares):.2f} - {max(shares):.2f}",
        )
    table.title = (
        f"training step with LayerDrop {config.layer_drop} / without, "
        f"{config.num_layers} layers of {config.hidden_dim}"
    )
    Console().print(table)
    return ratios


def make_model(config, rate, xla):
    """A compiled masked-LM model."""
    model = kd.BertMaskedLM(
        kd.BertConfig(
            vocabulary_size=config.vocabulary_size,
            num_layers=config.num_layers,
            hidden_dim=config.hidden_dim,
            num_heads=4,
            max_sequence_length=config.block_length,
            layer_drop=rate,
            dropout=0.0,
        ),
        seed=config.seed,
    )
    model.compile("adamw", jit_compile=xla)
    return model


def one_batch(config):
    """The same batch, `config.steps` times."""
    random = np.random.default_rng(config.seed)
    shape = config.batch_size, config.block_length
    hidden = max(1, config.block_length * 15 // 100)
    ids = random.integers(5, config.vocabulary_size, shape, dtype="int32")
    positions = np.tile(np.arange(hidden, dtype="int32"), (shape[0], 1))
    x = {
        "token_ids": ids,
        "padding_mask": np.ones(shape, "int32"),
        "mask_positions": positions,
    }
    batch = (x, ids[:, :hidden], np.ones((shape[0], hidden), "float32"))
    return tf.data.Dataset.from_tensors(batch).repeat(config.steps)


def milliseconds(model, batches, config):
    """Wall time of a step."""
    start = time.perf_counter()
    model.fit(batches, verbose=0, shuffle=False)
    return 1e3 * (time.perf_counter() - start) / config.steps


if __name__ == "__main__":
    main(read_config(Config, __doc__))
