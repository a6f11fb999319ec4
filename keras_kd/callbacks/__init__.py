"""Callbacks: what changes while a model trains, and a run that resumes."""

from keras_kd.callbacks.resumable_run import ResumableRun
from keras_kd.callbacks.schedules import (
    ScheduleLayerDrop,
    ScheduleLearningRate,
    ScheduleLossWeight,
    ScheduleTemperature,
)

__all__ = [
    "ResumableRun",
    "ScheduleLayerDrop",
    "ScheduleLearningRate",
    "ScheduleLossWeight",
    "ScheduleTemperature",
]
