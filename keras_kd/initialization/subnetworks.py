"""evaluate_subnetworks: many sub-networks of a teacher, measured together."""

import itertools

import keras
import numpy as np
from keras import ops
from keras_kd.losses import SoftTargetKL


def evaluate_subnetworks(
    teacher, batches, depths=None, subsets=None, jit_compile="auto", verbose=0
):
    """Measures sub-networks of a teacher on held-out text, dropout off.

    A layer that stands at the same place of several, after the same layers,
    runs once for all of them: the 2^L - 1 sub-networks of L layers take
    2^L - 1 runs of a layer a batch, not the L 2^(L - 1) of one after the other.
    What each gives is what `keras_kd.evaluate` gives of `extract_student`.

    Args:
        teacher: `BertMaskedLM`.
        batches: Iterable of `x`, `y`, `sample_weight`, with fixed masks.
        depths: Iterable of int, how many layers the sub-networks have.
            Default: 1 to L.
        subsets: Iterable of tuples of layer indices in their order, in place
            of `depths`.
        jit_compile: Bool or "auto", as in Keras's `compile`.
        verbose: 1 for Keras's bar, over batches; 0 for silence.

    Returns:
        Dict of each subset, a tuple of int, to a dict of float:
        `masked_cross_entropy` and `teacher_kl` (nats, means over masked
        tokens; KL to the whole teacher, temperature 1). In the order of their
        lengths, then of their layers.

    Raises:
        ValueError: If there is no such depth or subset, or no masked token.
    """
    evaluator = SubnetworkEvaluator(teacher, jit_compile)
    return evaluator.evaluate(batches, depths, subsets, verbose)


def choose_subsets(num_layers, depths=None, subsets=None):
    """Subsets of layers, a list of tuples by length, then by layers.

    Raises:
        ValueError: If there is no such depth or subset.
    """
    if subsets is None:
        every = range(1, num_layers + 1)
        depths = sorted(set(every if depths is None else depths))
        if not depths or not 1 <= depths[0] <= depths[-1] <= num_layers:
            raise ValueError(
                f"`depths` must be from 1 to {num_layers}. Received: {depths}"
            )
        return [
            subset
            for depth in depths
            for subset in itertools.combinations(range(num_layers), depth)
        ]
    subsets = {tuple(subset) for subset in subsets}
    for subset in subsets:
        in_order = subset and list(subset) == sorted(set(subset))
        if not in_order or not set(subset) <= set(range(num_layers)):
            raise ValueError(
                "`subsets` must be of different layers from 0 to "
                f"{num_layers - 1}, in their order. Received: {subset}"
            )
    return sorted(subsets, key=lambda subset: (len(subset), subset))


class SubnetworkEvaluator:
    """`evaluate_subnetworks` of one teacher, compiled once for several calls.

    Embeddings, layers and head are compiled each by itself; what the teacher's
    weights are is read anew at each call.

    Args:
        teacher: `BertMaskedLM`.
        jit_compile: Bool or "auto", as in Keras's `compile`.
    """

    def __init__(self, teacher, jit_compile="auto"):
        self.depth = teacher.config.num_layers
        backbone, head = teacher.backbone, teacher.head
        kl = SoftTargetKL(temperature=1.0, reduction=None)

        def compiled(function, part):
            return Piece(function, part, jit_compile).predict_on_batch

        def run(layer):
            return lambda x: layer(
                x["states"], padding_mask=x["padding_mask"], training=False
            )

        def logits(x):
            return head(x["states"], x["mask_positions"])

        def score(x):
            student = logits(x)
            cross_entropy = ops.sparse_categorical_crossentropy(
                x["mask_ids"], student, from_logits=True
            )
            return cross_entropy, kl.call(x["teacher_logits"], student)

        self.embed = compiled(
            lambda x: backbone.embeddings(x["token_ids"], x.get("segment_ids")),
            backbone.embeddings,
        )
        self.layers = [
            compiled(run(layer), layer) for layer in backbone.encoder_layers
        ]
        self.logits = compiled(logits, head)
        self.score = compiled(score, head)

    def evaluate(self, batches, depths=None, subsets=None, verbose=0):
        """As `evaluate_subnetworks`, whose arguments these are."""
        subsets = choose_subsets(self.depth, depths, subsets)
        totals, weight = np.zeros((len(subsets), 2)), 0.0
        number = len(batches) if hasattr(batches, "__len__") else None
        bar = keras.utils.Progbar(number, verbose=verbose, unit_name="batch")
        for x, ids, weights in batches:
            x = {name: np.asarray(value) for name, value in x.items()}
            ids, weights = np.asarray(ids), np.asarray(weights, "float64")
            found = self.measure(x, ids, weights, subsets)
            totals += np.array([found[subset] for subset in subsets])
            weight += float(np.sum(weights))
            bar.add(1)
        if not weight:
            raise ValueError(
                "`batches` must hold masked tokens. Received: none of any "
                "weight"
            )
        return {
            subset: {
                "masked_cross_entropy": float(cross_entropy),
                "teacher_kl": float(kl),
            }
            for subset, (cross_entropy, kl) in zip(
                subsets, totals / weight, strict=True
            )
        }

    def measure(self, x, ids, weights, subsets):
        """Sums over a batch's masked tokens.

        Args:
            x: Dict of a batch.
            ids: (B, K) int.
            weights: (B, K) float.
            subsets: List of tuples of layers.

        Returns:
            Dict of each subset to an array: cross-entropy and KL, nats.
        """
        embedded = ("token_ids", "segment_ids")
        states = self.embed({name: x[name] for name in embedded if name in x})
        mask = {"padding_mask": x["padding_mask"]}
        whole = [states]
        for layer in self.layers:
            whole.append(layer({"states": whole[-1], **mask}))
        where = {"mask_positions": x["mask_positions"]}
        teacher_logits = self.logits({"states": whole[-1], **where})
        target = {"mask_ids": ids, "teacher_logits": teacher_logits, **where}
        known = {tuple(range(i)): states for i, states in enumerate(whole)}
        wanted = set(subsets)
        prefixes = {s[:i] for s in subsets for i in range(1, len(s) + 1)}
        found = {}

        def visit(subset, states):
            if subset in wanted:
                values = self.score({"states": states, **target})
                found[subset] = np.array(
                    [np.sum(np.asarray(value) * weights) for value in values]
                )
            first = subset[-1] + 1 if subset else 0
            for index in range(first, len(self.layers)):
                longer = (*subset, index)
                if longer not in prefixes:
                    continue
                after = known.get(longer)
                if after is None:
                    after = self.layers[index]({"states": states, **mask})
                visit(longer, after)

        visit((), states)
        return found


class Piece(keras.Model):
    """One part of a model, compiled, for batches of one shape."""

    def __init__(self, function, part, jit_compile):
        super().__init__(name="piece")
        self.function = function
        self.part = part
        self.built = True
        self.compile(jit_compile=jit_compile)

    def call(self, inputs):
        return self.function(inputs)
