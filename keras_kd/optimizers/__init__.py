"""Optimizers: AdamW in one pass, and the one of DistilBERT's scripts."""

from keras_kd.optimizers.adamw import AdamW
from keras_kd.optimizers.distilbert_optimizer import (
    LinearWarmupDecay,
    PathAdamW,
    distilbert_optimizer,
)

__all__ = ["AdamW", "LinearWarmupDecay", "PathAdamW", "distilbert_optimizer"]
