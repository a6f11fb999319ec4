"""The whole walk on the built-in corpus, in minutes, without a GPU.

    uv run recipes/quickstart.py

Text, tokenizer, a LayerDrop teacher, and the same small student three times,
all on equal steps, data and masks: (a) distilled, started from the teacher's
layers; (b) distilled, started at random; (c) not distilled, started at random.
Then a comparison on held-out text, a SavedModel of (a), and a few filled
masks. One seed: an honest small experiment, not a proof.

Leaves in the run folder: comparison.png, metrics.json, and in export/ the
student as .keras and SavedModel with tokenizer files and a model card.
"""

import dataclasses
import pathlib

from command_line import read_config

import keras_kd as kd
import keras
import tensorflow as tf

from run_folder import (
    jit_compile,
    make_optimizer,
    new_run_folder,
    write_json,
)
from run_logs import log_callbacks
from text_batches import fit, make_batches, read_corpora


@dataclasses.dataclass(frozen=True)
class Config:
    """The whole walk on the built-in corpus, or on your own text.

    Args:
        corpus: "docstrings" (built in), files, folders, globs,
            hf:OWNER/NAME/CONFIG:SPLIT, tfds:NAME/CONFIG:SPLIT, - (piped in).
        validation_corpus: Held-out files; default: 5 % of the corpus's
            documents, split by content.
        text_column: Column of the text in .csv, .jsonl, .parquet.
        run: Run folder to write.
        overwrite: Replace a run that is there.
        vocabulary_size: Tokens of the vocabulary.
        teacher_layers: Layers of the teacher.
        student_layers: Layers of the students.
        hidden_dim: Width of teacher and students.
        num_heads: Attention heads.
        layer_drop: Probability of skipping a layer of the teacher at a step.
        initializer_range: Standard deviation weights start with.
        sinusoidal_positions: Positions start as sines and cosines.
        plan: Teacher layers that student (a) starts from.
        block_length: Tokens in a sequence.
        batch_size: Sequences in a step.
        teacher_steps: Training steps of the teacher.
        steps: Training steps of each student.
        validations: How often held-out text is looked at.
        validation_batches: Batches of it.
        teacher_learning_rate: Highest learning rate of the teacher.
        learning_rate: Highest learning rate of the students.
        seed: Of weights, order, masks, LayerDrop.
        jit_compile: XLA; default: what suits this machine.
        smoke: Tiny sizes and a few steps, to see that everything runs.
    """

    corpus: tuple[str, ...] = ("docstrings",)
    validation_corpus: tuple[str, ...] = ()
    text_column: str = "text"
    run: str = "saved_models/quickstart"
    overwrite: bool = False
    vocabulary_size: int = 4000
    teacher_layers: int = 4
    student_layers: int = 2
    hidden_dim: int = 128
    num_heads: int = 4
    layer_drop: float = 0.2
    initializer_range: float = 0.03
    sinusoidal_positions: bool = True
    plan: tuple[int, ...] | str = "every_other"
    block_length: int = 64
    batch_size: int = 32
    teacher_steps: int = 1500
    steps: int = 400
    validations: int = 5
    validation_batches: int = 30
    teacher_learning_rate: float = 2e-3
    learning_rate: float = 2e-3
    seed: int = 0
    jit_compile: bool | None = None
    smoke: bool = False


SMOKE = {
    "vocabulary_size": 500,
    "hidden_dim": 16,
    "num_heads": 2,
    "block_length": 16,
    "batch_size": 8,
    "teacher_steps": 4,
    "steps": 4,
    "validations": 2,
    "validation_batches": 2,
}

SENTENCES = (
    "Returns a list of the [MASK] in the directory.",
    "The [MASK] of the tensor must be known.",
    "If the file does not exist, an [MASK] is raised.",
)

FROM_LAYERS, FROM_RANDOM, ALONE = (
    "a: teacher's layers",
    "b: random start",
    "c: no distillation",
)


def main(config):
    """Text, teacher, three students, comparison, export, filled masks."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    keras.utils.set_random_seed(config.seed)
    shape = kd.BertConfig(
        vocabulary_size=config.vocabulary_size,
        num_layers=config.teacher_layers,
        hidden_dim=config.hidden_dim,
        num_heads=config.num_heads,
        max_sequence_length=config.block_length,
        layer_drop=config.layer_drop,
        initializer_range=config.initializer_range,
        sinusoidal_positions=config.sinusoidal_positions,
        num_segments=0,
        dropout=0.0,
    )
    shape.with_layers(config.student_layers)  # wrong sizes or plans end here
    kd.choose_layers(config.plan, config.teacher_layers, config.student_layers)
    train, held_out = read_corpora(config)
    folder = pathlib.Path(config.run)
    print("1/6  tokenizer and blocks")
    with new_run_folder(config) as beside:
        tokenizer = kd.WordPieceTokenizer.train(train, config.vocabulary_size)
        batches = make_batches(config, beside, tokenizer, train, held_out)
    shape = dataclasses.replace(
        shape, vocabulary_size=tokenizer.vocabulary_size
    )

    print(f"2/6  LayerDrop teacher, {config.teacher_layers} layers")
    teacher = kd.BertMaskedLM(shape, seed=config.seed)
    teacher_config = dataclasses.replace(config, steps=config.teacher_steps)
    teacher.compile(
        make_optimizer(
            "muon", config.teacher_learning_rate, config.teacher_steps
        ),
        jit_compile=jit_compile(config),
    )
    fit(
        teacher,
        batches,
        teacher_config,
        log_callbacks(config, folder / "teacher"),
    )

    students, curves = {}, {}
    arms = {
        FROM_LAYERS: (config.plan, {}),
        FROM_RANDOM: ("random", {}),
        ALONE: ("random", {"alpha_ce": 0.0, "alpha_cos": 0.0}),
    }
    for number, (name, (plan, alphas)) in enumerate(arms.items(), start=3):
        print(f"{number}/6  {name}, {config.student_layers} layers")
        students[name], curves[name] = train_student(
            config, folder / name[0], batches, teacher, plan, alphas
        )

    print("6/6  comparison, export, filled masks")
    results = {
        "unigram": batches.unigram,
        "teacher": kd.evaluate(teacher, batches.held_out),
    }
    for name, student in students.items():
        results[name] = kd.evaluate(student, batches.held_out, teacher)
    results = kd.compare(
        results,
        curves,
        folder / "comparison.png",
        title="held-out masked language modelling, one seed",
    )
    print(verdict(results))
    write_json(folder / "metrics.json", results)
    kd.export_student(
        students[FROM_LAYERS],
        folder / "export",
        tokenizer,
        metrics=results,
        description="Made by recipes/quickstart.py: an example, hardly "
        "trained, on one seed.",
    )
    fill_masks(folder / "export" / "saved_model")
    print(f"\nThe picture: {folder / 'comparison.png'}")
    print(f"The student, ready to serve: {folder / 'export'}")
    return results


def train_student(config, folder, batches, teacher, plan, alphas):
    """One student and its held-out learning curve."""
    student = kd.BertMaskedLM(
        teacher.config.with_layers(config.student_layers),
        seed=config.seed + 1,
    )
    # At all tokens: its teacher is weak, and a student does better that is not
    # held to it where the truth is asked for (recipes/README.md).
    losses = kd.distilbert_losses(restrict_ce_to_mask=False, **alphas)
    distiller = kd.Distiller(teacher, student, **losses)
    distiller.compile(
        make_optimizer("muon", config.learning_rate, config.steps),
        jit_compile=jit_compile(config),
    )
    history = fit(
        distiller,
        batches,
        config,
        [kd.InitializeStudent(plan), *log_callbacks(config, folder)],
    ).history["val_masked_lm"]
    every = config.steps // config.validations
    steps = [every * (index + 1) for index in range(len(history))]
    return student, list(zip(steps, history, strict=True))


def verdict(results):
    """One sentence: which student is ahead, and by how much."""
    nats = {
        name: results[name]["masked_cross_entropy"]
        for name in (FROM_LAYERS, FROM_RANDOM, ALONE)
    }
    best, second = sorted(nats, key=nats.get)[:2]
    return (
        f"Ahead: {best}, by {nats[second] - nats[best]:.3f} nats before "
        f"{second}. One seed: another may rank close ones otherwise."
    )


def fill_masks(saved_model):
    """Loads the SavedModel as a server would, and fills a few masks."""
    model = tf.saved_model.load(str(saved_model))
    filled = model.signatures["fill_mask"](tf.constant(SENTENCES))
    for sentence, tokens in zip(
        SENTENCES, filled["tokens"].numpy(), strict=True
    ):
        words = ", ".join(token.decode() for token in tokens[0])
        print(f"  {sentence}  ->  {words}")


if __name__ == "__main__":
    main(read_config(Config, __doc__))
