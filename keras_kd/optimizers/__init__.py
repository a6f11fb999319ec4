"""Optimizers: AdamW in one pass, and the one of DistilBERT's scripts."""

from keras_kd.optimizers.adamw import AdamW
from keras_kd.optimizers.distilbert_optimizer import (
    LinearWarmupDecay,
    PathAdamW,
    distilbert_optimizer,
)
from keras_kd.optimizers.skip_non_finite import SkipNonFinite

__all__ = [
    "AdamW",
    "LinearWarmupDecay",
    "PathAdamW",
    "SkipNonFinite",
    "distilbert_optimizer",
]
