"""Export: what leaves Keras, ready to be served by other software."""

from keras_kd.export.export_student import export_student

__all__ = ["export_student"]
