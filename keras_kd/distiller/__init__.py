"""The Distiller, the SelfDistiller, and their training steps."""

from keras_kd.distiller.distiller import Distiller
from keras_kd.distiller.self_distiller import SelfDistiller

__all__ = ["Distiller", "SelfDistiller"]
