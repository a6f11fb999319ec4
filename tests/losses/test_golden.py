"""Terms and the whole gradient against torch's, computed in float64.

tests/golden/make_golden.py made the numbers and says how. Here the batch has
one sequence more, all padding: it has no weight anywhere, so that the numbers
are those without it.
"""

import pathlib

import keras_kd as kd
import numpy as np
import pytest
from keras import ops

FILE = pathlib.Path(__file__).parents[1] / "golden" / "distilbert.npz"

# Name of a term, arguments of `distilbert_losses`, key of its value.
TERMS = [
    ("masked_lm", {}, "masked_lm"),
    ("hidden_state", {}, "hidden_state"),
    *(
        (
            "soft_target",
            {"temperature": temperature, "restrict_ce_to_mask": rows != "all"},
            f"soft_target/{rows}/{temperature}",
        )
        for rows in ("all", "masked")
        for temperature in (0.5, 2.0, 10.0)
    ),
]
LOGITS_MSE_TERMS = [
    (
        "logits_mse",
        {"alpha_mse": 1.0, "restrict_ce_to_mask": rows != "all"},
        f"logits_mse/{rows}",
    )
    for rows in ("all", "masked")
]
# Arguments of `distilbert_losses`, key of the total and its gradient.
TOTALS = [
    ({"restrict_ce_to_mask": False}, "all/0.0"),
    ({"restrict_ce_to_mask": True}, "masked/0.0"),
]
LOGITS_MSE_TOTALS = [
    ({**arguments, "alpha_mse": 0.01}, key.replace("0.0", "0.01"))
    for arguments, key in TOTALS
]


@pytest.fixture(scope="module")
def golden():
    """`golden(prefix)`: dict of the arrays whose key starts so."""
    with np.load(FILE) as file:
        arrays = dict(file)

    def below(prefix):
        return {
            key.removeprefix(f"{prefix}/"): value
            for key, value in arrays.items()
            if key.startswith(f"{prefix}/")
        }

    return below


def make_model(weights):
    """A `BertMaskedLM` of the reference's shape, with its weights."""
    shapes = {name: value.shape for name, value in weights.items()}
    segments = shapes.get("embeddings/segment/embeddings", (0,))
    config = kd.BertConfig(
        vocabulary_size=shapes["embeddings/token/embeddings"][0],
        num_layers=sum(name.endswith("query/kernel") for name in shapes),
        hidden_dim=shapes["embeddings/token/embeddings"][1],
        num_heads=2,
        intermediate_dim=shapes["encoder_layer_0/intermediate/bias"][0],
        max_sequence_length=shapes["embeddings/position/embeddings"][0],
        num_segments=segments[0],
        dropout=0.0,
    )
    model = kd.BertMaskedLM(config)
    variables = model.named_variables()
    assert set(variables) == set(weights)
    for name, variable in variables.items():
        variable.assign(weights[name])
    return model


@pytest.fixture(scope="module")
def models(golden):
    return make_model(golden("teacher")), make_model(golden("student"))


@pytest.fixture(scope="module")
def batch(golden):
    """Dict of `x`, `y`, `sample_weight`, as terms take it."""

    def with_padding(array):
        return np.concatenate([array, np.zeros_like(array[:1])])

    arrays = golden("batch")
    return {
        "x": {name: with_padding(a) for name, a in golden("x").items()},
        "y": with_padding(arrays["y"]),
        "sample_weight": with_padding(arrays["sample_weight"]),
    }


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_the_forward_pass_is_the_references(golden, models, batch, role):
    model = dict(zip(("teacher", "student"), models, strict=True))[role]
    outputs = model(batch["x"])
    expected = golden(f"{role}_outputs")
    states = ops.convert_to_numpy(ops.stack(outputs["hidden_states"]))
    logits = ops.convert_to_numpy(outputs["logits"])
    assert np.isfinite(states).all() and np.isfinite(logits).all()
    size = len(expected["logits"])
    np.testing.assert_allclose(
        states[:, :size], expected["hidden_states"], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        logits[:size], expected["logits"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "arguments", "key"),
    [pytest.param(*c, id=c[2]) for c in TERMS + LOGITS_MSE_TERMS],
)
def test_each_term_is_the_references(
    golden, models, batch, name, arguments, key
):
    term = kd.distilbert_losses(**arguments)["loss_terms"][name]
    outputs = [{**m(batch["x"]), "head": m.head} for m in models]
    value = float(term.compute(batch, *outputs))
    np.testing.assert_allclose(value, golden("term")[key], rtol=1e-5)


@pytest.mark.parametrize(
    "through", [pytest.param("terms", marks=pytest.mark.slow), "distiller"]
)
@pytest.mark.parametrize(
    ("arguments", "key"),
    [pytest.param(*c, id=f"mse_{c[1]}") for c in LOGITS_MSE_TOTALS]
    + [pytest.param(*c, id=c[1]) for c in TOTALS],
)
def test_the_gradient_of_the_total_is_the_references(
    golden, models, batch, value_and_gradients, arguments, key, through
):
    teacher, student = models
    losses = kd.distilbert_losses(**arguments)
    distiller = kd.Distiller(teacher, student, **losses)

    def total_of_terms():
        outputs = [{**m(batch["x"]), "head": m.head} for m in models]
        return sum(
            losses["loss_weights"][name] * term.compute(batch, *outputs)
            for name, term in losses["loss_terms"].items()
        )

    def total_of_distiller():
        y_pred = distiller(batch["x"], training=True)
        return distiller.compute_loss(**batch, y_pred=y_pred, training=True)

    names, variables = zip(*student.named_variables().items(), strict=True)
    total, gradients = value_and_gradients(
        total_of_terms if through == "terms" else total_of_distiller, variables
    )
    np.testing.assert_allclose(total, golden("total")[key], rtol=1e-5)
    expected = golden(f"gradient/{key}")
    for name, gradient in zip(names, gradients, strict=True):
        # Relative to the tensor's largest entry. A key's bias adds the same
        # to all of a query's scores: its exact gradient is 0.
        largest = np.abs(expected[name]).max()
        largest = max(largest, 1e-2) if name.endswith("key/bias") else largest
        np.testing.assert_allclose(
            gradient, expected[name], rtol=0, atol=1e-4 * largest, err_msg=name
        )
