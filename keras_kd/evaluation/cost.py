"""What an encoder costs: multiply-adds, bytes, and time beside others."""

import dataclasses
import math
import statistics
import time

import numpy as np


def multiply_adds(model, length, positions=1):
    """Multiply-adds of a text without padding, by its number of tokens.

    Counted are the matrix products, which are nearly all there is to do: in
    each layer 4·D² of the query, key, value and output projections, 2·T·D of
    the attention (queries by keys, scores by values), 2·D·F of the feed-forward
    layer; and once a text, so divided by T here, D² of a pooler, D of each
    logit that a head gives, and of a masked-LM head D² at each of K positions
    besides. Not counted: embeddings (they are looked up), biases, norms,
    activations, softmax. A multiply-add is two floating-point operations.

    Args:
        model: `BertBackbone`, a task model over one, or a sub-network of
            either; or a `BertConfig`, for the encoder alone.
        length: Int (T). Tokens of the text.
        positions: Int (K). Where a masked LM scores the vocabulary; of no
            meaning to other models.

    Returns:
        Float, multiply-adds per token.

    Raises:
        ValueError: If the model is none of these, or has no such positions.
    """
    config = getattr(model, "config", model)
    if not hasattr(config, "max_sequence_length"):
        raise ValueError(
            "`model` must be an encoder of keras_kd or a `BertConfig`. "
            f"Received: {model!r}"
        )
    if not 1 <= length <= config.max_sequence_length:
        raise ValueError(
            f"`length` must be from 1 to {config.max_sequence_length}, the "
            f"model's positions. Received: {length}"
        )
    if not 0 <= positions <= length:
        raise ValueError(
            f"`positions` must be from 0 to `length`, {length}. "
            f"Received: {positions}"
        )
    width, inner = config.hidden_dim, config.intermediate_dim
    layer = 4 * width**2 + 2 * length * width + 2 * width * inner
    once = width**2 if config.pooler else 0
    if "logits" in getattr(model, "output", ()):
        rows = length
        if "mask_positions" in {tensor.name for tensor in model.inputs}:
            rows = positions
            once += rows * width**2
        axes = model.output["logits"].shape[1:]  # None: tokens, or positions
        once += width * math.prod(rows if n is None else n for n in axes)
    return config.num_layers * layer + once / length


def count_bytes(model):
    """How large a model's weights are, whatever file they are in.

    Args:
        model: Keras model.

    Returns:
        Dict of int: `parameters`; `float32_bytes`, 4 a parameter, as in
        safetensors or the weights of a .keras file, which add some kilobytes
        of names; `int8_bytes`, of matrices 1 byte a parameter and 4 for the
        scale of each column, of vectors 4 a parameter.
    """
    shapes = [tuple(weight.shape) for weight in model.weights]
    sizes = [math.prod(shape) for shape in shapes]
    return {
        "parameters": sum(sizes),
        "float32_bytes": 4 * sum(sizes),
        "int8_bytes": sum(
            size + 4 * shape[-1] if len(shape) > 1 else 4 * size
            for shape, size in zip(shapes, sizes, strict=True)
        ),
    }


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long the calls of a function took, from `time_in_turns`.

    Attributes:
        rounds: Tuple of tuples of float: seconds of each call, by round.
    """

    rounds: tuple[tuple[float, ...], ...]

    @property
    def p50(self):
        """Median of all calls, in seconds."""
        return self.percentile(50)

    @property
    def p95(self):
        """What 95 % of all calls were not longer than, in seconds."""
        return self.percentile(95)

    def percentile(self, percent):
        """Of all calls, between two of them a line; in seconds."""
        return float(np.percentile(np.concatenate(self.rounds), percent))

    def throughput(self, items):
        """Items per second, by the median call, if each call takes `items`."""
        return items / self.p50

    def speed_up(self, other):
        """How many times as fast as another that it took turns with.

        Within each round, by median calls: what slows a machine down for a
        while slows both.

        Args:
            other: `Timing` of the same `time_in_turns`.

        Returns:
            Tuple of float: median, lowest and highest of the rounds.
        """
        ratios = [
            statistics.median(theirs) / statistics.median(ours)
            for ours, theirs in zip(self.rounds, other.rounds, strict=True)
        ]
        return statistics.median(ratios), min(ratios), max(ratios)


def time_in_turns(functions, rounds=5, seconds=1.0):
    """Times functions that take turns, so that they meet the same machine.

    Each is called once beforehand, which traces and compiles. Then in each
    round, in an order that turns around, each is called until `seconds` have
    passed. The first call of a turn is left out, unless it is the only one:
    caches and threads are still another's.

    Args:
        functions: Dict of a name to a function without arguments. It must
            wait for its result, such as by making it a NumPy array.
        rounds: Int.
        seconds: Float, of each turn.

    Returns:
        Dict of the same names to `Timing`.

    Raises:
        ValueError: If there is no function, or no round.
    """
    if not functions:
        raise ValueError(
            f"`functions` must hold a function. Received: {functions}"
        )
    if rounds < 1:
        raise ValueError(f"`rounds` must be at least 1. Received: {rounds}")
    names = list(functions)
    for function in functions.values():
        function()
    turns = {name: [] for name in names}
    for index in range(rounds):
        for name in reversed(names) if index % 2 else names:
            turns[name].append(_turn(functions[name], seconds))
    return {name: Timing(tuple(turns[name])) for name in names}


def _turn(function, seconds):
    """Seconds of each call of a turn."""
    calls = []
    start = end = time.perf_counter()
    while not calls or end - start < seconds:
        begin = time.perf_counter()
        function()
        end = time.perf_counter()
        calls.append(end - begin)
    return tuple(calls[1:] or calls)
