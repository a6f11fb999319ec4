"""load_checkpoint: somebody else's encoder as a keras_kd model."""

import logging
import re
import warnings

import keras
from keras_kd.checkpoints.assign import assign
from keras_kd.checkpoints.google import CONFIG, open_google
from keras_kd.checkpoints.hub import find_folder
from keras_kd.checkpoints.hugging_face import open_hugging_face
from keras_kd.checkpoints.keras_files import find_keras_file, open_keras_file
from keras_kd.checkpoints.keras_hub_models import open_keras_hub
from keras_kd.checkpoints.keras_hub_preset import is_preset, read_preset
from keras_kd.checkpoints.keras_hub_tokenizer import from_keras_hub_tokenizer
from keras_kd.checkpoints.sentence_folder import (
    encoder_folder,
    read_sentence_embedding,
)
from keras_kd.data import WordPieceTokenizer
from keras_kd.layers.noise import starting_from_zeros
from keras_kd.models import BertBackbone

logger = logging.getLogger(__name__)
# Keys of an encoder, as PyTorch's and TensorFlow's files have them.
OF_ENCODER = re.compile(r"(^|[./])(embeddings|encoder|transformer)[./]")


def load_checkpoint(
    source, model_class=None, revision=None, seed=None, dtype=None, **changes
):
    """A model with the weights of a checkpoint.

    Reads BERT and DistilBERT in Hugging Face's folders (config.json, and
    safetensors, whole or in shards; `pytorch_model.bin` where PyTorch is
    installed), Google's (bert_config.json and a TensorFlow checkpoint),
    KerasHub's presets and models, and our own: the folder of a recipe's run
    (its student, or else its teacher), an exported one, a .keras file. The
    config decides the shape, the activation, the epsilons, dropout and
    padding; of a folder of `sentence-transformers` a `BertBackbone` has
    `config.embedding`.

    Args:
        source: Str or path: a folder, or a model's name on the Hugging Face
            hub, such as "google-bert/bert-base-uncased"; or a KerasHub model.
        model_class: `BertBackbone`, `BertMaskedLM`, `BertClassifier` or
            another task model; default: what the checkpoint says it is.
        revision: Str or None. Branch, tag or commit on the hub.
        seed: Int or None. Of dropout, and of weights that the checkpoint does
            not have.
        dtype: Str or policy. Keras's precision policy; default: the global.
        **changes: Fields of the config to set otherwise, such as
            `layer_drop=0.2`.

    Returns:
        The model.

    Raises:
        FileNotFoundError: If there is no such folder, or a file is missing.
        OSError: If the hub does not give it.
        ValueError: If config and weights do not fit, a key is unknown, or a
            file is damaged.
        ImportError: If PyTorch is needed and not installed.

    Warns:
        UserWarning: Of each variable of a head or pooler that the checkpoint
            does not have: it stays random. Of what a file has that no model
            here has: numbers of a training loop, and, where `BertBackbone` is
            asked for, heads.
    """
    if isinstance(source, keras.Model):
        folder = f"KerasHub's {type(source).__name__}"
        checkpoint = open_keras_hub(source, model_class)
    elif (folder := find_keras_file(source)) is not None:
        checkpoint = open_keras_file(folder, model_class)
    elif is_preset(folder := find_folder(source, revision)):
        hub = read_preset(folder, encoder_only=model_class is BertBackbone)
        checkpoint = open_keras_hub(hub, model_class)
    else:
        sentence_folder, folder = folder, encoder_folder(folder)
        is_google = (folder / CONFIG).exists()
        open_folder = open_google if is_google else open_hugging_face
        checkpoint = open_folder(folder, model_class)
        if checkpoint.model_class is BertBackbone:
            own = {"embedding": read_sentence_embedding(sentence_folder)}
            changes = own | changes
    _check_unknown(checkpoint, folder)
    config = checkpoint.config.changed(**changes)

    def make():
        return checkpoint.model_class(
            config, seed=seed, dtype=dtype, **checkpoint.arguments
        )

    with starting_from_zeros():
        model = make()
    variables = model.named_variables()
    _check_shapes(checkpoint, variables, folder)
    if _say_missing(checkpoint, variables, folder):
        model = make()  # with noise where the checkpoint has nothing
        variables = model.named_variables()
    for name, variable in variables.items():
        if name in checkpoint.tensors:
            assign(variable, checkpoint.tensors[name].array())
    return model


def load_tokenizer(source, revision=None, lowercase=None):
    """The tokenizer of a checkpoint.

    Args:
        source: As of `load_checkpoint`; or a KerasHub tokenizer.
        revision: As of `load_checkpoint`.
        lowercase: As of `WordPieceTokenizer.load`.

    Returns:
        `WordPieceTokenizer`.

    Raises:
        FileNotFoundError: If there is no such folder, or no tokenizer in it.
        OSError: If the hub does not give it.
        ValueError: If it is no WordPiece tokenizer.
    """
    if isinstance(source, keras.layers.Layer):
        return from_keras_hub_tokenizer(source)
    folder = find_folder(source, revision, weights=False)
    return WordPieceTokenizer.load(encoder_folder(folder), lowercase)


def _check_unknown(checkpoint, folder):
    """Refuses what nobody knows, but for heads beside a bare encoder."""
    unknown = list(checkpoint.unknown)
    inside = [key for key in unknown if OF_ENCODER.search(key)]
    bare = checkpoint.model_class is BertBackbone
    if inside or (unknown and not bare):
        way_out = "; model_class=kd.BertBackbone reads the encoder alone"
        raise ValueError(
            "`source` must hold the tensors of its config.json"
            f"{'' if inside else way_out}. Received: "
            f"{folder}, with unknown {inside or unknown}"
        )
    left_out = [*unknown, *checkpoint.scalars]
    if left_out:
        warnings.warn(
            f"{folder} has {', '.join(left_out)}, which no model here has: "
            "left out",
            stacklevel=3,
        )


def _check_shapes(checkpoint, variables, folder):
    unfit = [
        f"{tensor.key} {tensor.our_shape}, but {name} {tuple(variable.shape)}"
        for name, variable in variables.items()
        if (tensor := checkpoint.tensors.get(name)) is not None
        and tensor.our_shape != tuple(variable.shape)
    ]
    if unfit:
        raise ValueError(
            "`source` must hold tensors of the shapes that its config.json "
            f"says. Received: {folder}, with {'; '.join(unfit)}"
        )


def _say_missing(checkpoint, variables, folder):
    """Warns of heads left random; an encoder with holes is an error.

    Returns:
        Whether anything is missing.
    """
    missing = [name for name in variables if name not in checkpoint.tensors]
    holes = [n for n in missing if n.startswith(("embeddings", "encoder"))]
    if holes:
        raise ValueError(
            "`source` must hold all layers that its config.json says. "
            f"Received: {folder}, without {holes}"
        )
    if missing:
        warnings.warn(
            f"{folder} has no {', '.join(missing)}: they stay random",
            stacklevel=3,
        )
    spare = sorted(set(checkpoint.tensors) - set(variables))
    if spare:
        logger.info("not in the model, left out: %s", ", ".join(spare))
    return bool(missing)
