"""scout_encoder: which layers of an encoder that has no head?"""

import math

import numpy as np
from keras_kd.evaluation.similarity import (
    FEWEST_TEXTS,
    compare_states,
    last_states,
)
from keras_kd.initialization import (
    best_subset,
    most_influential,
    named_layers,
)
from keras_kd.models import choose_embedding
from rich.console import Console
from rich.table import Table

MOST_SUBSETS = 100  # that are all tried; of more, `BEAM` at a time go on
BEAM = 1
BATCHES = 2  # that a search looks at
CRITERION = "embedding_cosine"


def scout_encoder(teacher, num_layers, batches, pooling=None, verbose=1):
    """All plans, ranked by how near the cut is to the whole encoder.

    `scout` for encoders without a head: nothing is trained. Where every second
    batch and the others hold three texts each, layers are searched on those
    and all plans reported on these: the best of many would look better than
    it is on the batches that chose it.

    Args:
        teacher: `BertBackbone`.
        num_layers: Int (k), layers to keep.
        batches: As of `evaluate_similarity`.
        pooling: As of `evaluate_similarity`.
        verbose: 1 prints the table, 0 nothing.

    Returns:
        Dict of plan name to a dict of `layers` and what `evaluate_similarity`
        gives, the highest `embedding_cosine` first.

    Raises:
        ValueError: If k is not from 1 to L, or as `evaluate_similarity`.
    """
    pooling = choose_embedding(teacher.config, pooling).pooling
    depth = teacher.config.num_layers
    layers = named_layers(depth, num_layers)
    batches = [x for x, *_ in batches]
    reported = batches
    halves = batches[::2], batches[1::2]
    if min(map(count_texts, halves)) >= FEWEST_TEXTS:
        chosen_on, reported = halves[0][:BATCHES], halves[1]
        distances = Distances(teacher, chosen_on, pooling)
        few = math.comb(depth, num_layers) <= MOST_SUBSETS
        layers["searched"] = best_subset(
            distances, depth, num_layers, beam_width=None if few else BEAM
        )
        layers["block_influence"] = most_influential(
            teacher, num_layers, chosen_on
        )
    distances = Distances(teacher, reported, pooling)
    distances.measure(layers.values())
    ranked = sorted(layers, key=lambda name: distances.known[layers[name]])
    table = {
        name: {
            "layers": list(layers[name]),
            **distances.figures[layers[name]],
        }
        for name in ranked
    }
    if verbose:
        print_scouted_encoder(table)
    return table


class Distances:
    """1 - cosine of the embeddings of sub-networks, each measured once."""

    def __init__(self, teacher, batches, pooling):
        self.teacher, self.batches, self.pooling = teacher, batches, pooling
        self.masks = [np.asarray(x["padding_mask"]) for x in batches]
        self.states = [last_states(teacher, x) for x in batches]
        self.figures, self.known = {}, {}

    def measure(self, subsets):
        """Has them known."""
        for subset in set(subsets) - self.known.keys():
            model = self.teacher.subnetwork(subset)
            states = (last_states(model, x) for x in self.batches)
            found = compare_states(
                zip(self.masks, self.states, states, strict=True), self.pooling
            )
            self.figures[subset] = found
            self.known[subset] = 1 - found[CRITERION]


def count_texts(batches):
    """Texts that are more than padding, int."""
    return sum(np.asarray(x["padding_mask"]).any(axis=1).sum() for x in batches)


def print_scouted_encoder(table):
    """A line a plan, the best first."""
    printed = Table(
        "plan", "encoder layers", title="before any training, held-out text"
    )
    columns = (CRITERION, "similarity_correlation", "hidden_state_cosine")
    for name in columns:
        printed.add_column(name.replace("_", " "), justify="right")
    for name, row in table.items():
        printed.add_row(
            name,
            " ".join(map(str, row["layers"])),
            *(f"{row[column]:.4f}" for column in columns),
        )
    Console().print(printed)
