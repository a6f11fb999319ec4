"""Evaluates models of run folders on held-out text, side by side.

    uv run recipes/evaluate_student.py --runs saved_models/student \
        saved_models/control --teacher saved_models/teacher

All models meet the same text and the same masks. Writes evaluation.json and
evaluation.png, with the runs' learning curves, into the first run folder, and
the evidence card into its folder card/: card.md, card.html (one file, for a
phone too), metrics.json. Fine-tuned runs go on it with --tasks.
"""

import csv
import dataclasses
import json
import pathlib
import shutil
import statistics
import sys

from command_line import read_config

import keras_kd as kd
import keras
from evaluated_text import with_block_length, with_teacher, with_text
from keras_kd.whole_folder import whole_folder

from card_facts import (
    environment,
    held_out_facts,
    hidden_token_results,
    is_teacher,
    latencies,
    read_tasks,
    rounds_of,
    run_facts,
)
from card_sentences import choose_sentences, fill_sentences
from run_folder import find_model, short_names, write_json
from text_batches import make_batches, read_corpora, write_stores


@dataclasses.dataclass(frozen=True)
class Config:
    """Evaluates models of run folders on held-out text.

    Args:
        runs: Run folders with student.keras or teacher.keras.
        teacher: Run folder of the teacher to compare with.
        tasks: Run folders of a fine-tuning recipe, with metrics.json, or of
            study_tasks.py, with report.json.
        overwrite: Replace an earlier evaluation, and its card.
        corpus: Text that the unigram baseline counts, as the buckets of
            frequency do; default: the runs' own text, by their config.json.
        validation_corpus: Held-out files; default: 5 % of the corpus's
            documents, split by content.
        text_column: Column of the text in .csv, .jsonl, .parquet.
        store: Folders of prepare_corpus.py, in place of a corpus.
        store_weights: Share of each; default: all alike.
        block_length: Tokens in a sequence; default: the store's, or the
            runs' own, at most their positions.
        batch_size: Sequences in a batch.
        validation_batches: Batches of held-out text.
        seed: Of the order of batches that are not used here.
        smoke: A few short batches.
    """

    runs: tuple[str, ...] = ("saved_models/student",)
    teacher: str | None = None
    tasks: tuple[str, ...] = ()
    overwrite: bool = False
    corpus: tuple[str, ...] = ()
    validation_corpus: tuple[str, ...] = ()
    text_column: str = "text"
    store: tuple[str, ...] = ()
    store_weights: tuple[float, ...] = ()
    block_length: int | None = None
    batch_size: int = 32
    validation_batches: int = 100
    seed: int = 0
    smoke: bool = False


SMOKE = {"block_length": 32, "batch_size": 8, "validation_batches": 2}


def main(config):
    """Models, text, one `evaluate` each, table and picture; the card."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    first = pathlib.Path(config.runs[0])
    check_earlier(config, first)
    config = with_text(with_teacher(config))
    folders = [*([config.teacher] if config.teacher else []), *config.runs]
    folders = list(dict.fromkeys(folders))  # the teacher may be a run too
    names = short_names(folders, taken=("unigram",))
    tasks = [task for folder in config.tasks for task in read_tasks(folder)]
    models = {folder: load_model(folder) for folder in folders}
    config = with_block_length(config, models)
    tokenizer = load_tokenizer(folders)
    curves = {names[folder]: learning_curve(folder) for folder in config.runs}
    train, held_out = read_corpora(config)
    tokens = token_folder(config, first)
    batches = make_batches(config, tokens, tokenizer, train, held_out)
    results = measure(config, models, names, batches)
    results = kd.compare(
        results,
        {name: curve for name, curve in curves.items() if curve},
        first / "evaluation.png",
        title="held-out text, fixed masks",
    )
    write_json(first / "evaluation.json", results)
    if not all(is_teacher(folder, config.teacher) for folder in folders):
        stores = write_stores(config, tokens, tokenizer, train, held_out)
        card = card_results(config, models, names, batches, tokenizer, stores)
        for name, model in card["models"].items():
            model["measured"] = results[name]
        card["baselines"] = {"unigram": results["unigram"]}
        write_card(first / "card", {**card, "tasks": tasks})
    else:
        print("No evidence card: no student among the runs.")
    return results


def check_earlier(config, folder):
    """Ends the program where an earlier evaluation would be replaced."""
    names = ("evaluation.json", "evaluation.png", "card")
    there = [str(folder / n) for n in names if (folder / n).exists()]
    if there and not config.overwrite:
        sys.exit(
            "`--overwrite` must be given to replace an earlier evaluation. "
            f"Received: {', '.join(there)}"
        )


def measure(config, models, names, batches):
    """Of each model `kd.evaluate`, with latencies of models taking turns.

    Args:
        config: `Config`.
        models: Dict of run folder to `kd.BertMaskedLM`.
        names: Dict of run folder to name.
        batches: `TextBatches`.
    """
    teacher = models[config.teacher] if config.teacher else None
    results = {"unigram": batches.unigram}
    for folder, model in models.items():
        beside = None if model is teacher else teacher
        results[names[folder]] = kd.evaluate(model, batches.held_out, beside)
    named = {names[folder]: model for folder, model in models.items()}
    timings = latencies(named, batches.held_out, rounds_of(config))
    for name, timing in timings.items():
        medians = [1e3 * statistics.median(calls) for calls in timing.rounds]
        results[name]["latency_ms"] = 1e3 * timing.p50
        results[name]["latency_rounds_ms"] = medians
    return results


def card_results(config, models, names, batches, tokenizer, stores):
    """What the evidence card takes besides the evaluation and the tasks.

    Args:
        config: `Config`.
        models: Dict of run folder to `kd.BertMaskedLM`.
        names: Dict of run folder to name.
        batches: `TextBatches`.
        tokenizer: `kd.WordPieceTokenizer`.
        stores: Of `write_stores`.
    """
    named = {names[folder]: model for folder, model in models.items()}
    counts = stores["train"].token_counts
    found = hidden_token_results(
        named, batches.held_out, counts, tokenizer.special_ids
    )
    for folder, name in names.items():
        found[name] |= run_facts(folder, models[folder], config.teacher)
    sentences = choose_sentences(stores["held_out"], tokenizer, counts)
    rounds = rounds_of(config)
    timed = f"{rounds['rounds']} rounds of {rounds['seconds']} s each"
    return {
        "models": found,
        "teacher": names.get(config.teacher),
        "held_out": held_out_facts(config, batches),
        "examples": fill_sentences(named, sentences, tokenizer),
        "environment": {
            **environment(),
            "latency": f"models took turns, {timed}",
        },
    }


def write_card(folder, results):
    """All files of the card, or, where one cannot be made, none."""
    files = kd.evidence_card(results)
    with whole_folder(folder, list(files), overwrite=True) as beside:
        for name, text in files.items():
            (beside / name).write_text(text, "utf-8")
    print(f"The evidence card: {folder / 'card.html'}")


def token_folder(config, run):
    """Where tokens are kept from one evaluation to the next.

    Those of another text go, so that none is taken for what was asked for.
    """
    folder = run / "evaluation"
    names = ("corpus", "validation_corpus", "text_column", "block_length")
    text = {name: getattr(config, name) for name in names}
    text = json.loads(json.dumps(text))
    made_of = folder / "text.json"
    if made_of.exists() and json.loads(made_of.read_text("utf-8")) == text:
        return folder
    shutil.rmtree(folder / "tokens", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(made_of, text)
    return folder


def load_model(folder):
    """The student, or else the teacher, of a run folder."""
    path = find_model(folder)
    if path is not None:
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
