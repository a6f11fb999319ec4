"""What the evidence card shows of held-out text, section by section.

Each takes completed results (`facts.complete`) and yields parts.
"""

from keras_kd.evaluation.evidence.figures import (
    frequency_chart,
    quality_chart,
    reliability_chart,
)
from keras_kd.evaluation.evidence.pages import Figure, Table, Text
from keras_kd.evaluation.evidence.words import (
    beside_teacher,
    bucket_name,
    millions,
    optional,
    percent,
    yes_no,
)

GUO = "https://arxiv.org/abs/1706.04599"


def quality(results):
    """Every model and baseline by nats, size and latency."""
    models, held_out = results["models"], results["held_out"]
    yield Text(
        f"All models met the same masks of the same held-out text "
        f"({held_out['text']}): {held_out['hidden']:,} hidden tokens in "
        f"{held_out['sequences']:,} sequences of {held_out['block_length']}. "
        "Latency is the median of one sequence at a time."
    )
    lines = [
        f"{name} {m['measured']['masked_cross_entropy']:.3f} nats, "
        f"{millions(m['measured'])}, {m['measured']['latency_ms']:.1f} ms"
        for name, m in models.items()
    ]
    unigram = results["baselines"]["unigram"]["masked_cross_entropy"]
    name = results["best_student"]
    kept, message = models[name]["retained"], ""
    if kept:
        message = (
            f"{name} is {beside_teacher(kept)}, with "
            f"{percent(kept['parameters'])} of its parameters "
            f"and {percent(kept['latency'])} of its latency. "
        )
    alt = (
        f"{message}Quality by size and by latency: {'; '.join(lines)}; unigram "
        f"{unigram:.3f} nats. The dotted line joins the models that none beats "
        "in both."
    )
    yield Figure("quality.svg", alt, quality_chart(results))
    yield quality_table(results)
    if any(group["deviation"] is not None for group in results["seeds"]):
        yield seeds_table(results)


def quality_table(results):
    """A row a model, then a row a baseline."""
    rows = []
    for name, model in results["models"].items():
        measured, kept = model["measured"], model["retained"] or {}
        rows.append(
            (
                name,
                *quality_cells(measured),
                millions(measured),
                f"{measured['latency_ms']:.1f}",
                optional(measured.get("latency_rounds_ms"), lowest_to_highest),
                optional(kept.get("learnt"), percent),
                optional(measured.get("teacher_agreement"), percent),
                optional(measured.get("teacher_kl"), "{:.3f}".format),
                yes_no(model["on_size_front"]),
                yes_no(model["on_latency_front"]),
            )
        )
    for name, measured in results["baselines"].items():
        rows.append((name, *quality_cells(measured), *"-" * 8))
    headings = (
        "model|nats|perplexity|top-1|top-5|parameters|ms|ms, rounds|kept|"
        "agrees|KL"
    )
    return Table(
        "Held-out quality, size and latency. Rounds: medians of the fastest "
        "and the slowest round. Kept: of what the teacher learnt "
        "beyond the unigram, in nats. Agrees, KL: with the teacher. Unbeaten: "
        "no other model is as good at that size, or that latency",
        (*headings.split("|"), "unbeaten, size", "unbeaten, ms"),
        tuple(rows),
    )


def lowest_to_highest(values):
    """The ends of several latencies: other work on the machine shows here."""
    return f"{min(values):.1f} to {max(values):.1f}"


def seeds_table(results):
    """Mean and deviation of runs that are one experiment."""
    return Table(
        "Runs that differ by their seed alone, nats",
        ("runs", "seeds", "mean", "standard deviation"),
        tuple(
            (
                ", ".join(group["runs"]),
                ", ".join(map(str, group["seeds"])),
                f"{group['mean']:.3f}",
                optional(group["deviation"], "{:.3f}".format),
            )
            for group in results["seeds"]
        ),
    )


def quality_cells(measured):
    """Nats, perplexity, top-1 and top-5 of a model or baseline."""
    return (
        f"{measured['masked_cross_entropy']:.3f}",
        f"{measured['perplexity']:,.1f}",
        percent(measured["top1"]),
        percent(measured["top5"]),
    )


def rarity(results):
    """Nats and top-1 by how often a token was in the training text."""
    models = results["models"]
    buckets = next(iter(models.values()))["by_frequency"]
    counted = results["held_out"].get("counted")
    where = f"the text counted ({counted})" if counted else "the training text"
    yield Text(
        f"Hidden tokens by how often their token occurs in {where}, "
        "in buckets that hold about equal shares of that text."
    )
    ends = [
        f"{name} {optional(nats_of(m, 0), '{:.3f}'.format)} nats on the "
        f"rarest, {optional(nats_of(m, -1), '{:.3f}'.format)} on the commonest"
        for name, m in models.items()
    ]
    alt = f"Nats from rare tokens to common ones: {'; '.join(ends)}."
    yield Figure("frequency.svg", alt, frequency_chart(results))
    columns = {}
    for key, label, form in (
        ("masked_cross_entropy", "nats", "{:.3f}".format),
        ("top1", "top-1", percent),
    ):
        for name, model in models.items():
            columns[f"{name}, {label}"] = [
                optional(row[key], form) for row in model["by_frequency"]
            ]
    rows = tuple(
        (
            bucket_name(bucket),
            f"{bucket['tokens']:,}",
            f"{bucket['hidden']:,}",
            *(cells[index] for cells in columns.values()),
        )
        for index, bucket in enumerate(buckets)
    )
    yield Table(
        f"By occurrences in {where}",
        ("occurrences", "tokens", "hidden", *columns),
        rows,
    )


def nats_of(model, index):
    """Of one bucket."""
    return model["by_frequency"][index]["masked_cross_entropy"]


def sureness(results):
    """Expected calibration error, and the bins behind it."""
    models = results["models"]
    bins = next(iter(models.values()))["calibration"]["bins"]
    yield Text(
        "A model that gives its first choices a probability should be right "
        "in that share of them. The expected calibration error is the mean "
        f"distance from that, over {len(bins)} bins of equal width. Source: "
        "Guo et al., 2017,",
        link=GUO,
    )
    found = {name: model["calibration"] for name, model in models.items()}
    lines = [
        f"{name} is {sure_or_not(c)}: right {percent(c['accuracy'])} of the "
        f"time, it says {percent(c['confidence'])}; calibration error "
        f"{percent(c['expected_calibration_error'])}"
        for name, c in found.items()
    ]
    alt = f"Reliability: {'; '.join(lines)}. Below the dashed line is too sure."
    yield Figure("reliability.svg", alt, reliability_chart(results))
    yield Table(
        "Calibration of the first choice",
        ("model", "calibration error", "says", "is right", "tokens"),
        tuple(
            (
                name,
                percent(c["expected_calibration_error"]),
                percent(c["confidence"]),
                percent(c["accuracy"]),
                f"{c['rows']:,}",
            )
            for name, c in found.items()
        ),
    )
    for name, c in found.items():
        yield bins_table(name, c["bins"])


def sure_or_not(found):
    """What a calibration says, on the whole."""
    if found["confidence"] > found["accuracy"]:
        return "surer than it is right"
    return "less sure than it is right"


def bins_table(name, bins):
    """The reliability of one model, bin by bin."""
    return Table(
        f"Bins of {name}",
        ("above", "to", "tokens", "says", "is right"),
        tuple(
            (
                percent(b["above"]),
                percent(b["to"]),
                f"{b['rows']:,}",
                optional(b["confidence"], percent),
                optional(b["accuracy"], percent),
            )
            for b in bins
        ),
        folded=True,
    )
