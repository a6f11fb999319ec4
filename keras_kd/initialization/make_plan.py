"""make_plan: a name or layer indices, two models, perhaps text, to a plan."""

from keras_kd.initialization.plans import (
    SEARCHED_PLANS,
    InitializationPlan,
    Source,
    choose_layers,
)
from keras_kd.initialization.search import most_influential, search_layers
from keras_kd.models.quantized_layers import check_float


def make_plan(plan, teacher, student, batches=None):
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
        batches: Held-out batches with fixed masks, for the plans "searched",
            "robust" and "block_influence"; report the student on others.

    Returns:
        `InitializationPlan`.

    Raises:
        ValueError: As `choose_layers`; if the student is wider or narrower
            than the teacher, has another vocabulary, or more positions; if a
            model is quantised.
    """
    name = plan if isinstance(plan, str) else "indices"
    if name != "random":
        _check_shapes(teacher.config, student.config)
    layers = find_layers(plan, teacher, student.config.num_layers, batches)
    if name == "random":
        return InitializationPlan(name, None, {})
    theirs = teacher.named_variables()
    sources = {}
    for target in student.named_variables():
        owner, _, rest = target.partition("/")
        if owner.startswith("encoder_layer_"):
            if layers is not None:
                index = layers[int(owner.rsplit("_", 1)[1])]
                sources[target] = Source(f"encoder_layer_{index}/{rest}")
        elif target in theirs:
            sources[target] = embedding_source(
                target, teacher.config, student.config
            )
    return InitializationPlan(name, layers, sources)


def find_layers(plan, teacher, num_layers, batches=None):
    """Teacher layers as `choose_layers`, those that text chooses too.

    Args:
        plan: A name in `PLANS`, or teacher layer indices.
        teacher: `BertMaskedLM`; `BertBackbone` where nothing is searched.
        num_layers: Int, layers of the student.
        batches: As of `make_plan`.
    """
    if plan != "random":  # before a search, which takes long
        check_float([teacher])
    if batches is None or plan not in SEARCHED_PLANS:
        return choose_layers(plan, teacher.config.num_layers, num_layers)
    if plan == "block_influence":
        return most_influential(teacher, num_layers, batches)
    robustness = 1.0 if plan == "robust" else 0.0
    return search_layers(teacher, num_layers, batches, robustness)


def embedding_source(name, teacher, student):
    """Of a variable outside of the layers; positions and segments are fitted.

    Args:
        name: Str.
        teacher: The teacher's `BertConfig`.
        student: The student's.
    """
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
    check_vocabulary_and_segments(teacher, student)
    for field in ("hidden_dim", "intermediate_dim", "num_heads"):
        expected, received = getattr(teacher, field), getattr(student, field)
        if expected != received:
            raise ValueError(
                f"`student` must have the teacher's `{field}` to start from "
                "its layers; `narrow_plan` is for narrower ones. "
                f"Expected: {expected}. Received: {received}"
            )
    if student.max_sequence_length > teacher.max_sequence_length:
        raise ValueError(
            "`student` must not have more positions than the teacher. "
            f"Expected at most: {teacher.max_sequence_length}. Received: "
            f"{student.max_sequence_length}"
        )


def check_vocabulary_and_segments(teacher, student):
    """Refuses a student whose tokens or segments are not the teacher's."""
    if teacher.vocabulary_size != student.vocabulary_size:
        raise ValueError(
            "`student` must have the teacher's `vocabulary_size`. Expected: "
            f"{teacher.vocabulary_size}. Received: {student.vocabulary_size}"
        )
    if student.num_segments not in (0, teacher.num_segments):
        raise ValueError(
            "`student` must have the teacher's `num_segments`, or 0. "
            f"Expected: {teacher.num_segments}. Received: "
            f"{student.num_segments}"
        )
