"""Checkpoints of the Hugging Face hub: found by name, and sent there."""

import pathlib

import huggingface_hub
from huggingface_hub import errors

# What a model's folder holds: no other framework's weights, no training state.
DESCRIPTION = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    # Of sentence-transformers:
    "modules.json",
    "*sentence_*.json",
    "*_*/*config.json",
    # Of KerasHub:
    "task.json",
    "preprocessor.json",
    "metadata.json",
    "assets/tokenizer/*",
)
KERAS_HUB = ("model.weights.h5", "task.weights.h5")
SAFETENSORS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
)
PICKLED = (
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "pytorch_model-*-of-*.bin",
)

PUSHED = ("config.json", "model.safetensors")
# A hub error is of either kind; without a network it is the HTTP library's.
HUB_ERRORS = (
    OSError,
    ValueError,
    getattr(errors, "HTTPError", OSError),
)


def find_folder(source, revision=None, weights=True):
    """The folder of a checkpoint; downloads it where it is not a local one.

    A folder that exists never touches the network. A name of the hub goes
    through `huggingface_hub`: its cache, its log-in, and its offline mode
    (`HF_HUB_OFFLINE=1`) hold.

    Args:
        source: Str or path: a folder, or a model's name on the hub, such as
            "google-bert/bert-base-uncased".
        revision: Str or None. Branch, tag or commit on the hub.
        weights: Bool. Whether the weights are wanted too.

    Returns:
        `pathlib.Path`.

    Raises:
        FileNotFoundError: If it is a path, and there is no such folder.
        OSError: If the hub does not give it.
        ValueError: If a local folder is asked for with a revision.
    """
    folder = pathlib.Path(source).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise ValueError(
                "`revision` must be None for a local folder. "
                f"Received: {revision!r} for {folder}"
            )
        return folder
    name = str(source)
    if folder.exists() or name.startswith((".", "/", "~")) or "\\" in name:
        raise FileNotFoundError(
            f"`source` must be a folder that exists. Received: {source}"
        )
    try:
        wanted = SAFETENSORS + KERAS_HUB if weights else ()
        patterns = [*DESCRIPTION, *wanted]
        found = _download(name, revision, patterns)
        files = ("*.safetensors", "model.weights.h5")
        if weights and not any(any(found.glob(name)) for name in files):
            found = _download(name, revision, [*DESCRIPTION, *PICKLED])
    except HUB_ERRORS as error:
        raise OSError(
            "`source` must be a local folder or a model on the Hugging Face "
            f"hub. Received: {name!r}, revision {revision}, which is no "
            f"folder here, and of which the hub says: {error}"
        ) from error
    return found


def push_to_hub(folder, name, private=True, message="Upload by keras_kd"):
    """Sends a folder of `save_checkpoint` to the Hugging Face hub.

    The hub's log-in holds (`hf auth login`, or `HF_TOKEN`). Hidden files stay
    here.

    Args:
        folder: Str or path: what `save_checkpoint` wrote, or the
            `hugging_face` of an export.
        name: Str, the model's name on the hub, such as "me/my-bert". It is
            made where it does not exist.
        private: Bool. Whether one that is made is for its owner alone.
        message: Str, of the commit.

    Returns:
        The commit's address, str.

    Raises:
        FileNotFoundError: If the folder holds no such checkpoint.
        OSError: If the hub does not take it.
    """
    folder = pathlib.Path(folder)
    lacking = [n for n in PUSHED if not (folder / n).exists()]
    if lacking:
        raise FileNotFoundError(
            "`folder` must hold what `save_checkpoint` writes. Received: "
            f"{folder}, without {lacking}"
        )
    hub = huggingface_hub.HfApi()
    try:
        hub.create_repo(name, private=private, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=name,
            folder_path=folder,
            commit_message=message,
            ignore_patterns=[".*"],
        )
    except HUB_ERRORS as error:
        raise OSError(
            f"`name` must be a model that the Hugging Face hub takes from "
            f"you. Received: {name!r}, of which it says: {error}"
        ) from error
    return str(commit.commit_url)


def _download(name, revision, patterns):
    return pathlib.Path(
        huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=patterns
        )
    )
