"""calibration: whether a model is right as often as it says it is."""

import numpy as np


def calibration(probabilities, correct, weights=None, bins=15):
    """Reliability of the probability that a model gives its first choice.

    Of any classifier: a masked LM at its hidden tokens, or a text classifier.
    Bin m of M holds what is above (m - 1) / M and at most m / M.
    Source: Guo et al., 2017, https://arxiv.org/abs/1706.04599

    Args:
        probabilities: (N,) float in [0, 1], of each first choice.
        correct: (N,) bool, whether it was right.
        weights: (N,) float >= 0, or None for all alike; 0 leaves a row out.
        bins: Int (M), of equal width.

    Returns:
        Dict of `expected_calibration_error`, the mean over rows of the
        distance between a bin's confidence and its accuracy; `confidence` and
        `accuracy`, means over all rows; `rows`, how many count; and `bins`, a
        list of M dicts of `above`, `to`, `rows`, `confidence`, `accuracy`
        (the last two None where a bin is empty).

    Raises:
        ValueError: If the arrays differ in length or no row counts; if a
            probability is not in [0, 1], a weight is negative or not finite,
            or `bins` is below 1.
    """
    p = np.asarray(probabilities, "float64")
    right = np.asarray(correct, "float64")
    w = np.ones(p.shape) if weights is None else np.asarray(weights, "float64")
    _check(p, right, w, bins)
    edges = np.linspace(0.0, 1.0, bins + 1)
    # By the inner edges: 0 belongs to the first bin, an edge to the one below.
    place = np.searchsorted(edges[1:-1], p, side="left")
    sums = [
        np.bincount(place, values, minlength=bins)
        for values in (w, w * p, w * right)
    ]
    rows = np.bincount(place, w > 0, minlength=bins).astype(int)
    weight, said, true = sums
    table = [
        {
            "above": float(edges[m]),
            "to": float(edges[m + 1]),
            "rows": int(rows[m]),
            "confidence": float(said[m] / weight[m]) if rows[m] else None,
            "accuracy": float(true[m] / weight[m]) if rows[m] else None,
        }
        for m in range(bins)
    ]
    total = weight.sum()
    return {
        "expected_calibration_error": float(np.abs(said - true).sum() / total),
        "confidence": float(said.sum() / total),
        "accuracy": float(true.sum() / total),
        "rows": int(rows.sum()),
        "bins": table,
    }


def _check(p, right, w, bins):
    """Refuses what cannot be binned."""
    if p.ndim != 1 or not p.shape == right.shape == w.shape:
        raise ValueError(
            "`probabilities`, `correct` and `weights` must be one number for "
            f"each row. Received: shapes {p.shape}, {right.shape}, {w.shape}"
        )
    if bins < 1:
        raise ValueError(f"`bins` must be at least 1. Received: {bins}")
    wrong = p[~((p >= 0) & (p <= 1))]
    if len(wrong):
        raise ValueError(
            f"`probabilities` must be in [0, 1]. Received: {wrong[0]}"
        )
    if not np.all((w >= 0) & (w < np.inf)) or not w.sum() > 0:
        raise ValueError(
            f"`weights` must be 0 or more, finite, and not all 0. Received: {w}"
        )
