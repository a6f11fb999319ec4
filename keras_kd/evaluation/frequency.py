"""evaluate_by_frequency: a model on rare hidden tokens and on common ones."""

import numpy as np
from keras import ops


def evaluate_by_frequency(
    model, batches, token_counts, special_ids=(), buckets=5, borders=None
):
    """Masked cross-entropy and top-1 by how often a token was in training.

    Two models given the same batches and counts meet the same buckets.

    Args:
        model: `BertMaskedLM`.
        batches: Dataset of `x`, `y`, `sample_weight`, with fixed masks.
        token_counts: (V,) number >= 0, occurrences of each token in the
            training text (`TokenStore.token_counts`).
        special_ids: Ids that are never hidden, left out of the borders.
        buckets: Int, how many there are to be.
        borders: Ascending numbers of occurrences between the buckets, in
            place of those of `frequency_borders`.

    Returns:
        List of dict, the rarest first: `from` and `below` (occurrences; None
        where there is no upper border), `tokens` (of the vocabulary, special
        ones left out), `hidden` (tokens hidden), `masked_cross_entropy`
        (nats) and `top1` (share), both weighted, None where nothing is hidden.

    Raises:
        ValueError: If counts or borders are not as said.
    """
    if borders is None:
        borders = frequency_borders(token_counts, special_ids, buckets)
    scores = score_hidden_tokens(model, batches)
    return by_frequency(scores, token_counts, special_ids, borders)


def frequency_borders(token_counts, special_ids=(), buckets=5):
    """Occurrences that part the training text in shares of about one size.

    Args:
        token_counts: (V,) number >= 0.
        special_ids: Ids left out.
        buckets: Int >= 1.

    Returns:
        List of int, ascending, one fewer than `buckets`; fewer still where
        one token has more than a share to itself. A token of so many
        occurrences as a border says is above it.

    Raises:
        ValueError: If `buckets` is below 1, or no ordinary token occurs.
    """
    if buckets < 1:
        raise ValueError(f"`buckets` must be at least 1. Received: {buckets}")
    counts = _ordinary_counts(token_counts, special_ids)
    counts = np.sort(counts)
    total = counts.sum()
    if not total > 0:
        raise ValueError(
            "`token_counts` must be 0 or more, and above 0 for some token. "
            f"Received: a sum of {total}"
        )
    shares = np.cumsum(counts) / total
    first = [
        np.searchsorted(shares, k / buckets, side="right")
        for k in range(1, buckets)
    ]
    borders = {int(np.ceil(counts[min(i, len(counts) - 1)])) for i in first}
    # Below the least count there would be nothing.
    return sorted(border for border in borders if border > counts[0])


def score_hidden_tokens(model, batches):
    """What a model makes of each hidden token, dropout off.

    Args:
        model: `BertMaskedLM`.
        batches: Dataset of `x`, `y`, `sample_weight`.

    Returns:
        Dict of arrays (N,), of the N tokens whose weight is above 0:
        `token_ids` int, `weights` float, `cross_entropy` (nats) float,
        `correct` bool, of the first choice, and `confidence` float, its
        probability.
    """
    found = []
    for x, ids, weights in batches:
        x = {name: np.asarray(value) for name, value in x.items()}
        logits = model(x, training=False)["logits"]
        log_q = ops.log_softmax(ops.cast(logits, "float32"))
        log_q = ops.convert_to_numpy(log_q)
        ids, weights = np.asarray(ids), np.asarray(weights, "float64")
        truth = np.take_along_axis(log_q, ids[..., None].astype(int), -1)
        here = weights > 0
        columns = (
            ids,
            weights,
            -truth[..., 0],
            log_q.argmax(-1) == ids,
            np.exp(np.minimum(log_q.max(-1), 0.0)),
        )
        found.append([column[here] for column in columns])
    names = ("token_ids", "weights", "cross_entropy", "correct", "confidence")
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return dict(zip(names, columns, strict=True))


def by_frequency(scores, token_counts, special_ids, borders):
    """The table of `evaluate_by_frequency`, of `score_hidden_tokens`."""
    borders = list(borders)
    if sorted(set(borders)) != borders:
        raise ValueError(
            f"`borders` must ascend, none twice. Received: {borders}"
        )
    counts = np.asarray(token_counts)
    ids = scores["token_ids"]
    if len(ids) and ids.max() >= len(counts):
        raise ValueError(
            "`token_counts` must have one number for each token. Received: "
            f"{len(counts)} of them, and the token {ids.max()}"
        )
    place = np.searchsorted(borders, counts[ids], side="right")
    known = _ordinary_counts(counts, special_ids)
    known = np.searchsorted(borders, known, side="right")
    edges = [0, *borders, None]
    table = []
    for index in range(len(borders) + 1):
        here = place == index
        table.append(
            {
                "from": edges[index],
                "below": edges[index + 1],
                "tokens": int((known == index).sum()),
                "hidden": int(here.sum()),
                "masked_cross_entropy": _mean(scores, "cross_entropy", here),
                "top1": _mean(scores, "correct", here),
            }
        )
    return table


def _mean(scores, column, here):
    """Weighted mean of some rows, None where there are none."""
    if not here.any():
        return None
    return float(
        np.average(scores[column][here], weights=scores["weights"][here])
    )


def _ordinary_counts(token_counts, special_ids):
    """Counts of the tokens that are not special."""
    counts = np.asarray(token_counts)
    if counts.ndim != 1 or not np.all(counts >= 0):
        raise ValueError(
            "`token_counts` must be (V,) numbers of 0 or more. "
            f"Received: {counts}"
        )
    return np.delete(counts, list(special_ids))
