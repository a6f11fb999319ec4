"""Text to batches: documents, tokens, blocks, masked batches.

The only home of tf.data.
"""

from keras_kd.data.batches import masked_lm_batches, token_batches
from keras_kd.data.beam_pipeline import write_store_with_beam
from keras_kd.data.class_names import (
    check_classes,
    class_names_of,
    label_ids,
)
from keras_kd.data.conll import (
    TaggedWords,
    check_tags,
    read_tagged_words,
    tag_ids,
    tag_names_of,
)
from keras_kd.data.corpora import SPLITS, read_documents
from keras_kd.data.document_filter import DocumentFilter
from keras_kd.data.glue import GLUE, GlueTask, glue_task, read_glue
from keras_kd.data.labeled_batches import labeled_batches
from keras_kd.data.labeled_texts import (
    LabeledText,
    TaskColumns,
    read_labeled_texts,
)
from keras_kd.data.masking import MaskedLMMasking, smoothed_token_probs
from keras_kd.data.mixed_store import MixedStore
from keras_kd.data.span_batches import SpanWindows, span_batches
from keras_kd.data.squad import Answer, SpanQuestion, read_squad
from keras_kd.data.token_label_batches import token_label_batches
from keras_kd.data.token_store import TokenStore
from keras_kd.data.tokenizer import WordPieceTokenizer

__all__ = [
    "GLUE",
    "SPLITS",
    "Answer",
    "DocumentFilter",
    "GlueTask",
    "LabeledText",
    "MaskedLMMasking",
    "MixedStore",
    "SpanQuestion",
    "SpanWindows",
    "TaggedWords",
    "TaskColumns",
    "TokenStore",
    "WordPieceTokenizer",
    "check_classes",
    "check_tags",
    "class_names_of",
    "glue_task",
    "label_ids",
    "labeled_batches",
    "masked_lm_batches",
    "read_documents",
    "read_glue",
    "read_labeled_texts",
    "read_squad",
    "read_tagged_words",
    "smoothed_token_probs",
    "span_batches",
    "tag_ids",
    "tag_names_of",
    "token_batches",
    "token_label_batches",
    "write_store_with_beam",
]
