"""Export: what leaves Keras, ready to be served by other software."""

from keras_kd.export.export_student import FORMATS, export_student

__all__ = ["FORMATS", "export_student"]
