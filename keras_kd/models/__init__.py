"""BERT encoders and task models: what teachers and students are."""

from keras_kd.models.bert_backbone import BertBackbone
from keras_kd.models.bert_classifier import BertClassifier, BertRegressor
from keras_kd.models.bert_masked_lm import BertMaskedLM
from keras_kd.models.bert_span_extractor import BertSpanExtractor
from keras_kd.models.bert_token_classifier import BertTokenClassifier
from keras_kd.models.presets import PRESETS, BertConfig
from keras_kd.models.sentence_embedding import (
    SentenceEmbedding,
    choose_embedding,
    longest_text,
)

__all__ = [
    "PRESETS",
    "BertBackbone",
    "BertClassifier",
    "BertConfig",
    "BertMaskedLM",
    "BertRegressor",
    "BertSpanExtractor",
    "BertTokenClassifier",
    "SentenceEmbedding",
    "choose_embedding",
    "longest_text",
]
