"""What Hugging Face's BERT and DistilBERT call things, and what we do.

Our names are those of `named_variables()`. Theirs stand without the model's
prefix ("bert.", "distilbert."), and LayerNorms have `weight` and `bias`.
"""

import re

from keras_kd.models import BertConfig

EMBEDDINGS = {
    "token": "embeddings.word_embeddings",
    "position": "embeddings.position_embeddings",
    "segment": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
}

# Per model type: parts of an encoder layer, and of the masked-LM head.
LAYERS = {
    "bert": {
        "query": "encoder.layer.{}.attention.self.query",
        "key": "encoder.layer.{}.attention.self.key",
        "value": "encoder.layer.{}.attention.self.value",
        "attention_output": "encoder.layer.{}.attention.output.dense",
        "attention_norm": "encoder.layer.{}.attention.output.LayerNorm",
        "intermediate": "encoder.layer.{}.intermediate.dense",
        "feed_forward_output": "encoder.layer.{}.output.dense",
        "feed_forward_norm": "encoder.layer.{}.output.LayerNorm",
    },
    "distilbert": {
        "query": "transformer.layer.{}.attention.q_lin",
        "key": "transformer.layer.{}.attention.k_lin",
        "value": "transformer.layer.{}.attention.v_lin",
        "attention_output": "transformer.layer.{}.attention.out_lin",
        "attention_norm": "transformer.layer.{}.sa_layer_norm",
        "intermediate": "transformer.layer.{}.ffn.lin1",
        "feed_forward_output": "transformer.layer.{}.ffn.lin2",
        "feed_forward_norm": "transformer.layer.{}.output_layer_norm",
    },
}
HEADS = {
    "bert": {
        "dense": "cls.predictions.transform.dense",
        "norm": "cls.predictions.transform.LayerNorm",
        "bias": "cls.predictions",
        "decoder": "cls.predictions.decoder",
    },
    "distilbert": {
        "dense": "vocab_transform",
        "norm": "vocab_layer_norm",
        "bias": "vocab_projector",
        "decoder": "vocab_projector",
    },
}
# The dense layer over the first token; DistilBERT's is its classifier's alone.
POOLERS = {"bert": "pooler.dense", "distilbert": "pre_classifier"}

# Fields of theirs that hold what a field of ours does.
FIELDS = {
    "bert": {
        "vocabulary_size": "vocab_size",
        "num_layers": "num_hidden_layers",
        "hidden_dim": "hidden_size",
        "num_heads": "num_attention_heads",
        "intermediate_dim": "intermediate_size",
        "max_sequence_length": "max_position_embeddings",
        "num_segments": "type_vocab_size",
        "dropout": "hidden_dropout_prob",
        "attention_dropout": "attention_probs_dropout_prob",
        "activation": "hidden_act",
        "layer_norm_epsilon": "layer_norm_eps",
        "initializer_range": "initializer_range",
        "tie_embeddings": "tie_word_embeddings",
        "padding_id": "pad_token_id",
    },
    "distilbert": {
        "vocabulary_size": "vocab_size",
        "num_layers": "n_layers",
        "hidden_dim": "dim",
        "num_heads": "n_heads",
        "intermediate_dim": "hidden_dim",
        "max_sequence_length": "max_position_embeddings",
        "dropout": "dropout",
        "attention_dropout": "attention_dropout",
        "activation": "activation",
        "initializer_range": "initializer_range",
        "tie_embeddings": "tie_word_embeddings",
        "padding_id": "pad_token_id",
    },
}
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
THEIR_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_new",
    "relu": "relu",
    "silu": "silu",
}

# What a file may hold that no model of ours has: buffers, the next-sentence
# head, heads of other tasks.
NOT_TAKEN = re.compile(
    r"embeddings\.(position_ids|token_type_ids)|cls\.seq_relationship\..*"
)


def read_config(theirs):
    """Their config.json as ours.

    Args:
        theirs: Dict.

    Returns:
        Pair: the model type, "bert" or "distilbert", and `BertConfig`.

    Raises:
        ValueError: If it is of another model, lacks a field, or asks for what
            no model here does.
    """
    kind = theirs.get("model_type", "bert")
    if kind not in FIELDS:
        raise ValueError(
            "`model_type` of config.json must be one of "
            f"{sorted(FIELDS)}. Received: {kind!r}"
        )
    fields = FIELDS[kind]
    shape = ("vocabulary_size", "num_layers", "hidden_dim", "num_heads")
    missing = [fields[name] for name in shape if fields[name] not in theirs]
    if missing:
        raise ValueError(
            f"config.json must have {[fields[name] for name in shape]}. "
            f"Received one without {missing}"
        )
    for field, expected in (
        ("position_embedding_type", "absolute"),
        ("is_decoder", False),
    ):
        if theirs.get(field, expected) != expected:
            raise ValueError(
                f"`{field}` of config.json must be {expected!r}. "
                f"Received: {theirs[field]!r}"
            )
    config = {
        ours: theirs[name]
        for ours, name in fields.items()
        if theirs.get(name) is not None
    }
    if kind == "distilbert":
        config["num_segments"] = 0
    activation = config.get("activation", "gelu")
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"`{fields['activation']}` of config.json must be one of "
            f"{sorted(ACTIVATIONS)}. Received: {activation!r}"
        )
    config["activation"] = ACTIVATIONS[activation]
    return kind, BertConfig(**config)


def write_config(config, kind):
    """The opposite of `read_config`.

    Args:
        config: `BertConfig`.
        kind: Str, "bert" or "distilbert".

    Returns:
        Dict.

    Raises:
        ValueError: If they have no such activation, or the head one of its
            own.
    """
    for ours in ("activation", "layer_norm_epsilon"):
        received = getattr(config, f"head_{ours}")
        expected = getattr(config, ours)
        if received not in (None, expected):
            raise ValueError(
                f"`head_{ours}` of the model's config must be its `{ours}`, "
                f"{expected!r}, to be written for Hugging Face. "
                f"Received: {received!r}"
            )
    if config.activation not in THEIR_ACTIVATIONS:
        raise ValueError(
            "`activation` of the model's config must be one of "
            f"{sorted(THEIR_ACTIVATIONS)} to be written for Hugging Face. "
            f"Received: {config.activation!r}"
        )
    theirs = {"model_type": kind}
    for ours, name in FIELDS[kind].items():
        theirs[name] = getattr(config, ours)
    theirs[FIELDS[kind]["activation"]] = THEIR_ACTIVATIONS[config.activation]
    if config.attention_dropout is None:
        theirs[FIELDS[kind]["attention_dropout"]] = config.dropout
    return theirs


def their_names(config, kind):
    """Every tensor that a file of theirs may hold for a model of ours.

    Args:
        config: `BertConfig`.
        kind: Str, "bert" or "distilbert".

    Returns:
        Dict of their name to ours, both as `common_name` and
        `named_variables` write them.
    """
    names = {}

    def part(owner, ours, theirs, leaves=("kernel", "bias")):
        first, second = leaves
        ours = f"{owner}/{ours}" if ours else owner
        names[f"{theirs}.weight"] = f"{ours}/{first}"
        names[f"{theirs}.bias"] = f"{ours}/{second}"

    norm = ("gamma", "beta")
    for ours, theirs in EMBEDDINGS.items():
        names[f"{theirs}.weight"] = f"embeddings/{ours}/embeddings"
    part("embeddings", "norm", EMBEDDINGS["norm"], norm)
    for index in range(config.num_layers):
        for ours, theirs in LAYERS[kind].items():
            leaves = norm if ours.endswith("norm") else ("kernel", "bias")
            owner = f"encoder_layer_{index}"
            part(owner, ours, theirs.format(index), leaves)
    part("pooler", "", POOLERS[kind])
    part("classifier", "", "classifier")
    part("span", "", "qa_outputs")
    head = HEADS[kind]
    part("masked_lm_head", "dense", head["dense"])
    part("masked_lm_head", "norm", head["norm"], norm)
    names[f"{head['decoder']}.weight"] = "masked_lm_head/decoder"
    names[f"{head['bias']}.bias"] = "masked_lm_head/bias"
    return names


def common_name(key):
    """A key of a file as `their_names` writes it."""
    key = re.sub(r"^(distil)?bert\.", "", key)
    key = re.sub(r"(LayerNorm|layer_norm)\.gamma$", r"\1.weight", key)
    return re.sub(r"(LayerNorm|layer_norm)\.beta$", r"\1.bias", key)
