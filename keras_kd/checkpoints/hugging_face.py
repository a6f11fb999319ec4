"""Hugging Face's folders, read: config.json and the tensors beside it."""

import dataclasses

from keras_kd.checkpoints.checkpoint import Checkpoint
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
    found = {common_name(t.key): t for t in list_tensors(folder)}
    _settle_shared(found, config)
    names = their_names(config, kind)
    unknown = set(found) - set(names)
    unknown = {key for key in unknown if not NOT_TAKEN.fullmatch(key)}
    pooler = model_class is BertBackbone and "pooler.dense.weight" in found
    return Checkpoint(
        config=dataclasses.replace(config, pooler=pooler),
        model_class=model_class,
        arguments=_arguments(theirs, model_class),
        tensors={
            ours: _as_ours(found[key], ours)
            for key, ours in names.items()
            if key in found
        },
        unknown=tuple(sorted(found[key].key for key in unknown)),
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
    regression = theirs.get("problem_type") == "regression"
    if found is BertClassifier and regression and _num_labels(theirs) == 1:
        return BertRegressor
    return found


def _num_labels(theirs):
    return len(theirs.get("id2label") or range(theirs.get("num_labels", 2)))


def _settle_shared(found, config):
    """Leaves one name of what two names hold, the one that counts."""
    if f"{DECODER}.bias" in found:
        # Untied, it is the decoder that adds a bias; the other is unused.
        if BIAS not in found or not config.tie_embeddings:
            found[BIAS] = found[f"{DECODER}.bias"]
        del found[f"{DECODER}.bias"]
    embeddings = "embeddings.word_embeddings.weight"
    if config.tie_embeddings:
        for decoder in (f"{DECODER}.weight", "vocab_projector.weight"):
            copy = found.pop(decoder, None)
            if copy is not None:
                found.setdefault(embeddings, copy)


def _arguments(theirs, model_class):
    if model_class in (BertBackbone, BertMaskedLM):
        return {}
    arguments = {"classifier_dropout": theirs.get("classifier_dropout")}
    if model_class in (BertClassifier, BertTokenClassifier):
        names = theirs.get("id2label") or {
            i: f"LABEL_{i}" for i in range(_num_labels(theirs))
        }
        names = [names[index] for index in sorted(names, key=int)]
        arguments["class_names"] = names
    return arguments


def _as_ours(tensor, name):
    """Dense kernels are (in, out) in Keras, (out, in) in PyTorch."""
    return dataclasses.replace(tensor, transpose=name.endswith("/kernel"))
