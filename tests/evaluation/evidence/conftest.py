"""Shared by the tests of the evidence card: made-up results of three runs."""

import copy

import numpy as np
import pytest
from keras_kd.evaluation.calibration import calibration

# Names and tokens that mean something in Markdown, HTML or mathematics.
STUDENT, ALONE = "student <b>|&", "_alone_ $1$"


def model(name, nats, parameters, latency_ms, seed=0, **config):
    rng = np.random.default_rng(len(name))
    p = rng.random(200)
    return {
        "role": "distilled",
        "start": "every_other",
        "shape": {
            "num_layers": 2,
            "hidden_dim": 128,
            "num_heads": 4,
            "vocabulary_size": 4000,
        },
        "measured": {
            "masked_cross_entropy": nats,
            "perplexity": float(np.exp(nats)),
            "top1": 0.5 - nats / 20,
            "top5": 0.7 - nats / 20,
            "parameters": parameters,
            "latency_ms": latency_ms,
        },
        "by_frequency": [
            {
                "from": low,
                "below": below,
                "tokens": 7,
                "hidden": hidden,
                "masked_cross_entropy": nats + 1 if hidden else None,
                "top1": 0.25 if hidden else None,
            }
            for low, below, hidden in (
                (0, 12, 31),
                (12, 1500, 0),
                (1500, None, 45),
            )
        ],
        "calibration": calibration(p, rng.random(200) < p**2),
        "run": {
            "config": {"seed": seed, "plan": "every_other", **config},
            "replay": f"uv run recipes/NAME.py --config '{name}/config.json'",
        },
    }


@pytest.fixture
def results(made_up):
    """What `evidence_card` takes; a test may change it."""
    return copy.deepcopy(made_up)


@pytest.fixture(scope="session")
def made_up():
    """The same for tests that only look at it."""
    teacher = model("teacher", 3.0, 4_200_000, 8.0)
    alone = model(ALONE, 5.5, 2_100_000, 4.5, steps=7)
    names = ("teacher", STUDENT, ALONE)
    return {
        "models": {
            "teacher": teacher | {"role": "teacher", "start": "random"},
            STUDENT: model(STUDENT, 3.5, 2_100_000, 4.0),
            ALONE: alone | {"role": "not distilled", "start": "random"},
        },
        "teacher": "teacher",
        "baselines": {
            "unigram": {
                "masked_cross_entropy": 6.0,
                "perplexity": 403.4,
                "top1": 0.05,
                "top5": 0.15,
            }
        },
        "held_out": {
            "text": "docstrings",
            "sequences": 640,
            "block_length": 64,
            "hidden": 76,
        },
        "examples": [
            {
                "sentence": "The [MASK] of <x> | y is `z` & more.",
                "truth": "sum",
                "choices": {
                    name: [
                        {"token": token, "probability": p}
                        for token, p in (("|", 0.5), ("<i>", 0.25), ("&", 0.1))
                    ]
                    for name in names
                },
                "truth_probability": dict.fromkeys(names, 0.02),
            }
        ],
        "tasks": [],
        "environment": {"device": "CPU, x86_64, 2 cores", "keras": "3.15.1"},
    }


@pytest.fixture(scope="session")
def task():
    """A fine-tuned run."""
    return {
        "task": "SST-2",
        "metric": "accuracy",
        "model": {"name": "student", "parameters": 2_000_000},
        "scores": {"accuracy": 0.81},
        "baselines": {
            "majority class": {"accuracy": 0.51},
            "teacher": {"accuracy": 0.9},
        },
        "seed": 0,
        "rows": {"train": 67_349, "validation": 872},
    }
