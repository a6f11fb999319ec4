"""The tables of `benchmark_step.py`, made from its samples.

Not a recipe.
"""

import statistics

from rich.table import Table

from step_parts import PARTS, step_products
from step_peers import Size

# How the time of each part is found.
HOW = {
    "teacher": "encoder forward, alone",
    "student": "encoder and hidden-state term, with gradients",
    "vocabulary rows": "heads and terms from fixed states, with gradients",
    "optimizer": "clip and update, fixed gradients",
}


def print_tables(results, console):
    """Prints all tables of a run of `benchmark_step.py`."""
    console.print(
        ", ".join(f"{name} {what}" for name, what in results["machine"].items())
    )
    together = {}
    for group in results["groups"]:
        key = group["size"], group["rows"]
        together.setdefault(key, []).append(group)
    for (size, rows), groups in together.items():
        title = f"{size}, soft targets at {rows} rows"
        console.print(time_table(groups, title))
        console.print(work_table(groups, title))
        for group in groups:
            if group["group"] == "parts" and seconds(group, anchor_of(group)):
                console.print(parts_table(group, title))
        console.print(peak_table(groups, title))
    for group in results["groups"]:
        for name, candidate in group["candidates"].items():
            if candidate["error"]:
                where = f"{group['size']}, {group['rows']} rows"
                console.print(f"{name} ({where}): {candidate['error']}")


def seconds(group, name, what="step"):
    """Seconds per step of a candidate, a dict by round."""
    samples = group["candidates"][name]["samples"]
    return {sample["round"]: sample["seconds"][what] for sample in samples}


def ratios(group, name):
    """Time by the anchor's, in each round that both have."""
    anchor = seconds(group, anchor_of(group))
    return [
        value / anchor[index]
        for index, value in seconds(group, name).items()
        if index in anchor
    ]


def steppers(group):
    """Names of the candidates that took whole steps, the anchor first."""
    return [
        name
        for name, candidate in group["candidates"].items()
        if name not in ("peak", "parts") and candidate["samples"]
    ]


def anchor_of(group):
    """The candidate that the group's ratios are to."""
    return next(n for n in group["candidates"] if n not in ("peak", "parts"))


def products_of(group):
    """The matrix products of a group's step."""
    size = Size(**group["shape"])
    rows = size.rows(group["rows"])
    return step_products(size, rows, group.get("device", "cpu"))


def best_seconds(groups, precision):
    """The shortest time of each matrix product measured, a dict by name."""
    found = {}
    for group in groups:
        for sample in group["candidates"]["peak"]["samples"]:
            for key, value in sample["seconds"].items():
                kind, name = key.split(" ", 1)
                if kind == precision:
                    found[name] = min(value, found.get(name, value))
    return found


def limit(group, precision, part=None):
    """Seconds of a step's products, each at the best speed of its shape.

    Args:
        group: A group of the results.
        precision: Str, "float32" or "bfloat16".
        part: Str or None. Only the products of this part.

    Returns:
        Float; None where the products were not measured.
    """
    best = best_seconds([group], precision)
    if not best:
        return None
    return sum(
        product.count * best[product.name]
        for product in products_of(group)
        if part in (None, product.part)
    )


def time_table(groups, title):
    """Seconds, tokens per second and ratios, a section a group."""
    table = Table(
        "candidate",
        "s/step",
        "tokens/s",
        "ratio",
        "range",
        "others",
        title=title,
    )
    for group in groups:
        table.add_section()
        for name in steppers(group):
            median = statistics.median(seconds(group, name).values())
            shares = ratios(group, name)
            table.add_row(
                name,
                f"{median:.3g}" if median < 0.1 else f"{median:.3f}",
                f"{Size(**group['shape']).tokens / median:.0f}",
                f"{statistics.median(shares):.2f}" if shares else "",
                f"{min(shares):.2f} - {max(shares):.2f}" if shares else "",
                others(group["candidates"][name]["samples"]),
            )
    table.caption = (
        "ratio: time by that of the group's first, median of the rounds, and "
        "their range; others: cores that other programs took, median and most"
    )
    return table


def others(samples):
    """Cores that other programs took: median and most."""
    values = [sample["others"] for sample in samples]
    if None in values:
        return "unknown"
    return f"{statistics.median(values):.1f}, {max(values):.1f}"


def work_table(groups, title):
    """Arithmetic, its share of the matmul peak, memory, first loss."""
    table = Table(
        "candidate",
        "GFLOP/s",
        "of peak",
        "MiB steps",
        "MiB all",
        "first loss",
        title=title,
    )
    for group in groups:
        table.add_section()
        flops = sum(product.flops for product in products_of(group))
        for name in steppers(group):
            candidate = group["candidates"][name]
            median = statistics.median(seconds(group, name).values())
            ideal = limit(group, candidate["precision"])
            last = candidate["samples"][-1]
            table.add_row(
                name,
                f"{flops / median / 1e9:.1f}",
                f"{ideal / median:.0%}" if ideal else "",
                f"{last['steps_mib']:.0f}",
                f"{last['whole_mib']:.0f}",
                f"{candidate['first_loss']:.3f}",
            )
    table.caption = (
        f"{flops / 1e9:.1f} GFLOP a step in matrix products; of peak: the time "
        "of these products, each at the best speed of its shape, by the step's"
    )
    return table


def parts_table(group, title):
    """Where the time of `keras-kd-graph` goes."""
    table = Table("part", "ms", "of the step", "of peak", "how", title=title)
    whole = statistics.median(seconds(group, anchor_of(group)).values())
    rest = whole
    for part in PARTS if group["candidates"]["parts"]["samples"] else ():
        median = statistics.median(seconds(group, "parts", part).values())
        rest -= median
        ideal = limit(group, "float32", part)
        table.add_row(
            part,
            f"{1e3 * median:.1f}",
            f"{median / whole:.0%}",
            f"{ideal / median:.0%}" if ideal else "",
            HOW[part],
        )
    table.add_row(
        "rest", f"{1e3 * rest:.1f}", f"{rest / whole:.0%}", "", "difference"
    )
    table.add_row("step", f"{1e3 * whole:.1f}", "", "", "`fit`, whole")
    return table


def peak_table(groups, title):
    """The best speed of each matrix product, over all groups."""
    table = Table("matrix product", "GFLOP", title=title)
    table.caption = (
        "GFLOP of a step, and GFLOP/s by precision; T: stored transposed"
    )
    work = {}
    for product in products_of(groups[0]):
        work[product.name] = work.get(product.name, 0) + product.flops / 1e9
    once = {p.name: p.flops / p.count / 1e9 for p in products_of(groups[0])}
    speeds = []
    for precision in ("float32", "bfloat16"):
        best = best_seconds(groups, precision)
        if best:
            table.add_column(precision)
            speeds.append({name: once[name] / best[name] for name in work})
    for name, gflops in work.items():
        row = [f"{speed[name]:.1f}" for speed in speeds]
        table.add_row(name, f"{gflops:.2f}", *row)
    best = [f"{max(speed.values()):.1f}" for speed in speeds]
    table.add_row("best of all", f"{sum(work.values()):.1f}", *best)
    return table
