"""Distils a student from a masked-LM teacher, on the built-in or your text.

    uv run recipes/distill_masked_lm.py --teacher saved_models/teacher
    uv run recipes/distill_masked_lm.py --plan random --run saved_models/control

The teacher is a run folder of train_teacher.py. Leaves in the run folder:
student.keras, the tokenizer's files, metrics.json, comparison.png,
history.csv, TensorBoard logs. Commands with time, hardware and results:
recipes/README.md.
"""

import dataclasses
import pathlib
import sys
from typing import Literal

from command_line import read_config

import keras_kd as kd
import keras
from idle_flags import check_text

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
from text_batches import fit, make_batches, read_corpora


@dataclasses.dataclass(frozen=True)
class Config:
    """Distils a student from a masked-LM teacher.

    Args:
        teacher: Run folder with teacher.keras and the tokenizer's files.
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
        num_layers: Layers of the student.
        plan: What the student starts from: random, embeddings_only, first,
            last, every_other, both_ends, hugging_face, or teacher layer
            indices; searched, robust, block_influence: what training text
            says is best.
        compensation: How layers that are kept make up for those that are not:
            gains, ridge or average.
        alpha_ce: Weight of the soft targets.
        alpha_mlm: Weight of the masked LM; with the two others 0, the
            student learns without its teacher.
        alpha_cos: Weight of the hidden-state cosine.
        alpha_mse: Weight of the squared distance between logits.
        temperature: Of the soft targets.
        restrict_ce_to_mask: Soft targets at masked positions only; DistilBERT
            has them at all tokens.
        unmasked_share: Share of the other tokens that have soft targets, to
            choose between the two.
        mlm_smoothing: Hide rare tokens more often; DistilBERT has 0.7. The
            held-out text is masked evenly, whatever this is.
        mask_across_batch: Draw the masked share from the whole batch at once,
            as DistilBERT's scripts do, not from each sequence.
        whole_words: Mask all pieces of a word, or none.
        freeze_position_embeddings: Keep the student's positions as they are.
        block_length: Tokens in a sequence, at most the teacher's.
        batch_size: Sequences in a step.
        micro_batches: Parts that a step takes them in, for less memory.
        steps: Training steps.
        validations: How often held-out text is looked at.
        validation_batches: Batches of it.
        optimizer: Muon; AdamW, which needs nearly twice the steps; or
            distilbert, the AdamW of its scripts.
        learning_rate: Highest learning rate of Muon; AdamW wants a third,
            distilbert had 5e-4.
        seed: Of weights, order, masks.
        loggers: What logs the run: csv, tensorboard, wandb, mlflow.
        precision: Keras's policy, such as mixed_bfloat16; auto tries which is
            faster on this machine, and says it.
        jit_compile: XLA; default: what suits this machine.
        smoke: A few steps on short sequences, to see that everything runs.
    """

    teacher: str = "saved_models/teacher"
    corpus: tuple[str, ...] = ("docstrings",)
    validation_corpus: tuple[str, ...] = ()
    text_column: str = "text"
    store: tuple[str, ...] = ()
    store_weights: tuple[float, ...] = ()
    run: str = "saved_models/student"
    overwrite: bool = False
    resume: bool = False
    save_steps: int | None = None
    replay: int | None = None
    num_layers: int = 2
    plan: tuple[int, ...] | str = "every_other"
    compensation: Literal["gains", "ridge", "average"] | None = None
    alpha_ce: float = 5.0
    alpha_mlm: float = 2.0
    alpha_cos: float = 1.0
    alpha_mse: float = 0.0
    temperature: float = 2.0
    restrict_ce_to_mask: bool = True
    unmasked_share: float | None = None
    mlm_smoothing: float = 0.0
    mask_across_batch: bool = False
    whole_words: bool = False
    freeze_position_embeddings: bool = False
    block_length: int = 64
    batch_size: int = 32
    micro_batches: int = 1
    steps: int = 1000
    validations: int = 10
    validation_batches: int = 40
    optimizer: Literal["muon", "adamw", "distilbert"] = "muon"
    learning_rate: float = 2e-3
    seed: int = 0
    loggers: tuple[Literal[LOGGERS], ...] = DEFAULT_LOGGERS
    precision: str = "float32"
    jit_compile: bool | None = None
    smoke: bool = False


CHOOSING_BATCHES = 20  # that layers are chosen and compensated by

SMOKE = {
    "block_length": 32,
    "batch_size": 8,
    "steps": 4,
    "validations": 2,
    "validation_batches": 2,
}


def main(config):
    """Teacher and text; student, Distiller; fit; evaluate; save."""
    check_text(config)
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    keras.utils.set_random_seed(config.seed)
    config = set_precision(config)
    teacher, tokenizer = load_teacher(config.teacher)
    if config.block_length > teacher.config.max_sequence_length:
        sys.exit(
            "`--block-length` must be at most the teacher's "
            f"{teacher.config.max_sequence_length} positions. "
            f"Received: {config.block_length}"
        )
    student = kd.BertMaskedLM(
        teacher.config.with_layers(config.num_layers), seed=config.seed + 1
    )
    embeddings = student.backbone.embeddings
    embeddings.position_embedding.trainable = (
        not config.freeze_position_embeddings
    )
    if config.plan not in kd.SEARCHED_PLANS:
        kd.make_plan(config.plan, teacher, student)  # a wrong plan ends here
    distiller = kd.Distiller(
        teacher,
        student,
        **kd.distilbert_losses(
            alpha_ce=config.alpha_ce,
            alpha_mlm=config.alpha_mlm,
            alpha_cos=config.alpha_cos,
            alpha_mse=config.alpha_mse,
            temperature=config.temperature,
            restrict_ce_to_mask=config.restrict_ce_to_mask,
            unmasked_share=config.unmasked_share,
        ),
        micro_batches=config.micro_batches,
        seed=config.seed,
    )
    train, held_out = read_corpora(config)
    folder = pathlib.Path(config.run)
    with new_run_folder(config) as beside:
        tokenizer.save(beside)
        batches = make_batches(config, beside, tokenizer, train, held_out)

    run = make_run(config, folder)
    distiller.compile(
        make_optimizer(config.optimizer, config.learning_rate, config.steps),
        jit_compile=jit_compile(config),
    )
    if config.replay is not None:
        replay(distiller, batches, run, config.replay)
        return None
    start = kd.InitializeStudent(
        config.plan,
        batches=text_to_choose_by(config, batches),
        compensation=config.compensation,
        verbose=1,
    )
    fit(
        distiller,
        batches,
        config,
        [start, *log_callbacks(config, folder, run)],
        run,
    )
    student.save(folder / "student.keras")
    results = kd.compare(
        {
            "unigram": batches.unigram,
            "teacher": kd.evaluate(teacher, batches.held_out),
            "student": kd.evaluate(student, batches.held_out, teacher),
        },
        figure=folder / "comparison.png",
        title=f"held-out text, fixed masks; student from {config.plan}",
    )
    write_json(folder / "metrics.json", results)
    return results


def text_to_choose_by(config, batches):
    """Some training text, masked otherwise: held-out text only reports."""
    if config.plan not in kd.SEARCHED_PLANS and config.compensation is None:
        return None
    found = batches.train(seed=config.seed + 1).take(CHOOSING_BATCHES)
    return list(found.as_numpy_iterator())


if __name__ == "__main__":
    main(read_config(Config, __doc__))
