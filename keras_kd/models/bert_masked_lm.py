"""BertMaskedLM: a backbone and the head that names hidden tokens."""

import keras
from keras_kd.layers import MaskedLMHead
from keras_kd.layers.seeds import split_seed
from keras_kd.models.bert_backbone import (
    BertBackbone,
    name_variables,
    token_inputs,
)
from keras_kd.models.presets import BertConfig
from keras_kd.models.task_model import TaskModel


@keras.saving.register_keras_serializable(package="keras_kd")
class BertMaskedLM(TaskModel):
    """BERT with the masked-LM head, its decoder tied to the token embedding.

    Trains on the batches of `keras_kd.masked_lm_batches`.

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
            activation=config.head_activation or config.activation,
            layer_norm_epsilon=(
                config.head_layer_norm_epsilon or config.layer_norm_epsilon
            ),
            initializer_range=config.initializer_range,
            tie_embeddings=config.tie_embeddings,
            seed=seeds[1],
            dtype=dtype,
            name="masked_lm_head",
        )
        inputs, outputs = score(backbone, head, config)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.keep_arguments(config, seed, dtype)
        self.backbone = backbone
        self.head = head
        self.num_classes = config.vocabulary_size

    def connect_observed(self, names):
        backbone = self.backbone.observing(names)
        return score(backbone, self.head, self.config)

    def connect_layers(self, layers):
        backbone = self.backbone.subnetwork(layers)
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
