"""Google's BERT folders, read: bert_config.json and a TF checkpoint."""

import contextlib
import dataclasses
import re

from keras_kd.checkpoints.checkpoint import Checkpoint, Tensor
from keras_kd.checkpoints.hugging_face_names import read_config, their_names
from keras_kd.checkpoints.tensor_files import read_json
from keras_kd.models import BertBackbone, BertMaskedLM
from keras_kd.plain_path import plain_paths
from keras_kd.quiet import import_tensorflow

CONFIG = "bert_config.json"
# The optimizer's, and the next-sentence head.
NOT_TAKEN = re.compile(
    r"global_step|.*/adam_[mv]|.*/Adam(_1)?|(beta1|beta2)_power"
    r"|cls/seq_relationship/.*"
)
HEAD = "cls/predictions/transform/dense/kernel"


def open_google(folder, model_class=None):
    """A folder as google-research/bert published them.

    Its GELU is the approximation by a hyperbolic tangent, as in Google's code.

    Args:
        folder: `pathlib.Path` with a bert_config.json and `*.ckpt` files.
        model_class: Class of model to read it as; None for `BertMaskedLM`
            where there is a masked-LM head, else `BertBackbone`.

    Returns:
        `Checkpoint`.

    Raises:
        FileNotFoundError: If there is no checkpoint, or one of its files is
            missing.
        ValueError: If the config is of what no model here is, or a file is
            damaged.
    """
    theirs = read_json(folder / CONFIG)
    _, config = read_config({**theirs, "model_type": "bert"})
    if config.activation == "gelu":
        config = dataclasses.replace(config, activation="gelu_tanh")
    prefix, links = _find_checkpoint(folder)
    with _open_reader(prefix, links) as reader:
        shapes = reader.get_variable_to_shape_map()
    if model_class is None:
        model_class = BertMaskedLM if HEAD in shapes else BertBackbone
    names = their_names(config, "bert")
    tensors, unknown, scalars = {}, [], []
    for key, shape in shapes.items():
        ours = names.get(common_name(key))
        if ours is not None:
            read = _reader_of(key, prefix, links)
            tensors[ours] = Tensor(key, tuple(shape), read)
        elif not NOT_TAKEN.fullmatch(key):
            (unknown if shape else scalars).append(key)
    pooler = model_class is BertBackbone and "pooler/kernel" in tensors
    return Checkpoint(
        config=dataclasses.replace(config, pooler=pooler),
        model_class=model_class,
        arguments={},
        tensors=tensors,
        unknown=tuple(sorted(unknown)),
        scalars=tuple(sorted(scalars)),
    )


def common_name(key):
    """A name of theirs as Hugging Face's, without the prefix.

    Args:
        key: Str, such as "bert/encoder/layer_0/output/dense/kernel".
    """
    key = key.removeprefix("bert/").replace("/", ".")
    key = re.sub(r"\blayer_(\d+)\b", r"layer.\1", key)
    key = re.sub(r"\.(kernel|gamma)$", ".weight", key)
    key = re.sub(r"\.(beta|output_bias)$", ".bias", key)
    return re.sub(r"(embeddings\.\w+_embeddings)$", r"\1.weight", key)


def _find_checkpoint(folder):
    """The prefix of the folder's one checkpoint, and links to its files.

    Returns:
        Pair: `pathlib.Path`, and the dict that `plain_paths` takes.
    """
    found = sorted(folder.glob("*.index"))
    if len(found) != 1:
        raise FileNotFoundError(
            "`source` must hold one TensorFlow checkpoint, such as "
            f"bert_model.ckpt.index and its data. Received: {folder}, with "
            f"{sorted(path.name for path in folder.iterdir())}"
        )
    prefix = found[0].with_suffix("")
    data = [
        path
        for path in folder.iterdir()
        if path.name.startswith(f"{prefix.name}.data-")
    ]
    if not data:
        raise FileNotFoundError(
            f"`source` must hold {prefix.name}.data-00000-of-00001 beside "
            f"{found[0].name}. Received: {folder}"
        )
    return prefix, {
        f"ckpt{path.name.removeprefix(prefix.name)}": path
        for path in (*found, *data)
    }


@contextlib.contextmanager
def _open_reader(prefix, links, what=""):
    """TensorFlow's reader of a checkpoint, for the time of the block."""
    tf = import_tensorflow("Reading a TensorFlow checkpoint")
    try:
        with plain_paths(links) as plain:
            yield tf.train.load_checkpoint(str(plain / "ckpt"))
    except (tf.errors.OpError, ValueError, IndexError) as error:
        raise ValueError(
            "`source` must hold whole files: copy or download it again. "
            f"Received: {prefix}{what}: {error}"
        ) from error


def _reader_of(key, prefix, links):
    def read():
        # Anew: TensorFlow opens the data at the first tensor asked for.
        what = f", of which {key} is not to be read"
        with _open_reader(prefix, links, what) as reader:
            return reader.get_tensor(key)

    return read
