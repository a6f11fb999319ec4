"""Evaluates models of run folders on held-out text, side by side.

    uv run recipes/evaluate_student.py --runs saved_models/student \
        saved_models/control --teacher saved_models/teacher

All models meet the same text and the same masks. Writes evaluation.json and
evaluation.png, with the runs' learning curves, into the first run folder.
"""

import csv
import dataclasses
import json
import pathlib
import sys

import keras_kd as kd
import keras

from run_folder import read_config, write_json
from text_batches import make_batches, read_corpora


@dataclasses.dataclass(frozen=True)
class Config:
    """Evaluates models of run folders on held-out text.

    Args:
        runs: Run folders with student.keras or teacher.keras.
        teacher: Run folder of the teacher to compare with.
        corpus: Text that the unigram baseline counts.
        validation_corpus: Held-out files; default: 5 % of the corpus's
            documents, split by content.
        text_column: Column of the text in .csv, .jsonl, .parquet.
        block_length: Tokens in a sequence.
        batch_size: Sequences in a batch.
        validation_batches: Batches of held-out text.
        seed: Of the order of batches that are not used here.
        smoke: A few short batches.
    """

    runs: tuple[str, ...] = ("saved_models/student",)
    teacher: str | None = None
    corpus: tuple[str, ...] = ("docstrings",)
    validation_corpus: tuple[str, ...] = ()
    text_column: str = "text"
    block_length: int = 64
    batch_size: int = 32
    validation_batches: int = 100
    seed: int = 0
    smoke: bool = False


SMOKE = {"block_length": 32, "batch_size": 8, "validation_batches": 2}


def main(config):
    """Models, text, one `evaluate` each, table and picture."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    folders = [*([config.teacher] if config.teacher else []), *config.runs]
    folders = list(dict.fromkeys(folders))  # the teacher may be a run too
    names = short_names(folders)
    models = {folder: load_model(folder) for folder in folders}
    tokenizer = load_tokenizer(folders)
    curves = {names[folder]: learning_curve(folder) for folder in config.runs}
    train, held_out = read_corpora(config)
    first = pathlib.Path(config.runs[0])
    batches = make_batches(
        config, first / "evaluation", tokenizer, train, held_out
    )
    teacher = models[config.teacher] if config.teacher else None
    results = {"unigram": batches.unigram}
    for folder, model in models.items():
        beside = None if model is teacher else teacher
        results[names[folder]] = kd.evaluate(model, batches.held_out, beside)
    results = kd.compare(
        results,
        {name: curve for name, curve in curves.items() if curve},
        first / "evaluation.png",
        title="held-out text, fixed masks",
    )
    write_json(first / "evaluation.json", results)
    return results


def short_names(folders):
    """Folder to its last part, or to itself where that is taken."""
    last = [pathlib.Path(folder).resolve().name for folder in folders]
    return {
        folder: name if [*last, "unigram"].count(name) == 1 else folder
        for folder, name in zip(folders, last, strict=True)
    }


def load_model(folder):
    """The student, or else the teacher, of a run folder."""
    for name in ("student.keras", "teacher.keras"):
        path = pathlib.Path(folder, name)
        if path.exists():
            return keras.saving.load_model(path, compile=False)
    sys.exit(
        "`--runs` and `--teacher` must be run folders with student.keras or "
        f"teacher.keras. Received: {folder}"
    )


def load_tokenizer(folders):
    """The tokenizer of all runs, which must be one and the same."""
    tokenizers = [kd.WordPieceTokenizer.load(folder) for folder in folders]
    for folder, tokenizer in zip(folders, tokenizers, strict=True):
        if tokenizer.backend.to_str() != tokenizers[0].backend.to_str():
            sys.exit(
                "`--runs` and `--teacher` must share one tokenizer. Expected "
                f"that of {folders[0]}. Received: another in {folder}"
            )
    return tokenizers[0]


def learning_curve(folder):
    """Pairs of step and held-out masked cross-entropy, of a run's history.

    Empty where the folder has no history, as an export, or where masked LM
    was not among the student's losses.
    """
    config, history = (
        pathlib.Path(folder, name) for name in ("config.json", "history.csv")
    )
    if not (config.exists() and history.exists()):
        return []
    settings = json.loads(config.read_text("utf-8"))
    every = settings["steps"] // settings["validations"]
    with history.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return []
    key = "val_masked_lm" if "val_masked_lm" in rows[0] else "val_loss"
    if key == "val_loss" and set(rows[0]) != {"epoch", "loss", "val_loss"}:
        return []
    return [
        (every * (index + 1), float(row[key])) for index, row in enumerate(rows)
    ]


if __name__ == "__main__":
    main(read_config(Config, __doc__))
