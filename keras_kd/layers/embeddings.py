"""Token, position and segment embeddings, summed and normalised."""

import keras
import numpy as np
from keras import ops
from keras_kd.layers.dropout import Dropout
from keras_kd.layers.noise import noise
from keras_kd.layers.seeds import split_seed


@keras.saving.register_keras_serializable(package="keras_kd")
class BertEmbeddings(keras.layers.Layer):
    """Sums token, position and segment embeddings; normalises; drops out.

    Source: Devlin et al., 2018, https://arxiv.org/abs/1810.04805

    Args:
        vocabulary_size: Int (V).
        hidden_dim: Int (D).
        max_sequence_length: Int. Longest T that has positions.
        num_segments: Int; 0 for no segment embeddings.
        dropout: Float in [0, 1).
        layer_norm_epsilon: Float.
        initializer_range: Float, standard deviation at the start.
        sinusoidal_positions: Bool. Whether positions start as sines and
            cosines (Vaswani et al., 2017) of that standard deviation, rather
            than as noise: "the token beside" is then easy to learn. They are
            trained like all weights.
        seed: Int or None. Seed of the initial weights and of dropout.

    Call arguments:
        token_ids: (B, T) int.
        segment_ids: (B, T) int; only where `num_segments` > 0.

    Returns:
        Hidden states, (B, T, D).
    """

    def __init__(
        self,
        vocabulary_size,
        hidden_dim,
        max_sequence_length=512,
        num_segments=2,
        dropout=0.1,
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        sinusoidal_positions=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.max_sequence_length = max_sequence_length
        self.num_segments = num_segments
        self.dropout = dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        self.sinusoidal_positions = sinusoidal_positions
        self.seed = seed
        seeds = split_seed(seed, 4)

        def embedding(rows, name, initializer):
            return keras.layers.Embedding(
                rows,
                hidden_dim,
                embeddings_initializer=initializer,
                dtype=self.dtype_policy,
                name=name,
            )

        positions = noise(initializer_range, seeds[1])
        if sinusoidal_positions:
            positions = keras.initializers.Constant(
                sinusoids(max_sequence_length, hidden_dim, initializer_range)
            )
        self.token_embedding = embedding(
            vocabulary_size, "token", noise(initializer_range, seeds[0])
        )
        self.position_embedding = embedding(
            max_sequence_length, "position", positions
        )
        self.segment_embedding = None
        if num_segments:
            self.segment_embedding = embedding(
                num_segments, "segment", noise(initializer_range, seeds[2])
            )
        self.norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy, name="norm"
        )
        self.dropout_layer = Dropout(
            dropout, seed=seeds[3], dtype=self.dtype_policy
        )

    def build(self, token_ids_shape, segment_ids_shape=None):
        self.token_embedding.build(token_ids_shape)
        self.position_embedding.build(token_ids_shape)
        if self.segment_embedding is not None:
            self.segment_embedding.build(token_ids_shape)
        self.norm.build((*token_ids_shape, self.hidden_dim))
        self.built = True

    def call(self, token_ids, segment_ids=None, training=False):
        length = token_ids.shape[1]
        if length is not None and length > self.max_sequence_length:
            raise ValueError(
                "`token_ids` must be at most `max_sequence_length` = "
                f"{self.max_sequence_length} long. Received: {length} tokens"
            )
        x = self.token_embedding(token_ids)
        x = x + self.position_embedding(ops.arange(ops.shape(token_ids)[1]))
        if self.segment_embedding is not None:
            x = x + self.segment_embedding(segment_ids)
        return self.dropout_layer(self.norm(x), training=training)

    def compute_output_shape(self, token_ids_shape, segment_ids_shape=None):
        return (*token_ids_shape, self.hidden_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "hidden_dim": self.hidden_dim,
            "max_sequence_length": self.max_sequence_length,
            "num_segments": self.num_segments,
            "dropout": self.dropout,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
            "sinusoidal_positions": self.sinusoidal_positions,
            "seed": self.seed,
        }


def sinusoids(positions, width, standard_deviation):
    """Sines and cosines of Vaswani et al., 2017: (positions, width).

    Scaled from their own root mean square, 1 / sqrt(2).
    Source: https://arxiv.org/abs/1706.03762, section 3.5
    """
    pairs = np.arange(width) // 2
    angles = np.arange(positions)[:, None] / 10_000 ** (2 * pairs / width)
    waves = np.where(np.arange(width) % 2 == 0, np.sin(angles), np.cos(angles))
    return (waves * standard_deviation * 2**0.5).astype("float32")
