"""One block of the encoder: self-attention and feed-forward, post-LN."""

import keras
from keras import ops
from keras_kd.layers.activations import get_activation, serialize_activation
from keras_kd.layers.dropout import dropout
from keras_kd.layers.noise import noise
from keras_kd.layers.seeds import DrawnSeed, split_seed

# What an encoder layer can show of its inside.
OBSERVABLE = ("attention_scores", "queries", "keys", "values")


@keras.saving.register_keras_serializable(package="keras_kd")
class EncoderLayer(keras.layers.Layer):
    """BERT's block: LN(x + attention(x)), then LN(x + feed_forward(x)).

    Dropout falls on the attention scores and on both branches before they
    are added. Its seeds can be drawn beforehand (`draw_dropout_seeds`), so
    that the block can run inside a branch that may be skipped.
    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805

    Args:
        hidden_dim: Int (D).
        num_heads: Int (H); divides `hidden_dim`.
        intermediate_dim: Int (F).
        dropout: Float in [0, 1). Of both branches.
        attention_dropout: Float in [0, 1), of the attention scores; None for
            `dropout`.
        activation: Str. Keras activation of the feed-forward layer, or
            "gelu_tanh".
        layer_norm_epsilon: Float.
        initializer_range: Float, standard deviation at the start.
        seed: Int or None. Seed of the initial weights and of dropout.

    Call arguments:
        x: Hidden states, (B, T, D).
        padding_mask: (B, T), 1 for real tokens, or None for all real.
        dropout_seeds: What `draw_dropout_seeds` returned, or None to draw.
        observe: Bool. Whether to show the inside too.

    Returns:
        Hidden states, (B, T, D); with `observe`, a pair of them and a dict of
        `attention_scores`, (B, H, T, T), the softmax weights in float32
        before dropout, and `queries`, `keys`, `values`, each
        (B, T, H, D / H), with their biases, not yet scaled.
    """

    def __init__(
        self,
        hidden_dim,
        num_heads,
        intermediate_dim,
        dropout=0.1,
        attention_dropout=None,
        activation="gelu",
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.dropout = dropout
        self.attention_dropout = (
            dropout if attention_dropout is None else attention_dropout
        )
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        self.seed = seed
        seeds = split_seed(seed, 7)
        self.seed_generator = keras.random.SeedGenerator(seeds[6])

        def dense(units, name, seed, activation=None):
            return keras.layers.Dense(
                units,
                activation=activation,
                kernel_initializer=noise(initializer_range, seed),
                dtype=self.dtype_policy,
                name=name,
            )

        def norm(name):
            return keras.layers.LayerNormalization(
                epsilon=layer_norm_epsilon, dtype=self.dtype_policy, name=name
            )

        self.query = dense(hidden_dim, "query", seeds[0])
        self.key = dense(hidden_dim, "key", seeds[1])
        self.value = dense(hidden_dim, "value", seeds[2])
        self.attention_output = dense(hidden_dim, "attention_output", seeds[3])
        self.attention_norm = norm("attention_norm")
        self.intermediate = dense(
            intermediate_dim,
            "intermediate",
            seeds[4],
            get_activation(activation),
        )
        self.feed_forward_output = dense(
            hidden_dim, "feed_forward_output", seeds[5]
        )
        self.feed_forward_norm = norm("feed_forward_norm")

    def build(self, x_shape, padding_mask_shape=None):
        for layer in (self.query, self.key, self.value, self.attention_output):
            layer.build(x_shape)
        self.attention_norm.build(x_shape)
        self.intermediate.build(x_shape)
        self.feed_forward_output.build((*x_shape[:-1], self.intermediate_dim))
        self.feed_forward_norm.build(x_shape)
        self.built = True

    def draw_dropout_seeds(self):
        """Three seeds: attention scores, attention branch, feed-forward."""
        if self.dropout == 0 and self.attention_dropout == 0:
            return None
        return tuple(self.seed_generator.next() for _ in range(3))

    def call(
        self,
        x,
        padding_mask=None,
        dropout_seeds=None,
        training=False,
        observe=False,
    ):
        if training and dropout_seeds is None:
            dropout_seeds = self.draw_dropout_seeds()

        rates = self.attention_dropout, self.dropout, self.dropout

        def drop(values, which):
            if not training or rates[which] == 0:
                return values
            seed = DrawnSeed(dropout_seeds[which])
            return dropout(values, rates[which], seed)

        # As a matrix: TensorFlow makes one of a product and the bias and
        # activation that follow, but for a reshape that stands between.
        shape = ops.shape(x)
        x = ops.reshape(x, (-1, self.hidden_dim))
        queries = self._heads(self.query(x), shape)
        keys = self._heads(self.key(x), shape)
        values = self._heads(self.value(x), shape)
        scores = self._attention_scores(queries, keys, padding_mask)
        dropped = drop(ops.cast(scores, x.dtype), 0)
        context = ops.einsum("bhts,bshe->bthe", dropped, values)
        context = ops.reshape(context, (-1, self.hidden_dim))
        x = self.attention_norm(x + drop(self.attention_output(context), 1))
        branch = self.feed_forward_output(self.intermediate(x))
        x = self.feed_forward_norm(x + drop(branch, 2))
        x = ops.reshape(x, shape)
        if observe:
            inside = (scores, queries, keys, values)
            return x, dict(zip(OBSERVABLE, inside, strict=True))
        return x

    def _heads(self, projected, shape):
        """Splits (B · T, D) into heads, (B, T, H, D / H); `shape`: B, T, D."""
        batch, length, width = shape
        shape = (batch, length, self.num_heads, width // self.num_heads)
        return ops.reshape(projected, shape)

    def _attention_scores(self, queries, keys, padding_mask):
        """Softmax weights, (B, H, T, T), in float32."""
        logits = ops.einsum("bthe,bshe->bhts", queries, keys)
        logits = ops.cast(logits, "float32")
        logits = logits / (self.hidden_dim // self.num_heads) ** 0.5
        if padding_mask is not None:
            padding = 1.0 - ops.cast(padding_mask, "float32")
            logits = logits - 1e9 * padding[:, None, None, :]
        return ops.softmax(logits)

    def compute_output_spec(self, x, *_, observe=False, **__):
        states = keras.KerasTensor(x.shape, dtype=self.compute_dtype)
        if not observe:
            return states
        batch, length, width = x.shape
        heads = (batch, length, self.num_heads, width // self.num_heads)
        scores = keras.KerasTensor(
            (batch, self.num_heads, length, length), dtype="float32"
        )
        projected = (
            keras.KerasTensor(heads, dtype=self.compute_dtype) for _ in range(3)
        )
        inside = (scores, *projected)
        return states, dict(zip(OBSERVABLE, inside, strict=True))

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "num_heads": self.num_heads,
            "intermediate_dim": self.intermediate_dim,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "activation": serialize_activation(self.activation),
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
            "seed": self.seed,
        }
