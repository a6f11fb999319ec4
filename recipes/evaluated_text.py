"""What runs are evaluated on, where it is not said: their own. Not a recipe.

The config fields it reads: runs, teacher, corpus, validation_corpus,
text_column, store, store_weights, block_length, smoke.
"""

import dataclasses
import json
import pathlib
import sys

import keras_kd as kd
from idle_flags import check_text, refuse_idle

# Fields of a run's config.json that say what its text is.
TEXT = (
    "corpus",
    "validation_corpus",
    "text_column",
    "store",
    "store_weights",
)
BLOCK_LENGTH = 64  # where runs say nothing, or have several


def settings_of(folder):
    """The config.json of a run folder; {} where there is none."""
    path = pathlib.Path(folder, "config.json")
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def with_teacher(config):
    """Folders spelt alike; a teacher that is listed among its students' runs.

    Args:
        config: The recipe's.
    """
    runs = tuple(str(pathlib.Path(folder)) for folder in config.runs)
    teacher = config.teacher and str(pathlib.Path(config.teacher))
    if teacher is None:
        named = {settings_of(folder).get("teacher") for folder in runs}
        places = {pathlib.Path(name).resolve() for name in named if name}
        found = [f for f in runs if pathlib.Path(f).resolve() in places]
        if len(set(found)) == 1:
            teacher = found[0]
            print(f"The teacher is {teacher}, by its student's config.json.")
    return dataclasses.replace(config, runs=runs, teacher=teacher)


def with_text(config):
    """The config with a text: the one named, or else the runs' own.

    Ends the program where the runs have several, or none is known.
    """
    check_text(config)
    if config.corpus or config.store:
        return config
    refuse_idle(config, TEXT, "without --corpus")
    texts = {}
    for folder in config.runs:
        settings = settings_of(folder)
        text = {name: settings[name] for name in TEXT if settings.get(name)}
        if text.get("store"):  # which stood in for the corpus
            text = {n: text[n] for n in TEXT[-2:] if n in text}
        if text.get("store") or text.get("corpus"):
            texts.setdefault(json.dumps(text), folder)
    if len(texts) != 1:
        found = "; ".join(f"{folder}: {t}" for t, folder in texts.items())
        sys.exit(
            "`--corpus` or `--store` must be given where the runs do not name "
            "one text in their config.json. Received: "
            f"{found or f'none in {list(config.runs)}'}"
        )
    (text,) = map(json.loads, texts)
    words = ", ".join(text.get("store") or text["corpus"])
    print(f"The text is the runs' own: {words}")
    lists = {n: tuple(v) if isinstance(v, list) else v for n, v in text.items()}
    return dataclasses.replace(config, **lists)


def with_block_length(config, models):
    """The config with a block length that all models have positions for.

    Args:
        config: With its text.
        models: Dict of run folder to model.
    """
    most = min(m.config.max_sequence_length for m in models.values())
    length = config.block_length
    if config.store and (length is None or config.smoke):
        try:
            store = kd.TokenStore(f"{config.store[0]}/train", verify=False)
        except (OSError, ValueError) as error:
            sys.exit(f"`--store`: {error}")
        length = store.block_length
    elif length is None:
        own = {settings_of(folder).get("block_length") for folder in models}
        own.discard(None)
        length = min(own.pop() if len(own) == 1 else BLOCK_LENGTH, most)
        print(f"Sequences of {length} tokens.")
    elif config.smoke:
        length = min(length, most)
    if length > most:
        sys.exit(
            f"`--block-length` must be at most the models' {most} positions. "
            f"Received: {length}" + " of --store" * bool(config.store)
        )
    return dataclasses.replace(config, block_length=length)
