"""BertBackbone: embeddings and encoder, every hidden state given back."""

import dataclasses

import keras
from keras_kd.layers import (
    OBSERVABLE,
    BertEmbeddings,
    EncoderLayer,
    LayerDrop,
)
from keras_kd.layers.float_dense import FloatDense
from keras_kd.layers.noise import noise
from keras_kd.layers.seeds import split_seed
from keras_kd.models.presets import BertConfig
from keras_kd.models.quantized_layers import check_float, saved_dtype


class EncoderModel(keras.Model):
    """What backbone and task models share: a `config`, and lenient inputs.

    A model without segments takes batches that have them; where a model has
    them and a batch does not, every token is of segment 0. A `dtype` that was
    asked for is saved with the model; without one, the global policy counts,
    when it is made and when it is loaded. A model that Keras has quantised is
    saved with the policies of its layers.
    """

    def keep_arguments(self, config, seed, dtype):
        """Holds what `get_config` gives back."""
        self.config = config
        self.seed = seed
        self.explicit_dtype = None
        if dtype is not None:
            policy = keras.dtype_policies.get(dtype)
            if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
                policy = policy.default_policy  # the rest is its layers'
            self.dtype_policy = policy
            self.explicit_dtype = policy.name

    @property
    def input_spec(self):
        return None  # `call` checks, after filling in

    def call(self, inputs, training=None, mask=None):
        return super().call(self.fill_inputs(inputs), training, mask)

    def fill_inputs(self, inputs):
        """The inputs this model has, those of segments filled in.

        Raises:
            ValueError: If others are missing.
        """
        names = [tensor.name for tensor in self.inputs]
        if "segment_ids" in names and "segment_ids" not in inputs:
            zeros = keras.ops.zeros_like(inputs["token_ids"])
            inputs = {**inputs, "segment_ids": zeros}
        missing = sorted(set(names) - set(inputs))
        if missing:
            raise ValueError(
                f"`inputs` must hold {names}. Received: {sorted(inputs)}"
            )
        return {name: inputs[name] for name in names}

    def export(self, filepath, *args, **kwargs):
        """Keras's `export`, whose outputs must have a name each.

        The hidden states are `hidden_states_0` to `hidden_states_L`.
        `keras_kd.export_student` writes more: text in, checked, with a card.

        Args:
            filepath: Str or path.
            *args: As `keras.Model.export`, and so `**kwargs`.
            **kwargs: Likewise.
        """
        outputs = {}
        for name, value in self.output.items():
            many = isinstance(value, (list, tuple))
            pairs = enumerate(value) if many else ()
            outputs |= {f"{name}_{index}": part for index, part in pairs}
            outputs |= {} if many else {name: value}
        inputs = {tensor.name: tensor for tensor in self.inputs}
        plain = keras.Model(inputs, outputs, name=self.name)
        return plain.export(filepath, *args, **kwargs)

    def observing(self, names):
        """This model, showing the inside of its encoder layers too.

        Made of the same layers, so of the same variables and dropout seeds;
        each layer runs once. All layers run: with `config.layer_drop` it
        refuses to be called in training. It is for calling: save the model
        it was made of.

        Args:
            names: Names out of `keras_kd.layers.OBSERVABLE`.

        Returns:
            Model with the same inputs, whose outputs hold, next to the usual
            ones, under each of `names` a list with one tensor per encoder
            layer. Without any name, this model itself.

        Raises:
            ValueError: If a name is not one that can be observed.
        """
        names = tuple(dict.fromkeys(names))
        if not set(names) <= set(OBSERVABLE):
            raise ValueError(
                f"`names` must be out of {OBSERVABLE}. Received: {names}"
            )
        if not names:
            return self
        inputs, outputs = self.connect_observed(names)
        model = ObservingModel(inputs, outputs, name=f"observing_{self.name}")
        model.config = self.config
        return model

    def subnetwork(self, layers):
        """This model with only some of its encoder layers, sharing them.

        Made of the same variables: what trains one trains the other, and to
        hold several depths takes the memory of the deepest. What it gives is
        what `keras_kd.extract_student` of the same layers gives. It is for
        calling: to save it, extract it.

        Args:
            layers: Indices of encoder layers, in their order.

        Returns:
            Model with the same inputs and outputs, `hidden_states` fewer.

        Raises:
            ValueError: If there is no such layer, or they are out of order.
        """
        layers = self.check_layers(layers)
        inputs, outputs = self.connect_layers(layers)
        name = f"{self.name}_{'_'.join(map(str, layers))}"
        model = SharingModel(inputs, outputs, name=name)
        model.config = self.config.with_layers(len(layers))
        return model

    def check_layers(self, layers):
        """The indices of encoder layers, as a tuple.

        Raises:
            ValueError: If there is no such layer, or they are out of order.
        """
        layers = tuple(layers)
        depth = self.config.num_layers
        in_order = layers and list(layers) == sorted(set(layers))
        if not in_order or not set(layers) <= set(range(depth)):
            raise ValueError(
                "`layers` must be different encoder layers from 0 to "
                f"{depth - 1}, in their order. Received: {layers}"
            )
        return layers

    def of_shape(self, config, seed=None):
        """A new model of this kind, but of the shape in `config`."""
        check_float([self])
        arguments = {**self.get_config(), "config": config, "seed": seed}
        arguments.pop("name")
        return type(self)(**arguments)

    def connect_observed(self, names):
        """Functional inputs and outputs of `observing(names)`."""
        raise NotImplementedError(
            "A model must define `connect_observed(names)` to be observed. "
            f"Received: {type(self).__name__}"
        )

    def connect_layers(self, layers):
        """Functional inputs and outputs of `subnetwork(layers)`."""
        raise NotImplementedError(
            "A model must define `connect_layers(layers)` to have "
            f"sub-networks. Received: {type(self).__name__}"
        )

    def get_config(self):
        return {
            "config": dataclasses.asdict(self.config),
            "seed": self.seed,
            "dtype": saved_dtype(self),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        dtype = config.get("dtype")
        if isinstance(dtype, dict):  # a map, of a quantised model
            config = {**config, "dtype": keras.dtype_policies.get(dtype)}
        return cls(**config)


class Observe(keras.layers.Wrapper):
    """The wrapped `EncoderLayer`, with its inside given back too.

    A layer of its own, because Keras counts a layer's outputs by its first
    call: the same layer cannot give one here and five there.
    """

    def call(self, x, padding_mask=None, training=False):
        return self.layer(
            x, padding_mask=padding_mask, training=training, observe=True
        )

    def compute_output_spec(self, x, **_):
        return self.layer.compute_output_spec(x, observe=True)


class SharingModel(EncoderModel):
    """A model made of another's layers, such as `EncoderModel.subnetwork`."""

    def get_config(self):
        raise NotImplementedError(
            "A model of another's layers is not saved: save the model it was "
            "made of."
        )


class ObservingModel(SharingModel):
    """What `EncoderModel.observing` makes."""

    def call(self, inputs, training=None, mask=None):
        if training and any(self.config.layer_drop_rates):
            raise ValueError(
                "A model that is observed in training must have "
                "`config.layer_drop` 0: a skipped layer has nothing to show. "
                f"Received: layer_drop={self.config.layer_drop}"
            )
        return super().call(inputs, training, mask)


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
                attention_dropout=config.attention_dropout,
                activation=config.activation,
                seed=seeds[2 + 2 * index],
                name=f"encoder_layer_{index}",
                **shared,
            )
            for index in range(config.num_layers)
        ]
        layer_drops = []
        if any(config.layer_drop_rates):
            layer_drops = [
                LayerDrop(
                    layer,
                    config.layer_drop_rates[index],
                    seed=seeds[3 + 2 * index],
                    per_sequence=config.layer_drop_per_sequence,
                    rescale=config.layer_drop_rescale,
                    dtype=dtype,
                    name=f"layer_drop_{index}",
                )
                for index, layer in enumerate(encoder_layers)
            ]

        pooler = None
        if config.pooler:
            pooler = FloatDense(
                config.hidden_dim,
                activation=config.pooler_activation,
                kernel_initializer=noise(config.initializer_range, seeds[1]),
                dtype=dtype,
                name="pooler",
            )
        inputs = token_inputs(config)
        outputs = encode(
            inputs, embeddings, layer_drops or encoder_layers, pooler
        )
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.keep_arguments(config, seed, dtype)
        self.embeddings = embeddings
        self.encoder_layers = encoder_layers
        self.layer_drops = layer_drops
        self.pooler = pooler

    def connect_observed(self, names):
        inputs = token_inputs(self.config)
        layers = [Observe(layer) for layer in self.encoder_layers]
        outputs = encode(inputs, self.embeddings, layers, self.pooler, names)
        return inputs, outputs

    def connect_layers(self, layers):
        inputs = token_inputs(self.config)
        layers = [self.encoder_layers[index] for index in layers]
        return inputs, encode(inputs, self.embeddings, layers, self.pooler)

    def named_variables(self):
        """Every weight under a name that does not depend on wrapping.

        Returns:
            Dict of str, such as "encoder_layer_0/query/kernel", to variable.

        Raises:
            ValueError: If the model is quantised.
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


def encode(inputs, embeddings, layers, pooler=None, observed=()):
    """The Functional outputs of an encoder, each of its layers run once.

    Args:
        inputs: Dict of `token_inputs`.
        embeddings: `BertEmbeddings`.
        layers: List of L `EncoderLayer`, or of `LayerDrop` around them; to
            observe them, of `Observe` around them.
        pooler: Layer from the first token's state, (B, D), or None.
        observed: Names out of `OBSERVABLE`.
    """
    x = embeddings(inputs["token_ids"], inputs.get("segment_ids"))
    padding_mask = inputs["padding_mask"]
    outputs = {"hidden_states": [x], **{name: [] for name in observed}}
    for layer in layers:
        x = layer(x, padding_mask=padding_mask)
        if observed:
            x, inside = x
            for name in observed:
                outputs[name].append(inside[name])
        outputs["hidden_states"].append(x)
    if pooler is not None:
        outputs["pooled"] = pooler(x[:, 0])
    return outputs


def name_variables(owners):
    """Weights of layers, named from the owning layer's name downwards.

    Raises:
        ValueError: If a layer is quantised: its integers are no weights.
    """
    check_float(owners)
    return {
        f"{owner.name}/{variable.path.split(f'{owner.name}/')[-1]}": variable
        for owner in owners
        for variable in owner.weights
    }
