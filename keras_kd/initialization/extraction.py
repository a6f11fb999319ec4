"""Extraction: the sub-network of some of the teacher's layers, as a model."""

from keras_kd.initialization.make_plan import find_layers, make_plan


def extract_student(
    teacher, plan, num_layers=None, seed=None, batches=None, **changes
):
    """A model of its own made of some of the teacher's layers.

    It gives exactly what the teacher gives with its other layers switched
    off; with all layers kept, exactly what the teacher gives.

    Args:
        teacher: `BertMaskedLM`, `BertClassifier` or `BertBackbone`; left as
            it is.
        plan: Teacher layer indices in order, or a name in `PLANS`, which
            then needs `num_layers`.
        num_layers: Int. Layers of the student; default: one per index.
        seed: Int or None. Seed of the student's dropout, and of what the
            plan does not copy.
        batches: As of `make_plan`, for plans whose layers text chooses.
        **changes: Fields of the student's config to change, such as
            `num_segments=0`.

    Returns:
        A model of the teacher's class.

    Raises:
        ValueError: As `make_plan`; if `plan` is a name and `num_layers` is
            None.
    """
    if num_layers is None:
        if isinstance(plan, str):
            raise ValueError(
                f"`num_layers` must be given with plan {plan!r}. Received: None"
            )
        num_layers = len(plan)
    layers = find_layers(plan, teacher, num_layers, batches)
    config = teacher.config.with_layers(num_layers, **changes)
    student = teacher.of_shape(config, seed=seed)
    if layers is not None:  # searched once
        plan = layers
    make_plan(plan, teacher, student).apply(teacher, student)
    return student
