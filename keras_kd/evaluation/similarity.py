"""evaluate_similarity: how near an encoder's states are to its teacher's."""

import numpy as np
from keras import ops
from keras_kd.models import choose_embedding

FEWEST_TEXTS = 3  # for a correlation of their pairs


def evaluate_similarity(student, teacher, batches, pooling=None):
    """Compares what two encoders make of the same held-out text.

    Args:
        student: `BertBackbone`, or a task model over one.
        teacher: Likewise, as wide as the student.
        batches: Dataset of `keras_kd.token_batches` without shuffling, or
            any that yields the dict of inputs first.
        pooling: How a text's states become its embedding: "mean" over its
            real tokens, or "cls", its first one; default: the teacher's own
            (`config.embedding`), else the mean.

    Returns:
        Dict of `hidden_state_cosine`, the mean over real tokens of the cosine
        between the last hidden states; `embedding_cosine`, the mean over
        texts of that between embeddings; and `similarity_correlation`,
        Pearson's r between both encoders' cosines of all pairs of different
        texts: whether what is alike for the teacher is for the student.

    Raises:
        ValueError: If `pooling` is unknown, or the teacher's own has what no
            code here does; if widths differ, or if there are fewer than
            three texts.
    """
    pooling = choose_embedding(teacher.config, pooling).pooling
    widths = [model.config.hidden_dim for model in (teacher, student)]
    if widths[0] != widths[1]:
        raise ValueError(
            "`student` must have the teacher's `hidden_dim` to be compared. "
            f"Expected: {widths[0]}. Received: {widths[1]}"
        )
    found = (
        (x["padding_mask"], last_states(teacher, x), last_states(student, x))
        for x, *_ in batches
    )
    return compare_states(found, pooling)


def compare_states(batches, pooling):
    """The figures of `evaluate_similarity`.

    Args:
        batches: Iterable of padding mask (B, T), the teacher's and the
            student's last hidden states (B, T, D), arrays.
        pooling: "mean" or "cls".

    Returns:
        Dict of float.

    Raises:
        ValueError: If there are fewer than three texts.
    """
    token_cosines, embeddings = [], []
    for mask, *states in batches:
        mask = ops.convert_to_numpy(mask).astype(bool)
        there = mask.any(axis=1)
        states, mask = [s[there] for s in states], mask[there]
        token_cosines.append(cosine(*states)[mask])
        embeddings.append([pool(s, mask, pooling) for s in states])
    theirs, ours = (np.concatenate(e) for e in zip(*embeddings, strict=True))
    if len(theirs) < FEWEST_TEXTS:
        raise ValueError(
            f"`batches` must hold at least {FEWEST_TEXTS} texts to be "
            f"compared. Received: {len(theirs)}"
        )
    pairs = np.triu_indices(len(theirs), k=1)
    alike = [(unit(e) @ unit(e).T)[pairs] for e in (theirs, ours)]
    return {
        "hidden_state_cosine": float(np.concatenate(token_cosines).mean()),
        "embedding_cosine": float(cosine(theirs, ours).mean()),
        "similarity_correlation": float(np.corrcoef(*alike)[0, 1]),
    }


def last_states(model, x):
    """The last hidden states of a batch, (B, T, D) float32, dropout off."""
    backbone = getattr(model, "backbone", model)
    outputs = backbone(x, training=False)
    states = ops.cast(outputs["hidden_states"][-1], "float32")
    return ops.convert_to_numpy(states)


def pool(states, mask, pooling):
    """(B, T, D) and (B, T) to (B, D)."""
    if pooling == "cls":
        return states[:, 0]
    weights = mask[:, :, None].astype("float32")
    return (states * weights).sum(axis=1) / weights.sum(axis=1)


def unit(values):
    """Of length 1 over the last axis."""
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def cosine(a, b):
    """Cosine over the last axis."""
    return (unit(a) * unit(b)).sum(axis=-1)
