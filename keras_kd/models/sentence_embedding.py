"""SentenceEmbedding: how an encoder's states become a text's vector."""

import dataclasses

from keras_kd.layers import POOLINGS


@dataclasses.dataclass(frozen=True)
class SentenceEmbedding:
    """What a sentence encoder does with text and states, beside its layers.

    Args:
        pooling: "mean" over the real tokens' last states, or "cls", the first
            token's.
        normalize: Bool. Whether vectors are brought to length 1.
        max_length: Int or None. Tokens of the longest text, [CLS] and [SEP]
            among them; None for as many as there are positions.
        prompts: Pairs of name and text, or a dict, that may stand before a
            text.
        default_prompt: Str or None. Name of the one that stands before every
            text.
        similarity: Str or None. How vectors are compared, in the words of
            `sentence-transformers`.
        unsupported: Str or None. What the encoder's folder says and no code
            here does: whoever asks for its vectors is refused.

    Raises:
        ValueError: If a value is none of these.
    """

    pooling: str = "mean"
    normalize: bool = True
    max_length: int | None = None
    prompts: tuple[tuple[str, str], ...] = ()
    default_prompt: str | None = None
    similarity: str | None = None
    unsupported: str | None = None

    def __post_init__(self):
        prompts = self.prompts
        pairs = prompts.items() if isinstance(prompts, dict) else prompts
        object.__setattr__(self, "prompts", tuple(map(tuple, pairs)))
        if self.pooling not in POOLINGS:
            raise ValueError(
                f"`pooling` must be one of {POOLINGS}. "
                f"Received: {self.pooling!r}"
            )
        if self.max_length is not None and self.max_length < 3:
            raise ValueError(
                "`max_length` must be at least 3, for [CLS], a token and "
                f"[SEP]. Received: {self.max_length}"
            )
        names = list(dict(self.prompts))
        if self.default_prompt is not None and self.default_prompt not in names:
            raise ValueError(
                f"`default_prompt` must be one of `prompts`, {names}. "
                f"Received: {self.default_prompt!r}"
            )

    @property
    def prompt(self):
        """The text that stands before every other, str."""
        return dict(self.prompts).get(self.default_prompt, "")

    def __str__(self):
        kinds = {"mean": "the mean of the tokens", "cls": "the first token"}
        length = "of length 1" if self.normalize else "not normalised"
        return f"{kinds[self.pooling]}, {length}"


def choose_embedding(config, pooling=None):
    """The embedding that is asked for, or an encoder's own.

    Args:
        config: The encoder's `BertConfig`.
        pooling: None for the encoder's own, else the mean, of length 1;
            "mean" or "cls" in place of its own pooling; or a
            `SentenceEmbedding`.

    Returns:
        `SentenceEmbedding`.

    Raises:
        ValueError: If there is no such pooling, or the encoder's own has
            something that no code here does.
    """
    if isinstance(pooling, SentenceEmbedding):
        own = pooling
    else:
        own = config.embedding or SentenceEmbedding()
        if pooling is not None:
            own = dataclasses.replace(own, pooling=pooling, unsupported=None)
    if own.unsupported is not None:
        raise ValueError(
            "The encoder's own embedding must be a mean or [CLS] pooling, "
            "with or without normalisation; `pooling` takes another in its "
            f"place, 'mean' or 'cls'. Received: {own.unsupported}"
        )
    return own


def longest_text(config, embedding):
    """Tokens of the longest text of an encoder, int."""
    longest = config.max_sequence_length
    return min(embedding.max_length or longest, longest)
