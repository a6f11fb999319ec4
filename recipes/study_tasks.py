"""Does the student hold up on a task? The whole table, resumed run by run.

    uv run --extra tasks recipes/study_tasks.py --task SST-2 \
        --encoder sentence-transformers/all-MiniLM-L6-v2 --run saved_models/sst2

Fine-tunes the encoder (the teacher, one a seed); cuts students of each depth
out of it and trains each with its teacher, without it, and from a random
start. Learning rates, and the layers that are kept, are chosen on training
texts that are held out, with a seed that is not reported and a part of the
training texts; the validation texts only report. Beside them: the majority
class, TF-IDF with a linear model, what each costs. Leaves in the run folder
results.csv with every run, models/ of all that is reported, report.md. The
same command goes on where it was interrupted. Results: recipes/README.md.
"""

import dataclasses
import pathlib
import sys

from command_line import read_config

import keras_kd as kd

from classification import read_task, with_task
from finetuning import check_length, load_encoder
from run_folder import keep_config
from run_precision import set_precision
from task_report import write_report
from task_runs import TaskRuns, students


@dataclasses.dataclass(frozen=True)
class Config:
    """Does the student hold up on a task?

    Args:
        task: One of GLUE's, such as SST-2, CoLA, MRPC, RTE; or none, with
            files of your own. Default: none where there are files, else SST-2.
        data: Folder of GLUE's, with SST-2/train.tsv and so on, or its name on
            the Hugging Face hub.
        train: File of labelled texts (.tsv, .csv, .jsonl), or hf:NAME:SPLIT.
        validation: Likewise; of texts that only report.
        text: Column of the text.
        pair: Column of the second text, where there are two.
        label: Column of the label.
        regression: Labels are numbers.
        encoder: Run folder, or checkpoint, of the teacher.
        run: Folder of the study; one that is there is gone on with.
        depths: Layers of the students.
        plans: What the layers that are kept are chosen among; searched is the
            best of all sub-networks on held-out texts.
        seeds: Of the runs that are reported.
        tuning_seed: Of those that choose rates and plans.
        tuning_rows: Training texts that those have.
        rates: Learning rates to choose among.
        teacher_rates: Those of the reported teachers, each tried with all
            training texts and all seeds; none: the best of the tuning, whose
            fewer texts ask for higher rates.
        hold_out: Share of the training texts that choose.
        hold_out_whole: Of texts that no other contains, their parts left out:
            where rows are parts of one another, as SST-2's.
        train_rows: Take so many training texts alone.
        max_length: Tokens of a text, or a pair.
        epochs: Times to go through the training texts, at most.
        patience: Epochs without a better score before a run ends.
        batch_size: Texts in a step.
        alpha_ce: Weight of the teacher's soft targets.
        alpha_label: Weight of the labels, where there is a teacher.
        alpha_hidden: Weight of the teacher's hidden states.
        alpha_relation: Weight of the teacher's MiniLM relations.
        temperature: Of the soft targets.
        r_drop: Without a teacher: weight of how far two passes with dropout are
            apart, which takes twice as long; 0 for one pass.
        precision: Keras's policy, such as mixed_bfloat16; auto tries which is
            faster on this machine, and says it.
        jit_compile: XLA; default: what suits this machine.
        smoke: A few texts, to see that everything runs.
    """

    task: str | None = None
    data: str = "hf:nyu-mll/glue"
    train: str | None = None
    validation: str | None = None
    text: str = "text"
    pair: str | None = None
    label: str = "label"
    regression: bool = False
    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    run: str = "saved_models/study_tasks"
    depths: tuple[int, ...] = (3, 2)
    plans: tuple[str, ...] = ("searched", "first", "every_other", "both_ends")
    seeds: tuple[int, ...] = (0, 1, 2)
    tuning_seed: int = 100
    tuning_rows: int = 10_000
    rates: tuple[float, ...] = (5e-5, 1e-4, 2e-4)
    teacher_rates: tuple[float, ...] = ()
    hold_out: float = 0.03
    hold_out_whole: bool = False
    train_rows: int | None = None
    max_length: int = 128
    epochs: int = 2
    patience: int = 2
    batch_size: int = 32
    alpha_ce: float = 0.5
    alpha_label: float = 0.5
    alpha_hidden: float = 0.0
    alpha_relation: float = 0.0
    temperature: float = 2.0
    r_drop: float = 0.0
    precision: str = "float32"
    jit_compile: bool | None = None
    smoke: bool = False

    # What the helpers of fine-tuning ask for.
    unlabeled = None
    classes = None
    teacher = None
    seed = 0


SMOKE = {
    "train_rows": 96,
    "tuning_rows": 40,
    "hold_out": 0.25,
    "epochs": 1,
    "batch_size": 8,
    "seeds": (0, 1),
    "rates": (1e-4,),
    "plans": ("first", "searched"),
}
# What may be otherwise when a study goes on.
FREE = ("run", "jit_compile")


def main(config):
    """Texts and encoder; rates and plans; every run; the report."""
    config = with_task(config)
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    check(config)
    config = set_precision(config)
    folder = pathlib.Path(config.run)
    # Further seeds could choose another of the teacher's rates.
    more_seeds = () if config.teacher_rates else ("seeds",)
    keep_config(config, folder, (*FREE, *more_seeds))
    task = read_task(config)
    encoder, tokenizer = load_encoder(config.encoder)
    check_length(config, encoder)
    tokenizer.save(folder)
    runs = TaskRuns(config, folder, task, encoder, tokenizer)
    runs.tune()
    runs.train_teachers()
    for seed in config.seeds:
        for student in students(config):
            runs.train_student(student, seed)
    return write_report(config, folder, task, runs)


def check(config):
    """Ends the program where the study could not be reported."""
    if len(config.seeds) < 2 or config.tuning_seed in config.seeds:
        sys.exit(
            "`--seeds` must be two at least, and not --tuning-seed, which is "
            f"not reported. Received: {config.seeds}"
        )
    if not 0 <= config.r_drop < float("inf"):
        sys.exit(
            "`--r-drop` must be 0 or more, and finite. Received: "
            f"{config.r_drop}"
        )
    if not config.depths or not config.plans or not config.rates:
        sys.exit("`--depths`, `--plans` and `--rates` must name one at least")
    unknown = set(config.plans) - {"searched", *kd.PLANS}
    if unknown:
        sys.exit(
            f"`--plans` must be out of {['searched', *kd.PLANS]}. "
            f"Received: {sorted(unknown)}"
        )


if __name__ == "__main__":
    main(read_config(Config, __doc__))
