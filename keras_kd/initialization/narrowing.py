"""Narrower students: whole heads, neurons and channels of the teacher's.

What is kept is chosen on text, and each matrix that reads less than the
teacher's is fitted on the teacher's own activations to give what that gives.
"""

import dataclasses

import numpy as np
from keras import ops
from keras_kd.initialization.compensation import Text, check_ridge, held_fit
from keras_kd.initialization.make_plan import (
    check_vocabulary_and_segments,
    embedding_source,
    find_layers,
)
from keras_kd.initialization.plans import (
    Fitted,
    InitializationPlan,
    Selected,
    Source,
)


def narrow_plan(plan, teacher, student, batches, ridge=1e-3):
    """The plan that starts a narrower `student` from layers of `teacher`.

    Channels of the hidden states: evenly spaced ones, the same everywhere,
    embeddings and norms included (weight selection, Xu et al., 2024,
    https://arxiv.org/abs/2311.18823; the most important channels did worse
    than any). Heads, whole ones: those that add most to the states; neurons of
    the feed-forward layer likewise: mean square times the norm of what they
    write (Minitron, Muralidharan et al., 2024,
    https://arxiv.org/abs/2407.14679). Then each kernel and bias that reads
    less than it did is the least-squares fit, on what the teacher's layer
    reads, to what it gave; λ = `ridge` times the mean square of its inputs
    holds it to the teacher's. With all kept, a copy.

    Expect much less of it than of fewer layers: with post-LN and tied
    embeddings a channel that goes is missed everywhere. Keep whole heads: a
    student's heads have the teacher's width.

    Args:
        plan: As of `make_plan`, of the layers.
        teacher: `BertMaskedLM` or `BertBackbone`.
        student: Likewise, with no more channels, heads, neurons and positions
            than the teacher.
        batches: Batches of text, as of `compensate`; with a plan that is
            searched, with masks.
        ridge: Float > 0.

    Returns:
        `InitializationPlan`.

    Raises:
        ValueError: If the student is wider, its heads are of another width,
            or its vocabulary another; if the plan copies no layers; as
            `make_plan` and `compensate`.
    """
    _check_narrower(teacher.config, student.config)
    check_ridge(ridge)
    layers = find_layers(plan, teacher, student.config.num_layers, batches)
    if layers is None:
        raise ValueError(
            f"`plan` must copy layers to be narrowed. Received: {plan!r}"
        )
    text = Text(teacher, batches)
    cut = Cut(teacher.named_variables(), ridge)
    channels = evenly_spaced(
        teacher.config.hidden_dim, student.config.hidden_dim
    )
    for index, layer in enumerate(layers):
        _narrow_layer(cut, text, index, layer, channels, student.config)
    _narrow_ends(cut, text, channels, teacher, student)
    known = student.named_variables()
    name = plan if isinstance(plan, str) else "indices"
    return InitializationPlan(
        f"{name}, narrower",
        layers,
        {target: cut.sources[target] for target in known},
    )


def evenly_spaced(number, kept):
    """`kept` of `number` indices, the first and last among them."""
    if number % kept == 0:
        return np.arange(kept) * (number // kept)
    return np.round(np.linspace(0, number - 1, kept)).astype(int)


def most(importance, kept):
    """The indices of the greatest, in their order."""
    return np.sort(np.argsort(-importance, kind="stable")[:kept])


@dataclasses.dataclass
class Cut:
    """Collects the sources of a narrower student's variables.

    Args:
        variables: Dict of the teacher's.
        ridge: Float.

    Attributes:
        sources: Dict of student variable name to its source.
    """

    variables: dict
    ridge: float
    sources: dict = dataclasses.field(default_factory=dict)

    def array(self, name):
        """A teacher variable, float64."""
        array = ops.convert_to_numpy(self.variables[name])
        return array.astype("float64")

    def select(self, target, source, *indices):
        """Some rows, some columns; None for all."""
        self.sources[target] = Selected(Source(source), indices)

    def refit(self, target, source, inputs, read, written):
        """A kernel and bias that read and write less.

        Args:
            target: Student's Dense, such as "encoder_layer_0/query".
            source: Teacher's.
            inputs: (N, I), what the teacher's reads.
            read: Indices out of I that are left.
            written: Indices of the outputs that are left.
        """
        kernel = self.array(f"{source}/kernel")
        bias = self.array(f"{source}/bias")[written]
        kernel = kernel[:, written]
        start = np.vstack([kernel[read], bias])
        if len(read) < len(kernel):
            wanted = inputs @ kernel + bias
            given = np.c_[inputs[:, read], np.ones(len(inputs))]
            start = held_fit(given, wanted, start, self.ridge)
        how = f"fitted on {len(read)} of its {len(kernel)} inputs"
        for part, array in (("kernel", start[:-1]), ("bias", start[-1])):
            self.sources[f"{target}/{part}"] = Fitted(
                array.astype("float32"), f"{source}/{part}", how
            )


def _narrow_layer(cut, text, index, layer, channels, config):
    """One layer: heads and neurons are chosen, all matrices fitted."""
    teacher = text.backbone.encoder_layers[layer]
    ours, theirs = f"encoder_layer_{index}", f"encoder_layer_{layer}"
    states = [whole[layer] for whole in text.states]
    contexts = text.inputs_of("attention_output", teacher, states)
    attended = text.attend(teacher, states, contexts)
    inner = text.inputs_of("feed_forward_output", teacher, attended)
    states, contexts, attended, inner = map(
        text.flat, (states, contexts, attended, inner)
    )
    width = teacher.hidden_dim // teacher.num_heads
    kernel = cut.array(f"{theirs}/attention_output/kernel")
    heads = np.arange(teacher.hidden_dim).reshape(-1, width)
    energy = [
        np.square(contexts[:, head] @ kernel[head]).sum() for head in heads
    ]
    heads = heads[most(np.array(energy), config.num_heads)].ravel()
    kernel = cut.array(f"{theirs}/feed_forward_output/kernel")
    energy = np.square(inner).sum(0) * np.square(kernel).sum(1)
    neurons = most(energy, config.intermediate_dim)
    for name, inputs, read, written in (
        ("query", states, channels, heads),
        ("key", states, channels, heads),
        ("value", states, channels, heads),
        ("attention_output", contexts, heads, channels),
        ("intermediate", attended, channels, neurons),
        ("feed_forward_output", inner, neurons, channels),
    ):
        cut.refit(f"{ours}/{name}", f"{theirs}/{name}", inputs, read, written)
    for norm in ("attention_norm", "feed_forward_norm"):
        for part in ("gamma", "beta"):
            name = f"{norm}/{part}"
            cut.select(f"{ours}/{name}", f"{theirs}/{name}", channels)


def _narrow_ends(cut, text, channels, teacher, student):
    """Embeddings, masked-LM head, pooler and a task's head."""
    last = text.flat([whole[-1] for whole in text.states])
    first = np.concatenate([whole[-1][:, 0] for whole in text.states])
    for name in cut.variables:
        owner = name.rpartition("/")[0]
        if name.startswith("encoder_layer_"):
            continue
        if name == "embeddings/position/embeddings":
            source = embedding_source(name, teacher.config, student.config)
            cut.sources[name] = Selected(source, (None, channels))
        elif owner == "pooler":
            cut.refit(owner, owner, first, channels, channels)
        elif owner in ("classifier", "span"):
            read = last
            if teacher.config.pooler:
                read = text.backbone.pooler(first.astype("float32"))
                read = ops.convert_to_numpy(read).astype("float64")
            outputs = np.arange(cut.variables[f"{owner}/bias"].shape[0])
            cut.refit(owner, owner, read, channels, outputs)
        elif owner == "masked_lm_head/dense":
            cut.refit(owner, owner, last, channels, channels)
        elif name == "masked_lm_head/bias":
            cut.select(name, name, None)
        elif name.endswith(("/embeddings", "/decoder")):
            cut.select(name, name, None, channels)
        else:
            cut.select(name, name, channels)


def _check_narrower(teacher, student):
    check_vocabulary_and_segments(teacher, student)
    for field in (
        "hidden_dim",
        "num_heads",
        "intermediate_dim",
        "max_sequence_length",
    ):
        most_there, received = getattr(teacher, field), getattr(student, field)
        if received > most_there:
            raise ValueError(
                f"`student` may have at most the teacher's `{field}` to start "
                f"from it. Expected: {most_there}. Received: {received}"
            )
    widths = [c.hidden_dim // c.num_heads for c in (teacher, student)]
    if widths[0] != widths[1]:
        raise ValueError(
            "`student` must have heads of the teacher's width, "
            f"`hidden_dim` / `num_heads`: whole heads are kept. "
            f"Expected: {widths[0]}. Received: {widths[1]}"
        )
