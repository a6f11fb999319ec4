"""Fine-tunes an encoder to find the answer to a question in a text.

    uv run recipes/finetune_span.py --train train-v1.1.json \
        --validation dev-v1.1.json --encoder saved_models/encoder/encoder \
        --run saved_models/squad
    uv run recipes/finetune_span.py --train train-v1.1.json \
        --validation dev-v1.1.json --teacher saved_models/squad \
        --num-layers 3 --run saved_models/squad_3
    uv run recipes/finetune_span.py --train train-v2.0.json \
        --validation dev-v2.0.json --version-2 --run saved_models/squad_2

With `--teacher`, a run of this recipe, the student is cut out of it and learns
from its logits of starts and ends (and, if asked for, hidden states and
relations) too. Whole articles of the training file choose the epoch; the
validation questions only report. Leaves in the run folder: student.keras, the
tokenizer's files, predictions.json, nbest_predictions.json, null_odds.json
(with `--version-2`), metrics.json, history.csv.
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
from span_extraction import (
    answer_options,
    make_windows,
    measure,
    read_questions,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Fine-tunes an encoder to find answers.

    Args:
        train: File of questions in SQuAD's form: .json, also .gz or .xz; or
            hf:NAME:SPLIT, such as hf:rajpurkar/squad:train.
        validation: Likewise; of questions that only report.
        version_2: Questions may have no answer, as in SQuAD v2.
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
        hold_out: Share of the training articles that choose the epoch.
        train_rows: Take so many training questions alone, drawn by the seed.
        max_length: Tokens of a question with a window of its text.
        doc_stride: Tokens from one window's start to the next one's.
        max_question_length: Tokens of a question.
        n_best: Answers of nbest_predictions.json.
        max_answer_length: Tokens of an answer.
        null_threshold: With version_2, by how much no answer must be likelier
            than the best one; None: what does best on the articles that
            choose.
        epochs: Times to go through the training questions, at most.
        patience: Epochs without a better score before it ends.
        batch_size: Windows in a step.
        learning_rate: Highest learning rate of AdamW.
        alpha_ce: Weight of the teacher's soft targets.
        alpha_label: Weight of the answers, where there is a teacher.
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
        smoke: A few questions, to see that everything runs.
    """

    train: str | None = None
    validation: str | None = None
    version_2: bool = False
    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    lowercase: bool | None = None
    teacher: str | None = None
    plan: tuple[int, ...] | str = "every_other"
    num_layers: int | None = None
    run: str = "saved_models/span"
    overwrite: bool = False
    hold_out: float = 0.05
    train_rows: int | None = None
    max_length: int = 384
    doc_stride: int = 128
    max_question_length: int = 64
    n_best: int = 20
    max_answer_length: int = 30
    null_threshold: float | None = 0.0
    epochs: int = 3
    patience: int = 2
    batch_size: int = 16
    learning_rate: float = 5e-5
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


SMOKE = {"batch_size": 4, "epochs": 1, "hold_out": 0.25}


def main(config):
    """Questions; encoder or teacher; fit; answers and their scores."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    keras.utils.set_random_seed(config.seed)
    config = set_precision(config)
    questions = read_questions(config)
    model_class = kd.BertSpanExtractor
    teacher, tokenizer = load_task_teacher(config, model_class)
    student, tokenizer = make_student(config, teacher, tokenizer, model_class)
    windows = make_windows(config, questions, tokenizer)
    batches = kd.span_batches(windows["train"], config.batch_size, config.seed)
    steps = config.epochs * len(batches)
    trainer = make_trainer(config, student, teacher, steps)
    folder = pathlib.Path(config.run)
    with new_run_folder(config) as beside:
        tokenizer.save(beside)
    fit_and_choose(
        trainer,
        batches,
        config.epochs,
        kd.ScoreAnswers(
            windows["hold_out"],
            config.batch_size,
            config.null_threshold,
            **answer_options(config),
        ),
        "f1",
        config.patience,
        log_callbacks(config, folder),
    )
    student.save(folder / "student.keras")
    results = measure(config, student, teacher, windows, folder)
    print_scores(results)
    write_json(folder / "metrics.json", results)
    return results


if __name__ == "__main__":
    main(read_config(Config, __doc__))
