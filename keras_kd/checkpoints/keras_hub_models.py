"""KerasHub's BERT and DistilBERT, here and back again."""

import json

import keras
from keras_kd.models import BertBackbone, BertConfig, BertMaskedLM

FILE = "config.json"  # of a preset; "task.json" beside it has the head
HEAD_EPSILON = 1e-5  # fixed in KerasHub, as is the GELU of each


def is_preset(folder):
    """Whether a folder is a preset of KerasHub's."""
    try:
        config = json.loads((folder / FILE).read_text("utf-8"))
    except (OSError, ValueError):  # then it is another kind of folder
        return False
    return "keras_hub" in str(config.get("module", ""))


def read_preset(folder):
    """The KerasHub model of a preset: with its head where it has one."""
    import keras_hub

    kind = keras_hub.models.Backbone
    if (folder / "task.json").exists():
        kind = keras_hub.models.MaskedLM
    try:
        return kind.from_preset(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            "`source` must hold a whole preset of KerasHub's BERT or "
            f"DistilBERT. Received: {folder}: {error}"
        ) from error


def from_keras_hub(model, seed=None, dtype=None, **changes):
    """A KerasHub model as one of ours, with the same outputs.

    Args:
        model: `keras_hub.models` `BertBackbone`, `BertMaskedLM`,
            `DistilBertBackbone` or `DistilBertMaskedLM`.
        seed: As of `load_checkpoint`.
        dtype: As of `load_checkpoint`.
        **changes: As of `load_checkpoint`.

    Returns:
        `BertBackbone` or `BertMaskedLM`.

    Raises:
        ValueError: If it is another model.
    """
    backbone = getattr(model, "backbone", model)
    head = getattr(model, "masked_lm_head", None)
    kind = type(backbone).__name__
    of_hub = type(backbone).__module__.startswith("keras_hub")
    known = of_hub and kind in ("BertBackbone", "DistilBertBackbone")
    if not known or (head is None and backbone is not model):
        raise ValueError(
            "`source` must be KerasHub's BertBackbone, BertMaskedLM, "
            "DistilBertBackbone or DistilBertMaskedLM. "
            f"Received: {type(model).__module__}.{type(model).__name__}"
        )
    is_bert = kind == "BertBackbone"
    fields = {
        "vocabulary_size": backbone.vocabulary_size,
        "num_layers": backbone.num_layers,
        "hidden_dim": backbone.hidden_dim,
        "num_heads": backbone.num_heads,
        "intermediate_dim": backbone.intermediate_dim,
        "max_sequence_length": backbone.max_sequence_length,
        "num_segments": backbone.num_segments if is_bert else 0,
        "dropout": backbone.dropout,
        "activation": "gelu_tanh" if is_bert else "gelu",
        "pooler": is_bert and head is None,
    }
    if head is not None:
        fields["head_activation"] = "gelu"
        fields["head_layer_norm_epsilon"] = head.layer_norm_epsilon
    BertConfig.check_fields(changes)
    config = BertConfig(**{**fields, **changes})
    model_class = BertBackbone if head is None else BertMaskedLM
    ours = model_class(config, seed=seed, dtype=dtype)
    theirs = their_variables(backbone, head)
    for name, variable in ours.named_variables().items():
        values = keras.ops.convert_to_numpy(theirs[name])
        variable.assign(values.reshape(variable.shape))
    return ours


def to_keras_hub(model):
    """A model of ours as KerasHub's, with the same outputs.

    One with segments becomes a BERT, one without a DistilBERT.

    Args:
        model: `BertBackbone` or `BertMaskedLM`.

    Returns:
        `keras_hub.models` `BertBackbone`, `BertMaskedLM`, `DistilBertBackbone`
        or `DistilBertMaskedLM`, without a preprocessor.

    Raises:
        ValueError: If KerasHub cannot say what the model is: its BERT has the
            GELU by tanh, a pooler where there is no head, and epsilon 1e-12;
            its DistilBERT the exact GELU; its masked-LM heads the exact GELU,
            epsilon 1e-5, and are tied.
    """
    import keras_hub

    if type(model) not in (BertBackbone, BertMaskedLM):
        raise ValueError(
            "`model` must be a BertBackbone or a BertMaskedLM. "
            f"Received: {type(model).__name__}"
        )
    config = model.config
    has_head = type(model) is BertMaskedLM
    is_bert = config.num_segments > 0
    _check_said(config, is_bert, has_head)
    fields = {
        "vocabulary_size": config.vocabulary_size,
        "num_layers": config.num_layers,
        "num_heads": config.num_heads,
        "hidden_dim": config.hidden_dim,
        "intermediate_dim": config.intermediate_dim,
        "dropout": config.dropout,
        "max_sequence_length": config.max_sequence_length,
        "dtype": model.dtype_policy,
    }
    hub = keras_hub.models
    if is_bert:
        fields["num_segments"] = config.num_segments
        backbone = hub.BertBackbone(**fields)
    else:
        backbone = hub.DistilBertBackbone(**fields)
    theirs, head = backbone, None
    if has_head:
        task = hub.BertMaskedLM if is_bert else hub.DistilBertMaskedLM
        theirs = task(backbone)
        head = theirs.masked_lm_head
    ours = model.named_variables()
    for name, variable in their_variables(backbone, head).items():
        if name in ours:  # but for the pooler below a head, which is unused
            values = keras.ops.convert_to_numpy(ours[name])
            variable.assign(values.reshape(variable.shape))
    return theirs


def _check_said(config, is_bert, has_head):
    """That KerasHub computes what the config says."""
    expected = {
        "activation": "gelu_tanh" if is_bert else "gelu",
        "layer_norm_epsilon": 1e-12,
        "pooler": is_bert and not has_head,
        "pooler_activation": "tanh",
    }
    received = {name: getattr(config, name) for name in expected}
    if has_head:
        expected |= {
            "head_activation": "gelu",
            "head_layer_norm_epsilon": HEAD_EPSILON,
            "tie_embeddings": True,
        }
        received |= {
            "head_activation": config.head_activation or config.activation,
            "head_layer_norm_epsilon": (
                config.head_layer_norm_epsilon or config.layer_norm_epsilon
            ),
            "tie_embeddings": config.tie_embeddings,
        }
    unlike = [name for name in expected if expected[name] != received[name]]
    if unlike:
        raise ValueError(
            "`model` must have a config that KerasHub can say. Expected: "
            f"{ {name: expected[name] for name in unlike} }. "
            f"Received: { {name: received[name] for name in unlike} }"
        )


def their_variables(backbone, head=None):
    """A KerasHub model's variables, under our names.

    Attention kernels are (D, H, D / H) there, (D, D) here.

    Args:
        backbone: Their backbone.
        head: Their masked-LM head, or None.

    Returns:
        Dict of name to variable.
    """
    found = {}

    def take(name, layer):
        for variable in layer.weights:
            leaf = variable.path.rsplit("/", 1)[1]
            leaf = {"position_embeddings": "embeddings"}.get(leaf, leaf)
            found[f"{name}/{leaf}"] = variable

    take("embeddings/token", backbone.token_embedding)
    if hasattr(backbone, "segment_embedding"):
        take("embeddings/position", backbone.position_embedding)
        take("embeddings/segment", backbone.segment_embedding)
        take("pooler", backbone.pooled_dense)
    else:
        take("embeddings/position", backbone.embeddings.position_embedding)
    take("embeddings/norm", backbone.embeddings_layer_norm)
    for index, layer in enumerate(backbone.transformer_layers):
        attention = layer._self_attention_layer
        for name, part in {
            "query": attention.query_dense,
            "key": attention.key_dense,
            "value": attention.value_dense,
            "attention_output": attention.output_dense,
            "attention_norm": layer._self_attention_layer_norm,
            "intermediate": layer._feedforward_intermediate_dense,
            "feed_forward_output": layer._feedforward_output_dense,
            "feed_forward_norm": layer._feedforward_layer_norm,
        }.items():
            take(f"encoder_layer_{index}/{name}", part)
    if head is not None:
        take("masked_lm_head/dense", head._intermediate_dense)
        take("masked_lm_head/norm", head._intermediate_layer_norm)
        found["masked_lm_head/bias"] = head._bias
    return found
