"""Plans: which teacher variables each student variable starts from.

A plan is data. Making one looks at two configs only; applying one reads the
teacher and writes the student; printing one shows a table.
"""

import dataclasses

import numpy as np
from keras import ops
from rich.console import Console
from rich.table import Table

# Layer choices of the source's own scripts for 12-layer teachers. Shleifer &
# Rush, 2020, https://arxiv.org/abs/2010.13002; 12 to 6 is DistilBERT's.
HUGGING_FACE = {
    1: (0,),
    2: (0, 6),
    3: (0, 6, 11),
    4: (0, 4, 8, 11),
    6: (0, 2, 4, 7, 9, 11),
    9: (0, 1, 2, 4, 5, 7, 9, 10, 11),
    12: tuple(range(12)),
}

# Plan name to what it does with a teacher of L and a student of k layers.
PLANS = {
    "random": "nothing copied",
    "embeddings_only": "embeddings and head; layers stay random",
    "first": "layers 0 .. k-1",
    "last": "layers L-k .. L-1",
    "every_other": "layer floor(i L / k) for student layer i",
    "both_ends": "layer round(i (L-1) / (k-1)): first, last, even between",
    "hugging_face": "the choice of Hugging Face's scripts, 12-layer teachers",
}


@dataclasses.dataclass(frozen=True)
class Source:
    """Where one student variable comes from.

    Args:
        name: Str. Teacher variable to copy.
        rows: Int or None. Copy this many leading rows only.
        add_row: Pair of teacher variable and row index to add to every row
            (segment 0 folded into positions), or None.
    """

    name: str
    rows: int | None = None
    add_row: tuple[str, int] | None = None

    def value(self, variables):
        """The array, from the teacher's `named_variables()`."""
        array = ops.convert_to_numpy(variables[self.name])
        if self.add_row:
            name, row = self.add_row
            array = array + ops.convert_to_numpy(variables[name])[row]
        return array[: self.rows]

    def __str__(self):
        text = self.name if self.rows is None else f"{self.name}[:{self.rows}]"
        if self.add_row:
            name, row = self.add_row
            text += f" + {name}[{row}]"
        return text


@dataclasses.dataclass(frozen=True)
class InitializationPlan:
    """A name, the layers it keeps, and a source for each student variable.

    Student variables without a source keep their random start.

    Args:
        name: Str.
        layers_to_keep: Tuple of int, one teacher layer per student layer, or
            None where no layer is copied.
        sources: Dict of student variable name to `Source`.
    """

    name: str
    layers_to_keep: tuple[int, ...] | None
    sources: dict[str, Source]

    def apply(self, teacher, student):
        """Writes the teacher's values into the student.

        Raises:
            ValueError: If a name is unknown or a shape does not fit; nothing
                is written then.
        """
        variables = teacher.named_variables()
        targets = student.named_variables()
        asked = {s.name for s in self.sources.values()} | {
            s.add_row[0] for s in self.sources.values() if s.add_row
        }
        for who, known, names in (
            ("teacher", variables, asked),
            ("student", targets, set(self.sources)),
        ):
            if names - set(known):
                raise ValueError(
                    f"Plan {self.name!r} does not fit `{who}`: expected "
                    f"variables of {list(known)}. "
                    f"Received: {sorted(names - set(known))}"
                )
        values = {n: s.value(variables) for n, s in self.sources.items()}
        for name, value in values.items():
            if tuple(targets[name].shape) != value.shape:
                raise ValueError(
                    f"Plan {self.name!r} does not fit `student`: {name} "
                    f"expects {tuple(targets[name].shape)}. Received: "
                    f"{value.shape} from {self.sources[name]}"
                )
        for name, value in values.items():
            targets[name].assign(value.astype(np.dtype("float32")))

    def print(self, console=None):
        """Prints the plan, one line a student variable, as a table."""
        kept = self.layers_to_keep
        layers = f"teacher layers {list(kept)}" if kept else None
        what = layers or PLANS.get(self.name, "no layers copied")
        title = f"{self.name}: {what}"
        table = Table("student variable", "starts from", title=title)
        for name, source in self.sources.items():
            table.add_row(name, str(source))
        (console or Console()).print(table)


def choose_layers(plan, teacher_layers, student_layers):
    """Teacher layer index of each student layer, counted from 0.

    Args:
        plan: A name in `PLANS`, or the indices themselves, in order.
        teacher_layers: Int, layers of the teacher (L).
        student_layers: Int, layers of the student (k).

    Returns:
        Tuple of `student_layers` ints; None for plans that copy no layers.

    Raises:
        ValueError: If the plan is unknown; if there are not k indices,
            ascending and without repeats, all in 0 .. L-1; or if L, k is not
            in the `hugging_face` table.
    """
    depth, kept = teacher_layers, student_layers
    if not isinstance(plan, str):
        return _check_indices(plan, depth, kept)
    if plan not in PLANS:
        raise ValueError(
            f"`plan` must be one of {list(PLANS)}, or a list of teacher "
            f"layer indices. Received: {plan!r}"
        )
    if plan in ("random", "embeddings_only"):
        return None
    if kept > depth:
        raise ValueError(
            f"`student` may have at most the teacher's {depth} layers for "
            f"plan {plan!r}. Received: {kept} layers"
        )
    if plan == "first":
        return tuple(range(kept))
    if plan == "last":
        return tuple(range(depth - kept, depth))
    if plan == "every_other":
        return tuple(i * depth // kept for i in range(kept))
    if plan == "both_ends":
        steps = max(kept - 1, 1)  # halves round up, in whole numbers
        return tuple(
            (2 * i * (depth - 1) + steps) // (2 * steps) for i in range(kept)
        )
    if depth != 12 or kept not in HUGGING_FACE:
        raise ValueError(
            "Plan 'hugging_face' is for a teacher of 12 layers and a student "
            f"of {list(HUGGING_FACE)}. Received: {depth} and {kept} layers"
        )
    return HUGGING_FACE[kept]


def _check_indices(indices, depth, kept):
    indices = tuple(indices)
    if len(indices) != kept:
        raise ValueError(
            "`plan` must name one teacher layer per student layer. Expected "
            f"{kept} indices. Received: {list(indices)}"
        )
    if len(set(indices)) != kept:
        raise ValueError(
            f"`plan` must not repeat a layer. Received: {list(indices)}"
        )
    if not all(
        isinstance(i, (int, np.integer)) and 0 <= i < depth for i in indices
    ):
        raise ValueError(
            f"`plan` must hold teacher layer indices from 0 to {depth - 1}. "
            f"Received: {list(indices)}"
        )
    return tuple(int(i) for i in indices)


def make_plan(plan, teacher, student):
    """The plan that starts `student` from layers of `teacher`.

    Copies embeddings, head, pooler where both have one, and the layers that
    `choose_layers` gives. Where the teacher has segment embeddings and the
    student has none, segment 0 is folded into the positions, so that nothing
    is lost; where the student has fewer positions, the first ones are kept.

    Args:
        plan: A name in `PLANS`, or teacher layer indices, one per student
            layer.
        teacher: `BertMaskedLM` or `BertBackbone`.
        student: Likewise.

    Returns:
        `InitializationPlan`.

    Raises:
        ValueError: As `choose_layers`; if the student is wider or narrower
            than the teacher, has another vocabulary, or more positions.
    """
    depth = teacher.config.num_layers, student.config.num_layers
    layers = choose_layers(plan, *depth)
    name = plan if isinstance(plan, str) else "indices"
    if name == "random":
        return InitializationPlan(name, None, {})
    _check_shapes(teacher.config, student.config)
    theirs = teacher.named_variables()
    sources = {}
    for target in student.named_variables():
        owner, _, rest = target.partition("/")
        if owner.startswith("encoder_layer_"):
            if layers is not None:
                index = layers[int(owner.rsplit("_", 1)[1])]
                sources[target] = Source(f"encoder_layer_{index}/{rest}")
        elif target in theirs:
            sources[target] = _embedding_source(
                target, teacher.config, student.config
            )
    return InitializationPlan(name, layers, sources)


def _embedding_source(name, teacher, student):
    if not name.startswith("embeddings/position"):
        return Source(name)
    fold = teacher.num_segments > 0 and student.num_segments == 0
    shorter = student.max_sequence_length < teacher.max_sequence_length
    return Source(
        name,
        rows=student.max_sequence_length if shorter else None,
        add_row=("embeddings/segment/embeddings", 0) if fold else None,
    )


def _check_shapes(teacher, student):
    for field in (
        "vocabulary_size",
        "hidden_dim",
        "intermediate_dim",
        "num_heads",
    ):
        expected, received = getattr(teacher, field), getattr(student, field)
        if expected != received:
            raise ValueError(
                f"`student` must have the teacher's `{field}` to start from "
                f"its layers. Expected: {expected}. Received: {received}"
            )
    if student.max_sequence_length > teacher.max_sequence_length:
        raise ValueError(
            "`student` must not have more positions than the teacher. "
            f"Expected at most: {teacher.max_sequence_length}. Received: "
            f"{student.max_sequence_length}"
        )
    if student.num_segments not in (0, teacher.num_segments):
        raise ValueError(
            "`student` must have the teacher's `num_segments`, or 0. "
            f"Expected: {teacher.num_segments}. Received: "
            f"{student.num_segments}"
        )
