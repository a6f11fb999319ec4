"""save_checkpoint: a keras_kd model as a folder of Hugging Face's."""

import dataclasses
import json

import keras
import numpy as np
import safetensors.numpy
from keras_kd.checkpoints.hugging_face_names import their_names, write_config
from keras_kd.checkpoints.tensor_files import SAFETENSORS
from keras_kd.models import (
    BertBackbone,
    BertClassifier,
    BertMaskedLM,
    BertRegressor,
    BertSpanExtractor,
    BertTokenClassifier,
)
from keras_kd.whole_folder import whole_folder

ARCHITECTURES = {
    ("bert", BertBackbone): "BertModel",
    ("bert", BertMaskedLM): "BertForMaskedLM",
    ("bert", BertClassifier): "BertForSequenceClassification",
    ("bert", BertRegressor): "BertForSequenceClassification",
    ("bert", BertTokenClassifier): "BertForTokenClassification",
    ("bert", BertSpanExtractor): "BertForQuestionAnswering",
    ("distilbert", BertBackbone): "DistilBertModel",
    ("distilbert", BertMaskedLM): "DistilBertForMaskedLM",
}
FILES = (
    "1_Pooling",
    "2_Normalize",
    "README.md",
    "config.json",
    SAFETENSORS,
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)
POOLINGS = ("mean", "cls")


def save_checkpoint(
    model,
    folder,
    tokenizer=None,
    model_type=None,
    pooling=None,
    card=None,
    overwrite=False,
):
    """Writes a folder that `transformers` opens, with equal outputs.

    A model without segments becomes a DistilBERT where that can say all it
    is, else a BERT, whose segment embeddings are zeros then. The folder
    appears whole or not at all.

    Args:
        model: `BertBackbone`, `BertMaskedLM`, `BertClassifier`,
            `BertRegressor`, `BertTokenClassifier` or `BertSpanExtractor`.
        folder: Str or path. May exist; other files in it stay.
        tokenizer: `WordPieceTokenizer` of the model, or None to write none.
        model_type: "bert", "distilbert", or None to choose.
        pooling: "mean" or "cls", to write a `BertBackbone` so that
            `sentence-transformers` opens it too: the mean of the last hidden
            states, or the first one, of length 1. None: not.
        card: Str or None. Text of a README.md, the model card.
        overwrite: Bool. Whether files of these names may be replaced.

    Returns:
        The folder, a `pathlib.Path`.

    Raises:
        ValueError: If the model is none that they have, or the tokenizer has
            another vocabulary.
        FileExistsError: If there are such files already.
        OSError: If the folder cannot be written.
    """
    kind = _choose_type(model, model_type)
    if tokenizer is not None:
        tokenizer.check_vocabulary_size(model.config.vocabulary_size, "model")
    if pooling is not None:
        _check_pooling(pooling, model)
    config = _their_config(model, kind)
    with whole_folder(folder, FILES, overwrite) as beside:
        _write_json(beside / "config.json", config)
        safetensors.numpy.save_file(
            _their_tensors(model, kind), beside / SAFETENSORS, {"format": "pt"}
        )
        if tokenizer is not None:
            names = {
                "bert": "BertTokenizer",
                "distilbert": "DistilBertTokenizer",
            }
            tokenizer.save(
                beside,
                tokenizer_class=names[kind],
                model_max_length=model.config.max_sequence_length,
            )
        if pooling is not None:
            _write_pooling(beside, pooling, model.config)
        if card is not None:
            (beside / "README.md").write_text(card, "utf-8")
    return beside.parent


def _choose_type(model, model_type):
    """What it is to be, or an error that says why it cannot be that."""
    if ("bert", type(model)) not in ARCHITECTURES:  # which has all of ours
        raise ValueError(
            "`model` must be a BertBackbone, or a task model of keras_kd. "
            f"Received: {type(model).__name__}"
        )
    if model_type not in (None, "bert", "distilbert"):
        raise ValueError(
            "`model_type` must be 'bert', 'distilbert' or None. "
            f"Received: {model_type!r}"
        )
    config = model.config
    hindrances = {
        "it has a task's head": ("distilbert", type(model))
        not in ARCHITECTURES,
        "it has segments (cut it with num_segments=0)": config.num_segments > 0,
        "it has a pooler": config.pooler,
        "its layer_norm_epsilon is not 1e-12": (
            config.layer_norm_epsilon != 1e-12
        ),
    }
    hindrances = [why for why, holds in hindrances.items() if holds]
    if model_type == "distilbert" and hindrances:
        raise ValueError(
            "`model_type` must be 'bert' for this model, as DistilBERT has no "
            f"place for it: {'; '.join(hindrances)}. Received: 'distilbert'"
        )
    return model_type or ("bert" if hindrances else "distilbert")


def _check_pooling(pooling, model):
    if pooling not in POOLINGS:
        raise ValueError(
            f"`pooling` must be one of {POOLINGS} or None. "
            f"Received: {pooling!r}"
        )
    if not isinstance(model, BertBackbone):
        raise ValueError(
            "`pooling` is for a BertBackbone, such as `model.backbone`. "
            f"Received: a {type(model).__name__}"
        )


def _their_config(model, kind):
    config = model.config
    if kind == "bert" and config.num_segments == 0:
        config = dataclasses.replace(config, num_segments=2)
    theirs = {
        "architectures": [ARCHITECTURES[kind, type(model)]],
        **write_config(config, kind),
        "dtype": "float32",
    }
    if hasattr(model, "classifier_dropout"):
        theirs["classifier_dropout"] = model.classifier_dropout
    if isinstance(model, BertRegressor):
        theirs["problem_type"] = "regression"
        theirs["id2label"], theirs["label2id"] = {"0": "score"}, {"score": 0}
    elif hasattr(model, "class_names"):
        names = model.class_names
        theirs["id2label"] = {str(i): name for i, name in enumerate(names)}
        theirs["label2id"] = {name: i for i, name in enumerate(names)}
    return theirs


def _their_tensors(model, kind):
    """Arrays under their names, with the model's prefix where they have it."""
    ours = {
        name: keras.ops.convert_to_numpy(variable).astype("float32")
        for name, variable in model.named_variables().items()
    }
    config = model.config
    if kind == "bert" and config.num_segments == 0:
        zeros = np.zeros((2, config.hidden_dim), "float32")
        ours["embeddings/segment/embeddings"] = zeros
    theirs = {}
    for key, name in their_names(config, kind).items():
        if name not in ours:
            continue
        values = ours[name]
        if name.endswith("/kernel"):
            values = np.ascontiguousarray(values.T)
        in_head = name.startswith(("masked_lm_head", "classifier", "span"))
        prefix = "" if in_head or type(model) is BertBackbone else f"{kind}."
        theirs[f"{prefix}{key}"] = values
    bias = theirs.get("cls.predictions.bias")
    if bias is not None and not config.tie_embeddings:
        # Untied, it is the decoder that adds a bias; the other is unused.
        theirs["cls.predictions.decoder.bias"] = bias.copy()
    return theirs


def _write_pooling(folder, pooling, config):
    """What `sentence-transformers` reads: its modules, in order."""
    kinds = {
        "": "Transformer",
        "1_Pooling": "Pooling",
        "2_Normalize": "Normalize",
    }
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": path,
            "type": f"sentence_transformers.models.{kind}",
        }
        for index, (path, kind) in enumerate(kinds.items())
    ]
    settings = {
        "word_embedding_dimension": config.hidden_dim,
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean",
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    longest = {
        "max_seq_length": config.max_sequence_length,
        "do_lower_case": False,  # the tokenizer sees to it
    }
    for path in ("1_Pooling", "2_Normalize"):
        (folder / path).mkdir()
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "1_Pooling" / "config.json", settings)
    _write_json(folder / "sentence_bert_config.json", longest)


def _write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")
