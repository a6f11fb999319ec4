"""Callbacks: what changes while a model trains."""

from keras_kd.callbacks.schedules import (
    ScheduleLayerDrop,
    ScheduleLossWeight,
    ScheduleTemperature,
)

__all__ = ["ScheduleLayerDrop", "ScheduleLossWeight", "ScheduleTemperature"]
