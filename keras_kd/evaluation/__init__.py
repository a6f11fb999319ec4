"""Evaluation: what a student is worth, and what it costs, on held-out text."""

from keras_kd.evaluation.compare import compare
from keras_kd.evaluation.evaluate import evaluate, evaluate_unigram
from keras_kd.evaluation.paired_runs import (
    PairedDifference,
    holm,
    paired_difference,
)
from keras_kd.evaluation.similarity import evaluate_similarity

__all__ = [
    "PairedDifference",
    "compare",
    "evaluate",
    "evaluate_similarity",
    "evaluate_unigram",
    "holm",
    "paired_difference",
]
