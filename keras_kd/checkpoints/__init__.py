"""Models and tokenizers of other software, read and written."""

from keras_kd.checkpoints.hub import push_to_hub
from keras_kd.checkpoints.keras_hub_models import to_keras_hub
from keras_kd.checkpoints.keras_hub_tokenizer import to_keras_hub_tokenizer
from keras_kd.checkpoints.load_checkpoint import (
    load_checkpoint,
    load_tokenizer,
)
from keras_kd.checkpoints.save_checkpoint import save_checkpoint

__all__ = [
    "load_checkpoint",
    "load_tokenizer",
    "push_to_hub",
    "save_checkpoint",
    "to_keras_hub",
    "to_keras_hub_tokenizer",
]
