"""SelfDistiller: a teacher that distils its own sub-networks as it trains."""

import functools

import keras
from keras import ops
from keras_kd.distiller.distiller import hold_weights
from keras_kd.distiller.fitting import Fitting
from keras_kd.layers import run_unless
from keras_kd.losses import SoftTargetKL

TERMS = ("masked_lm", "subnetwork_masked_lm", "subnetwork_soft_target")


class SelfDistiller(Fitting, keras.Model):
    """Trains a masked-LM teacher, and within it its sub-networks, with `fit`.

    At each step the whole teacher runs, and one of its sub-networks: the one
    that is to be extracted, or another by chance. The total is
    masked_lm + weight · (masked_lm of the sub-network + temperature² · KL of
    the whole teacher || the sub-network), all means over masked tokens; the
    KL has no gradient by the whole teacher's side. What is extracted
    afterwards has been distilled already. A step costs as much more as the
    sub-network costs.

    Both have dropout; the whole one has its own `LayerDrop` too, which should
    then be 0 or small. Validation measures the whole teacher and the
    sub-network of `layers`. `x`, `y`, `sample_weight` are those of
    `keras_kd.masked_lm_batches`. `save` saves the teacher.
    Source: the sandwich rule and in-place distillation of Yu & Huang, 2019,
    https://arxiv.org/abs/1903.05134, by depth as in Hou et al., 2020,
    https://arxiv.org/abs/2004.04037

    Args:
        teacher: `BertMaskedLM` of L layers, which is trained.
        layers: Tuple of int, in their order: the sub-network to be extracted,
            as from `keras_kd.choose_layers`.
        random_share: Float in [0, 1]. Share of steps with another one.
        depths: Iterable of int, from 1 to L: how many layers those others
            have, all as often. Default: as many as `layers`.
        weight: Float >= 0, of both terms of the sub-network, held in
            variables: `ScheduleLossWeight` moves either.
        temperature: Float > 0, of the soft targets.
        seed: Int or None. Seed of what sub-network is drawn.

    Raises:
        ValueError: If there are no such layers or depths, or a number is out
            of its range.
    """

    def __init__(
        self,
        teacher,
        layers,
        random_share=0.5,
        depths=None,
        weight=1.0,
        temperature=2.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**{"dtype": teacher.dtype_policy, **kwargs})
        depth = teacher.config.num_layers
        self.network = teacher  # `teacher` is a frozen one, not saved
        self.layers_to_keep = teacher.check_layers(layers)
        if not 0 <= random_share <= 1:
            raise ValueError(
                f"`random_share` must be in [0, 1]. Received: {random_share}"
            )
        # A function, so that Keras does not track one more model.
        self.call_target = functools.partial(
            teacher.subnetwork(self.layers_to_keep), training=False
        )
        self.random_share = random_share
        self.depths = sorted(set(depths or [len(self.layers_to_keep)]))
        if not 1 <= self.depths[0] <= self.depths[-1] <= depth:
            raise ValueError(
                f"`depths` must be from 1 to {depth}. Received: {self.depths}"
            )
        if not 0 <= weight < float("inf"):
            raise ValueError(
                f"`weight` must be 0 or more, and finite. Received: {weight}"
            )
        self.soft_targets = SoftTargetKL(temperature)
        self.draws = keras.random.SeedGenerator(seed)
        self.loss_weights = hold_weights(self, dict.fromkeys(TERMS[1:], weight))
        self.term_metrics = [keras.metrics.Mean(name=name) for name in TERMS]
        self.built = True

    @property
    def backbone(self):
        """The whole teacher's, where schedules look for LayerDrop."""
        return self.network.backbone

    def trained_model(self):
        return self.network

    def call(self, inputs, training=False):
        """Outputs of the whole teacher, and `subnetwork_logits`."""
        outputs = dict(self.network(inputs, training=training))
        outputs["subnetwork_logits"] = self.run_subnetwork(inputs, training)
        return outputs

    def draw_layers(self):
        """Which layers take part: (L,) bool."""
        depth = self.network.config.num_layers
        draws = keras.random.uniform((depth + 2,), seed=self.draws)
        which = ops.cast(draws[-2] * len(self.depths), "int32")
        number = ops.take(ops.convert_to_tensor(self.depths, "int32"), which)
        rank = ops.argsort(ops.argsort(draws[:depth]))
        others = ops.cast(rank, "int32") < number
        return ops.where(
            draws[-1] < self.random_share, others, self.target_layers()
        )

    def target_layers(self):
        """(L,) bool of `layers`."""
        depth = self.network.config.num_layers
        return ops.convert_to_tensor(
            [index in self.layers_to_keep for index in range(depth)], "bool"
        )

    def run_subnetwork(self, inputs, training):
        """Logits, (B, K, V), of a sub-network: in training, one drawn."""
        if not training:
            return self.call_target(inputs)["logits"]
        inputs = self.network.fill_inputs(inputs)
        taking_part = self.draw_layers()
        backbone = self.network.backbone
        x = backbone.embeddings(
            inputs["token_ids"], inputs.get("segment_ids"), training=True
        )
        for index, layer in enumerate(backbone.encoder_layers):
            drawn = layer.draw_dropout_seeds()

            def run(layer=layer, x=x, drawn=drawn):
                return layer(
                    x,
                    padding_mask=inputs["padding_mask"],
                    dropout_seeds=drawn,
                    training=True,
                )

            x = run_unless(ops.logical_not(taking_part[index]), run, x)
        return self.network.head(x, inputs["mask_positions"])

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The total, in nats; each term goes into its metric."""
        if sample_weight is None:
            sample_weight = ops.ones(ops.shape(y), "float32")
        sample_weight = ops.cast(sample_weight, "float32")
        whole, part = y_pred["logits"], y_pred["subnetwork_logits"]
        whole, part = ops.cast(whole, "float32"), ops.cast(part, "float32")
        tokens = ops.sum(sample_weight)

        def masked_lm(logits):
            nats = ops.sparse_categorical_crossentropy(
                y, logits, from_logits=True
            )
            return ops.divide_no_nan(ops.sum(nats * sample_weight), tokens)

        terms = (
            masked_lm(whole),
            masked_lm(part),
            self.soft_targets(ops.stop_gradient(whole), part, sample_weight),
        )
        for metric, term in zip(self.term_metrics, terms, strict=True):
            metric.update_state(term, sample_weight=tokens)
        weights = self.loss_weights.values()
        return terms[0] + sum(
            weight * term
            for weight, term in zip(weights, terms[1:], strict=True)
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics of `compile`, on the whole teacher's logits."""
        return super().compute_metrics(x, y, y_pred["logits"], sample_weight)
