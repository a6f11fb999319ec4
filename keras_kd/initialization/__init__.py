"""What a student starts from: plans, extraction, and the callback."""

from keras_kd.initialization.extraction import extract_student
from keras_kd.initialization.initialize_student import InitializeStudent
from keras_kd.initialization.plans import (
    PLANS,
    InitializationPlan,
    Source,
    choose_layers,
    make_plan,
)

__all__ = [
    "PLANS",
    "InitializationPlan",
    "InitializeStudent",
    "Source",
    "choose_layers",
    "extract_student",
    "make_plan",
]
