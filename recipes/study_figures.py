"""The pictures of the study of initialisations. Not a recipe.

Each is drawn from a `study_report.Study`, and appears when it is whole.
"""

import os
import pathlib
import statistics

import scipy.stats

from study_arms import CONTRASTS, DISTILBERT, STUDENTS, TEACHERS


def draw_robustness(study, path, config):
    """Nats by the layers kept, a colour a teacher."""
    figure, axes = new_figure()
    for index, (arm, teacher) in enumerate(TEACHERS.items()):
        found = [study.depths(arm, seed) for seed in study.seeds]
        kept = list(found[0])
        every = [[nats for f in found for nats in f[k]] for k in kept]
        colour = f"C{index}"
        axes.fill_between(
            kept,
            [min(nats) for nats in every],
            [max(nats) for nats in every],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
        for style, of in (("-", min), ("--", statistics.median)):
            line = [statistics.mean(of(f[k]) for f in found) for k in kept]
            label = f"{arm}: {teacher.what}" if of is min else None
            axes.plot(kept, line, style, color=colour, label=label)
        ends = [
            statistics.mean(study.nats("student", student.name))
            for student in STUDENTS
            if student.source == student.teacher == arm
        ]
        axes.plot(
            [config.kept],
            [min(ends)],
            "D",
            color=colour,
            markeredgecolor="white",
            markersize=9,
        )
    alone = statistics.mean(study.nats("alone", "alone"))
    axes.axhline(alone, color="black", linestyle=":")
    axes.annotate(
        f"{config.kept} layers from scratch, FLOPs of both stages",
        (1, alone),
        va="bottom",
        fontsize=8,
    )
    for style, label in KEY.items():
        axes.plot([], [], style, color="black", label=label)
    axes.axhline(study.unigram, color="grey", linewidth=0.8)
    axes.annotate(
        "unigram", (1, study.unigram), color="grey", va="bottom", fontsize=8
    )
    axes.set(
        xlabel=f"layers kept, of {config.num_layers}",
        ylabel="held-out masked cross-entropy (nats)",
        title="What is left of a teacher when layers go",
        xticks=range(1, config.num_layers + 1),
    )
    legend_below(figure)
    save(figure, path)


KEY = {
    "-": "best sub-network",
    "--": "median sub-network",
    "D": "best student, distilled",
}


def draw_starts(study, path):
    """Nats before and after distillation, a point a run."""
    figure, axes = new_figure()
    teachers = list(dict.fromkeys(arm.teacher for arm in STUDENTS))
    for index, teacher in enumerate(teachers):
        arms = [arm for arm in STUDENTS if arm.teacher == teacher]
        starts, ends = (
            [n for arm in arms for n in study.nats("student", arm.name, column)]
            for column in ("start", "final")
        )
        label = f"distilled from {teacher}"
        if len(arms) > 2:
            rho = scipy.stats.spearmanr(starts, ends).statistic
            label += f" (Spearman's ρ {rho:.2f})"
        axes.plot(starts, ends, "o", color=f"C{index}", label=label, alpha=0.7)
    axes.set(
        xlabel="nats before distillation",
        ylabel="nats after distillation",
        title="Does a better start end better?",
    )
    axes.legend(fontsize=8)
    save(figure, path)


def draw_steps(study, path):
    """Held-out nats on the way: DistilBERT's, and the arms compared with it."""
    figure, axes = new_figure()
    arms = [DISTILBERT.name]
    for ours, other in CONTRASTS.values():
        arms += [name for name in (ours, other) if name not in arms]
    for index, arm in enumerate(arms):
        steps, nats = study.curves("student", arm)
        axes.plot(
            steps,
            nats.mean(0),
            "o-",
            color=f"C{index}",
            label=arm,
            markersize=3,
        )
        axes.fill_between(
            steps,
            nats.min(0),
            nats.max(0),
            color=f"C{index}",
            alpha=0.12,
            linewidth=0,
        )
    level = statistics.mean(study.nats("student", DISTILBERT.name))
    axes.axhline(level, color="C0", linestyle=":")
    axes.set(
        xlabel="steps of distillation",
        ylabel="held-out masked cross-entropy (nats)",
        title="How long until DistilBERT's way is met",
    )
    legend_below(figure)
    save(figure, path)


def new_figure():
    """A figure and its axes; without pyplot, so without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    return figure, axes


def legend_below(figure):
    """What the lines are, where it hides none of them."""
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)


def save(figure, path):
    """Writes beside, and renames."""
    path = pathlib.Path(path)
    beside = path.with_name(f"{path.stem}.partial{path.suffix}")
    figure.savefig(beside, dpi=130)
    os.replace(beside, path)
