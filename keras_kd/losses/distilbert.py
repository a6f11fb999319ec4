"""The terms of DistilBERT, ready for a Distiller."""

from keras_kd.losses.hidden_states import HiddenStateTerm
from keras_kd.losses.masked_lm import MaskedLMTerm
from keras_kd.losses.soft_targets import LogitsMSETerm, SoftTargetTerm


def distilbert_losses(
    alpha_ce=5.0,
    alpha_mlm=2.0,
    alpha_cos=1.0,
    temperature=2.0,
    restrict_ce_to_mask=True,
    alpha_mse=0.0,
    unmasked_share=None,
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
        restrict_ce_to_mask: Bool. Whether soft targets (and `logits_mse`) are
            at masked positions only: cheaper, and the better student in our
            study of rows (recipes/README.md). The original's default is
            False: at all real tokens.
        alpha_mse: Float >= 0. Weight of `logits_mse`.
        unmasked_share: Float in [0, 1], to choose between the two: the share
            of the unmasked tokens that have soft targets (and `logits_mse`).
            None for what `restrict_ce_to_mask` says, 0 or 1.

    Returns:
        Dict of `loss_terms` and `loss_weights`, for
        `Distiller(teacher, student, **distilbert_losses())`. A term of
        weight 0 is left out.

    Raises:
        ValueError: If a weight is negative or not finite, all are 0, or
            `temperature` is not above 0 or not finite, or `unmasked_share`
            is not in [0, 1].
    """
    weights = {
        "soft_target": float(alpha_ce),
        "masked_lm": float(alpha_mlm),
        "logits_mse": float(alpha_mse),
        "hidden_state": float(alpha_cos),
    }
    allowed = all(0 <= w < float("inf") for w in weights.values())
    if not allowed or not any(weights.values()):
        raise ValueError(
            "`alpha_ce`, `alpha_mlm`, `alpha_cos` and `alpha_mse` must be 0 "
            "or more and finite, and one of them above 0. Received: "
            f"{alpha_ce}, {alpha_mlm}, {alpha_cos}, {alpha_mse}"
        )
    share = unmasked_share
    if share is None:
        share = 0.0 if restrict_ce_to_mask else 1.0
    terms = {
        "soft_target": SoftTargetTerm(temperature, share),
        "masked_lm": MaskedLMTerm(),
        "logits_mse": LogitsMSETerm(share),
        "hidden_state": HiddenStateTerm(),
    }
    used = [name for name, weight in weights.items() if weight > 0]
    return {
        "loss_terms": {name: terms[name] for name in used},
        "loss_weights": {name: weights[name] for name in used},
    }
