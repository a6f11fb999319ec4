"""Which tokens should have soft targets? All, the masked ones, some between.

    uv run recipes/study_rows.py --teacher saved_models/teacher

Soft targets on all real tokens cost most of a step; on fewer, a student takes
more steps in the same time, towards another objective. Students of one
teacher, with the same start, differ in `unmasked_share` alone: at equal steps,
and at equal time, by what a step of each takes here (measured first, taking
turns). Each on several seeds of order, masks and dropout. All are judged on the
same held-out masks. Leaves config.json and metrics.json in the run folder.
"""

import dataclasses
import pathlib
import statistics
import sys
import time

from command_line import read_config

import keras_kd as kd
import keras
from rich.console import Console
from rich.table import Table

from run_folder import (
    jit_compile,
    load_teacher,
    make_optimizer,
    new_run_folder,
    write_json,
)
from run_precision import set_precision
from text_batches import make_batches, read_corpora


@dataclasses.dataclass(frozen=True)
class Config:
    """Compares the tokens that soft targets are taken at.

    Args:
        teacher: Run folder with teacher.keras and the tokenizer's files.
        corpus: "docstrings" (built in), files, folders, globs,
            hf:OWNER/NAME/CONFIG:SPLIT, tfds:NAME/CONFIG:SPLIT, - (piped in).
        validation_corpus: Held-out files; default: 5 % of the corpus's
            documents, split by content.
        text_column: Column of the text in .csv, .jsonl, .parquet.
        run: Run folder to write.
        overwrite: Replace a run that is there.
        shares: Shares of the unmasked tokens; the first is what the others
            are compared with.
        seeds: From 2 to 8 of them, of order, masks and dropout.
        num_layers: Layers of the students.
        plan: Teacher layers that all students start from.
        block_length: Tokens in a sequence, at most the teacher's.
        batch_size: Sequences in a step.
        equal_steps: Steps of each at equal steps; of the first share at equal
            time.
        timed_rounds: Rounds in which a step of each is timed.
        validation_batches: Batches of held-out text.
        optimizer: "muon", "adamw" or "distilbert".
        learning_rate: Highest learning rate.
        seed: Of weights, where they do not come from the teacher.
        precision: Keras's policy, such as mixed_bfloat16; auto, the default,
            tries which is faster on this machine, and says it.
        jit_compile: XLA; default: what suits this machine.
        smoke: A few steps on short sequences, to see that everything runs.
    """

    teacher: str = "saved_models/teacher"
    corpus: tuple[str, ...] = ("docstrings",)
    validation_corpus: tuple[str, ...] = ()
    text_column: str = "text"
    run: str = "saved_models/study_rows"
    overwrite: bool = False
    shares: tuple[float, ...] = (1.0, 0.3, 0.15, 0.0)
    seeds: tuple[int, ...] = (0, 1, 2)
    num_layers: int = 2
    plan: tuple[int, ...] | str = "every_other"
    block_length: int = 64
    batch_size: int = 32
    equal_steps: int = 400
    timed_rounds: int = 7
    validation_batches: int = 50
    optimizer: str = "muon"
    learning_rate: float = 1e-3
    seed: int = 0
    precision: str = "auto"
    jit_compile: bool | None = None
    smoke: bool = False


SMOKE = {
    "shares": (1.0, 0.0),
    "seeds": (0, 1),
    "block_length": 32,
    "batch_size": 8,
    "equal_steps": 2,
    "timed_rounds": 1,
    "validation_batches": 2,
}

MEASURES = ("masked_lm", "kl_masked", "kl_all")


def main(config):
    """Teacher and text; price of a step; students; table."""
    if config.smoke:
        config = dataclasses.replace(config, **SMOKE)
    if not 2 <= len(set(config.seeds)) <= 8:
        sys.exit(f"`--seeds` must be 2 to 8 of them. Received: {config.seeds}")
    keras.utils.set_random_seed(config.seed)
    config = set_precision(config)
    teacher, tokenizer = load_teacher(config.teacher)
    if config.block_length > teacher.config.max_sequence_length:
        sys.exit(
            "`--block-length` must be at most the teacher's "
            f"{teacher.config.max_sequence_length} positions. "
            f"Received: {config.block_length}"
        )
    train, held_out = read_corpora(config)
    with new_run_folder(config) as beside:
        tokenizer.save(beside)
        batches = make_batches(config, beside, tokenizer, train, held_out)

    prices = price_of_steps(config, teacher, batches)
    judge = make_judge(config, teacher)
    results = {"prices": prices, "students": []}
    for seed in config.seeds:
        for share in config.shares:
            for equal in ("steps", "time"):
                steps = config.equal_steps
                if equal == "time":
                    if share == config.shares[0]:
                        continue  # the same student as at equal steps
                    steps = round(steps / prices[str(share)])
                student = train_student(
                    config, teacher, batches, share, seed, steps
                )
                judge.student.set_weights(student.get_weights())
                found = judge.evaluate(
                    batches.held_out, return_dict=True, verbose=0
                )
                results["students"].append(
                    {"share": share, "equal": equal, "seed": seed}
                    | {"steps": steps}
                    | {name: found[name] for name in MEASURES}
                )
                write_json(pathlib.Path(config.run, "metrics.json"), results)
    Console().print(make_table(config, results))
    return results


def make_distiller(config, teacher, share):
    """A Distiller over a new student; its terms but for the rows are equal."""
    student = kd.BertMaskedLM(
        teacher.config.with_layers(config.num_layers), seed=config.seed + 1
    )
    losses = kd.distilbert_losses(unmasked_share=share)
    return kd.Distiller(teacher, student, **losses, seed=config.seed)


def train_student(config, teacher, batches, share, seed, steps):
    """A student, trained for so many steps."""
    keras.utils.set_random_seed(seed)
    distiller = make_distiller(config, teacher, share)
    distiller.compile(
        make_optimizer(config.optimizer, config.learning_rate, steps),
        jit_compile=jit_compile(config),
    )
    distiller.fit(
        batches.train(seed=seed).repeat(),
        steps_per_epoch=steps,
        callbacks=[kd.InitializeStudent(config.plan)],
        shuffle=False,
        verbose=2,
    )
    return distiller.student


def price_of_steps(config, teacher, batches, steps=5):
    """Time of a step of each share, by that of the first.

    Returns:
        Dict of str (the share) to float, the median of the rounds' ratios.
    """
    distillers = {}
    data = batches.train().take(steps).cache()
    for share in config.shares:
        distillers[share] = make_distiller(config, teacher, share)
        distillers[share].compile(
            make_optimizer(config.optimizer, config.learning_rate, 1000),
            jit_compile=jit_compile(config),
        )
        distillers[share].fit(data, verbose=0, shuffle=False)  # compiles
    ratios = {share: [] for share in config.shares}
    for index in range(config.timed_rounds):
        order = config.shares if index % 2 else config.shares[::-1]
        seconds = {}
        for share in order:
            start = time.perf_counter()
            distillers[share].fit(data, verbose=0, shuffle=False)
            seconds[share] = time.perf_counter() - start
        for share in order:
            ratios[share].append(seconds[share] / seconds[config.shares[0]])
    return {str(s): statistics.median(found) for s, found in ratios.items()}


def make_judge(config, teacher):
    """What measures all students: nats, and KL at temperature 1."""
    student = make_distiller(config, teacher, 1.0).student
    terms = {
        "masked_lm": kd.MaskedLMTerm(),
        "kl_masked": kd.SoftTargetTerm(1.0, unmasked_share=0.0),
        "kl_all": kd.SoftTargetTerm(1.0, unmasked_share=1.0),
    }
    judge = kd.Distiller(teacher, student, terms)
    judge.compile(jit_compile=jit_compile(config))
    return judge


def make_table(config, results):
    """Means over seeds, and the distance to the first share with 95 %."""
    table = Table(
        "equal", "share", "steps", "masked nats", "KL masked", "KL all"
    )
    table.caption = (
        "share: of the unmasked tokens that have soft targets; means of "
        f"{len(config.seeds)} seeds; in brackets the distance to "
        f"{config.shares[0]:.2f} on the same seed, with its 95 % interval"
    )
    for equal in ("steps", "time"):
        table.add_section()
        for share in config.shares:
            first = share == config.shares[0]
            found = of(results, share, "steps" if first else equal)
            cells = [summary(results, config, found, m) for m in MEASURES]
            steps = str(found[0]["steps"])
            table.add_row(equal, f"{share:.2f}", steps, *cells)
    return table


def of(results, share, equal):
    """The students of a share, by seed."""
    found = [
        student
        for student in results["students"]
        if (student["share"], student["equal"]) == (share, equal)
    ]
    return sorted(found, key=lambda student: student["seed"])


def summary(results, config, found, measure):
    """Mean of a measure; distance to the first share."""
    values = [student[measure] for student in found]
    text = f"{statistics.mean(values):.3f}"
    share = config.shares[0]
    if found[0]["share"] == share:
        return text
    base = [student[measure] for student in of(results, share, "steps")]
    distance = kd.paired_difference(values, base)
    half = (distance.high - distance.low) / 2
    return f"{text} ({distance.mean:+.3f} ± {half:.3f})"


if __name__ == "__main__":
    main(read_config(Config, __doc__))
