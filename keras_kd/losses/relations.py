"""Relation terms: who looks at whom, in the teacher and in the student.

A relation is the softmax of the scaled dot products between two projections
of the same tokens. Queries with keys, by the layer's own heads, are its
attention. Everything is computed from the logits, so that a student that is
sure and wrong still has a gradient.
"""

import keras
from keras import ops
from keras_kd.losses.layer_map import layer_pairs
from keras_kd.losses.loss_term import LossTerm
from keras_kd.losses.soft_targets import SoftTargetKL


def relation_logits(first, second, padding_mask):
    """Scaled dot products of all pairs of tokens, in float32.

    Args:
        first: (B, T, R, d), R relation heads of width d.
        second: (B, T, R, d).
        padding_mask: (B, T); padded tokens of `second` get -1e9.

    Returns:
        (B, R, T, T): `first` by `second`.
    """
    first, second = (ops.cast(a, "float32") for a in (first, second))
    logits = ops.einsum("btre,bsre->brts", first, second)
    logits = logits / first.shape[-1] ** 0.5
    real = ops.cast(padding_mask, "bool")[:, None, None, :]
    return ops.where(real, logits, -1e9)


def relation_kl(teacher, student, padding_mask, row_weights):
    """Mean KL(teacher's relation || student's) over heads and rows.

    Args:
        teacher: Pair of (B, T, R, d).
        student: Pair of (B, T, R, d'), with the same number of heads.
        padding_mask: (B, T), 1 for the real tokens of the second of a pair.
        row_weights: (B, T), weights of the tokens of the first.

    Returns:
        Scalar; 0 where all weights are 0.
    """
    theirs, ours = (
        relation_logits(*pair, padding_mask) for pair in (teacher, student)
    )
    heads = ours.shape[1]
    weights = ops.cast(row_weights, "float32")[:, None, :]
    weights = ops.repeat(weights, heads, axis=1)
    return SoftTargetKL(temperature=1.0)(theirs, ours, sample_weight=weights)


@keras.saving.register_keras_serializable(package="keras_kd")
class AttentionTerm(LossTerm):
    """Mean KL(teacher's attention || student's), over a layer map.

    Attention before dropout, over real keys. Rows: all real tokens as
    queries. Reduction: mean over heads and rows, then over pairs of layers.
    Power of the temperature: 0.
    Source: Wang et al., 2020, https://arxiv.org/abs/2002.10957

    Args:
        layer_map: "last", "uniform" (student layer j of k with teacher layer
            (j + 1) · L // k - 1) or a list of pairs (teacher layer, student
            layer), counted from 0.

    Raises:
        ValueError: In `build_for`, if a layer of `layer_map` is not there or
            the numbers of heads differ.
    """

    observed = ("queries", "keys")

    def __init__(self, layer_map="last", **kwargs):
        super().__init__(**kwargs)
        self.layer_map = layer_map

    def build_for(self, teacher, student):
        layer_pairs(self.layer_map, teacher.num_layers, student.num_layers)
        if teacher.num_heads != student.num_heads:
            raise ValueError(
                "`student` must have the teacher's `num_heads` to compare "
                "attention; `RelationTerm` takes any number. Expected: "
                f"{teacher.num_heads}. Received: {student.num_heads}"
            )

    def compute(self, batch, teacher, student):
        pairs = layer_pairs(
            self.layer_map, len(teacher["queries"]), len(student["queries"])
        )
        total = 0.0
        for teacher_layer, student_layer in pairs:
            total += relation_kl(
                [teacher[name][teacher_layer] for name in self.observed],
                [student[name][student_layer] for name in self.observed],
                batch["x"]["padding_mask"],
                self.row_weights(batch),
            )
        return total / len(pairs)


@keras.saving.register_keras_serializable(package="keras_kd")
class RelationTerm(LossTerm):
    """Sum over relations of the mean KL(teacher's relation || student's).

    Queries with queries, keys with keys, values with values: each model's
    heads are put together and split anew into relation heads, so that the
    student may have any width and any number of heads. The student's last
    layer learns from one layer of the teacher.
    Rows: all real tokens. Reduction: mean over relation heads and rows, sum
    over `relations` (the source's, with each α 1). Power of the temperature:
    0.
    Source: MiniLMv2, Wang et al., 2021, https://arxiv.org/abs/2012.15828

    Args:
        num_relation_heads: Int that divides both models' `hidden_dim`, such
            as the source's 48 for a width of 768; default: the teacher's
            `num_heads`.
        relations: Names out of "queries", "keys", "values".
        teacher_layer: "last", or an int, counted from 0: from a teacher of 24
            layers the source takes an upper middle one.

    Raises:
        ValueError: If `relations` is empty or names another; in `build_for`,
            if `num_relation_heads` does not divide both widths or the teacher
            has no layer `teacher_layer`.
    """

    def __init__(
        self,
        num_relation_heads=None,
        relations=("queries", "keys", "values"),
        teacher_layer="last",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not relations or not set(relations) <= {"queries", "keys", "values"}:
            raise ValueError(
                "`relations` must be one or more of 'queries', 'keys', "
                f"'values'. Received: {relations!r}"
            )
        self.num_relation_heads = num_relation_heads
        self.relations = tuple(relations)
        self.teacher_layer = teacher_layer
        self.observed = self.relations

    def build_for(self, teacher, student):
        heads = self.num_relation_heads
        heads = teacher.num_heads if heads is None else heads
        widths = teacher.hidden_dim, student.hidden_dim
        if heads < 1 or any(width % heads for width in widths):
            raise ValueError(
                "`num_relation_heads` must divide both models' `hidden_dim`, "
                f"{widths[0]} and {widths[1]}. Received: {heads}"
            )
        self.teacher_index(teacher.num_layers)

    def teacher_index(self, num_layers):
        """`teacher_layer` as an index, for a teacher of `num_layers`."""
        if self.teacher_layer == "last":
            return num_layers - 1
        if self.teacher_layer not in range(num_layers):
            raise ValueError(
                f"`teacher_layer` must be 'last' or in [0, {num_layers}). "
                f"Received: {self.teacher_layer!r}"
            )
        return self.teacher_layer

    def compute(self, batch, teacher, student):
        total = 0.0
        for name in self.relations:
            layer = self.teacher_index(len(teacher[name]))
            theirs, ours = teacher[name][layer], student[name][-1]
            heads = self.num_relation_heads or theirs.shape[2]
            theirs, ours = (split_anew(a, heads) for a in (theirs, ours))
            total += relation_kl(
                (theirs, theirs),
                (ours, ours),
                batch["x"]["padding_mask"],
                self.row_weights(batch),
            )
        return total


def split_anew(projected, num_relation_heads):
    """(B, T, H, D / H) to (B, T, R, D / R), the numbers in their order."""
    batch, length, heads, width = ops.shape(projected)
    shape = num_relation_heads, heads * width // num_relation_heads
    return ops.reshape(projected, (batch, length, *shape))
