"""What the recipes of fine-tuning share. Not a recipe.

From a frozen `Config`'s fields: encoder, teacher, plan, num_layers, epochs,
batch_size, learning_rate, patience, alpha_*, temperature, precision.
"""

import pathlib
import sys

import keras_kd as kd
import keras
import numpy as np

from run_folder import jit_compile, make_optimizer

MODELS = ("student.keras", "teacher.keras")


def load_encoder(place):
    """An encoder of a run folder, or of a checkpoint, and its tokenizer.

    Args:
        place: Str: folder of a run, of Hugging Face's, of Google's; or a name
            on the hub.
    """
    for name in MODELS:
        path = pathlib.Path(place, name)
        if path.exists():
            model = keras.saving.load_model(path, compile=False)
            return model, kd.WordPieceTokenizer.load(place)
    try:
        encoder = kd.load_checkpoint(place, kd.BertBackbone)
        tokenizer = kd.load_tokenizer(place)
        tokenizer.check_vocabulary_size(
            encoder.config.vocabulary_size, "encoder"
        )
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"`--encoder`: {error}")
    return encoder, tokenizer


def load_task_teacher(folder, model_class):
    """The model of a run of fine-tuning, and its tokenizer."""
    path = pathlib.Path(folder, "student.keras")
    if not path.exists():
        sys.exit(
            "`--teacher` must be a run folder of this recipe, with "
            f"student.keras in it. Received: {folder}"
        )
    teacher = keras.saving.load_model(path, compile=False)
    if not isinstance(teacher, model_class):
        sys.exit(
            f"`--teacher` must hold a {model_class.__name__}. "
            f"Received: a {type(teacher).__name__} in {folder}"
        )
    return teacher, kd.WordPieceTokenizer.load(folder)


def check_length(config, model):
    """Ends the program where texts may be longer than a model takes."""
    most = model.config.max_sequence_length
    if config.max_length > most:
        sys.exit(
            f"`--max-length` must be at most the encoder's {most} tokens. "
            f"Received: {config.max_length}"
        )


def cut(model, plan, num_layers, seed):
    """The model, or what a plan keeps of its layers, as a new model."""
    if num_layers is None:
        num_layers = model.config.num_layers
    try:
        return kd.extract_student(model, plan, num_layers, seed=seed)
    except ValueError as error:
        sys.exit(f"`--plan` and `--num-layers`: {error}")


def hold_out(texts, share, seed, groups=None):
    """Training texts and those that choose: rate, epoch, layers.

    Args:
        texts: List.
        share: Float in (0, 1), of those that choose.
        seed: Int.
        groups: List, what each text belongs to: one side has all texts of a
            group; or None, each text is one of its own.

    Returns:
        Pair of lists, each in the order of `texts`.
    """
    random = np.random.default_rng(seed)
    if groups is None:
        chosen = random.random(len(texts)) < share
    else:
        names = random.permutation(list(dict.fromkeys(groups)))
        drawn = set(names[: max(1, round(share * len(names)))])
        chosen = np.array([name in drawn for name in groups])
    if not 0 < chosen.sum() < len(texts):
        sys.exit(
            "`--hold-out` must leave texts on both sides. "
            f"Received: {share} of {len(texts)} texts"
        )
    pairs = list(zip(texts, chosen, strict=True))
    return [t for t, c in pairs if not c], [t for t, c in pairs if c]


def make_trainer(config, student, teacher, steps, **kind):
    """What is fitted, compiled: the student alone, or under its teacher.

    Args:
        config: The recipe's.
        student: Task model.
        teacher: Task model, or None.
        steps: Int, of the whole training.
        **kind: Of `kd.task_losses`: `regression`, `per_token`.
    """
    trainer = student
    if teacher is not None:
        losses = kd.task_losses(
            alpha_ce=config.alpha_ce,
            alpha_label=config.alpha_label,
            alpha_hidden=config.alpha_hidden,
            alpha_relation=config.alpha_relation,
            temperature=config.temperature,
            project=teacher.config.hidden_dim != student.config.hidden_dim,
            seed=config.seed,
            **kind,
        )
        try:
            trainer = kd.Distiller(teacher, student, **losses)
        except ValueError as error:
            sys.exit(f"`--teacher`: {error}")
    trainer.compile(
        make_optimizer("adamw", config.learning_rate, steps),
        jit_compile=jit_compile(config),
    )
    return trainer


def fit_and_choose(trainer, batches, epochs, score, metric, patience, logs=()):
    """Stock `fit`, the weights of the best epoch kept.

    Args:
        trainer: Compiled, of `make_trainer`.
        batches: Dataset.
        epochs: Int, at most.
        score: Callback that logs `val_<metric>`.
        metric: Str, the score by which the epoch is chosen; higher is better.
        patience: Int, epochs without a better score before it ends.
        logs: List of callbacks.

    Returns:
        Dict of each log's values, one an epoch.
    """
    best = keras.callbacks.EarlyStopping(
        f"val_{metric}",
        mode="max",
        patience=patience,
        restore_best_weights=True,
    )
    fitted = trainer.fit(
        batches, epochs=epochs, callbacks=[score, *logs, best], shuffle=False
    )
    return fitted.history
