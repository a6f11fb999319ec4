"""BertBackbone: embeddings and encoder, every hidden state given back."""

import dataclasses

import keras
from keras_kd.layers import BertEmbeddings, EncoderLayer, LayerDrop
from keras_kd.layers.seeds import split_seed
from keras_kd.models.presets import BertConfig


class EncoderModel(keras.Model):
    """What backbone and task models share: a `config`, and lenient inputs.

    A model without segments takes batches that have them; where a model has
    them and a batch does not, every token is of segment 0. A `dtype` that was
    asked for is saved with the model; without one, the global policy counts,
    when it is made and when it is loaded.
    """

    def keep_arguments(self, config, seed, dtype):
        """Holds what `get_config` gives back."""
        self.config = config
        self.seed = seed
        self.explicit_dtype = None
        if dtype is not None:
            self.dtype_policy = keras.dtype_policies.get(dtype)
            self.explicit_dtype = self.dtype_policy.name

    @property
    def input_spec(self):
        return None  # `call` checks, after filling in

    def call(self, inputs, training=None, mask=None):
        names = [tensor.name for tensor in self.inputs]
        if "segment_ids" in names and "segment_ids" not in inputs:
            zeros = keras.ops.zeros_like(inputs["token_ids"])
            inputs = {**inputs, "segment_ids": zeros}
        missing = sorted(set(names) - set(inputs))
        if missing:
            raise ValueError(
                f"`inputs` must hold {names}. Received: {sorted(inputs)}"
            )
        inputs = {name: inputs[name] for name in names}
        return super().call(inputs, training, mask)

    def get_config(self):
        return {
            "config": dataclasses.asdict(self.config),
            "seed": self.seed,
            "dtype": self.explicit_dtype,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_kd")
class BertBackbone(EncoderModel):
    """A BERT encoder without a head, built at once from a `BertConfig`.

    Args:
        config: `BertConfig`, or its fields as a dict.
        seed: Int or None. Seed of initial weights, dropout and LayerDrop.
        dtype: Str or policy. Keras's precision policy, such as
            "mixed_bfloat16"; default: the global one.

    Call arguments:
        inputs: Dict of `token_ids` (B, T) int, `segment_ids` (B, T) int
            (where `config.num_segments` > 0; default 0) and `padding_mask`
            (B, T), 1 for real tokens.

    Returns:
        Dict of `hidden_states`, a list of L + 1 tensors (B, T, D): the
        embeddings' output and then each layer's, so that layer i gives
        `hidden_states[i + 1]`; and, with a pooler, `pooled` (B, D).
    """

    def __init__(self, config, seed=None, dtype=None, **kwargs):
        config = (
            config if isinstance(config, BertConfig) else BertConfig(**config)
        )
        seeds = split_seed(seed, 2 * config.num_layers + 2)
        shared = {
            "layer_norm_epsilon": config.layer_norm_epsilon,
            "initializer_range": config.initializer_range,
            "dropout": config.dropout,
            "dtype": dtype,
        }
        embeddings = BertEmbeddings(
            config.vocabulary_size,
            config.hidden_dim,
            max_sequence_length=config.max_sequence_length,
            num_segments=config.num_segments,
            sinusoidal_positions=config.sinusoidal_positions,
            seed=seeds[0],
            name="embeddings",
            **shared,
        )
        encoder_layers = [
            EncoderLayer(
                config.hidden_dim,
                config.num_heads,
                config.intermediate_dim,
                activation=config.activation,
                seed=seeds[2 + 2 * index],
                name=f"encoder_layer_{index}",
                **shared,
            )
            for index in range(config.num_layers)
        ]
        layer_drops = []
        if config.layer_drop > 0:
            layer_drops = [
                LayerDrop(
                    layer,
                    config.layer_drop,
                    seed=seeds[3 + 2 * index],
                    dtype=dtype,
                    name=f"layer_drop_{index}",
                )
                for index, layer in enumerate(encoder_layers)
            ]

        inputs = token_inputs(config)
        x = embeddings(inputs["token_ids"], inputs.get("segment_ids"))
        hidden_states = [x]
        for layer in layer_drops or encoder_layers:
            x = layer(x, padding_mask=inputs["padding_mask"])
            hidden_states.append(x)
        outputs = {"hidden_states": hidden_states}
        if config.pooler:
            pooler = keras.layers.Dense(
                config.hidden_dim,
                activation="tanh",
                kernel_initializer=keras.initializers.TruncatedNormal(
                    stddev=config.initializer_range, seed=seeds[1]
                ),
                dtype=dtype,
                name="pooler",
            )
            outputs["pooled"] = pooler(x[:, 0])
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.keep_arguments(config, seed, dtype)
        self.embeddings = embeddings
        self.encoder_layers = encoder_layers
        self.layer_drops = layer_drops
        self.pooler = pooler if config.pooler else None

    def named_variables(self):
        """Every weight under a name that does not depend on wrapping.

        Returns:
            Dict of str, such as "encoder_layer_0/query/kernel", to variable.
        """
        owners = [self.embeddings, *self.encoder_layers]
        return name_variables([*owners, self.pooler] if self.pooler else owners)


def token_inputs(config):
    """The Functional inputs of an encoder: what a batch must hold."""
    names = ["token_ids", "padding_mask"]
    if config.num_segments:
        names.insert(1, "segment_ids")
    return {
        name: keras.Input((None,), dtype="int32", name=name) for name in names
    }


def name_variables(owners):
    """Weights of layers, named from the owning layer's name downwards."""
    return {
        f"{owner.name}/{variable.path.split(f'{owner.name}/')[-1]}": variable
        for owner in owners
        for variable in owner.weights
    }
