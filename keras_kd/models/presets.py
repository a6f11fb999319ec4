"""The shape of an encoder, and the sizes that have names."""

import dataclasses
import numbers

from keras_kd.models.sentence_embedding import SentenceEmbedding

# Fields by the kind of number they are; those that may be None beside it.
WHOLE_NUMBERS = (
    "vocabulary_size",
    "num_layers",
    "hidden_dim",
    "num_heads",
    "intermediate_dim",
    "max_sequence_length",
    "num_segments",
)
NUMBERS = (
    "dropout",
    "attention_dropout",
    "layer_norm_epsilon",
    "initializer_range",
    "head_layer_norm_epsilon",
)
MAY_BE_NONE = (
    "intermediate_dim",
    "attention_dropout",
    "head_layer_norm_epsilon",
)


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """Everything that decides the shape and behaviour of a BERT encoder.

    Args:
        vocabulary_size: Int. Tokens in the vocabulary (V).
        num_layers: Int. Encoder layers (L).
        hidden_dim: Int. Width of the hidden states (D).
        num_heads: Int. Attention heads (H); divides `hidden_dim`.
        intermediate_dim: Int. Width of the feed-forward layer (F).
            Default: 4 · `hidden_dim`.
        max_sequence_length: Int. Positions there are embeddings for.
        num_segments: Int. Segment embeddings; 0 for none, as in DistilBERT.
        dropout: Float in [0, 1). Dropout of embeddings, attention scores and
            block outputs.
        attention_dropout: Float in [0, 1), of the attention scores; None for
            `dropout`.
        layer_drop: Float in [0, 1), or L of them. Probability of skipping
            each layer in training (Fan et al., 2019), as
            `layer_drop_rates` gives; 0 for none.
        layer_drop_per_sequence: Bool. Whether layers are skipped for each
            sequence of a batch, which saves no time, not for all.
        layer_drop_rescale: Bool. Whether kept layers add the more for it.
        activation: Str. Keras activation; "gelu" is the exact (erf) one, and
            "gelu_tanh" its approximation (Google's BERT).
        layer_norm_epsilon: Float.
        initializer_range: Float. Standard deviation of the truncated normal
            that kernels and embeddings start from.
        sinusoidal_positions: Bool. Whether positions start as sines and
            cosines rather than as noise.
        pooler: Bool. Whether there is a dense layer over the first token.
        tie_embeddings: Bool. Whether the masked-LM head scores tokens by the
            token embedding, as BERT does, or by a matrix of its own.
        head_activation: Str or None. Activation of the masked-LM head; None
            for `activation`.
        head_layer_norm_epsilon: Float or None. The masked-LM head's; None for
            `layer_norm_epsilon`.
        padding_id: Int. The token id of padding; no layer looks at it, other
            software does.
        embedding: `SentenceEmbedding`, or its fields as a dict, of an encoder
            that says how its states become a text's vector; None for others.
            No layer looks at it; evaluation and exports do.
        pooler_activation: Str. Keras activation of the pooler: BERT's "tanh",
            or "relu" as in DistilBERT's classifiers.

    Raises:
        ValueError: If a field is of another kind or out of its range.
    """

    vocabulary_size: int
    num_layers: int
    hidden_dim: int
    num_heads: int
    intermediate_dim: int | None = None
    max_sequence_length: int = 512
    num_segments: int = 2
    dropout: float = 0.1
    attention_dropout: float | None = None
    layer_drop: float | tuple[float, ...] = 0.0
    layer_drop_per_sequence: bool = False
    layer_drop_rescale: bool = False
    activation: str = "gelu"
    layer_norm_epsilon: float = 1e-12
    initializer_range: float = 0.02
    sinusoidal_positions: bool = False
    pooler: bool = False
    tie_embeddings: bool = True
    head_activation: str | None = None
    head_layer_norm_epsilon: float | None = None
    padding_id: int = 0
    embedding: SentenceEmbedding | None = None
    pooler_activation: str = "tanh"

    def __post_init__(self):
        for kind, names in (
            (numbers.Integral, WHOLE_NUMBERS),
            (numbers.Real, NUMBERS),
        ):
            for name in names:
                value = getattr(self, name)
                if value is None and name in MAY_BE_NONE:
                    continue
                if not isinstance(value, kind) or isinstance(value, bool):
                    whole = "a whole number" if kind is numbers.Integral else ""
                    raise ValueError(
                        f"`{name}` must be {whole or 'a number'}. "
                        f"Received: {value!r}"
                    )
        if self.intermediate_dim is None:
            object.__setattr__(self, "intermediate_dim", 4 * self.hidden_dim)
        if isinstance(self.embedding, dict):
            embedding = SentenceEmbedding(**self.embedding)
            object.__setattr__(self, "embedding", embedding)
        for name in (
            "vocabulary_size",
            "num_layers",
            "hidden_dim",
            "num_heads",
            "intermediate_dim",
            "max_sequence_length",
        ):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be at least 1. "
                    f"Received: {getattr(self, name)}"
                )
        if self.num_segments < 0:
            raise ValueError(
                "`num_segments` must be 0 (no segment embeddings) or more. "
                f"Received: {self.num_segments}"
            )
        if self.hidden_dim % self.num_heads:
            raise ValueError(
                "`num_heads` must divide `hidden_dim`. Received: "
                f"num_heads={self.num_heads}, hidden_dim={self.hidden_dim}"
            )
        for name in ("dropout", "attention_dropout"):
            if not 0 <= (getattr(self, name) or 0) < 1:
                raise ValueError(
                    f"`{name}` must be in [0, 1). "
                    f"Received: {getattr(self, name)}"
                )
        if not isinstance(self.layer_drop, (int, float)):
            object.__setattr__(self, "layer_drop", tuple(self.layer_drop))
        rates = self.layer_drop_rates
        if len(rates) != self.num_layers or not all(
            isinstance(r, numbers.Real) and 0 <= r < 1 for r in rates
        ):
            raise ValueError(
                "`layer_drop` must be in [0, 1), one number or one for each of "
                f"{self.num_layers} layers. Received: {self.layer_drop}"
            )

    @property
    def layer_drop_rates(self):
        """`layer_drop` of each layer, a tuple of L floats."""
        if isinstance(self.layer_drop, tuple):
            return self.layer_drop
        return (self.layer_drop,) * self.num_layers

    @classmethod
    def from_preset(cls, preset, vocabulary_size, **changes):
        """A named size with a vocabulary of `vocabulary_size` tokens.

        Args:
            preset: Str, a key of `PRESETS`.
            vocabulary_size: Int.
            **changes: Other fields to set, such as `layer_drop=0.2`.

        Raises:
            ValueError: If there is no such preset.
        """
        if preset not in PRESETS:
            raise ValueError(
                f"`preset` must be one of {sorted(PRESETS)}. "
                f"Received: {preset!r}"
            )
        fields = {**PRESETS[preset], "vocabulary_size": vocabulary_size}
        cls.check_fields(changes)
        return cls(**{**fields, **changes})

    def with_layers(self, num_layers, **changes):
        """The same shape with `num_layers` layers, for a student.

        A student keeps all its layers while it learns: `layer_drop` is 0
        unless `changes` says otherwise.
        """
        changes = {"layer_drop": 0.0, **changes}
        return self.changed(num_layers=num_layers, **changes)

    def changed(self, **changes):
        """The same with some fields otherwise.

        Raises:
            ValueError: If there is no such field.
        """
        self.check_fields(changes)
        return dataclasses.replace(self, **changes)

    @classmethod
    def check_fields(cls, changes):
        """Refuses names that are no fields.

        Raises:
            ValueError: If there is one.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(changes) - set(known))
        if unknown:
            raise ValueError(
                f"`changes` must be fields of BertConfig, {known}. "
                f"Received: {unknown}"
            )


# The sizes of Turc et al., 2019 (https://arxiv.org/abs/1908.08962), and the
# students of Sanh et al., 2019 (https://arxiv.org/abs/1910.01108), which have
# no segment embeddings.
PRESETS = {
    "tiny": {"num_layers": 2, "hidden_dim": 128, "num_heads": 2},
    "mini": {"num_layers": 4, "hidden_dim": 256, "num_heads": 4},
    "small": {"num_layers": 4, "hidden_dim": 512, "num_heads": 8},
    "medium": {"num_layers": 8, "hidden_dim": 512, "num_heads": 8},
    "base": {"num_layers": 12, "hidden_dim": 768, "num_heads": 12},
    "distilbert_base": {
        "num_layers": 6,
        "hidden_dim": 768,
        "num_heads": 12,
        "num_segments": 0,
    },
    "distilbert_mini": {
        "num_layers": 2,
        "hidden_dim": 256,
        "num_heads": 4,
        "num_segments": 0,
    },
}
