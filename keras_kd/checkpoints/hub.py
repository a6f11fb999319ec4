"""Where a checkpoint lies: a local folder, or one of the Hugging Face hub."""

import pathlib

import huggingface_hub

# What a model's folder holds: no other framework's weights, no training state.
DESCRIPTION = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
)
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
        patterns = [*DESCRIPTION, *(SAFETENSORS if weights else ())]
        found = _download(name, revision, patterns)
        if weights and not any(found.glob("*.safetensors")):
            found = _download(name, revision, [*DESCRIPTION, *PICKLED])
    except (OSError, ValueError) as error:  # hub errors are of either kind
        raise OSError(
            "`source` must be a local folder or a model on the Hugging Face "
            f"hub. Received: {name!r}, revision {revision}, which is no "
            f"folder here, and of which the hub says: {error}"
        ) from error
    return found


def _download(name, revision, patterns):
    return pathlib.Path(
        huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=patterns
        )
    )
