"""Presets of KerasHub: which folder is one, and the model in it."""

import json

from keras_kd.checkpoints.tensor_files import read_json

FILE = "config.json"  # of the encoder; the others beside it have the head
TASK, TASK_WEIGHTS = "task.json", "task.weights.h5"


def is_preset(folder):
    """Whether a folder is a preset of KerasHub's."""
    try:
        config = json.loads((folder / FILE).read_text("utf-8"))
    except (OSError, ValueError):  # then it is another kind of folder
        return False
    return "keras_hub" in str(config.get("module", ""))


def read_preset(folder, encoder_only=False):
    """The KerasHub model of a preset: with its head where it has one.

    Args:
        folder: `pathlib.Path`.
        encoder_only: Bool. Whether to leave a head out.

    Raises:
        ValueError: If the head is of a kind that no model here has, or the
            preset is damaged.
    """
    import keras_hub

    kind = keras_hub.models.Backbone
    if (folder / TASK).exists() and not encoder_only:
        kind = _task_class(folder)
    try:
        return kind.from_preset(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            "`source` must hold a whole preset of KerasHub's BERT or "
            f"DistilBERT. Received: {folder}: {error}"
        ) from error


def _task_class(folder):
    """KerasHub's class of task of a preset."""
    import keras_hub

    name = str(read_json(folder / TASK).get("class_name"))
    for kind in ("MaskedLM", "TextClassifier"):
        if name not in (f"Bert{kind}", f"DistilBert{kind}"):
            continue
        if not (folder / TASK_WEIGHTS).exists():
            raise ValueError(
                f"`source` must hold the head of its {TASK}; "
                "model_class=kd.BertBackbone reads the encoder alone. "
                f"Received: {folder}, without {TASK_WEIGHTS}"
            )
        return getattr(keras_hub.models, kind)
    raise ValueError(
        f"`{TASK}` of a preset must be of KerasHub's MaskedLM or "
        "TextClassifier of BERT or DistilBERT; model_class=kd.BertBackbone "
        f"reads the encoder alone. Received: {name} in {folder}"
    )
