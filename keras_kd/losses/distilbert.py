"""The three terms of DistilBERT, ready for a Distiller."""

from keras_kd.losses.hidden_states import HiddenStateTerm
from keras_kd.losses.masked_lm import MaskedLMTerm
from keras_kd.losses.soft_targets import SoftTargetTerm


def distilbert_losses(
    alpha_ce=5.0,
    alpha_mlm=2.0,
    alpha_cos=1.0,
    temperature=2.0,
    restrict_ce_to_mask=False,
):
    """Soft targets, masked LM and hidden-state cosine, weighted 5 / 2 / 1.

    The arguments carry the names of the original scripts, so that a command
    line can be carried over; the terms have ours.
    Source: Sanh et al., 2019, https://arxiv.org/abs/1910.01108

    Args:
        alpha_ce: Float >= 0. Weight of `soft_target` (a KL, not a
            cross-entropy, in the original too).
        alpha_mlm: Float >= 0. Weight of `masked_lm`.
        alpha_cos: Float >= 0. Weight of `hidden_state`.
        temperature: Float > 0, of the soft targets.
        restrict_ce_to_mask: Bool. Soft targets at masked positions only.

    Returns:
        Dict of `loss_terms` and `loss_weights`, for
        `Distiller(teacher, student, **distilbert_losses())`. A term of
        weight 0 is left out.

    Raises:
        ValueError: If a weight is negative or not finite, all are 0, or
            `temperature` is not above 0 or not finite.
    """
    weights = {
        "soft_target": float(alpha_ce),
        "masked_lm": float(alpha_mlm),
        "hidden_state": float(alpha_cos),
    }
    allowed = all(0 <= w < float("inf") for w in weights.values())
    if not allowed or not any(weights.values()):
        raise ValueError(
            "`alpha_ce`, `alpha_mlm` and `alpha_cos` must be 0 or more and "
            f"finite, and one of them above 0. Received: {alpha_ce}, "
            f"{alpha_mlm}, {alpha_cos}"
        )
    terms = {
        "soft_target": SoftTargetTerm(
            temperature, masked_only=restrict_ce_to_mask
        ),
        "masked_lm": MaskedLMTerm(),
        "hidden_state": HiddenStateTerm(),
    }
    used = [name for name, weight in weights.items() if weight > 0]
    return {
        "loss_terms": {name: terms[name] for name in used},
        "loss_weights": {name: weights[name] for name in used},
    }
