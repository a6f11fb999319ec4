"""The study of initialisations in numbers and words. Not a recipe.

Reads results.csv and subnetworks.csv, so that a report can be made again from
the tables alone; writes the pictures, report.md and report.html beside them.
"""

import collections
import statistics

import keras_kd as kd
import keras
import numpy as np
import scipy.stats

from run_folder import write_text
from study_arms import CONTRASTS, DISTILBERT, STUDENTS, TEACHERS
from study_figures import draw_robustness, draw_starts, draw_steps
from study_page import page
from study_tables import RESULT_ROW, SUBNETWORK_ROW, Table

TIE = 0.02  # nats; less is called a tie
FIGURES = {
    "robustness_curve.png": "What is left of a teacher when layers go: "
    "held-out nats of every sub-network by the layers it keeps. Band: all "
    "sub-networks of all seeds; line: the best; dashes: the median. Diamonds: "
    "the students, distilled; dotted: the students' shape from scratch.",
    "init_vs_final.png": "Held-out nats of each student before and after "
    "distillation.",
    "steps_to_quality.png": "Held-out nats on the way, means of the seeds. "
    "The level is what DistilBERT's way ends at.",
}


def write_report(folder, config, seeds, unigram):
    """All of it, for the seeds that are done.

    Args:
        folder: `pathlib.Path` of the study.
        config: The recipe's.
        seeds: Tuple of int, two at least.
        unigram: Dict of `evaluate_unigram` on the same masks.

    Returns:
        Dict of what the report says in numbers.
    """
    study = Study(folder, seeds, unigram["masked_cross_entropy"])
    draw_robustness(study, folder / "robustness_curve.png", config)
    draw_starts(study, folder / "init_vs_final.png")
    draw_steps(study, folder / "steps_to_quality.png")
    found = findings(study, config)
    text = words(study, config, found)
    write_text(folder / "report.md", text)
    write_text(folder / "report.html", page(text, folder))
    return found


class Study:
    """The tables, for some of the seeds.

    Args:
        folder: `pathlib.Path`.
        seeds: Tuple of int.
        unigram: Float, nats of the unigram baseline.
    """

    def __init__(self, folder, seeds, unigram):
        self.results = Table(folder / "results.csv", RESULT_ROW)
        self.subnetworks = Table(folder / "subnetworks.csv", SUBNETWORK_ROW)
        self.seeds = seeds
        self.unigram = unigram

    def of(self, kind, arm, column="final"):
        """A column of an arm's runs, one a seed."""
        return [
            self.results.find(kind=kind, arm=arm, seed=seed)[0][column]
            for seed in self.seeds
        ]

    def nats(self, kind, arm, column="final"):
        """The same, as floats."""
        return [float(value) for value in self.of(kind, arm, column)]

    def curves(self, kind, arm):
        """Steps (n,) and held-out nats (seeds, n)."""
        rows = [
            [tuple(map(float, point.split(":"))) for point in text.split()]
            for text in self.of(kind, arm, "curve")
        ]
        array = np.array(rows)
        return array[0, :, 0], array[:, :, 1]

    def depths(self, arm, seed, steps=None):
        """Dict of layers kept to the test nats of all such sub-networks."""
        wanted = {"arm": arm, "seed": seed}
        if steps is not None:
            wanted["steps"] = steps
        found = collections.defaultdict(list)
        for row in self.subnetworks.find(**wanted):
            found[len(row["layers"].split())].append(float(row["test"]))
        return dict(sorted(found.items()))

    def area(self, arm, seed, steps=None):
        """Area under the robustness curve, in nats.

        Mean over the layers kept, less than all, of the median sub-network's
        nats beyond the whole teacher's.
        """
        depths = self.depths(arm, seed, steps)
        (whole,) = depths.pop(max(depths))
        return statistics.mean(
            statistics.median(nats) - whole for nats in depths.values()
        )


def findings(study, config):
    """The numbers that the report tells, as a dict."""
    areas = {
        arm: [study.area(arm, seed) for seed in study.seeds] for arm in TEACHERS
    }
    differences = {
        question: kd.paired_difference(
            study.nats("student", ours), study.nats("student", other)
        )
        for question, (ours, other) in CONTRASTS.items()
    }
    adjusted = kd.holm({q: d.p_value for q, d in differences.items()})
    starts = np.array(
        [study.nats("student", arm.name, "start") for arm in STUDENTS]
    )
    ends = np.array([study.nats("student", arm.name) for arm in STUDENTS])
    copied = [i for i, arm in enumerate(STUDENTS) if arm.plan != "random"]
    return {
        "unigram": study.unigram,
        "areas": areas,
        "area_shares": {
            arm: statistics.mean(areas[arm]) / statistics.mean(areas["plain"])
            for arm in areas
        },
        "differences": differences,
        "adjusted": adjusted,
        "steps": {
            arm.name: steps_to(study, arm.name, config.student_steps)
            for arm in STUDENTS
        },
        "spearman": float(
            scipy.stats.spearmanr(
                starts[copied].mean(1), ends[copied].mean(1)
            ).statistic
        ),
        "continued": continued(study),
    }


def steps_to(study, arm, most):
    """Share of the steps after which an arm's mean is at DistilBERT's end."""
    # Of the curves, whose nats are rounded, as those they are compared with.
    level = study.curves("student", DISTILBERT.name)[1].mean(0)[-1]
    steps, nats = study.curves("student", arm)
    below = np.flatnonzero(nats.mean(0) <= level)
    return float(steps[below[0]] / most) if len(below) else None


def continued(study):
    """Of plain teachers that went on with LayerDrop: steps, area, nats."""
    arm = "plain, then layerdrop"
    steps = sorted({int(r["steps"]) for r in study.subnetworks.find(arm=arm)})
    found = []
    for step in steps:
        areas, nats = [], []
        for seed in study.seeds:
            areas.append(study.area(arm, seed, step))
            depths = study.depths(arm, seed, step)
            nats += depths[max(depths)]
        found.append((step, statistics.mean(areas), statistics.mean(nats)))
    return found


def words(study, config, found):
    """The report, in Markdown."""
    seeds = ", ".join(map(str, study.seeds))
    lines = [
        "# Which start is best? LayerDrop teachers, sub-networks, students",
        "",
        f"Teachers of {config.num_layers} layers x {config.hidden_dim}, "
        f"{config.teacher_steps} steps of {config.batch_size} sequences; "
        f"students of {config.kept} layers, {config.student_steps} steps. "
        f"Seeds {seeds}; learning rates tuned on seed {config.tuning_seed}. "
        f"`{config.scale}` scale, {config.precision} on "
        f"{keras.backend.backend()}. Nats are masked cross-entropy on held-out "
        f"text that chose nothing; the unigram baseline has "
        f"{study.unigram:.3f}.",
        "",
        "## What held and what did not",
        "",
        *(f"- {line}" for line in verdicts(study, config, found)),
        "",
    ]
    for name, caption in FIGURES.items():
        lines += [f"![{caption}]({name})", "", caption, ""]
    lines += ["## Teachers", ""]
    lines += table(
        ("teacher", "steps", "FLOPs", "nats", "area under the curve", "share"),
        [
            (
                f"{arm.name}: {arm.what}",
                study.of("teacher", name, "steps")[0],
                study.of("teacher", name, "flops")[0],
                mean_of(study.nats("teacher", name)),
                mean_of(found["areas"][name]),
                f"{found['area_shares'][name]:.2f}",
            )
            for name, arm in TEACHERS.items()
        ]
        + [
            (
                "the students' shape, from scratch",
                study.of("alone", "alone", "steps")[0],
                study.of("alone", "alone", "flops")[0],
                mean_of(study.nats("alone", "alone")),
                "",
                "",
            )
        ],
    )
    lines += ["", "## Students", ""]
    lines += table(
        ("start < teacher", "rate", "before", "after", "all runs", "steps"),
        [
            (
                arm.name,
                study.of("student", arm.name, "learning_rate")[0],
                mean_of(study.nats("student", arm.name, "start")),
                mean_of(study.nats("student", arm.name)),
                " ".join(
                    f"{nats:.3f}" for nats in study.nats("student", arm.name)
                ),
                share_of(found["steps"][arm.name]),
            )
            for arm in sorted(
                STUDENTS,
                key=lambda a: statistics.mean(study.nats("student", a.name)),
            )
        ],
    )
    lines += [
        "",
        "Steps: share of the steps after which the mean is where DistilBERT's "
        f"way ({DISTILBERT.name}) ends.",
        "",
        "## Comparisons, declared beforehand",
        "",
    ]
    lines += table(
        ("question", "difference, nats", "95 %", "p", "p (Holm)", "pairs"),
        [
            (
                question,
                f"{d.mean:+.4f}",
                f"{d.low:+.4f} to {d.high:+.4f}",
                f"{d.p_value:.3g}",
                f"{found['adjusted'][question]:.3g}",
                " ".join(f"{value:+.3f}" for value in d.differences),
            )
            for question, d in found["differences"].items()
        ],
    )
    lines += ["", "## A teacher trained without LayerDrop goes on with it", ""]
    lines += table(
        ("steps with LayerDrop", "area under the curve", "nats of the whole"),
        [
            (str(steps), f"{area:.3f}", f"{nats:.3f}")
            for steps, area, nats in found["continued"]
        ],
    )
    return "\n".join(lines) + "\n"


def verdicts(study, config, found):
    """What held and what did not, a sentence each."""
    plain = statistics.mean(study.nats("teacher", "plain"))
    learnt = study.unigram - plain
    yield (
        f"Gate: the plain teacher is {learnt:.2f} nats below the unigram "
        f"baseline (1.5 wanted): {'held' if learnt >= 1.5 else 'NOT held'}."
    )
    for arm in list(TEACHERS)[1:]:
        share = found["area_shares"][arm]
        cost = statistics.mean(study.nats("teacher", arm)) - plain
        yield (
            f"Robustness of the {arm} teacher: its area under the curve is "
            f"{share:.2f} of the plain teacher's (0.5 at most wanted): "
            f"{'held' if share <= 0.5 else 'NOT held'}. The whole model is "
            f"{cost:+.3f} nats beside the plain one's."
        )
    for question, d in found["differences"].items():
        if abs(d.mean) < TIE:
            verdict = "a tie"
        elif d.high < 0:
            verdict = "better, the interval clear of 0"
        elif d.low > 0:
            verdict = "WORSE, the interval clear of 0"
        else:
            verdict = "not settled, the interval holds 0"
        yield (
            f"{question}, against DistilBERT's way: {d.mean:+.3f} nats: "
            f"{verdict}."
        )
    pairs = len(study.seeds)
    yield (
        f"{pairs} pairs can show no p-value below {2 / 2**pairs:.3g}: "
        + ("a trend, not significance." if pairs < 6 else "enough for 0.05.")
    )
    best = min(
        (arm.name for arm in STUDENTS),
        key=lambda name: statistics.mean(study.nats("student", name)),
    )
    steps = found["steps"][best]
    held = steps is not None and steps <= 0.5
    yield (
        f"The best student ({best}) is where DistilBERT's way ends after "
        f"{share_of(steps)} of the steps (0.5 at most wanted): "
        f"{'held' if held else 'NOT held'}."
    )
    alone = statistics.mean(study.nats("alone", "alone"))
    beside = alone - statistics.mean(study.nats("student", best))
    yield (
        "The students' shape from scratch, for the FLOPs of a plain teacher "
        f"and a distillation together, ends at {alone:.3f} nats, "
        f"{beside:+.3f} beside the best student's: "
        + ("worth less than both stages." if beside > 0 else "worth MORE.")
    )
    yield (
        "Does the loss before training tell the loss after it? Spearman's "
        f"rank correlation over the arms that copy: {found['spearman']:.2f}."
    )
    (_, first, nats), *_, (last_step, last, after) = found["continued"]
    yield (
        f"A plain teacher that goes on with LayerDrop for {last_step} steps: "
        f"area {first:.3f} to {last:.3f}, whole model {nats:.3f} to "
        f"{after:.3f} nats."
    )


def table(headings, rows):
    """Lines of a Markdown table."""
    yield f"| {' | '.join(headings)} |"
    yield "|" + " --- |" * len(headings)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def mean_of(values):
    """Mean and standard deviation, in words."""
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def share_of(steps):
    """A share of the steps, or that it was not reached."""
    return "never" if steps is None else f"{steps:.2f}"
