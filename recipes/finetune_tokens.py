"""Fine-tunes an encoder to tag words: named entities and the like.

    uv run --extra tasks recipes/finetune_tokens.py --train eng.train \
        --validation eng.testa --encoder saved_models/encoder/encoder \
        --run saved_models/ner
    uv run --extra tasks recipes/finetune_tokens.py --train eng.train \
        --validation eng.testa --teacher saved_models/ner --num-layers 3 \
        --run saved_models/ner_3

Files are CoNLL's, a word a line, or .jsonl with `tokens` and `tags`;
hf:OWNER/NAME/CONFIG:SPLIT is a dataset with `tokens` and `ner_tags`. Where
tags mark entities ("B-PER"), students are chosen and told by the F1 of whole
entities, else by the share of words that are right. With `--teacher`, a run of
this recipe, the student is cut out of it and learns from its logits at every
token (and, if asked for, hidden states and relations) too; sentences that
nobody tagged can join by `--unlabeled`. A part of the training sentences
chooses the epoch; the validation sentences only report. Leaves in the run
folder: student.keras, the tokenizer's files, metrics.json, history.csv.
"""

import dataclasses
import pathlib
from typing import Literal

from command_line import read_config

import keras_kd as kd
import keras

from finetuning import (
    fit_and_choose,
    load_task_teacher,
    make_student,
    make_trainer,
    print_scores,
)
from run_folder import new_run_folder, write_json
from run_logs import DEFAULT_LOGGERS, LOGGERS, log_callbacks
from run_precision import set_precision
from word_tagging import make_batches, measure, read_task


@dataclasses.dataclass(frozen=True)
class Config:
    """Fine-tunes an encoder to tag words.

    Args:
        train: File of tagged sentences: CoNLL's or .jsonl, also .gz or .xz; or
            hf:NAME:SPLIT.
        validation: Likewise; of sentences that only report.
        unlabeled: Likewise, whose tags are not read; the teacher's count.
        word: Column of the word, from 0; below 0, from the last.
        tag: Column of the tag, likewise.
        tag_names: All tags in the order of their ids; default: the teacher's,
            or those of the training file.
        encoder: Run folder, or checkpoint, to start from.
        lowercase: Whether its tokenizer lower-cases, --lowercase or
            --no-lowercase; default: as its files say, else unless its
            vocabulary holds capitals.
        teacher: Run folder of this recipe to distil from.
        plan: Which layers of the teacher (or else of the encoder) the student
            keeps: first, last, every_other, both_ends, or indices.
        num_layers: How many of them; default: all.
        run: Run folder to write.
        overwrite: Replace a run that is there.
        hold_out: Share of the training sentences that choose the epoch.
        train_rows: Take so many training sentences alone, drawn by the seed.
        max_length: Tokens of a sentence; a longer one is cut to windows.
        epochs: Times to go through the training sentences, at most.
        patience: Epochs without a better score before it ends.
        batch_size: Sentences in a step.
        learning_rate: Highest learning rate of AdamW.
        alpha_ce: Weight of the teacher's soft targets.
        alpha_label: Weight of the tags, where there is a teacher.
        alpha_hidden: Weight of the teacher's hidden states.
        alpha_relation: Weight of the teacher's MiniLM relations.
        temperature: Of the soft targets.
        r_drop: Without a teacher: weight of how far two passes with dropout are
            apart, which takes twice as long; 0 for one pass.
        seed: Of the head, the order and dropout.
        loggers: What logs the run: csv, tensorboard, wandb, mlflow.
        precision: Keras's policy, such as mixed_bfloat16; auto tries which is
            faster on this machine, and says it.
        jit_compile: XLA; default: what suits this machine.
        smoke: A few sentences, to see that everything runs.
    """

    train: str | None = None
    validation: str | None = None
    unlabeled: str | None = None
    word: int = 0
    tag: int = -1
    tag_names: tuple[str, ...] | None = None
    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    lowercase: bool | None = None
    teacher: str | None = None
    plan: tuple[int, ...] | str = "every_other"
    num_layers: int | None = None
    run: str = "saved_models/tokens"
    overwrite: bool = False
    hold_out: float = 0.05
    train_rows: int | None = None
    max_length: int = 128
    epochs: int = 5
    patience: int = 2
    batch_size: int = 32
    learning_rate: float = 1e-4
    alpha_ce: float = 0.5
    alpha_label: float = 0.5
    alpha_hidden: float = 0.0
    alpha_relation: float = 0.0
    temperature: float = 2.0
    r_drop: float = 0.0
    seed: int = 0
    loggers: tuple[Literal[LOGGERS], ...] = DEFAULT_LOGGERS
    precision: str = "float32"
    jit_compile: bool | None = None
    smoke: bool = False


SMOKE = {"train_rows": 64, "batch_size": 8, "epochs": 1, "hold_out": 0.25}


def main(config):
    """Sentences; encoder or teacher; fit; scores beside their baselines."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    keras.utils.set_random_seed(config.seed)
    config = set_precision(config)
    model_class = kd.BertTokenClassifier
    teacher, tokenizer = load_task_teacher(config, model_class)
    task = read_task(config, teacher)
    student, tokenizer = make_student(
        config, teacher, tokenizer, model_class, class_names=task.tag_names
    )
    train = make_batches(config, task, tokenizer)
    steps = config.epochs * len(train)
    trainer = make_trainer(config, student, teacher, steps, per_token=True)
    folder = pathlib.Path(config.run)
    with new_run_folder(config) as beside:
        tokenizer.save(beside)
    sizes = config.batch_size, config.max_length
    fit_and_choose(
        trainer,
        train,
        config.epochs,
        kd.ScoreTags(task.hold_out, tokenizer, task.metrics, *sizes),
        task.metrics[0],
        config.patience,
        log_callbacks(config, folder),
    )
    student.save(folder / "student.keras")
    results = measure(config, task, student, teacher, tokenizer)
    print_scores(results)
    write_json(folder / "metrics.json", results)
    return results


if __name__ == "__main__":
    main(read_config(Config, __doc__))
