"""Task models: a backbone and the head that turns its states to logits."""

import dataclasses

import keras
from keras_kd.layers import MaskedLMHead
from keras_kd.layers.dropout import Dropout
from keras_kd.layers.noise import noise
from keras_kd.layers.seeds import split_seed
from keras_kd.models.bert_backbone import (
    BertBackbone,
    EncoderModel,
    name_variables,
    token_inputs,
)
from keras_kd.models.presets import BertConfig


class TaskModel(EncoderModel):
    """A model whose loss and metrics see its logits alone.

    Trains with plain `compile` and `fit`; the loss "auto" is the
    cross-entropy of the labels' ids.
    """

    def compile(self, optimizer="adamw", loss="auto", **kwargs):
        """Keras's `compile`; "auto" is the cross-entropy of label ids.

        It is averaged over what has weight (`sample_weight`): for a masked LM
        the masked positions.
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


@keras.saving.register_keras_serializable(package="keras_kd")
class BertClassifier(TaskModel):
    """BERT with a dense layer over the pooled state: one label per text.

    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805

    Args:
        config: `BertConfig`, or its fields as a dict. There is a pooler,
            whatever it says.
        class_names: List of str, the classes in the order of their ids.
        classifier_dropout: Float in [0, 1), of the pooled state; None for
            `config.dropout`.
        seed: Int or None. Seed of initial weights, dropout and LayerDrop.
        dtype: Str or policy. Keras's precision policy; default: the global.

    Call arguments:
        inputs: The backbone's dict.

    Returns:
        The backbone's dict, and `logits`, (B, C), in float32.

    Raises:
        ValueError: If there is no class.
    """

    def __init__(
        self,
        config,
        class_names,
        classifier_dropout=None,
        seed=None,
        dtype=None,
        **kwargs,
    ):
        config = (
            config if isinstance(config, BertConfig) else BertConfig(**config)
        )
        config = dataclasses.replace(config, pooler=True)
        if not class_names:
            raise ValueError(
                f"`class_names` must name a class. Received: {class_names}"
            )
        if classifier_dropout is None:
            classifier_dropout = config.dropout
        seeds = split_seed(seed, 3)
        backbone = BertBackbone(
            config, seed=seeds[0], dtype=dtype, name="backbone"
        )
        dropout = Dropout(classifier_dropout, seed=seeds[1], dtype=dtype)
        classifier = keras.layers.Dense(
            len(class_names),
            kernel_initializer=noise(config.initializer_range, seeds[2]),
            dtype="float32",
            name="classifier",
        )
        inputs, outputs = classify(backbone, dropout, classifier, config)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.keep_arguments(config, seed, dtype)
        self.class_names = list(class_names)
        self.classifier_dropout = classifier_dropout
        self.backbone = backbone
        self.dropout = dropout
        self.classifier = classifier

    def connect_observed(self, names):
        backbone = self.backbone.observing(names)
        return classify(backbone, self.dropout, self.classifier, self.config)

    def connect_layers(self, layers):
        backbone = self.backbone.subnetwork(layers)
        return classify(backbone, self.dropout, self.classifier, self.config)

    def named_variables(self):
        """The backbone's names, and "classifier/...".

        Returns:
            Dict of str to variable.
        """
        own = name_variables([self.classifier])
        return {**self.backbone.named_variables(), **own}

    def get_config(self):
        return {
            **super().get_config(),
            "class_names": self.class_names,
            "classifier_dropout": self.classifier_dropout,
        }


def classify(backbone, dropout, classifier, config):
    """Functional inputs and outputs of a classifier over a backbone."""
    inputs = token_inputs(config)
    outputs = dict(backbone(inputs))
    outputs["logits"] = classifier(dropout(outputs["pooled"]))
    return inputs, outputs
