"""BERT encoders and task models: what teachers and students are."""

from keras_kd.models.bert_backbone import BertBackbone
from keras_kd.models.bert_tasks import BertClassifier, BertMaskedLM
from keras_kd.models.presets import PRESETS, BertConfig

__all__ = [
    "PRESETS",
    "BertBackbone",
    "BertClassifier",
    "BertConfig",
    "BertMaskedLM",
]
