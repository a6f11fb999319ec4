"""Evaluation: what a student is worth, and what it costs, on held-out text."""

from keras_kd.evaluation.compare import compare
from keras_kd.evaluation.evaluate import evaluate, evaluate_unigram
from keras_kd.evaluation.similarity import evaluate_similarity

__all__ = ["compare", "evaluate", "evaluate_similarity", "evaluate_unigram"]
