"""Which layers? Searches over sub-networks, and all plans in one table."""

import itertools

import numpy as np
from keras_kd.initialization.plans import HUGGING_FACE, choose_layers
from keras_kd.initialization.subnetworks import SubnetworkEvaluator
from rich.console import Console
from rich.table import Table

MOST_LAYERS = 12  # of a teacher all of whose sub-networks are tried


def search_layers(
    teacher, num_layers, batches, robustness=0.0, beam_width=None, verbose=0
):
    """The layers that do best by themselves, before any training.

    The score of a sub-network S is its masked cross-entropy and `robustness`
    times the mean of those that have one layer less: a start that survives
    one more loss stands on flat ground.

    Args:
        teacher: `BertMaskedLM` of L layers.
        num_layers: Int (k), layers to keep.
        batches: Held-out batches with fixed masks, which are not those that
            the choice is then reported on.
        robustness: Float >= 0.
        beam_width: Int or None. Layers are taken away one by one, and so many
            of the best sub-networks gone on with; 1 is greedy (SLEB, Song et
            al., 2024, https://arxiv.org/abs/2402.09025). None: every
            sub-network of k layers is tried where L is 12 at most, else 8.
        verbose: 1 for Keras's bar, 0 for silence.

    Returns:
        Tuple of k layer indices.

    Raises:
        ValueError: If k is not from 1 to L, or an argument out of range.
    """
    depth = teacher.config.num_layers
    _check_num_layers(num_layers, depth)
    if not 0 <= robustness < float("inf"):
        raise ValueError(
            f"`robustness` must be 0 or more. Received: {robustness}"
        )
    if beam_width is not None and beam_width < 1:
        raise ValueError(
            f"`beam_width` must be at least 1. Received: {beam_width}"
        )
    losses = Losses(teacher, batches, verbose)
    return best_subset(losses, depth, num_layers, robustness, beam_width)


class Losses:
    """The masked cross-entropy of sub-networks, each measured once."""

    def __init__(self, teacher, batches, verbose=0):
        self.evaluator = SubnetworkEvaluator(teacher)
        self.batches = batches
        self.verbose = verbose
        self.known = {}

    def measure(self, subsets):
        """Has them known, those that are new all together."""
        new = set(subsets) - self.known.keys() - {()}
        if new:
            found = self.evaluator.evaluate(
                self.batches, subsets=new, verbose=self.verbose
            )
            for subset, values in found.items():
                self.known[subset] = values["masked_cross_entropy"]


def best_subset(losses, depth, num_layers, robustness=0.0, beam_width=None):
    """The search of `search_layers`, over `Losses`."""

    def best(subsets, number):
        asked = list(subsets)
        if robustness:
            asked += [less for subset in subsets for less in one_less(subset)]
        losses.measure(asked)
        return sorted(subsets, key=lambda s: (score(s), s))[:number]

    def score(subset):
        known = losses.known
        less = [known[s] for s in one_less(subset) if s] if robustness else []
        return known[subset] + (robustness * np.mean(less) if less else 0.0)

    if beam_width is None and depth <= MOST_LAYERS:
        subsets = itertools.combinations(range(depth), num_layers)
        return best(list(subsets), 1)[0]
    beam = [tuple(range(depth))]
    while len(beam[0]) > num_layers:
        subsets = {less for subset in beam for less in one_less(subset)}
        beam = best(sorted(subsets), beam_width or 8)
    return beam[0]


def one_less(subset):
    """A subset without each of its layers in turn, a list of tuples."""
    return [subset[:i] + subset[i + 1 :] for i in range(len(subset))]


def block_influence(teacher, batches):
    """How much each layer changes the states: 1 - their cosine, by token.

    Source: ShortGPT, Men et al., 2024, https://arxiv.org/abs/2403.03853

    Args:
        teacher: `BertMaskedLM` or `BertBackbone` of L layers.
        batches: Iterable of `x`, or of tuples that begin with it.

    Returns:
        List of L floats, means over real tokens.
    """
    backbone = getattr(teacher, "backbone", teacher)
    sums, tokens = np.zeros(teacher.config.num_layers), 0.0
    for batch in batches:
        x = batch[0] if isinstance(batch, (tuple, list)) else batch
        x = {input.name: np.asarray(x[input.name]) for input in backbone.inputs}
        states = [
            np.asarray(s, "float64")
            for s in backbone.predict_on_batch(x)["hidden_states"]
        ]
        real = x["padding_mask"].astype(bool)
        for index, (a, b) in enumerate(itertools.pairwise(states)):
            norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
            cosines = (a * b).sum(-1) / np.maximum(norms, 1e-12)
            sums[index] += (1 - cosines[real]).sum()
        tokens += real.sum()
    return (sums / max(tokens, 1)).tolist()


def most_influential(teacher, num_layers, batches):
    """The layers of the highest `block_influence`, in their order."""
    _check_num_layers(num_layers, teacher.config.num_layers)
    influence = block_influence(teacher, batches)
    ranked = np.argsort(influence)[::-1][:num_layers]
    return tuple(sorted(ranked.tolist()))


def scout(teacher, num_layers, batches, report_batches=None, verbose=1):
    """Which layers? All plans, ranked by the student's start they give.

    Layers are chosen on one half of the held-out batches (every second one)
    and reported on the other, or on `report_batches`: the best of many on the
    batches that chose it would look better than it is.

    Args:
        teacher: `BertMaskedLM`.
        num_layers: Int (k), layers of the student.
        batches: Held-out batches with fixed masks.
        report_batches: Others, to report on; default: half of `batches`.
        verbose: 1 prints the table, 0 nothing.

    Returns:
        Dict of plan name to a dict of `layers`, `masked_cross_entropy` and
        `teacher_kl` (nats), the best first. `InitializeStudent(layers)` and
        `extract_student(teacher, layers)` take the layers.

    Raises:
        ValueError: If k is not from 1 to L; if there is but one batch.
    """
    batches = [
        tuple(_arrays(part) for part in batch) for batch in iter(batches)
    ]
    if report_batches is None:
        if len(batches) < 2:
            raise ValueError(
                "`batches` must be two at least, to choose on one half and to "
                f"report on the other. Received: {len(batches)}"
            )
        batches, report_batches = batches[::2], batches[1::2]
    depth = teacher.config.num_layers
    _check_num_layers(num_layers, depth)
    losses = Losses(teacher, batches)
    layers = {
        "searched": best_subset(losses, depth, num_layers),
        "robust": best_subset(losses, depth, num_layers, robustness=1.0),
        "block_influence": most_influential(teacher, num_layers, batches),
    }
    layers |= named_layers(depth, num_layers)
    found = losses.evaluator.evaluate(
        report_batches, subsets=set(layers.values())
    )
    ranked = sorted(
        layers, key=lambda name: found[layers[name]]["masked_cross_entropy"]
    )
    table = {
        name: {"layers": layers[name], **found[layers[name]]} for name in ranked
    }
    if verbose:
        print_scouted(table)
    return table


def named_layers(depth, num_layers):
    """The layers of each plan that no text chooses.

    Args:
        depth: Int (L), the teacher's layers.
        num_layers: Int (k), the student's.

    Returns:
        Dict of plan name to a tuple of k layer indices.

    Raises:
        ValueError: If k is not from 1 to L.
    """
    _check_num_layers(num_layers, depth)
    names = ["first", "last", "every_other", "both_ends"]
    if depth == 12 and num_layers in HUGGING_FACE:
        names.append("hugging_face")
    return {
        name: tuple(choose_layers(name, depth, num_layers)) for name in names
    }


def print_scouted(table, console=None):
    """A line a plan, the best first."""
    printed = Table(
        "plan", "teacher layers", title="before any training, held-out text"
    )
    for heading in ("nats", "KL to the teacher"):
        printed.add_column(heading, justify="right")
    for name, row in table.items():
        printed.add_row(
            name,
            " ".join(map(str, row["layers"])),
            f"{row['masked_cross_entropy']:.3f}",
            f"{row['teacher_kl']:.3f}",
        )
    (console or Console()).print(printed)


def _check_num_layers(num_layers, depth):
    if not 1 <= num_layers <= depth:
        raise ValueError(
            f"`num_layers` must be from 1 to {depth}. Received: {num_layers}"
        )


def _arrays(part):
    """A part of a batch, as NumPy's arrays."""
    if isinstance(part, dict):
        return {name: np.asarray(value) for name, value in part.items()}
    return np.asarray(part)
