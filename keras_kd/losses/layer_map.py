"""Layer maps: which teacher layer a term compares with which student layer."""

from operator import index


def layer_pairs(layer_map, teacher_layers, student_layers, lowest=0):
    """The pairs (teacher layer, student layer) of a layer map.

    "uniform" is the mapping g(m) of Jiao et al., 2019,
    https://arxiv.org/abs/1909.10351

    Args:
        layer_map: "last": both models' last layers. "uniform": student layer
            j of k with teacher layer (j + 1) · L // k - 1, so that the last
            meets the last and the others are spread evenly (rounded down
            where k does not divide L). Or a list of pairs of ints. Encoder
            layers count from 0.
        teacher_layers: Int (L).
        student_layers: Int (k).
        lowest: Int. The first layer there is: 0, or -1 where the
            embeddings' output counts as one.

    Returns:
        List of pairs of ints.

    Raises:
        ValueError: If `layer_map` is none of these, or names a layer that is
            not there; if a "uniform" student has more layers than its
            teacher.
    """
    if layer_map == "last":
        return [(teacher_layers - 1, student_layers - 1)]
    if layer_map == "uniform":
        if student_layers > teacher_layers:
            raise ValueError(
                "`layer_map='uniform'` needs a student with no more layers "
                f"than its teacher. Expected: at most {teacher_layers}. "
                f"Received: {student_layers}"
            )
        return [
            ((layer + 1) * teacher_layers // student_layers - 1, layer)
            for layer in range(student_layers)
        ]
    try:
        pairs = [(index(theirs), index(ours)) for theirs, ours in layer_map]
    except (TypeError, ValueError):
        pairs = []  # not pairs of ints
    if not pairs or not all(
        lowest <= theirs < teacher_layers and lowest <= ours < student_layers
        for theirs, ours in pairs
    ):
        raise ValueError(
            "`layer_map` must be 'last', 'uniform' or a list of pairs of a "
            f"teacher layer in [{lowest}, {teacher_layers}) and a student "
            f"layer in [{lowest}, {student_layers}). Received: {layer_map!r}"
        )
    return pairs
