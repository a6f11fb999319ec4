"""Hugging Face's folders, read: config.json and the tensors beside it."""

import dataclasses

import numpy as np
from keras_kd.checkpoints.checkpoint import Checkpoint
from keras_kd.checkpoints.hugging_face_heads import label_names, read_head
from keras_kd.checkpoints.hugging_face_names import (
    NOT_TAKEN,
    common_name,
    read_config,
    their_names,
)
from keras_kd.checkpoints.tensor_files import list_tensors, read_json
from keras_kd.models import (
    BertBackbone,
    BertClassifier,
    BertMaskedLM,
    BertRegressor,
    BertSpanExtractor,
    BertTokenClassifier,
)

ARCHITECTURES = {
    "BertModel": BertBackbone,
    "BertForMaskedLM": BertMaskedLM,
    "BertForPreTraining": BertMaskedLM,
    "BertForSequenceClassification": BertClassifier,
    "BertForTokenClassification": BertTokenClassifier,
    "BertForQuestionAnswering": BertSpanExtractor,
    "DistilBertModel": BertBackbone,
    "DistilBertForMaskedLM": BertMaskedLM,
    "DistilBertForSequenceClassification": BertClassifier,
    "DistilBertForTokenClassification": BertTokenClassifier,
    "DistilBertForQuestionAnswering": BertSpanExtractor,
}
DECODER, BIAS = "cls.predictions.decoder", "cls.predictions.bias"


def open_hugging_face(folder, model_class=None):
    """A folder that `save_pretrained` wrote.

    Args:
        folder: `pathlib.Path` with a config.json.
        model_class: Class of model to read it as, or None for the one that
            config.json names.

    Returns:
        `Checkpoint`.

    Raises:
        ValueError: If the config is of what no model here is; as
            `list_tensors`.
    """
    theirs = read_json(folder / "config.json")
    kind, config = read_config(theirs)
    if model_class is None:
        model_class = _model_class(theirs)
    arguments = read_head(theirs, kind, model_class)
    found = {common_name(t.key): t for t in list_tensors(folder)}
    config = _settle_shared(found, config)
    names = their_names(config, kind)
    unknown = set(found) - set(names)
    unknown = [found[k] for k in unknown if not NOT_TAKEN.fullmatch(k)]
    pooler = model_class is BertBackbone and "pooler.dense.weight" in found
    if kind == "distilbert" and getattr(model_class, "pooled", False):
        config = dataclasses.replace(config, pooler_activation="relu")
    return Checkpoint(
        config=dataclasses.replace(config, pooler=pooler),
        model_class=model_class,
        arguments=arguments,
        tensors={
            ours: _as_ours(found[key], ours)
            for key, ours in names.items()
            if key in found
        },
        unknown=tuple(sorted(t.key for t in unknown if t.shape)),
        scalars=tuple(sorted(t.key for t in unknown if not t.shape)),
    )


def _model_class(theirs):
    architectures = theirs.get("architectures") or []
    known = [a for a in architectures if a in ARCHITECTURES]
    if not known:
        raise ValueError(
            "`architectures` of config.json must name one of "
            f"{sorted(ARCHITECTURES)}, or `model_class` must say what to read "
            "it as, such as model_class=kd.BertBackbone. "
            f"Received: {architectures}"
        )
    found = ARCHITECTURES[known[0]]
    if found is BertClassifier and len(label_names(theirs)) == 1:
        return BertRegressor
    return found


def _settle_shared(found, config):
    """Leaves one name of what two names hold, the one that counts.

    A decoder with numbers of its own counts whatever the config says of
    `tie_word_embeddings`, as in `transformers`.

    Returns:
        The config, untied where the decoder is another matrix.
    """
    if f"{DECODER}.bias" in found:  # which adds it; the other is unused
        found[BIAS] = found.pop(f"{DECODER}.bias")
    embeddings = "embeddings.word_embeddings.weight"
    if config.tie_embeddings:
        for decoder in (f"{DECODER}.weight", "vocab_projector.weight"):
            if decoder not in found:
                continue
            copy = found[decoder]
            token = found.setdefault(embeddings, copy)
            if np.array_equal(token.read(), copy.read()):
                del found[decoder]
            else:
                config = dataclasses.replace(config, tie_embeddings=False)
    return config


def _as_ours(tensor, name):
    """Dense kernels are (in, out) in Keras, (out, in) in PyTorch."""
    return dataclasses.replace(tensor, transpose=name.endswith("/kernel"))
