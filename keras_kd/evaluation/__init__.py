"""Evaluation: what a student is worth, and what it costs, on held-out text."""

from keras_kd.evaluation.answer_scores import (
    ScoreAnswers,
    best_null_threshold,
    choose_threshold,
    nearest_sentences,
    score_answers,
)
from keras_kd.evaluation.answers import decide, find_answers, predict_answers
from keras_kd.evaluation.calibration import calibration
from keras_kd.evaluation.compare import compare
from keras_kd.evaluation.cost import (
    Timing,
    count_bytes,
    multiply_adds,
    time_in_turns,
)
from keras_kd.evaluation.evaluate import evaluate, evaluate_unigram
from keras_kd.evaluation.evidence import evidence_card
from keras_kd.evaluation.frequency import evaluate_by_frequency
from keras_kd.evaluation.paired_runs import (
    PairedDifference,
    holm,
    paired_difference,
)
from keras_kd.evaluation.scout_encoder import scout_encoder
from keras_kd.evaluation.similarity import evaluate_similarity
from keras_kd.evaluation.tag_metrics import (
    TAG_METRICS,
    ScoreTags,
    most_frequent_tags,
    predict_tags,
    tag_metrics_of,
    tag_scores,
)
from keras_kd.evaluation.task_baselines import majority_scores, tfidf_scores
from keras_kd.evaluation.task_metrics import (
    TASK_METRICS,
    ScoreTask,
    predict_task,
    task_scores,
)

__all__ = [
    "scout_encoder",
    "TAG_METRICS",
    "TASK_METRICS",
    "PairedDifference",
    "ScoreAnswers",
    "ScoreTags",
    "ScoreTask",
    "Timing",
    "best_null_threshold",
    "calibration",
    "choose_threshold",
    "compare",
    "count_bytes",
    "decide",
    "evaluate",
    "evaluate_by_frequency",
    "evaluate_similarity",
    "evaluate_unigram",
    "evidence_card",
    "find_answers",
    "holm",
    "majority_scores",
    "most_frequent_tags",
    "multiply_adds",
    "nearest_sentences",
    "paired_difference",
    "predict_answers",
    "predict_tags",
    "predict_task",
    "score_answers",
    "tag_metrics_of",
    "tag_scores",
    "task_scores",
    "tfidf_scores",
    "time_in_turns",
]
