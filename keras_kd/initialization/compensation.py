"""Compensation: kept layers that make up for those taken away after them.

A plan goes in and a plan comes out, some of its sources other than before: in
closed form, from calibration text, without any training. Layers go in turn,
each on what the student's layers before it, compensated already, give. A kept
layer whose successor is kept too stays as it is.
"""

import dataclasses

import numpy as np
from keras import ops
from keras_kd.initialization.plans import Fitted, Mean, Scaled

# How to compensate, and what is done.
COMPENSATIONS = {
    "gains": "both branches of a layer before a gap, times a number each",
    "ridge": "the feed-forward's output of a layer before a gap, refitted",
    "average": "a layer and those taken away after it, their mean",
}
LEAST_GAIN, MOST_GAIN = 0.5, 2.0
# Output projections, and the norms of the sums that they go into.
BRANCHES = {
    "attention_output": "attention_norm",
    "feed_forward_output": "feed_forward_norm",
}


def compensate(plan, teacher, batches=None, method="gains", ridge=0.1):
    """A plan whose kept layers do the work of those that are not.

    The teacher's layers from a kept one up to the next that is kept make
    h' of h. The student has the first of them alone: it makes
    LN(x + α · attention(x)), then LN(x + β · feed_forward(x)).

    "gains": least-squares α, to what the last of these layers has after its
    attention, and β, to h', linear from 1 on. Both clipped to 0.5 .. 2 and
    folded into the output projections.
    After the magnitude compensation of Prune&Comp, Chen et al., 2025,
    https://arxiv.org/abs/2507.18212, here one number a branch, and post-LN.

    "ridge": the matrix and bias of `feed_forward_output` that come nearest
    to h' (each token's scale in the norm stays what it was), with λ = `ridge`
    times the mean square of its inputs holding them to the teacher's: much of
    it is a copy, next to none the refit of ReplaceMe, Shopkhoev et al., 2025,
    https://arxiv.org/abs/2505.02819.

    "average": a layer's variables are the mean of those it stands for, as in
    LaCo, Yang et al., 2024, https://arxiv.org/abs/2402.11187; no text needed.

    What is nearer to the teacher before training need not be the better
    student after it: `recipes/study_initialization.py` measures both.

    Args:
        plan: `InitializationPlan` that copies layers, from `make_plan`.
        teacher: `BertMaskedLM` or `BertBackbone` of L layers.
        batches: Iterable of `x`, or of tuples that begin with it, all of
            which are held at once: some ten thousand tokens are enough.
        method: A name in `COMPENSATIONS`.
        ridge: Float > 0.

    Returns:
        `InitializationPlan`.

    Raises:
        ValueError: If there is no such method, `ridge` is not above 0, the
            plan copies no whole layers, or there is no text.
    """
    if method not in COMPENSATIONS:
        raise ValueError(
            f"`method` must be one of {list(COMPENSATIONS)}. "
            f"Received: {method!r}"
        )
    check_ridge(ridge)
    if plan.layers_to_keep is None:
        raise ValueError(
            "`plan` must copy layers to be compensated. Received: "
            f"{plan.name!r}"
        )
    name = f"{plan.name} + {method}"
    if method == "average":
        sources = _averages(plan, teacher.config.num_layers)
    else:
        sources = _fits(plan, teacher, batches, method, ridge)
    return dataclasses.replace(
        plan, name=name, sources={**plan.sources, **sources}
    )


def spans(plan, num_layers):
    """Pairs of each kept layer and the next (the last: `num_layers`)."""
    kept = plan.layers_to_keep
    return list(zip(kept, (*kept[1:], num_layers), strict=True))


def _averages(plan, num_layers):
    sources = {}
    for index, (first, after) in enumerate(spans(plan, num_layers)):
        owner = f"encoder_layer_{index}/"
        for target in plan.sources:
            if target.startswith(owner) and after > first + 1:
                rest = target.removeprefix(owner)
                layers = range(first, after)
                sources[target] = Mean(
                    tuple(f"encoder_layer_{layer}/{rest}" for layer in layers)
                )
    return sources


def _fits(plan, teacher, batches, method, ridge):
    """Sources of output projections, layer by layer."""
    text = Text(teacher, batches)
    layers = text.backbone.encoder_layers
    states = [whole[0] for whole in text.states]
    sources = {}
    for index, (first, after) in enumerate(spans(plan, len(layers))):
        layer = layers[first]
        if after == first + 1:
            states = text.run(layer, states)
            continue
        last = layers[after - 1]
        before_last = [whole[after - 1] for whole in text.states]
        contexts = text.inputs_of("attention_output", last, before_last)
        targets = {
            "attention_output": text.attend(last, before_last, contexts),
            "feed_forward_output": [whole[after] for whole in text.states],
        }
        for projection, norm in BRANCHES.items():
            owner = getattr(layer, projection)
            inputs = text.inputs_of(projection, layer, states)
            branch = Branch.of(
                owner,
                getattr(layer, norm),
                text.flat(states),
                text.flat(inputs),
                text.flat(targets[projection]),
            )
            names = {
                part: f"{projection}/{part}" for part in ("kernel", "bias")
            }
            kernel, bias = branch.kernel, branch.bias
            if method == "gains":
                gain = branch.gain()
                kernel, bias = gain * kernel, gain * bias
                found = {
                    part: Scaled(f"encoder_layer_{first}/{name}", gain)
                    for part, name in names.items()
                }
            elif projection == "feed_forward_output":
                kernel, bias = branch.refit(ridge)
                arrays = {"kernel": kernel, "bias": bias}
                found = {
                    part: Fitted(
                        arrays[part].astype("float32"),
                        f"encoder_layer_{first}/{name}",
                        f"refitted to layer {after - 1}'s output",
                    )
                    for part, name in names.items()
                }
            else:
                found = {}
            for part, source in found.items():
                sources[f"encoder_layer_{index}/{names[part]}"] = source
            states = [
                branch.output(x, given, kernel, bias)
                for x, given in zip(states, inputs, strict=True)
            ]
    return sources


class Text:
    """Calibration text, and what layers make of it, batch by batch.

    Args:
        teacher: `BertMaskedLM` or `BertBackbone`.
        batches: Iterable of `x`, or of tuples that begin with it.

    Attributes:
        states: List, for each batch the teacher's L + 1 hidden states.
    """

    def __init__(self, teacher, batches):
        self.backbone = getattr(teacher, "backbone", teacher)
        names = [tensor.name for tensor in self.backbone.inputs]
        self.masks, self.states = [], []
        for batch in [] if batches is None else batches:
            x = batch[0] if isinstance(batch, (tuple, list)) else batch
            x = self.backbone.fill_inputs(x)
            x = {name: np.asarray(x[name]) for name in names}
            self.masks.append(x["padding_mask"])
            found = self.backbone.predict_on_batch(x)["hidden_states"]
            self.states.append([np.asarray(s, "float32") for s in found])
        if not any(mask.any() for mask in self.masks):
            raise ValueError(
                "`batches` must hold text to fit to. Received: none"
            )

    def flat(self, arrays):
        """(B, T, ...) of each batch to (N, ...) of all real tokens."""
        pairs = zip(arrays, self.masks, strict=True)
        real = [array[mask.astype(bool)] for array, mask in pairs]
        return np.concatenate(real).astype("float64")

    def run(self, layer, states):
        """What a layer makes of states."""
        return [
            ops.convert_to_numpy(layer(x, padding_mask=mask))
            for x, mask in zip(states, self.masks, strict=True)
        ]

    def inputs_of(self, projection, layer, states):
        """What an output projection of a layer is given.

        Args:
            projection: "attention_output", of the layer's input; or
                "feed_forward_output", of what there is after its attention.
            layer: `EncoderLayer`.
            states: List of (B, T, D).
        """
        if projection == "feed_forward_output":
            return [ops.convert_to_numpy(layer.intermediate(x)) for x in states]
        found = []
        for x, mask in zip(states, self.masks, strict=True):
            inside = layer(x, padding_mask=mask, observe=True)[1]
            context = ops.einsum(
                "bhts,bshe->bthe", inside["attention_scores"], inside["values"]
            )
            found.append(ops.convert_to_numpy(ops.reshape(context, x.shape)))
        return found

    def attend(self, layer, states, contexts):
        """What a layer has after its attention.

        Args:
            layer: `EncoderLayer`.
            states: List of (B, T, D), its inputs.
            contexts: Those of its `attention_output`, from `inputs_of`.
        """
        return [
            ops.convert_to_numpy(
                layer.attention_norm(x + layer.attention_output(context))
            )
            for x, context in zip(states, contexts, strict=True)
        ]


@dataclasses.dataclass(frozen=True)
class Branch:
    """LN(x + inputs · kernel + bias) of N tokens, and what it should be.

    Args:
        x: (N, D).
        inputs: (N, F).
        target: (N, D).
        kernel: (F, D).
        bias: (D,).
        gamma: (D,), of the norm.
        beta: (D,), of the norm.
        epsilon: Float, of the norm.
    """

    x: np.ndarray
    inputs: np.ndarray
    target: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    epsilon: float

    @classmethod
    def of(cls, projection, norm, x, inputs, target):
        """Of a Keras `Dense` and `LayerNormalization`."""
        weights = (
            projection.kernel,
            projection.bias,
            norm.gamma,
            norm.beta,
        )
        weights = [
            ops.convert_to_numpy(weight).astype("float64") for weight in weights
        ]
        return cls(x, inputs, target, *weights, norm.epsilon)

    def added(self):
        """What the branch adds to x."""
        return self.inputs @ self.kernel + self.bias

    def scale(self, total):
        """The standard deviation that the norm divides by: (N, 1)."""
        return np.sqrt(total.var(-1, keepdims=True) + self.epsilon)

    def gain(self):
        """The factor of `added` that comes nearest to the target, clipped.

        A step of Gauss and Newton from 1: exact where the norm's output is
        linear in the factor.
        """
        added = self.added()
        total = self.x + added
        scale = self.scale(total)
        total, added = (
            (part - part.mean(-1, keepdims=True)) / scale
            for part in (total, added)
        )
        # By the factor, the norm moves across its output, not along it.
        along = (total * added).mean(-1, keepdims=True)
        slope = self.gamma * (added - along * total)
        missing = self.target - self.beta - self.gamma * total
        steepness = np.sum(slope * slope)
        if steepness == 0:
            return 1.0
        gain = 1.0 + np.sum(missing * slope) / steepness
        return float(np.clip(gain, LEAST_GAIN, MOST_GAIN))

    def refit(self, ridge):
        """Kernel and bias that come nearest to the target.

        A column whose gamma is next to nothing stays: nobody sees it.
        """
        total = self.x + self.added()
        scale = self.scale(total)
        seen = np.abs(self.gamma) > 1e-3 * np.abs(self.gamma).max()
        gamma = np.where(seen, self.gamma, 1.0)
        wanted = scale * (self.target - self.beta) / gamma
        wanted += total.mean(-1, keepdims=True) - self.x
        inputs = np.c_[self.inputs, np.ones(len(self.inputs))]
        start = np.vstack([self.kernel, self.bias])
        fitted = held_fit(inputs / scale, wanted / scale, start, ridge)
        fitted = np.where(seen, fitted, start)
        return fitted[:-1], fitted[-1]

    def output(self, x, inputs, kernel, bias):
        """The branch's sum, normalised, of other tokens."""
        total = x + inputs @ kernel + bias
        centred = total - total.mean(-1, keepdims=True)
        normed = centred / self.scale(total) * self.gamma + self.beta
        return normed.astype("float32")


def check_ridge(ridge):
    """Refuses what holds nothing."""
    if not ridge > 0:
        raise ValueError(f"`ridge` must be above 0. Received: {ridge}")


def held_fit(inputs, wanted, start, ridge):
    """Least squares, held to where it starts.

    Args:
        inputs: (N, I).
        wanted: (N, O).
        start: (I, O).
        ridge: Float > 0, times the mean square of `inputs`.

    Returns:
        (I, O).
    """
    gram = inputs.T @ inputs
    hold = ridge * np.trace(gram) / len(gram)
    return np.linalg.solve(
        gram + hold * np.eye(len(gram)), inputs.T @ wanted + hold * start
    )
