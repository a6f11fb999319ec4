"""Fine-tunes an encoder to a task: a class, or a number, for each text.

    uv run --extra tasks recipes/finetune_classifier.py --task SST-2 \
        --encoder saved_models/encoder/encoder --run saved_models/sst2
    uv run --extra tasks recipes/finetune_classifier.py --task SST-2 \
        --teacher saved_models/sst2 --num-layers 3 --run saved_models/sst2_3
    uv run --extra tasks recipes/finetune_classifier.py --train reviews.csv \
        --validation held_out.csv --label stars --regression

With `--teacher`, a run of this recipe, the student is cut out of it and learns
from its logits (and, if asked for, hidden states and relations) too; texts
that nobody labelled can join by `--unlabeled`. A part of the training texts
chooses the epoch; the validation texts only report. Leaves in the run folder:
student.keras, the tokenizer's files, metrics.json, history.csv. Results:
recipes/README.md.
"""

import dataclasses
import pathlib
import sys
from typing import Literal

from command_line import read_config

import keras_kd as kd
import keras

from classification import make_batches, measure, read_task, with_task
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


@dataclasses.dataclass(frozen=True)
class Config:
    """Fine-tunes an encoder to a task.

    Args:
        task: One of GLUE's, such as SST-2, CoLA, MRPC, RTE; or none, with
            files of your own. Default: none where there are files, else SST-2.
        data: Folder of GLUE's, with SST-2/train.tsv and so on, or its name on
            the Hugging Face hub.
        train: File of labelled texts (.tsv, .csv, .jsonl), or hf:NAME:SPLIT.
        validation: Likewise; of texts that only report.
        unlabeled: Likewise, without labels; the teacher's count.
        text: Column of the text.
        pair: Column of the second text, where there are two.
        label: Column of the label.
        classes: All classes in the order of their ids, just as they are spelt;
            default: the dataset's, or those of the training file: numbers by
            their value, else in the alphabet's order.
        regression: Labels are numbers.
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
        hold_out: Share of the training texts that choose the epoch.
        hold_out_whole: Of texts that no other contains, their parts left out:
            where rows are parts of one another, as SST-2's.
        train_rows: Take so many training texts alone, drawn by the seed.
        max_length: Tokens of a text, or a pair.
        epochs: Times to go through the training texts, at most.
        patience: Epochs without a better score before it ends.
        batch_size: Texts in a step.
        learning_rate: Highest learning rate of AdamW.
        alpha_ce: Weight of the teacher's soft targets.
        alpha_label: Weight of the labels, where there is a teacher.
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
        smoke: A few texts, to see that everything runs.
    """

    task: str | None = None
    data: str = "hf:nyu-mll/glue"
    train: str | None = None
    validation: str | None = None
    unlabeled: str | None = None
    text: str = "text"
    pair: str | None = None
    label: str = "label"
    classes: tuple[str, ...] | None = None
    regression: bool = False
    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    lowercase: bool | None = None
    teacher: str | None = None
    plan: tuple[int, ...] | str = "every_other"
    num_layers: int | None = None
    run: str = "saved_models/task"
    overwrite: bool = False
    hold_out: float = 0.05
    hold_out_whole: bool = False
    train_rows: int | None = None
    max_length: int = 128
    epochs: int = 3
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
    """Texts; encoder or teacher; fit; scores beside their baselines."""
    config = with_task(config)
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    keras.utils.set_random_seed(config.seed)
    config = set_precision(config)
    task = read_task(config)
    model_class, _ = task.model()
    teacher, tokenizer = load_task_teacher(config, model_class)
    task = with_classes_of(config, task, teacher)
    _, arguments = task.model()
    student, tokenizer = make_student(
        config, teacher, tokenizer, model_class, **arguments
    )
    batches = make_batches(config, task, tokenizer)
    trainer = make_trainer(
        config,
        student,
        teacher,
        config.epochs * len(batches["train"]),
        regression=task.class_names is None,
    )
    folder = pathlib.Path(config.run)
    with new_run_folder(config) as beside:
        tokenizer.save(beside)
    fit_and_choose(
        trainer,
        batches["train"],
        config.epochs,
        kd.ScoreTask(batches["hold_out"], task.metrics),
        task.metrics[0],
        config.patience,
        log_callbacks(config, folder),
    )
    student.save(folder / "student.keras")
    results = measure(config, task, student, teacher, batches)
    print_scores(results)
    write_json(folder / "metrics.json", results)
    return results


def with_classes_of(config, task, teacher):
    """The task, its classes in the teacher's order.

    Ends the program where the teacher has others, or `--classes` another order.
    """
    names = getattr(teacher, "class_names", task.class_names)
    is_free = not config.classes and names and task.class_names
    if is_free and set(names) == set(task.class_names):
        return dataclasses.replace(task, class_names=list(names))
    if names != task.class_names:
        sys.exit(
            f"`--teacher` must have the task's classes. Expected: "
            f"{task.class_names}. Received: {names} in {config.teacher}"
        )
    return task


if __name__ == "__main__":
    main(read_config(Config, __doc__))
