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
    "searched": "the layers that do best on held-out text by themselves",
    "robust": "the same, and with one of them lost too",
    "block_influence": "the layers that change their input most",
}
# Those whose layers held-out text chooses.
SEARCHED_PLANS = ("searched", "robust", "block_influence")


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

    @property
    def names(self):
        """Teacher variables that are read."""
        return [self.name, *([self.add_row[0]] if self.add_row else [])]

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
class Scaled:
    """A teacher variable times a number.

    Args:
        name: Str. Teacher variable.
        factor: Float.
    """

    name: str
    factor: float

    @property
    def names(self):
        """Teacher variables that are read."""
        return [self.name]

    def value(self, variables):
        """The array, from the teacher's `named_variables()`."""
        return ops.convert_to_numpy(variables[self.name]) * self.factor

    def __str__(self):
        return f"{self.factor:.4g} · {self.name}"


@dataclasses.dataclass(frozen=True)
class Selected:
    """Some rows, columns, of what a `Source` gives.

    Args:
        source: `Source`.
        indices: Tuple, for each axis the indices that are kept, or None for
            all of them.
    """

    source: Source
    indices: tuple

    @property
    def names(self):
        """Teacher variables that are read."""
        return self.source.names

    def value(self, variables):
        """The array, from the teacher's `named_variables()`."""
        array = self.source.value(variables)
        for axis, kept in enumerate(self.indices):
            if kept is not None:
                array = np.take(array, kept, axis=axis)
        return array

    def __str__(self):
        kept = [":" if i is None else f"{len(i)} of" for i in self.indices]
        return f"{self.source}[{', '.join(kept)}]"


@dataclasses.dataclass(frozen=True)
class Mean:
    """The mean of teacher variables.

    Args:
        names: Tuple of str. Teacher variables of one shape.
    """

    names: tuple[str, ...]

    def value(self, variables):
        """The array, from the teacher's `named_variables()`."""
        arrays = [ops.convert_to_numpy(variables[name]) for name in self.names]
        return np.mean(arrays, axis=0)

    def __str__(self):
        return f"mean of {', '.join(self.names)}"


@dataclasses.dataclass(frozen=True)
class Fitted:
    """Values computed beforehand, in place of a teacher variable.

    Args:
        array: NumPy's.
        instead_of: Str. Teacher variable.
        how: Str, in words.
    """

    array: np.ndarray
    instead_of: str
    how: str

    @property
    def names(self):
        """Teacher variables that it stands for."""
        return [self.instead_of]

    def value(self, variables):
        """The array."""
        return self.array

    def __str__(self):
        return f"{self.instead_of}, {self.how}"


@dataclasses.dataclass(frozen=True)
class InitializationPlan:
    """A name, the layers it keeps, and a source for each student variable.

    Student variables without a source keep their random start.

    Args:
        name: Str.
        layers_to_keep: Tuple of int, one teacher layer per student layer, or
            None where no layer is copied.
        sources: Dict of student variable name to `Source`, `Scaled`,
            `Selected`, `Mean` or `Fitted`.
    """

    name: str
    layers_to_keep: tuple[int, ...] | None
    sources: dict[str, Source | Scaled | Selected | Mean | Fitted]

    def apply(self, teacher, student):
        """Writes the teacher's values into the student.

        Raises:
            ValueError: If a name is unknown or a shape does not fit; nothing
                is written then.
        """
        variables = teacher.named_variables()
        targets = student.named_variables()
        asked = {n for s in self.sources.values() for n in s.names}
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
    if plan in SEARCHED_PLANS:
        raise ValueError(
            f"Plan {plan!r} needs text to choose by: `make_plan`, "
            "`extract_student` and `InitializeStudent` take it as `batches`. "
            "Received: none"
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
