"""Makes an encoder shallower: any Hugging Face folder in, a smaller one out.

    uv run recipes/shrink_encoder.py --encoder FOLDER --corpus "texts/*.txt"

Cuts layers out of the encoder by one plan or several, has each cut learn the
encoder's last hidden states (1 - cosine; no head, no labels) on your text or
the built-in one, and writes the one that is nearest on held-out text to
RUN/encoder, a folder that `transformers`, `sentence-transformers` and keras_kd
open. Also in the run folder: student.keras, metrics.json, history.csv,
TensorBoard logs. Commands with time, hardware and results: recipes/README.md.
"""

import dataclasses
import pathlib
import sys
from typing import Literal

import keras_kd as kd
import keras
from rich.console import Console
from rich.table import Table

from run_folder import (
    jit_compile,
    make_optimizer,
    new_run_folder,
    read_config,
    write_json,
)
from run_logs import DEFAULT_LOGGERS, LOGGERS, log_callbacks
from text_batches import fit, make_plain_batches, read_corpora


@dataclasses.dataclass(frozen=True)
class Config:
    """Makes an encoder shallower.

    Args:
        encoder: Folder of BERT or DistilBERT, or its name on the Hugging Face
            hub.
        revision: Branch, tag or commit on the hub.
        corpus: "docstrings" (built in), files, folders, globs,
            hf:OWNER/NAME/CONFIG:SPLIT, tfds:NAME/CONFIG:SPLIT, - (piped in).
        validation_corpus: Held-out files; default: 5 % of the corpus's
            documents, split by content.
        text_column: Column of the text in .csv, .jsonl, .parquet.
        run: Run folder to write.
        overwrite: Replace a run that is there.
        num_layers: Layers to keep.
        plans: How to cut: first, last, every_other, both_ends; the best on
            held-out text is written.
        pooling: How a text's states become its embedding: mean or cls.
        block_length: Tokens in a sequence, at most the encoder's.
        batch_size: Sequences in a step.
        micro_batches: Parts that a step takes them in, for less memory.
        steps: Training steps of each cut.
        validations: How often held-out text is looked at.
        validation_batches: Batches of it.
        optimizer: adamw, muon or distilbert.
        learning_rate: Highest learning rate.
        seed: Of order and dropout.
        loggers: What logs the run: csv, tensorboard, wandb, mlflow.
        precision: Keras's policy, such as mixed_bfloat16.
        jit_compile: XLA; default: what suits this machine.
        smoke: A few steps on short sequences, to see that everything runs.
    """

    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    revision: str | None = None
    corpus: tuple[str, ...] = ("docstrings",)
    validation_corpus: tuple[str, ...] = ()
    text_column: str = "text"
    run: str = "saved_models/encoder"
    overwrite: bool = False
    num_layers: int = 3
    plans: tuple[str, ...] = ("every_other",)
    pooling: Literal["mean", "cls"] = "mean"
    block_length: int = 64
    batch_size: int = 32
    micro_batches: int = 1
    steps: int = 500
    validations: int = 5
    validation_batches: int = 20
    optimizer: Literal["muon", "adamw", "distilbert"] = "muon"
    learning_rate: float = 1e-3
    seed: int = 0
    loggers: tuple[Literal[LOGGERS], ...] = DEFAULT_LOGGERS
    precision: str = "float32"
    jit_compile: bool | None = None
    smoke: bool = False


SMOKE = {
    "block_length": 16,
    "batch_size": 4,
    "steps": 4,
    "validations": 2,
    "validation_batches": 2,
}


def main(config):
    """Encoder and text; a cut by each plan; fit; compare; save the best."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    teacher, tokenizer = load_encoder(config)
    cuts = {plan: cut(config, teacher, plan) for plan in config.plans}
    train, held_out = read_corpora(config)
    folder = pathlib.Path(config.run)
    with new_run_folder(config) as beside:
        tokenizer.save(beside)
        batches = make_plain_batches(config, beside, tokenizer, train, held_out)
    results = {"encoder": measure(config, teacher, teacher, batches)}
    for plan, student in cuts.items():
        results[f"{plan}, cut"] = measure(config, student, teacher, batches)
        distil(config, folder / plan, teacher, student, batches)
        results[plan] = measure(config, student, teacher, batches)
        write_json(folder / "metrics.json", results)
    print_table(results)
    best = max(cuts, key=lambda plan: results[plan]["embedding_cosine"])
    cuts[best].save(folder / "student.keras")
    kd.save_checkpoint(
        cuts[best], folder / "encoder", tokenizer, pooling=config.pooling
    )
    print(f"{best} is the nearest: {folder / 'encoder'}")
    return results


def load_encoder(config):
    """The encoder without its head, and its tokenizer."""
    try:
        teacher = kd.load_checkpoint(
            config.encoder,
            kd.BertBackbone,
            revision=config.revision,
            seed=config.seed,
            pooler=False,
        )
        tokenizer = kd.load_tokenizer(config.encoder, config.revision)
        tokenizer.check_vocabulary_size(
            teacher.config.vocabulary_size, "encoder"
        )
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"`--encoder`: {error}")
    longest = teacher.config.max_sequence_length
    if config.block_length > longest:
        sys.exit(
            f"`--block-length` must be at most the encoder's {longest} "
            f"positions. Received: {config.block_length}"
        )
    return teacher, tokenizer


def cut(config, teacher, plan):
    """The student of a plan, untrained."""
    try:
        return kd.extract_student(
            teacher, plan, config.num_layers, seed=config.seed
        )
    except ValueError as error:
        sys.exit(f"`--plans`: {error}")


def distil(config, folder, teacher, student, batches):
    """Has the student learn the encoder's last hidden states."""
    distiller = kd.Distiller(
        teacher,
        student,
        {"hidden_state": kd.HiddenStateTerm("cosine")},
        micro_batches=config.micro_batches,
        seed=config.seed,
    )
    distiller.compile(
        make_optimizer(config.optimizer, config.learning_rate, config.steps),
        jit_compile=jit_compile(config),
    )
    folder.mkdir()
    fit(distiller, batches, config, log_callbacks(config, folder))


def measure(config, student, teacher, batches):
    """How near to the encoder, and how large."""
    found = kd.evaluate_similarity(
        student, teacher, batches.held_out, config.pooling
    )
    return {**found, "parameters": student.count_params()}


def print_table(results):
    """A line for each model."""
    table = Table(title="held-out text, against the encoder")
    columns = ("embedding_cosine", "similarity_correlation")
    columns = ("hidden_state_cosine", *columns)
    for name in ("model", *columns, "M parameters"):
        table.add_column(name.replace("_", " "))
    for name, found in results.items():
        figures = [f"{found[column]:.4f}" for column in columns]
        table.add_row(name, *figures, f"{found['parameters'] / 1e6:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main(read_config(Config, __doc__))
