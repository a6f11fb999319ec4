"""KerasHub's BERT and DistilBERT, here and back again."""

import math

import keras
from keras_kd.checkpoints.checkpoint import Checkpoint, Tensor
from keras_kd.models import (
    BertBackbone,
    BertClassifier,
    BertConfig,
    BertMaskedLM,
    BertRegressor,
)

LEAVES = {"kernel", "bias", "gamma", "beta", "embeddings"}
HEAD_EPSILON = 1e-5  # fixed in KerasHub, as is the GELU of each


def open_keras_hub(model, model_class=None):
    """A KerasHub model, to be one of ours with the same outputs.

    Args:
        model: `keras_hub.models` `BertBackbone`, `BertMaskedLM`,
            `BertTextClassifier`, or the same of DistilBERT.
        model_class: Class of model to read it as: None for the one that it
            is, or `BertBackbone`, or `BertMaskedLM`.

    Returns:
        `Checkpoint`.

    Raises:
        ValueError: If it is another model, or one whose weights are not as
            they were trained (quantised, or with LoRA).
    """
    backbone = getattr(model, "backbone", model)
    head = getattr(model, "masked_lm_head", None)
    scores = getattr(model, "output_dense", None)
    kind = type(backbone).__name__
    of_hub = type(backbone).__module__.startswith("keras_hub")
    known = of_hub and kind in ("BertBackbone", "DistilBertBackbone")
    headless = head is None and scores is None
    if not known or (headless and backbone is not model):
        raise ValueError(
            "`source` must be KerasHub's BertBackbone, BertMaskedLM or "
            "BertTextClassifier, or the same of DistilBERT. "
            f"Received: {type(model).__module__}.{type(model).__name__}"
        )
    held, arguments = BertBackbone, {}
    if head is not None:
        held = BertMaskedLM
    elif scores is not None:
        held, arguments = _classifier(model)
    model_class = model_class or held
    if model_class not in (held, BertBackbone, BertMaskedLM):
        raise ValueError(
            f"`model_class` must be {held.__name__}, which the KerasHub model "
            "is, BertMaskedLM, or BertBackbone, its encoder, for "
            f"`{model_class.__name__}.from_encoder`. "
            f"Received: {model_class.__name__}"
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
        "pooler": is_bert and model_class is BertBackbone,
    }
    if model_class is BertMaskedLM:
        epsilon = HEAD_EPSILON if head is None else head.layer_norm_epsilon
        fields["head_activation"] = "gelu"
        fields["head_layer_norm_epsilon"] = epsilon
    if scores is not None and not is_bert and model_class is held:
        fields["pooler_activation"] = "relu"
    theirs = their_variables(backbone, head)
    if model_class is held and scores is not None:
        theirs |= _head_variables(model, is_bert)
    return Checkpoint(
        config=BertConfig(**fields),
        model_class=model_class,
        arguments=arguments if model_class is held else {},
        tensors={
            name: _as_tensor(name, variable)
            for name, variable in theirs.items()
        },
    )


def _classifier(model):
    """Our class of a KerasHub classifier, and its arguments."""
    activation = keras.activations.serialize(model.activation)
    expected = ("linear", "softmax")
    if model.num_classes == 1:
        expected = ("linear", "sigmoid")
    if activation not in expected:
        raise ValueError(
            f"`activation` of KerasHub's {type(model).__name__} with "
            f"{model.num_classes} classes must be one of {expected}; "
            "model_class=kd.BertBackbone reads the encoder alone. "
            f"Received: {activation}"
        )
    arguments = {"classifier_dropout": model.dropout}
    if model.num_classes == 1:
        return BertRegressor, arguments | {"sigmoid": activation == "sigmoid"}
    names = [f"LABEL_{index}" for index in range(model.num_classes)]
    return BertClassifier, arguments | {"class_names": names}


def _as_tensor(name, variable):
    """A variable of KerasHub's, in the shape that ours has."""
    shape = tuple(variable.shape)
    if len(shape) == 3:  # a kernel by heads
        out = "attention_output" in name
        flat = math.prod(shape[:2]), math.prod(shape[1:])
        shape = (flat[0], shape[2]) if out else (shape[0], flat[1])
    elif name.endswith("/bias"):
        shape = (math.prod(shape),)

    def read():
        return keras.ops.convert_to_numpy(variable).reshape(shape)

    return Tensor(variable.path, shape, read)


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
        found.update(_weights_of(layer, name))

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


def _head_variables(model, is_bert):
    """Variables of a classifier's head, under our names."""
    found = _weights_of(model.output_dense, "classifier")
    if not is_bert:
        found |= _weights_of(model.pooled_dense, "pooler")
    return found


def _weights_of(layer, name):
    """A layer's variables, under our name of the layer."""
    found = {}
    for variable in layer.weights:
        leaf = variable.path.rsplit("/", 1)[1]
        leaf = {"position_embeddings": "embeddings"}.get(leaf, leaf)
        if leaf not in LEAVES:
            raise ValueError(
                "`source` must be a KerasHub model with its weights as they "
                "were trained: neither quantised, nor with LoRA. Received: "
                f"{variable.path}"
            )
        found[f"{name}/{leaf}"] = variable
    return found
