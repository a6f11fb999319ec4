"""Evaluation: what a student is worth, and what it costs, on held-out text."""

from keras_kd.evaluation.compare import compare
from keras_kd.evaluation.evaluate import evaluate, evaluate_unigram
from keras_kd.evaluation.paired_runs import (
    PairedDifference,
    holm,
    paired_difference,
)
from keras_kd.evaluation.similarity import evaluate_similarity
from keras_kd.evaluation.task_baselines import majority_scores, tfidf_scores
from keras_kd.evaluation.task_metrics import (
    TASK_METRICS,
    ScoreTask,
    predict_task,
    task_scores,
)

__all__ = [
    "TASK_METRICS",
    "PairedDifference",
    "ScoreTask",
    "compare",
    "evaluate",
    "evaluate_similarity",
    "evaluate_unigram",
    "holm",
    "majority_scores",
    "paired_difference",
    "predict_task",
    "task_scores",
    "tfidf_scores",
]
