"""What the recipes of fine-tuning share. Not a recipe.

From a frozen `Config`'s fields: encoder, teacher, plan, num_layers, epochs,
batch_size, learning_rate, patience, alpha_*, temperature, r_drop, precision.
"""

import pathlib
import sys

import keras_kd as kd
import keras
from idle_flags import say_idle
from rich.console import Console
from rich.table import Table

from run_folder import find_model, jit_compile, make_optimizer

# Flags of how much is learnt from a teacher.
OF_TEACHERS = (
    "alpha_ce",
    "alpha_label",
    "alpha_hidden",
    "alpha_relation",
    "temperature",
)
PARTS = ("train", "hold_out", "validation", "unlabeled")


def load_encoder(place, lowercase=None):
    """An encoder of a run folder, or of a checkpoint, and its tokenizer.

    Args:
        place: Str: folder of a run, of Hugging Face's, of Google's; or a name
            on the hub.
        lowercase: Bool or None, as of `kd.load_tokenizer`.
    """
    path = find_model(place)
    if path is not None:
        model = keras.saving.load_model(path, compile=False)
        return model, kd.WordPieceTokenizer.load(place, lowercase)
    try:
        encoder = kd.load_checkpoint(place, kd.BertBackbone)
        tokenizer = kd.load_tokenizer(place, lowercase=lowercase)
        tokenizer.check_vocabulary_size(
            encoder.config.vocabulary_size, "encoder"
        )
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"`--encoder`: {error}")
    return encoder, tokenizer


def load_task_teacher(config, model_class):
    """The model of a run of fine-tuning, and its tokenizer; or None twice."""
    folder = config.teacher
    if not folder:
        say_idle(config, OF_TEACHERS, "without --teacher")
        if config.num_layers is None:
            say_idle(config, ("plan",), "without --num-layers")
        return None, None
    say_idle(config, ("encoder",), "with --teacher, which students are cut of")
    if config.r_drop:
        sys.exit(
            "`--r-drop` must be 0 with a teacher, whose soft targets it stands "
            f"in for. Received: {config.r_drop} and {folder}"
        )
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


def make_student(config, teacher, tokenizer, model_class, **arguments):
    """What is to be trained, cut out of its teacher or over an encoder.

    Args:
        config: The recipe's.
        teacher: Of `load_task_teacher`, as its tokenizer.
        tokenizer: `kd.WordPieceTokenizer`, or None.
        model_class: Class of task models.
        **arguments: Its own.

    Returns:
        Pair: the student, and its tokenizer.
    """
    student, is_cut = teacher, True
    if teacher is None:
        encoder, tokenizer = load_encoder(config.encoder, config.lowercase)
        student = model_class.from_encoder(
            encoder, seed=config.seed, **arguments
        )
        is_cut = config.num_layers is not None
    if is_cut:
        student = cut(student, config.plan, config.num_layers, config.seed)
    check_length(config, student)
    return student, tokenizer


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


def check_unlabeled(config):
    """Ends the program where unlabelled texts have nobody to learn from."""
    if config.unlabeled and not config.teacher:
        sys.exit(
            "`--unlabeled` needs --teacher, whose logits are learnt there. "
            f"Received: {config.unlabeled} and no teacher"
        )


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
    if teacher is None and config.r_drop:
        try:
            trainer = kd.RDrop(student, config.r_drop)
        except ValueError as error:
            sys.exit(f"`--r-drop`: {error}")
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


def run_results(config, task, metric, student, **found):
    """All that is known of a run's student, for metrics.json.

    Args:
        config: The recipe's.
        task: Str.
        metric: Str, the score that counts.
        student: Task model.
        **found: `scores`, `hold_out_scores`, `baselines`, `rows`.
    """
    layers = student.config.num_layers
    return {
        "task": task,
        "metric": metric,
        "model": {
            "name": f"{layers} layers x {student.config.hidden_dim}",
            "parameters": student.count_params(),
        },
        "seed": config.seed,
        # The texts that report: a file of one's own, or the task's own split.
        "held_out": config.validation or f"{task}, its validation split",
        **found,
    }


def print_scores(results):
    """A line for each model, the student first."""
    table = Table(title=f"{results['task']}, validation texts")
    table.add_column("model")
    for name in results["scores"]:
        table.add_column(name, justify="right")
    rows = {results["model"]["name"]: results["scores"], **results["baselines"]}
    for name, scores in rows.items():
        table.add_row(name, *(f"{value:.4f}" for value in scores.values()))
    Console().print(table)
