"""The tokenizer of a KerasHub preset: its vocabulary and its settings."""

import json
import pathlib

SETTINGS = "tokenizer.json"  # KerasHub's, which only shares its name
VOCABULARY = pathlib.Path("assets", "tokenizer", "vocabulary.txt")


def find_preset_tokenizer(path):
    """The vocabulary of a preset, with its settings as `transformers` has them.

    What KerasHub's tokenizer does with accents is kept: it leaves them on
    letters unless `strip_accents` is set, whatever the case.

    Args:
        path: `pathlib.Path`: the preset's folder, its tokenizer.json, or its
            vocabulary.txt.

    Returns:
        Pair: `pathlib.Path` of the vocabulary, and a dict of fields of
        tokenizer_config.json. None where it is no preset.

    Raises:
        FileNotFoundError: If the preset holds no vocabulary.
        ValueError: If its tokenizer is not of BERT's kind.
    """
    inside = path.parts[-len(VOCABULARY.parts) :] == VOCABULARY.parts
    folder = path if path.is_dir() else path.parent
    if inside:
        folder = path.parents[len(VOCABULARY.parts) - 1]
    elif not path.is_dir() and path.name != SETTINGS:
        return None
    described = _read_object(folder / SETTINGS)
    if described is None:
        if path.is_dir() and _read_object(folder / "config.json") is not None:
            raise FileNotFoundError(
                "`path` must be a KerasHub preset that was saved with its "
                "preprocessor, or its tokenizer with `save_to_preset`. "
                f"Received: {folder}, without {SETTINGS}"
            )
        return None
    vocabulary = folder / VOCABULARY
    kind = described.get("class_name")
    if kind not in ("BertTokenizer", "DistilBertTokenizer"):
        raise ValueError(
            "`path` must hold KerasHub's BertTokenizer or DistilBertTokenizer. "
            f"Received: a {kind} in {folder / SETTINGS}"
        )
    if not vocabulary.exists():
        raise FileNotFoundError(
            f"`path` must hold {VOCABULARY}. Received: {folder}"
        )
    return vocabulary, _as_settings(described["config"], folder / SETTINGS)


def _read_object(path):
    """What a file says of an object of KerasHub's; None of any other."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    of_hub = isinstance(found, dict) and isinstance(found.get("config"), dict)
    names = ("keras_hub", "keras_nlp")
    if of_hub and any(name in str(found.get("module")) for name in names):
        return found
    return None


def _as_settings(config, path):
    """Fields of tokenizer_config.json."""
    expected = {"split": True, "suffix_indicator": "##"}
    for field, value in expected.items():
        if config.get(field, value) != value:
            raise ValueError(
                f"`{field}` of {path} must be {value!r}, as BERT has it. "
                f"Received: {config[field]!r}"
            )
    return {
        "do_lower_case": bool(config.get("lowercase", False)),
        "strip_accents": bool(config.get("strip_accents", False)),
        "tokenize_chinese_chars": bool(config.get("split_on_cjk", True)),
        "unk_token": config.get("oov_token", "[UNK]"),
    }
