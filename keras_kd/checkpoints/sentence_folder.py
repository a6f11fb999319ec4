"""Folders of `sentence-transformers`: what stands beside the encoder's files.

modules.json names what a text goes through, in order: a Transformer, a
pooling, and often a normalisation.
"""

import json
import pathlib

from keras_kd.checkpoints.tensor_files import read_json
from keras_kd.layers import POOLINGS
from keras_kd.models import SentenceEmbedding, longest_text

MODULES = "modules.json"
PROMPTS = "config_sentence_transformers.json"
LONGEST = "sentence_bert_config.json"
# What `sentence-transformers` wrote over the years, for the encoders of here.
LONGEST_NAMES = (LONGEST, "sentence_distilbert_config.json")
FILES = ("1_Pooling", "2_Normalize", MODULES, PROMPTS, LONGEST)
OLD_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


def encoder_folder(folder):
    """Where the encoder's own files are: the folder, or one inside it.

    Args:
        folder: `pathlib.Path`.

    Returns:
        `pathlib.Path`.
    """
    if not (folder / MODULES).exists():
        return folder
    return folder / _read_modules(folder)[0][1]


def read_sentence_embedding(folder):
    """What a folder says of the texts' vectors.

    Args:
        folder: `pathlib.Path`.

    Returns:
        `SentenceEmbedding`, whose `unsupported` names what no code here does;
        None of a folder without modules.json.

    Raises:
        ValueError: If a file is damaged, or says what cannot be.
        FileNotFoundError: If modules.json names a folder that is not there.
    """
    if not (folder / MODULES).exists():
        return None
    (_, path), *rest = _read_modules(folder)
    encoder = folder / path
    longest, lowercase = _read_longest(encoder)
    unsupported = []
    if lowercase and not _says(encoder, "do_lower_case", True):
        unsupported.append(f"do_lower_case of {LONGEST} with a cased tokenizer")
    pooling, poolings = "mean", [p for kind, p in rest if kind == "Pooling"]
    if len(poolings) == 1:
        pooling, more = _read_pooling(folder / poolings[0] / "config.json")
        unsupported += more
    else:
        unsupported.append(f"{len(poolings)} Pooling modules in {MODULES}")
    kinds = [kind for kind, _ in rest]
    unsupported += [
        f"a {kind} module ({path}) in {MODULES}"
        for kind, path in rest
        if kind not in ("Pooling", "Normalize")
    ]
    if kinds[:1] == ["Normalize"]:
        unsupported.append(f"a Normalize module before Pooling in {MODULES}")
    prompts = _read_if_there(folder / PROMPTS)
    try:
        return SentenceEmbedding(
            pooling,
            normalize="Normalize" in kinds,
            max_length=longest,
            prompts=prompts.get("prompts") or {},
            default_prompt=prompts.get("default_prompt_name"),
            similarity=prompts.get("similarity_fn_name"),
            unsupported="; ".join(unsupported) or None,
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{PROMPTS} and {LONGEST} must say what `sentence-transformers` "
            f"reads. Received: {folder}: {error}"
        ) from error


def write_sentence_embedding(folder, embedding, config):
    """Writes what `sentence-transformers` reads beside the encoder.

    Args:
        folder: `pathlib.Path` that is there.
        embedding: `SentenceEmbedding`.
        config: The encoder's `BertConfig`.
    """
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    if embedding.normalize:
        kinds["2_Normalize"] = "Normalize"
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": path,
            "type": f"sentence_transformers.models.{kind}",
        }
        for index, (path, kind) in enumerate(kinds.items())
    ]
    for path in filter(None, kinds):
        (folder / path).mkdir()
    pooling = {
        "word_embedding_dimension": config.hidden_dim,
        "pooling_mode_cls_token": embedding.pooling == "cls",
        "pooling_mode_mean_tokens": embedding.pooling == "mean",
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    longest = {
        "max_seq_length": longest_text(config, embedding),
        "do_lower_case": False,  # the tokenizer sees to it
    }
    prompts = {
        "prompts": dict(embedding.prompts),
        "default_prompt_name": embedding.default_prompt,
        "similarity_fn_name": embedding.similarity,
    }
    for path, value in (
        (MODULES, modules),
        ("1_Pooling/config.json", pooling),
        (LONGEST, longest),
        (PROMPTS, prompts),
    ):
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        (folder / path).write_text(text, "utf-8")


def _read_modules(folder):
    """Kind and path of each module, the encoder first."""
    modules = read_json(folder / MODULES)
    try:
        found = [(m["type"].split(".")[-1], m["path"]) for m in modules]
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{MODULES} must be a list of modules with `type` and `path`. "
            f"Received: {folder / MODULES}: {error!r}"
        ) from error
    if not found or found[0][0] != "Transformer":
        raise ValueError(
            f"{MODULES} must begin with a Transformer. Received: "
            f"{folder / MODULES}, with {[kind for kind, _ in found]}"
        )
    for _, path in found:
        if pathlib.PurePath(path).is_absolute() or ".." in path:
            raise ValueError(
                f"{MODULES} must name folders inside its own. Received: "
                f"{folder / MODULES}, with {path!r}"
            )
    return found


def _read_pooling(path):
    """The pooling, and what no code here does of it, a list of str."""
    settings = read_json(path)
    modes = settings.get("pooling_mode")
    if modes is None:
        modes = [
            mode for key, mode in OLD_POOLINGS.items() if settings.get(key)
        ]
    modes = [modes] if isinstance(modes, str) else list(modes) or ["mean"]
    where = f"in {path.parent.name}/{path.name}"
    unsupported = []
    if len(modes) > 1 or modes[0] not in POOLINGS:
        unsupported.append(f"the pooling {' + '.join(map(str, modes))} {where}")
    if settings.get("include_prompt") is False:
        unsupported.append(f"include_prompt false {where}")
    return modes[0] if modes[0] in POOLINGS else "mean", unsupported


def _read_longest(encoder):
    """Tokens of the longest text, or None; whether text is lower-cased."""
    for name in LONGEST_NAMES:
        settings = _read_if_there(encoder / name)
        if settings:
            break
    longest = settings.get("max_seq_length")
    if longest is None:  # as version 6 writes it
        tokenizer = _read_if_there(encoder / "tokenizer_config.json")
        longest = tokenizer.get("model_max_length")
        if longest is not None and longest > 10**9:  # for "no limit"
            longest = None
    return longest, bool(settings.get("do_lower_case"))


def _says(encoder, key, default):
    settings = _read_if_there(encoder / "tokenizer_config.json")
    return settings.get(key, default)


def _read_if_there(path):
    return read_json(path) if path.exists() else {}
