"""Task models: a backbone and the head that turns its states to logits."""

import keras
from keras_kd.layers import MaskedLMHead
from keras_kd.layers.seeds import split_seed
from keras_kd.models.bert_backbone import (
    BertBackbone,
    EncoderModel,
    name_variables,
    token_inputs,
)
from keras_kd.models.presets import BertConfig


@keras.saving.register_keras_serializable(package="keras_kd")
class BertMaskedLM(EncoderModel):
    """BERT with the masked-LM head, its decoder tied to the token embedding.

    Trains with plain `compile` and `fit` on the batches of
    `keras_kd.masked_lm_batches`: loss and metrics see the logits alone.

    Args:
        config: `BertConfig`, or its fields as a dict.
        seed: Int or None. Seed of initial weights, dropout and LayerDrop.
        dtype: Str or policy. Keras's precision policy; default: the global.

    Call arguments:
        inputs: The backbone's dict, and `mask_positions`, (B, K) int.

    Returns:
        The backbone's dict, and `logits`, (B, K, V), at `mask_positions`.
    """

    def __init__(self, config, seed=None, dtype=None, **kwargs):
        config = (
            config if isinstance(config, BertConfig) else BertConfig(**config)
        )
        seeds = split_seed(seed, 2)
        backbone = BertBackbone(
            config, seed=seeds[0], dtype=dtype, name="backbone"
        )
        head = MaskedLMHead(
            backbone.embeddings.token_embedding,
            activation=config.activation,
            layer_norm_epsilon=config.layer_norm_epsilon,
            initializer_range=config.initializer_range,
            seed=seeds[1],
            dtype=dtype,
            name="masked_lm_head",
        )
        inputs, outputs = score(backbone, head, config)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.keep_arguments(config, seed, dtype)
        self.backbone = backbone
        self.head = head

    def connect_observed(self, names):
        backbone = self.backbone.observing(names)
        return score(backbone, self.head, self.config)

    def named_variables(self):
        """The backbone's names, and the head's own: "masked_lm_head/...".

        Returns:
            Dict of str to variable.
        """
        names = self.backbone.named_variables()
        tied = {id(variable) for variable in names.values()}
        head = name_variables([self.head])
        own = {name: v for name, v in head.items() if id(v) not in tied}
        return {**names, **own}

    def compile(self, optimizer="adamw", loss="auto", **kwargs):
        """Keras's `compile`; "auto" is the masked-LM cross-entropy.

        It is averaged over the masked positions (`sample_weight` 1).
        """
        if loss == "auto":
            loss = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight"
            )
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def compile_from_config(self, config):
        """Compiles a loaded model as it was when it was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return super().compute_loss(
            x, y, y_pred["logits"], sample_weight, training
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred["logits"], sample_weight)


def score(backbone, head, config):
    """Functional inputs and outputs of a masked-LM head over a backbone."""
    inputs = token_inputs(config)
    outputs = dict(backbone(inputs))
    inputs["mask_positions"] = keras.Input(
        (None,), dtype="int32", name="mask_positions"
    )
    outputs["logits"] = head(
        outputs["hidden_states"][-1], inputs["mask_positions"]
    )
    return inputs, outputs
