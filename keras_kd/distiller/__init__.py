"""The Distiller, the SelfDistiller, RDrop, and the training steps."""

from keras_kd.distiller.distiller import Distiller
from keras_kd.distiller.r_drop import RDrop
from keras_kd.distiller.self_distiller import SelfDistiller

__all__ = ["Distiller", "RDrop", "SelfDistiller"]
