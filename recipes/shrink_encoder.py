"""Makes an encoder shallower: any Hugging Face folder in, a smaller one out.

    uv run recipes/shrink_encoder.py --encoder FOLDER --corpus "texts/*.txt"

Tries all ways to cut layers out of the encoder, or those of `--plans`, has the
cut that is nearest to it learn its last hidden states (1 - cosine; no head, no
labels) on your text or the built-in one, and writes it to RUN/encoder, a folder
that `transformers`, `sentence-transformers` and keras_kd open, with the
encoder's own pooling, normalisation, prompts and longest text. Also in the run
folder: student.keras, metrics.json, scouted.json (of all cuts, before any
training), history.csv, TensorBoard logs. Commands with time, hardware and
results: recipes/README.md.
"""

import dataclasses
import pathlib
import sys
from typing import Literal

from command_line import read_config

import keras_kd as kd
import keras
from keras_kd.models import choose_embedding, longest_text
from rich.console import Console
from rich.table import Table

from run_folder import (
    jit_compile,
    make_optimizer,
    new_run_folder,
    write_json,
)
from run_logs import DEFAULT_LOGGERS, LOGGERS, log_callbacks
from run_precision import set_precision
from text_batches import fit, make_plain_batches, read_corpora


@dataclasses.dataclass(frozen=True)
class Config:
    """Makes an encoder shallower.

    Args:
        encoder: Folder of BERT or DistilBERT, or its name on the Hugging Face
            hub.
        lowercase: Whether its tokenizer lower-cases, --lowercase or
            --no-lowercase; default: as its files say, else unless its
            vocabulary holds capitals.
        revision: Branch, tag or commit on the hub.
        corpus: "docstrings" (built in), files, folders, globs,
            hf:OWNER/NAME/CONFIG:SPLIT, tfds:NAME/CONFIG:SPLIT, - (piped in).
        validation_corpus: Held-out files; default: 5 % of the corpus's
            documents, split by content.
        text_column: Column of the text in .csv, .jsonl, .parquet.
        run: Run folder to write.
        overwrite: Replace a run that is there.
        num_layers: Layers to keep.
        plans: How to cut: first, last, every_other, both_ends; each is trained
            and the best on held-out text written. Default: all of them and
            those that a search of the layers finds are tried before any
            training, and the best one is trained.
        pooling: How a text's states become its embedding, mean or cls; default:
            the encoder's own, else the mean.
        block_length: Tokens in a sequence, at most the encoder's longest text.
        batch_size: Sequences in a step.
        micro_batches: Parts that a step takes them in, for less memory.
        steps: Training steps of each cut.
        validations: How often held-out text is looked at.
        validation_batches: Batches of it.
        optimizer: adamw, muon or distilbert.
        learning_rate: Highest learning rate.
        seed: Of order and dropout.
        loggers: What logs the run: csv, tensorboard, wandb, mlflow.
        precision: Keras's policy, such as mixed_bfloat16; auto tries which is
            faster on this machine, and says it.
        jit_compile: XLA; default: what suits this machine.
        smoke: A few steps on short sequences, to see that everything runs.
    """

    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    lowercase: bool | None = None
    revision: str | None = None
    corpus: tuple[str, ...] = ("docstrings",)
    validation_corpus: tuple[str, ...] = ()
    text_column: str = "text"
    run: str = "saved_models/encoder"
    overwrite: bool = False
    num_layers: int = 3
    plans: tuple[str, ...] = ()
    pooling: Literal["mean", "cls"] | None = None
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
    config = set_precision(config)
    teacher, tokenizer = load_encoder(config)
    cuts = {plan: cut(config, teacher, plan) for plan in config.plans}
    if not cuts:
        cut(config, teacher, "first")  # refuses a number of layers
    train, held_out = read_corpora(config)
    folder = pathlib.Path(config.run)
    with new_run_folder(config) as beside:
        tokenizer.save(beside)
        batches = make_plain_batches(config, beside, tokenizer, train, held_out)
    if not cuts:
        cuts = best_cut(config, folder, teacher, batches)
    results = {"encoder": measure(config, teacher, teacher, batches)}
    for plan, student in cuts.items():
        results[f"{plan}, cut"] = measure(config, student, teacher, batches)
        distil(config, folder / plan, teacher, student, batches)
        results[plan] = measure(config, student, teacher, batches)
        write_json(folder / "metrics.json", results)
    print_table(results, own_embedding(config, teacher))
    best = max(cuts, key=lambda plan: results[plan]["embedding_cosine"])
    cuts[best].save(folder / "student.keras")
    kd.save_checkpoint(cuts[best], folder / "encoder", tokenizer)
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
        own = own_embedding(config, teacher)
        tokenizer = kd.load_tokenizer(
            config.encoder, config.revision, config.lowercase
        )
        tokenizer.check_vocabulary_size(
            teacher.config.vocabulary_size, "encoder"
        )
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"`--encoder`: {error}")
    longest = longest_text(teacher.config, own)
    if config.block_length > longest:
        sys.exit(
            "`--block-length` must be at most the encoder's longest text, "
            f"{longest} tokens. Received: {config.block_length}"
        )
    if own != teacher.config.embedding:  # asked for, or of a plain folder
        teacher = with_embedding(teacher, own)
    print(f"A text's embedding: {own}, of at most {longest} tokens")
    return teacher, tokenizer


def own_embedding(config, teacher):
    """How the encoder embeds a text, or what `--pooling` says."""
    return choose_embedding(teacher.config, config.pooling)


def with_embedding(teacher, embedding):
    """The encoder with another embedding, which its students keep."""
    config = dataclasses.replace(teacher.config, embedding=embedding)
    other = teacher.of_shape(config)
    other.set_weights(teacher.get_weights())
    return other


def best_cut(config, folder, teacher, batches):
    """The plan that is nearest before any training, and its student."""
    table = kd.scout_encoder(
        teacher, config.num_layers, batches.held_out, config.pooling
    )
    write_json(folder / "scouted.json", table)
    best, found = next(iter(table.items()))
    layers = " ".join(map(str, found["layers"]))
    print(
        f"{best} is taken, layers {layers}: before any training its "
        "embeddings are the nearest to the encoder's, cosine "
        f"{found['embedding_cosine']:.4f} on held-out text"
    )
    return {best: cut(config, teacher, found["layers"])}


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


def print_table(results, embedding):
    """A line for each model."""
    title = f"held-out text, against the encoder; embedding: {embedding}"
    table = Table(title=title)
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
