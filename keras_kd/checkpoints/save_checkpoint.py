"""save_checkpoint: a keras_kd model as a folder of Hugging Face's."""

import dataclasses
import json

import keras
import numpy as np
import safetensors.numpy
from keras_kd.checkpoints.hugging_face_heads import write_head
from keras_kd.checkpoints.hugging_face_names import their_names, write_config
from keras_kd.checkpoints.sentence_folder import FILES as SENTENCE_FILES
from keras_kd.checkpoints.sentence_folder import write_sentence_embedding
from keras_kd.checkpoints.tensor_files import SAFETENSORS
from keras_kd.data.tokenizer import MODEL_INPUT_NAMES
from keras_kd.models import (
    BertBackbone,
    BertClassifier,
    BertMaskedLM,
    BertRegressor,
    BertSpanExtractor,
    BertTokenClassifier,
    choose_embedding,
    longest_text,
)
from keras_kd.models.quantized_layers import check_float
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
    ("distilbert", BertClassifier): "DistilBertForSequenceClassification",
    ("distilbert", BertRegressor): "DistilBertForSequenceClassification",
    ("distilbert", BertTokenClassifier): "DistilBertForTokenClassification",
    ("distilbert", BertSpanExtractor): "DistilBertForQuestionAnswering",
}
FILES = (
    *SENTENCE_FILES,
    "README.md",
    "config.json",
    SAFETENSORS,
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


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
        pooling: "mean", "cls" or a `SentenceEmbedding`, to write a
            `BertBackbone` so that `sentence-transformers` opens it too: the
            mean of the last hidden states, or the first one, of length 1
            unless the model's own embedding says otherwise. None: its own
            (`config.embedding`); one that has none is not written so.
        card: Str or None. Text of a README.md, the model card.
        overwrite: Bool. Whether files of these names may be replaced.

    Returns:
        The folder, a `pathlib.Path`.

    Raises:
        ValueError: If the model is none that they have or is quantised, the
            tokenizer has another vocabulary, or the model's own embedding has
            what no code here does, such as a Dense layer.
        FileExistsError: If there are such files already.
        OSError: If the folder cannot be written.
    """
    kind = _choose_type(model, model_type)
    if tokenizer is not None:
        tokenizer.check_vocabulary_size(model.config.vocabulary_size, "model")
    embedding = _choose_embedding(pooling, model)
    longest = model.config.max_sequence_length
    if embedding is not None:
        longest = longest_text(model.config, embedding)
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
                model_max_length=longest,
                model_input_names=[
                    name
                    for name in MODEL_INPUT_NAMES
                    if model.config.num_segments > 1 or "type" not in name
                ],
            )
        if embedding is not None:
            write_sentence_embedding(beside, embedding, model.config)
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
    check_float([model])
    config = model.config
    of_text = isinstance(model, (BertClassifier, BertRegressor))
    is_relu = config.pooler_activation == "relu"  # as `pre_classifier` has it
    hindrances = {
        "it has segments (cut it with num_segments=0)": config.num_segments > 0,
        "it has a pooler": config.pooler and not of_text,
        "its pooler_activation is not 'relu'": of_text and not is_relu,
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
    kind = model_type or ("bert" if hindrances else "distilbert")
    pooler = config.pooler_activation
    if kind == "bert" and config.pooler and pooler != "tanh":
        raise ValueError(
            "`pooler_activation` of the model's config must be 'tanh' for a "
            "BERT; it is 'relu' in a DistilBERT, which this model cannot be: "
            f"{'; '.join(hindrances) or model_type}. Received: {pooler!r}"
        )
    return kind


def _choose_embedding(pooling, model):
    """What `sentence-transformers` is to do, or None to write a plain folder.

    An encoder's own goes along; other models have none.
    """
    if isinstance(model, BertBackbone):
        if pooling is None and model.config.embedding is None:
            return None
        return choose_embedding(model.config, pooling)
    if pooling is not None:
        raise ValueError(
            "`pooling` is for a BertBackbone, such as `model.backbone`. "
            f"Received: a {type(model).__name__}"
        )
    return None


def _their_config(model, kind):
    config = model.config
    if kind == "bert" and config.num_segments == 0:
        config = dataclasses.replace(config, num_segments=2)
    theirs = {
        "architectures": [ARCHITECTURES[kind, type(model)]],
        **write_config(config, kind),
        "dtype": "float32",
    }
    return {**theirs, **write_head(model, kind)}


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
        heads = ("masked_lm_head", "classifier", "span")
        if kind == "distilbert":
            heads += ("pooler",)
        in_head = name.startswith(heads)
        prefix = "" if in_head or type(model) is BertBackbone else f"{kind}."
        theirs[f"{prefix}{key}"] = values
    bias = theirs.get("cls.predictions.bias")
    if bias is not None and not config.tie_embeddings:
        # Untied, it is the decoder that adds a bias; the other is unused.
        theirs["cls.predictions.decoder.bias"] = bias.copy()
    return theirs


def _write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")
