"""The Distiller and its training step."""

from keras_kd.distiller.distiller import Distiller

__all__ = ["Distiller"]
