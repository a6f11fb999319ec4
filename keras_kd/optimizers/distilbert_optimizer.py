"""The optimizer of DistilBERT's scripts: AdamW, warmed up and decayed."""

import math
import re

import keras
from keras import ops
from keras_kd.optimizers.adamw import AdamW


@keras.saving.register_keras_serializable(package="keras_kd")
class LinearWarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linearly up to `learning_rate`, then linearly down to 0.

    Update s, counted from 0, has `learning_rate` times s / `warmup_steps`
    below `warmup_steps`, from there (`total_steps` - s) / (`total_steps` -
    `warmup_steps`), and 0 from `total_steps` on. The first update has 0.

    Args:
        learning_rate: Float. The highest.
        total_steps: Int > 0.
        warmup_steps: Int in [0, `total_steps`].

    Raises:
        ValueError: If a number of steps is out of range.
    """

    def __init__(self, learning_rate, total_steps, warmup_steps):
        super().__init__()
        if total_steps < 1 or not 0 <= warmup_steps <= total_steps:
            raise ValueError(
                "`total_steps` must be at least 1, and `warmup_steps` from 0 "
                f"to it. Received: {total_steps} and {warmup_steps}"
            )
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        up = step / max(1, self.warmup_steps)
        down = (self.total_steps - step) / max(
            1, self.total_steps - self.warmup_steps
        )
        scale = ops.where(step < self.warmup_steps, up, ops.maximum(down, 0.0))
        return self.learning_rate * scale

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
        }


@keras.saving.register_keras_serializable(package="keras_kd")
class PathAdamW(AdamW):
    """AdamW that knows by their paths which variables not to decay.

    Keras's own `exclude_from_weight_decay` sees a variable's last name only
    ("gamma", whose layer it cannot tell), and a saved optimizer forgets it.

    Args:
        learning_rate: Float or schedule.
        no_decay: Regular expressions. A variable with a match anywhere in
            its path, such as "encoder_layer_0/query/bias", is not decayed.
        **kwargs: As `keras_kd.AdamW`.
    """

    def __init__(self, learning_rate=0.001, no_decay=(), **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.no_decay = tuple(no_decay)

    def build(self, variables):
        if not self.built:
            exempt = [
                variable
                for variable in variables
                if any(re.search(name, variable.path) for name in self.no_decay)
            ]
            self.exclude_from_weight_decay(var_list=exempt)
        super().build(variables)

    def get_config(self):
        return {**super().get_config(), "no_decay": self.no_decay}


def distilbert_optimizer(
    total_steps,
    learning_rate=5e-4,
    warmup_share=0.05,
    weight_decay=0.0,
    clip=5.0,
    decay_block_norms=False,
):
    """AdamW as DistilBERT's scripts have it, betas 0.9 and 0.98.

    The learning rate is that of `LinearWarmupDecay` over `total_steps` + 1,
    as there: the last update's is a little above 0. Gradients are clipped by
    their global norm, then weights decayed by learning rate · `weight_decay`,
    then Adam's step added: the order of `torch.optim.AdamW`.

    One thing differs from PyTorch. Its Adam divides by
    sqrt(v / (1 - 0.98^t)) + epsilon, Keras's by the same with epsilon /
    sqrt(1 - 0.98^t), which is 7.1 epsilon at the first update (that has a
    learning rate of 0), 2.3 at the 10th, 1.07 at the 100th, 1.01 at the
    200th. A step is shorter by the share of epsilon in its denominator: where
    gradients have stayed near 1e-3 in size, 0.1 % at the 10th update; near
    1e-5, 11 %; none to speak of later.

    Source: Sanh et al., 2019, https://arxiv.org/abs/1910.01108

    Args:
        total_steps: Int > 0. Updates of the run. With Keras's
            `gradient_accumulation_steps` the schedule would count batches.
        learning_rate: Float. The highest.
        warmup_share: Float in [0, 1]. Part of the updates spent warming up.
        weight_decay: Float. Of all but biases and LayerNorms.
        clip: Float > 0. Largest global norm of the gradients.
        decay_block_norms: Bool. True decays the scales (`gamma`) of all
            LayerNorms but the embeddings', as the scripts do for DistilBERT:
            they exempt by name, and its blocks' and head's have another.

    Returns:
        A `keras_kd.AdamW`. It tells embeddings, LayerNorms and biases
        by the paths that the variables of `BertMaskedLM` have.

    Raises:
        ValueError: If `total_steps` or `warmup_share` is out of range.
    """
    if total_steps < 1 or not 0 <= warmup_share <= 1:
        raise ValueError(
            "`total_steps` must be at least 1, and `warmup_share` in [0, 1]. "
            f"Received: {total_steps} and {warmup_share}"
        )
    total = total_steps + 1
    norms = "embeddings/norm/gamma$" if decay_block_norms else "gamma$"
    return PathAdamW(
        LinearWarmupDecay(
            learning_rate, total, math.ceil(total * warmup_share)
        ),
        weight_decay=weight_decay,
        beta_1=0.9,
        beta_2=0.98,
        epsilon=1e-6,
        global_clipnorm=clip,
        no_decay=("bias$", "beta$", norms),
    )
