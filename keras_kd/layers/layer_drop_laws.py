"""Laws of LayerDrop: how often each layer is skipped, and what follows."""

import math

LAWS = {
    "constant": "the rate for all layers",
    "linear": "l / (L - 1) of the rate for layer l: later ones more often",
    "exponential": "2^(l / (L - 1)) - 1 of the rate: the last ones most",
    "alternate": "the rate for those that are not kept, 0 for the others",
}


def layer_drop_rates(
    law, num_layers, rate, kept=None, pin_first=False, pin_last=False
):
    """The rate of each layer, for `BertConfig(layer_drop=...)`.

    Sources: "constant", Fan et al., 2019, https://arxiv.org/abs/1909.11556;
    "linear", Huang et al., 2016, https://arxiv.org/abs/1603.09382;
    "exponential", LayerSkip, Elhoushi et al., 2024,
    https://arxiv.org/abs/2404.16710.

    Args:
        law: A name in `LAWS`.
        num_layers: Int (L).
        rate: Float in [0, 1), the highest of the rates.
        kept: Layers that the student will keep, for "alternate". Default:
            every other one, from the first.
        pin_first: Bool. Whether the first layer is never skipped.
        pin_last: Bool. The same of the last one.

    Returns:
        Tuple of L floats.

    Raises:
        ValueError: If the law is unknown, the rate out of range, or `kept`
            names no layer of these.
    """
    if law not in LAWS:
        raise ValueError(
            f"`law` must be one of {list(LAWS)}. Received: {law!r}"
        )
    if not 0 <= rate < 1:
        raise ValueError(f"`rate` must be in [0, 1). Received: {rate}")
    if kept is None:
        kept = range(0, num_layers, 2)
    if not set(kept) <= set(range(num_layers)):
        raise ValueError(
            f"`kept` must be layers from 0 to {num_layers - 1}. "
            f"Received: {sorted(kept)}"
        )
    last = max(1, num_layers - 1)
    share = {
        "constant": lambda layer: 1.0,
        "linear": lambda layer: layer / last,
        "exponential": lambda layer: 2 ** (layer / last) - 1,
        "alternate": lambda layer: float(layer not in set(kept)),
    }[law]
    rates = [rate * share(layer) for layer in range(num_layers)]
    if pin_first:
        rates[0] = 0.0
    if pin_last:
        rates[-1] = 0.0
    return tuple(rates)


def expected_depth(rates):
    """How many layers a step has on average.

    Args:
        rates: Rate of each layer, L floats.
    """
    return sum(1 - rate for rate in rates)


def subset_probability(subset, rates):
    """How likely a step has just these layers.

    Args:
        subset: Indices of layers.
        rates: Rate of each layer, L floats.

    Raises:
        ValueError: If there is no such layer.
    """
    subset = set(subset)
    if not subset <= set(range(len(rates))):
        raise ValueError(
            f"`subset` must be layers from 0 to {len(rates) - 1}. "
            f"Received: {sorted(subset)}"
        )
    return math.prod(
        1 - rate if layer in subset else rate
        for layer, rate in enumerate(rates)
    )


def suggested_rate(num_layers, kept):
    """The constant rate whose steps have `kept` layers on average.

    Source: Fan et al., 2019, https://arxiv.org/abs/1909.11556

    Args:
        num_layers: Int (L).
        kept: Int (k), from 1 to L.

    Raises:
        ValueError: If k is out of range.
    """
    if not 1 <= kept <= num_layers:
        raise ValueError(
            f"`kept` must be from 1 to {num_layers}. Received: {kept}"
        )
    return 1 - kept / num_layers


def late_layer_drop(steps, begin=0.4, full=0.7):
    """LayerDrop that comes when a teacher has learnt something.

    None of it for a share of the steps, then more and more, by a line, all of
    it from another share on: for `keras_kd.ScheduleLayerDrop(
    late_layer_drop(steps), relative=True)`. From the first step on LayerDrop
    keeps a small teacher from learning; what this is worth was measured by
    recipes/study_initialization.py.

    Args:
        steps: Int, of the whole training.
        begin: Float, share of the steps without LayerDrop.
        full: Float, share of the steps after which all of it is there.

    Returns:
        Function of a step to the share of its rate that a layer has.

    Raises:
        ValueError: If `steps` is below 1, or not 0 <= begin < full <= 1.
    """
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1. Received: {steps}")
    if not 0 <= begin < full <= 1:
        raise ValueError(
            "`begin` and `full` must be shares of the steps, the first one "
            f"less. Received: {begin} and {full}"
        )

    def share(step):
        grown = (step / steps - begin) / (full - begin)
        return min(1.0, max(0.0, grown))

    return share
