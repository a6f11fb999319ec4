"""compare: results of several models as a table and a picture."""

import os
import pathlib

from rich import box
from rich.console import Console
from rich.table import Table

# Result key, heading, format. Nats: masked cross-entropy. KL and agree: with
# the teacher. M par.: millions of parameters. ms: one sequence.
COLUMNS = (
    ("masked_cross_entropy", "nats", "{:.3f}"),
    ("perplexity", "ppl", "{:.1f}"),
    ("top1", "top-1", "{:.1%}"),
    ("top5", "top-5", "{:.1%}"),
    ("teacher_kl", "KL", "{:.3f}"),
    ("teacher_agreement", "agree", "{:.1%}"),
    ("parameters", "M par.", "{:.2f}"),
    ("latency_ms", "ms", "{:.1f}"),
)


def compare(results, curves=None, figure=None, title=None, console=None):
    """Prints results side by side; draws them where a figure is asked for.

    Args:
        results: Dict of model name to the dict that `evaluate` returned, in
            the order of the rows.
        curves: Dict of model name to a list of (step, cross-entropy) pairs,
            the held-out learning curve, or None.
        figure: Path of a picture to write (.png, .svg, .pdf), or None.
        title: Str, over the table and the picture.
        console: `rich.console.Console` to print on.

    Returns:
        `results` with `versus_best` added: each model's cross-entropy minus
        the lowest.

    Raises:
        ValueError: If there are no results, or one has no cross-entropy.
    """
    missing = [n for n, r in results.items() if "masked_cross_entropy" not in r]
    if not results or missing:
        raise ValueError(
            "`results` must map names to what `evaluate` returns. "
            f"Received: {missing or results}"
        )
    lowest = min(r["masked_cross_entropy"] for r in results.values())
    results = {
        name: {**r, "versus_best": r["masked_cross_entropy"] - lowest}
        for name, r in results.items()
    }
    shown = [c for c in COLUMNS if any(c[0] in r for r in results.values())]
    table = Table(
        title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    table.add_column("model", overflow="fold")  # gives way before figures
    for _, heading, _ in shown:
        table.add_column(heading, no_wrap=True, justify="right")
    for name, result in results.items():
        table.add_row(name, *(_cell(result, *column) for column in shown))
    (console or Console()).print(table)
    if figure is not None:
        _draw(results, curves or {}, pathlib.Path(figure), title)
    return results


def _cell(result, key, _, form):
    if key not in result:
        return "-"
    value = result[key] / 1e6 if key == "parameters" else result[key]
    return form.format(value)


def _draw(results, curves, path, title):
    """Bars of cross-entropy, and learning curves where there are any."""
    # Without pyplot: no global state, no display needed.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = 1 + bool(curves)
    figure = Figure(figsize=(6 * panels, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    bars, *rest = figure.subplots(1, panels, squeeze=False)[0]
    names = list(results)[::-1]
    values = [results[name]["masked_cross_entropy"] for name in names]
    colours = {
        name: f"C{index}" for index, name in enumerate([*results, *curves])
    }
    shapes = bars.barh(names, values, color=[colours[name] for name in names])
    bars.bar_label(shapes, fmt="%.2f", padding=3)
    bars.set(xlabel="held-out masked cross-entropy (nats, lower is better)")
    bars.margins(x=0.15)
    for panel in rest:
        for name, points in curves.items():
            steps, nats = zip(*points, strict=True)
            panel.plot(steps, nats, "o-", color=colours[name], label=name)
        panel.set(xlabel="training steps", ylabel="nats")
        panel.legend()
        panel.grid(alpha=0.3)
    if title:
        figure.suptitle(title)
    beside = path.with_name(f"{path.stem}.partial{path.suffix}")
    figure.savefig(beside, dpi=150)
    os.replace(beside, path)
