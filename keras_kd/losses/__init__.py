"""Loss terms of distillation, one file a family.

A formula is a `keras.losses.Loss` called as `loss(teacher, student,
sample_weight)`; a term is a `LossTerm` that picks the formula's rows out of
what both models gave. The formula stands once; whoever needs it calls it.
"""

from keras_kd.losses.distilbert import distilbert_losses
from keras_kd.losses.hidden_states import (
    HiddenStateCosine,
    HiddenStateMSE,
    HiddenStateTerm,
)
from keras_kd.losses.loss_term import LossTerm
from keras_kd.losses.masked_lm import MaskedLMTerm
from keras_kd.losses.relations import AttentionTerm, RelationTerm
from keras_kd.losses.soft_targets import (
    LogitsMSETerm,
    SoftTargetKL,
    SoftTargetTerm,
)
from keras_kd.losses.task_labels import (
    LabelTerm,
    TaskLogitsMSETerm,
    TaskSoftTargetTerm,
    task_losses,
)
from keras_kd.losses.vocabulary import VocabularyTerm, vocabulary_pass

__all__ = [
    "AttentionTerm",
    "HiddenStateCosine",
    "HiddenStateMSE",
    "HiddenStateTerm",
    "LabelTerm",
    "LogitsMSETerm",
    "LossTerm",
    "MaskedLMTerm",
    "RelationTerm",
    "SoftTargetKL",
    "SoftTargetTerm",
    "TaskLogitsMSETerm",
    "TaskSoftTargetTerm",
    "VocabularyTerm",
    "distilbert_losses",
    "task_losses",
    "vocabulary_pass",
]
