"""Text to batches: documents, tokens, blocks, masked batches.

The only home of tf.data.
"""

from keras_kd.data.batches import masked_lm_batches, token_batches
from keras_kd.data.beam_pipeline import write_store_with_beam
from keras_kd.data.corpora import SPLITS, read_documents
from keras_kd.data.document_filter import DocumentFilter
from keras_kd.data.masking import MaskedLMMasking, smoothed_token_probs
from keras_kd.data.mixed_store import MixedStore
from keras_kd.data.token_store import TokenStore
from keras_kd.data.tokenizer import WordPieceTokenizer

__all__ = [
    "SPLITS",
    "DocumentFilter",
    "MaskedLMMasking",
    "MixedStore",
    "TokenStore",
    "WordPieceTokenizer",
    "masked_lm_batches",
    "read_documents",
    "smoothed_token_probs",
    "token_batches",
    "write_store_with_beam",
]
