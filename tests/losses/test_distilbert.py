import keras_kd as kd
import pytest


def test_the_defaults_are_five_two_one_at_temperature_two():
    losses = kd.distilbert_losses()
    assert losses["loss_weights"] == {
        "soft_target": 5.0,
        "masked_lm": 2.0,
        "hidden_state": 1.0,
    }
    assert float(losses["loss_terms"]["soft_target"].temperature) == 2.0
    assert losses["loss_terms"]["soft_target"].unmasked_share == 0.0


def test_a_term_of_weight_zero_is_left_out():
    losses = kd.distilbert_losses(alpha_ce=0, alpha_cos=0, alpha_mlm=3)
    assert losses["loss_weights"] == {"masked_lm": 3.0}
    assert list(losses["loss_terms"]) == ["masked_lm"]


@pytest.mark.parametrize(
    "weights",
    [
        {"alpha_ce": -1.0},
        {"alpha_ce": float("nan")},
        {"alpha_mlm": float("inf")},
        {"alpha_ce": 0, "alpha_mlm": 0, "alpha_cos": 0},
    ],
)
def test_weights_out_of_range_are_refused(weights):
    with pytest.raises(
        ValueError, match="`alpha_ce`, `alpha_mlm`, `alpha_cos` and"
    ):
        kd.distilbert_losses(**weights)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_a_temperature_out_of_range_is_refused(temperature):
    with pytest.raises(ValueError, match="`temperature` must be greater"):
        kd.distilbert_losses(temperature=temperature)


@pytest.mark.parametrize(
    ("arguments", "share"),
    [
        ({}, 0.0),
        ({"restrict_ce_to_mask": False}, 1.0),
        ({"unmasked_share": 0.3}, 0.3),
        ({"restrict_ce_to_mask": False, "unmasked_share": 0.0}, 0.0),
    ],
)
def test_soft_targets_are_where_they_are_asked_for(arguments, share):
    terms = kd.distilbert_losses(alpha_mse=0.1, **arguments)["loss_terms"]
    assert terms["soft_target"].unmasked_share == share
    assert terms["logits_mse"].unmasked_share == share
