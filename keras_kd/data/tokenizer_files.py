"""The files of a WordPiece tokenizer, as Hugging Face writes them."""

import json
import logging
import pathlib
import unicodedata

import tokenizers
from keras_kd.data.preset_tokenizer import find_preset_tokenizer
from tokenizers import (
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

logger = logging.getLogger(__name__)

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROLES = ("pad", "unk", "cls", "sep", "mask")
# Field of tokenizer_config.json: field of a BertNormalizer.
NORMALIZER_SETTINGS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


def read_tokenizer(path, lowercase=None):
    """A tokenizer of a file, with what the files beside it say.

    Args:
        path: Str or path of a `vocab.txt`, a `tokenizer.json`, or a folder,
            also of a KerasHub preset.
        lowercase: Bool or None, for what the files say; where they say
            nothing, `_choose_case` does.

    Returns:
        Pair: `tokenizers.Tokenizer`, and its special tokens in the order of
        `SPECIAL_TOKENS`.

    Raises:
        As `WordPieceTokenizer.load`.
    """
    path = pathlib.Path(path)
    preset = find_preset_tokenizer(path)
    if preset is not None:
        path, settings = preset
    else:
        path = _tokenizer_file(path)
        settings = _read_settings(path.parent)
    special_tokens = [
        _content(settings.get(f"{role}_token")) or token
        for role, token in zip(ROLES, SPECIAL_TOKENS, strict=True)
    ]
    if path.suffix == ".json":
        backend = _read_tokenizer_json(path)
    else:
        vocabulary = _read_vocabulary(path)
        if lowercase is None:
            lowercase = settings.get("do_lower_case")
        if lowercase is None:
            lowercase = _choose_case(path, vocabulary, settings)
        unknown = special_tokens[1]
        model = models.WordPiece(vocabulary, unk_token=unknown)
        backend = bert_tokenizer(model, lowercase, special_tokens)
        _add_tokens(backend, settings, path.parent)
    _settle_normalizer(backend, settings, lowercase)
    return backend, special_tokens


def read_normalizer(backend):
    """The settings of a tokenizer's normalizer, a dict."""
    return json.loads(backend.to_str())["normalizer"] or {}


def other_than_bert(backend):
    """Which part of a tokenizer treats text in another way than BERT's.

    Args:
        backend: `tokenizers.Tokenizer`.

    Returns:
        Str, or None where both are BERT's.
    """
    parts = json.loads(backend.to_str())
    for part, wanted in (
        ("normalizer", "BertNormalizer"),
        ("pre_tokenizer", "BertPreTokenizer"),
    ):
        received = (parts[part] or {}).get("type")
        if received != wanted:
            return f"its {part} is a {received}, and not a {wanted}"
    return None


def settled(backend, special_tokens):
    """A tokenizer without a file's truncation and padding.

    It gets BERT's [CLS] and [SEP] for who asks for them, where it has no
    template of its own.

    Args:
        backend: `tokenizers.Tokenizer`, which stays as it is.
        special_tokens: As of `WordPieceTokenizer`, all in the vocabulary.

    Returns:
        The same where there is nothing to settle, else a copy.
    """
    parts = backend.truncation, backend.padding, backend.post_processor
    if parts[:2] == (None, None) and parts[2] is not None:
        return backend
    backend = tokenizers.Tokenizer.from_str(backend.to_str())
    backend.no_truncation()
    backend.no_padding()
    if backend.post_processor is None:
        backend.post_processor = _template(backend, special_tokens)
    return backend


def class_of(backend, wanted="BertTokenizer"):
    """The class that `transformers` is to open a tokenizer with.

    Its BERT class builds BERT's normalizer and splitter anew, whatever the
    file holds; what differs needs the class that reads the file.

    Args:
        backend: `tokenizers.Tokenizer`.
        wanted: Str, the class where all is BERT's.

    Returns:
        Str.
    """
    model = backend.model
    rebuilt = (
        other_than_bert(backend) is None
        and read_normalizer(backend)["clean_text"]
        and model.continuing_subword_prefix == "##"
        and model.max_input_chars_per_word == 100
    )
    return wanted if rebuilt else "PreTrainedTokenizerFast"


def bert_tokenizer(model, lowercase, special_tokens=SPECIAL_TOKENS):
    """BERT's way from text to the words of a WordPiece model."""
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    # So that a literal [MASK] in text is the token, as in BertTokenizerFast.
    known = [t for t in special_tokens if model.token_to_id(t) is not None]
    tokenizer.add_special_tokens(known)
    if len(known) == len(special_tokens):  # for who asks for [CLS] and [SEP]
        tokenizer.post_processor = _template(model, special_tokens)
    return tokenizer


def _template(vocabulary, special_tokens):
    """Where [CLS] and [SEP] go, and which segment a token is of."""
    _, _, cls, sep, _ = special_tokens
    return processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(t, vocabulary.token_to_id(t)) for t in (cls, sep)],
    )


def _tokenizer_file(path):
    """The file itself, or the better one of a folder."""
    if path.is_dir():
        names = ("tokenizer.json", "vocab.txt")
        found = [path / name for name in names if (path / name).exists()]
        if not found:
            raise FileNotFoundError(
                "`path` must hold a tokenizer.json or vocab.txt. "
                f"Received: {path}"
            )
        return found[0]
    if not path.exists():
        raise FileNotFoundError(
            f"`path` must be a tokenizer file. Received: {path}"
        )
    return path


def _read_vocabulary(path):
    """Ids by token: the numbers of their lines, from 0.

    A token that comes twice has its last line, as for `transformers`; that id
    of its first, and those of blank lines, have no token.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:  # `splitlines` has more
            tokens = [line.rstrip("\n") for line in lines]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`path` must hold text in UTF-8. Received: {path}: {error}"
        ) from error
    return {token: index for index, token in enumerate(tokens) if token}


def _choose_case(path, vocabulary, settings):
    """Whether text is lower-cased where no field says so; says what it took.

    `transformers` lower-cases for a class that a tokenizer_config.json names;
    without one, the tokens decide.
    """
    capital = next(filter(_has_capital, vocabulary), None)
    named = settings.get("tokenizer_class")
    if capital is None:
        reason = "no capitals, and no file says more: text is lower-cased"
    elif named is None:
        reason = (
            f"capitals, as in {capital!r}, and no file says more: text is left "
            "as it is"
        )
    else:
        reason = (
            f"capitals, as in {capital!r}, which never come up: text is "
            f"lower-cased, as tokenizer_config.json names {named} alone"
        )
    logger.warning("%s has %s. `lowercase` says otherwise", path, reason)
    return capital is None or named is not None


def _has_capital(token):
    """Whether a token is of text with capitals; "[MASK]", "<s>" are not."""
    if (token[0], token[-1]) in {("[", "]"), ("<", ">")}:
        return False
    return any(
        unicodedata.category(letter) == "Lu" and letter.lower() != letter
        for letter in token
    )


def _read_tokenizer_json(path):
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library has no narrower one
        raise ValueError(
            f"`path` must hold a tokenizer. Received: {path}: {error}"
        ) from error
    if not isinstance(backend.model, models.WordPiece):
        raise ValueError(
            "`path` must hold a WordPiece model. Received: "
            f"{type(backend.model).__name__} in {path}"
        )
    return backend


def _read_settings(folder):
    """What the files beside a tokenizer say, the newest kind of file first."""
    return {
        **_read_dict(folder / "special_tokens_map.json"),
        **_read_dict(folder / "tokenizer_config.json"),
    }


def _read_dict(path):
    """The dict of a file, empty where there is none."""
    if not path.exists():
        return {}
    try:
        return {} | json.loads(path.read_text("utf-8"))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path.name} must hold a dict as JSON. Received: {path}: {error}"
        ) from error


def _content(token):
    """The text of a special token, which files write in two ways."""
    return token["content"] if isinstance(token, dict) else token


def _add_tokens(backend, settings, folder):
    """Tokens that were added to a vocabulary after its training."""
    added = settings.get("added_tokens_decoder")
    if added is None:  # files from before 2023
        ids = _read_dict(folder / "added_tokens.json")
        special = _special_tokens(settings)
        added = {
            index: {
                "content": token,
                "special": token in special,
                "normalized": token not in special,
            }
            for token, index in ids.items()
        }
    for index in sorted(added, key=int):
        fields = dict(added[index])
        token = tokenizers.AddedToken(fields.pop("content"), **fields)
        add = (
            backend.add_special_tokens if token.special else backend.add_tokens
        )
        add([token])
        received = backend.token_to_id(token.content)
        if received != int(index):
            raise ValueError(
                "`added_tokens_decoder` of tokenizer_config.json, or "
                "added_tokens.json, must number its tokens as vocab.txt goes "
                f"on. Received: {index} for {token.content!r}, which would be "
                f"{received}{_lines_without(backend)}"
            )


def _lines_without(backend):
    """Which lines of a vocab.txt have no id of their own, in words."""
    ids = backend.get_vocab(with_added_tokens=False).values()
    lines = [index + 1 for index in set(range(max(ids) + 1)) - set(ids)]
    if not lines:
        return ""
    return (
        f": of vocab.txt, lines {sorted(lines)[:10]} are blank, or their token "
        "comes again further down"
    )


def _special_tokens(settings):
    """All tokens that the settings call special."""
    named = [settings.get(f"{role}_token") for role in ROLES]
    others = settings.get("additional_special_tokens") or []
    return {_content(token) for token in (*named, *others) if token}


def _settle_normalizer(backend, settings, lowercase):
    """Sets what the settings, or the caller, say otherwise than the file."""
    normalizer = read_normalizer(backend)
    if normalizer.pop("type", None) != "BertNormalizer":
        return
    wanted = {
        ours: settings[theirs]
        for theirs, ours in NORMALIZER_SETTINGS.items()
        if theirs in settings
        and (settings[theirs] is not None or theirs == "strip_accents")
    }
    if lowercase is not None:
        wanted["lowercase"] = lowercase
    backend.normalizer = normalizers.BertNormalizer(**{**normalizer, **wanted})
