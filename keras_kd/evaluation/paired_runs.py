"""Runs in pairs: how two arms differ over the same seeds, and how sure."""

import dataclasses

import numpy as np
import scipy.stats

MOST_PAIRS = 20  # 2^20 ways to flip signs


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """How one arm differs from another, from `paired_difference`.

    Attributes:
        mean: Float, of the differences.
        low: Float, the lower end of the interval of the mean.
        high: Float, its upper end.
        p_value: Float, of the exact sign-flip test, two-sided.
        differences: Tuple of float, one a pair.
    """

    mean: float
    low: float
    high: float
    p_value: float
    differences: tuple[float, ...]

    def __str__(self):
        return (
            f"{self.mean:+.4f} ({self.low:+.4f} to {self.high:+.4f}, "
            f"p = {self.p_value:.3g}, {len(self.differences)} pairs)"
        )


def paired_difference(arm, other, confidence=0.95):
    """The mean of `arm` minus `other`, pair by pair, and how sure that is.

    Pairs are runs that have all but the arm in common: first weights, order
    of the data, masks. The interval is Student's. The p-value asks how many of
    all ways to flip the differences' signs have a mean as far from 0; no law
    is assumed, and n pairs give no less than 2 / 2^n: 8 give 0.0078.
    Source: Fisher, 1935, The Design of Experiments, §21

    Args:
        arm: List of n floats, such as losses, one a seed.
        other: Likewise, of the same seeds in the same order.
        confidence: Float in (0, 1), of the interval.

    Returns:
        `PairedDifference`.

    Raises:
        ValueError: If the lists do not pair, hold fewer than 2 or more than
            20 numbers, or what is not finite.
    """
    arm, other = np.asarray(arm, "float64"), np.asarray(other, "float64")
    one_list = arm.ndim == other.ndim == 1 and len(arm) == len(other)
    if not one_list or not 2 <= len(arm) <= MOST_PAIRS:
        raise ValueError(
            f"`arm` and `other` must be lists of as many, 2 to {MOST_PAIRS}, "
            f"numbers. Received: shapes {arm.shape} and {other.shape}"
        )
    differences = arm - other
    if not np.all(np.isfinite(differences)):
        raise ValueError(
            f"`arm` and `other` must be finite. Received: {arm} and {other}"
        )
    if not 0 < confidence < 1:
        raise ValueError(
            f"`confidence` must be in (0, 1). Received: {confidence}"
        )
    mean = differences.mean()
    half = scipy.stats.sem(differences) * scipy.stats.t.ppf(
        (1 + confidence) / 2, len(differences) - 1
    )
    flipped = scipy.stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    return PairedDifference(
        float(mean),
        float(mean - half),
        float(mean + half),
        float(flipped.pvalue),
        tuple(differences.tolist()),
    )


def holm(p_values):
    """P-values of a family of questions, each the larger for the others.

    Below 0.05 they are significant together: one false claim in 20 families.
    The family is to be declared before any run.
    Source: Holm, 1979, https://www.jstor.org/stable/4615733

    Args:
        p_values: Dict of question to p-value.

    Returns:
        Dict of the same questions to adjusted p-values.

    Raises:
        ValueError: If one is not in [0, 1].
    """
    for question, p_value in p_values.items():
        if not 0 <= p_value <= 1:
            raise ValueError(
                f"`p_values` must be in [0, 1]. Received: {p_value} of "
                f"{question}"
            )
    adjusted, highest = {}, 0.0
    ranked = sorted(p_values, key=p_values.get)
    for index, question in enumerate(ranked):
        times = len(ranked) - index
        highest = min(1.0, max(highest, times * p_values[question]))
        adjusted[question] = highest
    return {question: adjusted[question] for question in p_values}
