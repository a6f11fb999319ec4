"""The masked-LM head: hidden rows to logits over the vocabulary."""

import keras
from keras import ops
from keras_kd.layers.activations import get_activation, serialize_activation
from keras_kd.layers.float_dense import FloatDense
from keras_kd.layers.noise import noise
from keras_kd.layers.seeds import split_seed


@keras.saving.register_keras_serializable(package="keras_kd")
class MaskedLMHead(keras.layers.Layer):
    """Gathers the masked rows and scores every token of the vocabulary.

    logits = LN(activation(dense(rows))) · Eᵀ + bias, where E is the token
    embedding, or a matrix of the head's own. Only the rows asked for are
    computed. What a loss needs to go through the vocabulary itself is open:
    `transform` gives the rows that meet E, `vocabulary` gives E and the bias.
    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805

    Args:
        token_embedding: `keras.layers.Embedding` of the backbone (V, D).
        activation: Str. Keras activation, or "gelu_tanh".
        layer_norm_epsilon: Float.
        initializer_range: Float, standard deviation at the start.
        tie_embeddings: Bool. Whether E is the token embedding itself, as BERT
            has it, or a weight of its own, `decoder` (V, D).
        seed: Int or None. Seed of the initial weights.

    Call arguments:
        hidden_states: (B, T, D).
        mask_positions: (B, K) int.

    Returns:
        Logits, (B, K, V).
    """

    def __init__(
        self,
        token_embedding,
        activation="gelu",
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        tie_embeddings=True,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.token_embedding = token_embedding
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        self.tie_embeddings = tie_embeddings
        self.seed = seed
        seeds = split_seed(seed, 2)
        self.decoder = None
        self.decoder_initializer = noise(initializer_range, seeds[1])
        self.dense = FloatDense(
            token_embedding.output_dim,
            activation=get_activation(activation),
            kernel_initializer=noise(initializer_range, seeds[0]),
            dtype=self.dtype_policy,
            name="dense",
        )
        self.norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy, name="norm"
        )

    def build(self, hidden_states_shape, mask_positions_shape=None):
        self.dense.build(hidden_states_shape)
        self.norm.build(hidden_states_shape)
        self.bias = self.add_weight(
            name="bias",
            shape=(self.token_embedding.input_dim,),
            initializer="zeros",
        )
        if not self.tie_embeddings:
            embedding = self.token_embedding
            self.decoder = self.add_weight(
                name="decoder",
                shape=(embedding.input_dim, embedding.output_dim),
                initializer=self.decoder_initializer,
            )
        self.built = True

    def transform(self, rows):
        """Rows ready to meet the token embedding: (..., D) to (..., D)."""
        return self.norm(self.dense(rows))

    def vocabulary(self):
        """What scores every token, (V, D), and the output bias, (V,)."""
        matrix = self.decoder
        if self.tie_embeddings:
            embedding = self.token_embedding
            matrix = embedding.embeddings
            if embedding.quantization_mode is not None:
                # Integers mean nothing without the scales that it knows.
                matrix = embedding(ops.arange(embedding.input_dim))
        # Copies: TensorFlow's custom gradients refuse a bare variable.
        return ops.copy(matrix), ops.copy(self.bias)

    def call(self, hidden_states, mask_positions):
        rows = ops.take_along_axis(
            hidden_states, mask_positions[:, :, None], axis=1
        )
        rows = self.transform(rows)
        matrix, bias = self.vocabulary()
        logits = ops.matmul(rows, ops.transpose(ops.cast(matrix, rows.dtype)))
        return ops.cast(logits, "float32") + ops.cast(bias, "float32")

    def compute_output_spec(self, hidden_states, mask_positions):
        return keras.KerasTensor(
            (*mask_positions.shape, self.token_embedding.input_dim),
            dtype="float32",
        )

    def get_config(self):
        return {
            **super().get_config(),
            "token_embedding": keras.saving.serialize_keras_object(
                self.token_embedding
            ),
            "activation": serialize_activation(self.activation),
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
            "tie_embeddings": self.tie_embeddings,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        config["token_embedding"] = keras.saving.deserialize_keras_object(
            config["token_embedding"]
        )
        return cls(**config)
