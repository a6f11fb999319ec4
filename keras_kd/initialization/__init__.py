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
from keras_kd.initialization.search import (
    block_influence,
    scout,
    search_layers,
)
from keras_kd.initialization.subnetworks import (
    choose_subsets,
    evaluate_subnetworks,
)

__all__ = [
    "PLANS",
    "InitializationPlan",
    "InitializeStudent",
    "Source",
    "block_influence",
    "choose_layers",
    "choose_subsets",
    "evaluate_subnetworks",
    "extract_student",
    "make_plan",
    "scout",
    "search_layers",
]
