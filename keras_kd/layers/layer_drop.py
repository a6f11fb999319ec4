"""LayerDrop: a layer that is sometimes not there while the model trains."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_kd")
class LayerDrop(keras.layers.Wrapper):
    """Skips the wrapped layer at random during training.

    One coin for the whole batch at each step, no rescaling, unless told
    otherwise; inference keeps the layer. A skipped layer costs nothing,
    forward or backward, with `jit_compile` on and off: it stands in a branch
    that is not taken, and all randomness is drawn outside of the branch. This
    needs batches of one static shape, as `keras_kd.masked_lm_batches` makes
    them of running text; where B or T is unknown when the step is traced (XLA
    cannot differentiate such a branch) the layer is computed and its output
    not taken: as right, not as cheap. The same is so with a coin for each
    sequence.

    In a compiled step a skipped layer's gradient is exactly zero, so an
    optimizer with momentum (Adam, Muon) still moves its weights by what it
    remembers, and weight decay still shrinks them; as in the source, nothing
    is done against either. (Run eagerly, the gradient is None and Keras's
    optimizers leave the weights alone.)
    Source: Fan et al., 2019, https://arxiv.org/abs/1909.11556

    Args:
        layer: Layer mapping (B, T, D) to (B, T, D).
        rate: Float in [0, 1). Probability of skipping the layer. Held in a
            variable: `layer_drop.rate.assign(...)` acts inside a step that
            is already compiled.
        seed: Int or None. Seed of the coin.
        per_sequence: Bool. Whether each sequence of a batch has its own coin.
        rescale: Bool. Whether what a kept layer adds is divided by 1 - `rate`
            in training, so that it is the inference's on average.

    Call arguments:
        x: Hidden states, (B, T, D).
        padding_mask: (B, T), 1 for real tokens.

    Returns:
        Hidden states, (B, T, D).

    Raises:
        ValueError: If `rate` is not in [0, 1).
    """

    def __init__(
        self,
        layer,
        rate,
        seed=None,
        per_sequence=False,
        rescale=False,
        **kwargs,
    ):
        super().__init__(layer, **kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"`rate` must be in [0, 1). Received: {rate}")
        self.seed = seed
        self.per_sequence = per_sequence
        self.rescale = rescale
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.rate = self.add_weight(
            name="rate",
            shape=(),
            dtype="float32",
            initializer=keras.initializers.Constant(rate),
            trainable=False,
            autocast=False,
        )

    def build(self, x_shape, padding_mask_shape=None):
        if not self.layer.built:
            self.layer.build(x_shape)
            self.layer.built = True
        self.built = True

    def call(self, x, padding_mask=None, training=False):
        if not training:
            return self.layer(x, padding_mask=padding_mask, training=False)
        # A Keras op: Python's `random` would freeze at its first traced value.
        shape = (ops.shape(x)[0], 1, 1) if self.per_sequence else ()
        coin = keras.random.uniform(
            shape, dtype="float32", seed=self.seed_generator
        )
        drawn = {}
        if hasattr(self.layer, "draw_dropout_seeds"):
            drawn["dropout_seeds"] = self.layer.draw_dropout_seeds()

        def keep():
            kept = self.layer(
                x, padding_mask=padding_mask, training=True, **drawn
            )
            if not self.rescale:
                return kept
            share = ops.cast(1.0 - self.rate, kept.dtype)
            return x + (kept - x) / share

        return run_unless(coin < self.rate, keep, x)

    def compute_output_shape(self, x_shape, padding_mask_shape=None):
        return x_shape

    def get_config(self):
        # The rate in force, which a schedule may have moved.
        rate = float(ops.convert_to_numpy(self.rate))
        return {
            **super().get_config(),
            "rate": rate,
            "seed": self.seed,
            "per_sequence": self.per_sequence,
            "rescale": self.rescale,
        }


def run_unless(skipped, run, x):
    """`run()`, or `x` where that is skipped; then, if it can be, at no cost.

    Args:
        skipped: Bool tensor, () or (B, 1, 1).
        run: Function without arguments that makes of `x` a tensor of its
            shape, all randomness drawn beforehand.
        x: (B, T, D).

    Returns:
        (B, T, D).
    """
    if len(skipped.shape) > 0 or None in x.shape:
        return ops.where(skipped, x, run())
    return ops.cond(skipped, lambda: x, run)
