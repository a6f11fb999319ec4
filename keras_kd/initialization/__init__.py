"""What a student starts from: plans, extraction, and the callback."""

from keras_kd.initialization.compensation import COMPENSATIONS, compensate
from keras_kd.initialization.extraction import extract_student
from keras_kd.initialization.initialize_student import InitializeStudent
from keras_kd.initialization.make_plan import make_plan
from keras_kd.initialization.narrowing import narrow_plan
from keras_kd.initialization.plans import (
    PLANS,
    SEARCHED_PLANS,
    Fitted,
    InitializationPlan,
    Mean,
    Scaled,
    Selected,
    Source,
    choose_layers,
)
from keras_kd.initialization.search import (
    best_subset,
    block_influence,
    most_influential,
    named_layers,
    scout,
    search_layers,
)
from keras_kd.initialization.subnetworks import (
    SubnetworkEvaluator,
    choose_subsets,
    evaluate_subnetworks,
)

__all__ = [
    "named_layers",
    "most_influential",
    "best_subset",
    "COMPENSATIONS",
    "PLANS",
    "SEARCHED_PLANS",
    "Fitted",
    "InitializationPlan",
    "InitializeStudent",
    "SubnetworkEvaluator",
    "Mean",
    "Scaled",
    "Selected",
    "Source",
    "block_influence",
    "choose_layers",
    "choose_subsets",
    "compensate",
    "evaluate_subnetworks",
    "extract_student",
    "make_plan",
    "narrow_plan",
    "scout",
    "search_layers",
]
