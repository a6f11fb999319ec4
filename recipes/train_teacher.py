"""Trains a LayerDrop teacher by masked LM, on the built-in or your own text.

    uv run recipes/train_teacher.py
    uv run recipes/train_teacher.py --corpus texts/*.txt.gz --run saved_models/t

Leaves in the run folder: teacher.keras, the tokenizer's files, metrics.json
(with the unigram baseline on the same masks), history.csv, TensorBoard logs.
Commands with time, hardware and results: recipes/README.md.
"""

import dataclasses
import pathlib
import sys
from typing import Annotated, Literal

from command_line import read_config

import keras_kd as kd
import keras
import tyro
from idle_flags import check_text, refuse_idle

from resumed_run import make_run, replay
from run_folder import (
    jit_compile,
    load_teacher,
    make_optimizer,
    new_run_folder,
    write_json,
)
from run_logs import DEFAULT_LOGGERS, LOGGERS, log_callbacks
from run_precision import set_precision
from text_batches import (
    fit,
    load_store_tokenizer,
    make_batches,
    read_corpora,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains a LayerDrop teacher by masked LM.

    Args:
        corpus: "docstrings" (built in), files, folders, globs,
            hf:OWNER/NAME/CONFIG:SPLIT, tfds:NAME/CONFIG:SPLIT, - (piped in).
        validation_corpus: Held-out files; default: 5 % of the corpus's
            documents, split by content.
        text_column: Column of the text in .csv, .jsonl, .parquet.
        store: Folders of prepare_corpus.py, in place of a corpus.
        store_weights: Share of each; default: all alike.
        run: Run folder to write.
        overwrite: Replace a run that is there.
        resume: Go on with the run that is there, if there is one.
        save_steps: Steps between two checkpoints; each validation makes one.
        replay: Look at this batch of the run alone, counted from 0.
        tokenizer: vocab.txt, tokenizer.json or a folder; default: trained.
        lowercase: Whether its text is lower-cased, --lowercase or
            --no-lowercase; default: as its files say, else unless its
            vocabulary holds capitals; one that is trained: lower-cased.
        vocabulary_size: Tokens of a trained vocabulary.
        preset: Size of the teacher: tiny, mini, small, medium, base.
        num_layers: Layers, where other than the preset's.
        layer_drop: Probability of skipping a layer at a step, the highest.
        layer_drop_law: How it differs by depth: as keras_kd.LAWS says.
        layer_drop_pin_first: Never skip the first layer.
        layer_drop_pin_last: Never skip the last layer.
        layer_drop_late: None for 0.4 of the steps, all of it from 0.7 on.
        from_checkpoint: A checkpoint to go on from, in place of a new teacher:
            a folder of Hugging Face, Google or train_teacher.py, or a name on
            the hub. Its own shape and tokenizer count; what --layer-drop,
            --dropout and --block-length say does too.
        sandwich: Layers of the sub-network (every other one) that learns from
            the whole teacher as both train; with it LayerDrop wants to be 0.
        dropout: Dropout in embeddings, attention and blocks.
        initializer_range: Standard deviation weights start with; BERT's is
            0.02, narrow models learn a little faster from more.
        sinusoidal_positions: Positions start as sines and cosines, which
            learns a little faster.
        whole_words: Mask all pieces of a word, or none.
        positions: Tokens that the teacher, and each student of it, has room
            for; a task may want longer texts than the blocks trained on.
        block_length: Tokens in a sequence, at most the positions.
        batch_size: Sequences in a step.
        steps: Training steps.
        validations: How often held-out text is looked at.
        validation_batches: Batches of it.
        optimizer: Muon or AdamW, which needs nearly twice the steps.
        learning_rate: Highest learning rate of Muon; AdamW wants a third.
        seed: Of weights, order, masks, LayerDrop.
        loggers: What logs the run: csv, tensorboard, wandb, mlflow.
        precision: Keras's policy, such as mixed_bfloat16; auto tries which is
            faster on this machine, and says it.
        jit_compile: XLA; default: what suits this machine.
        smoke: Tiny sizes and a few steps, to see that everything runs.
    """

    corpus: tuple[str, ...] = ("docstrings",)
    validation_corpus: tuple[str, ...] = ()
    text_column: str = "text"
    store: tuple[str, ...] = ()
    store_weights: tuple[float, ...] = ()
    run: str = "saved_models/teacher"
    overwrite: bool = False
    resume: bool = False
    save_steps: int | None = None
    replay: int | None = None
    tokenizer: str | None = None
    lowercase: bool | None = None
    vocabulary_size: int = 4000
    preset: str = "mini"
    num_layers: int | None = None
    layer_drop: float = 0.2
    layer_drop_law: Literal[
        "constant", "linear", "exponential", "alternate"
    ] = "constant"
    layer_drop_pin_first: bool = False
    layer_drop_pin_last: bool = False
    layer_drop_late: bool = False
    from_checkpoint: Annotated[str | None, tyro.conf.arg(name="from")] = None
    sandwich: int | None = None
    dropout: float = 0.0
    initializer_range: float = 0.03
    sinusoidal_positions: bool = True
    whole_words: bool = False
    positions: int = 512
    block_length: int = 64
    batch_size: int = 32
    steps: int = 4000
    validations: int = 10
    validation_batches: int = 40
    optimizer: Literal["muon", "adamw"] = "muon"
    learning_rate: float = 2e-3
    seed: int = 0
    loggers: tuple[Literal[LOGGERS], ...] = DEFAULT_LOGGERS
    precision: str = "float32"
    jit_compile: bool | None = None
    smoke: bool = False


SMOKE = {
    "preset": "tiny",
    "vocabulary_size": 500,
    "positions": 32,
    "block_length": 32,
    "batch_size": 8,
    "steps": 4,
    "validations": 2,
    "validation_batches": 2,
}

# What a model that is gone on from says itself.
OF_A_NEW_TEACHER = (
    "tokenizer",
    "vocabulary_size",
    "preset",
    "num_layers",
    "positions",
    "initializer_range",
    "sinusoidal_positions",
)


def main(config):
    """Text, tokenizer, batches; teacher; fit; evaluate; save."""
    check_flags(config)
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    keras.utils.set_random_seed(config.seed)
    config = set_precision(config)
    start, tokenizer = load_start(config)
    train, held_out = read_corpora(config)
    rates = layer_drop_of(config, start.config if start else shape_of(config))
    folder = pathlib.Path(config.run)
    with new_run_folder(config) as beside:
        if (beside / "vocab.txt").exists():  # a run that is gone on with
            tokenizer = kd.WordPieceTokenizer.load(beside)
        elif tokenizer is None:
            tokenizer = make_tokenizer(config, train)
        tokenizer.save(beside)
        batches = make_batches(config, beside, tokenizer, train, held_out)

    run = make_run(config, folder)
    if start is None:
        shape = shape_of(config, tokenizer.vocabulary_size, rates)
        teacher = kd.BertMaskedLM(shape, seed=config.seed)
    else:
        teacher = kd.extract_student(
            start,
            range(start.config.num_layers),
            seed=config.seed,
            dropout=config.dropout,
            layer_drop=rates,
        )
    print(describe_positions(config, teacher.config.max_sequence_length))
    model = within(config, teacher)
    model.compile(
        make_optimizer(config.optimizer, config.learning_rate, config.steps),
        jit_compile=jit_compile(config),
    )
    if config.replay is not None:
        replay(model, batches, run, config.replay)
        return None
    callbacks = [*schedules(config), *log_callbacks(config, folder, run)]
    fit(model, batches, config, callbacks, run)
    teacher.save(folder / "teacher.keras")
    results = {
        "unigram": batches.unigram,
        "teacher": kd.evaluate(teacher, batches.held_out),
    }
    results = kd.compare(results, title="held-out text, fixed masks")
    write_json(folder / "metrics.json", results)
    return results


def check_flags(config):
    """Ends the program where flags were given that would do nothing."""
    check_text(config)
    names, reason = (), ""
    if config.from_checkpoint:
        names, reason = OF_A_NEW_TEACHER, "with --from, which says so itself"
    elif config.store:
        names = ("tokenizer", "vocabulary_size")
        reason = "with --store, which has its tokenizer"
    elif config.tokenizer:
        names, reason = ("vocabulary_size",), "with --tokenizer"
    if config.smoke:  # the config.json of such a run has them all
        names = set(names) - set(SMOKE)
    refuse_idle(config, names, reason)
    if not config.from_checkpoint and config.block_length > config.positions:
        sys.exit(
            "`--block-length` must be at most --positions, "
            f"{config.positions}. Received: {config.block_length}"
        )


def shape_of(config, vocabulary_size=None, layer_drop=0.0):
    """The config of a new teacher."""
    size = {"num_layers": config.num_layers} if config.num_layers else {}
    return kd.BertConfig.from_preset(
        config.preset,
        vocabulary_size or config.vocabulary_size,
        max_sequence_length=config.positions,
        dropout=config.dropout,
        initializer_range=config.initializer_range,
        sinusoidal_positions=config.sinusoidal_positions,
        layer_drop=layer_drop,
        **size,
    )


def describe_positions(config, positions):
    """How long texts may be, and how many positions this run trains."""
    if config.block_length == positions:
        return f"{positions} positions, all of them trained"
    return (
        f"{positions} positions, the first {config.block_length} of them "
        "trained by this run's blocks; longer texts want training at a longer "
        "--block-length (with --from)"
    )


def make_tokenizer(config, train):
    """That of the stores, the one that is named, or one trained on the text."""
    if config.store:
        if config.lowercase is not None:
            sys.exit(
                "`--lowercase` must be given to prepare_corpus.py, which made "
                f"the tokenizer. Received: {config.lowercase} with --store"
            )
        return load_store_tokenizer(config)
    if config.tokenizer:
        return kd.WordPieceTokenizer.load(config.tokenizer, config.lowercase)
    return kd.WordPieceTokenizer.train(
        train, config.vocabulary_size, config.lowercase is not False
    )


def load_start(config):
    """The model and tokenizer to go on from; a pair of None without."""
    source = config.from_checkpoint
    if source is None:
        return None, None
    if pathlib.Path(source, "teacher.keras").exists():
        start, tokenizer = load_teacher(source)
    else:
        try:
            start = kd.load_checkpoint(source, kd.BertMaskedLM, pooler=False)
            tokenizer = kd.load_tokenizer(source, lowercase=config.lowercase)
        except (OSError, ValueError, ImportError) as error:
            sys.exit(f"`--from`: {error}")
    if config.block_length > start.config.max_sequence_length:
        sys.exit(
            "`--block-length` must be at most the "
            f"{start.config.max_sequence_length} positions of --from. "
            f"Received: {config.block_length}"
        )
    return start, tokenizer


def within(config, teacher):
    """What is fitted: the teacher, or what distils sub-networks within it."""
    if config.sandwich is None:
        return teacher
    try:
        layers = kd.choose_layers(
            "every_other", teacher.config.num_layers, config.sandwich
        )
        return kd.SelfDistiller(teacher, layers, seed=config.seed)
    except ValueError as error:
        sys.exit(f"`--sandwich`: {error}")


def schedules(config):
    """What moves LayerDrop while the teacher trains."""
    if not config.layer_drop_late:
        return []
    share = kd.late_layer_drop(config.steps)
    return [kd.ScheduleLayerDrop(share, relative=True)]


def layer_drop_of(config, shape):
    """The rate of each layer by its law, said in words.

    Args:
        config: `Config`.
        shape: `kd.BertConfig`.
    """
    depth = shape.num_layers
    try:
        rates = kd.layer_drop_rates(
            config.layer_drop_law,
            depth,
            config.layer_drop,
            pin_first=config.layer_drop_pin_first,
            pin_last=config.layer_drop_pin_last,
        )
    except ValueError as error:
        sys.exit(f"`--layer-drop`: {error}")
    if not any(rates):
        if config.layer_drop_late:
            sys.exit(
                "`--layer-drop-late` needs --layer-drop above 0. "
                f"Received: {config.layer_drop}"
            )
        return 0.0
    kept = max(1, depth // 2)
    likely = every_other_probability(rates, kept)
    steps = f"one step in {1 / likely:,.0f} has" if likely else "no step has"
    print(
        f"LayerDrop: {kd.expected_depth(rates):.1f} of {depth} layers a step. "
        f"A student of {kept}: a constant rate of "
        f"{kd.suggested_rate(depth, kept):.2f} has so many; with these rates "
        f"{steps} just every other layer."
    )
    return config.layer_drop if len(set(rates)) == 1 else rates


def every_other_probability(rates, kept):
    """How likely a step has the layers of the plan every_other alone."""
    layers = kd.choose_layers("every_other", len(rates), kept)
    return kd.subset_probability(layers, rates)


if __name__ == "__main__":
    main(read_config(Config, __doc__))
