"""The charts of the evidence card, as SVG that fits a phone."""

import io

from keras_kd.evaluation.evidence.words import bucket_name

MARKERS = "osD^vPX*"
INCHES = 4.6  # wide: 10 points are about 10 pixels on a phone


def quality_chart(results):
    """Held-out nats by parameters and by latency, a marker a model.

    Args:
        results: What `evidence_card` takes, completed.

    Returns:
        SVG, str.
    """
    models = results["models"]
    figure = _new_figure(6.4 + 0.22 * (len(models) + 1))
    axes = figure.subplots(2, 1, sharey=True)
    for panel, key, front, scale, label in (
        (axes[0], "parameters", "on_size_front", 1e-6, "million parameters"),
        (axes[1], "latency_ms", "on_latency_front", 1.0, "ms a sequence"),
    ):
        points = []
        for index, (name, model) in enumerate(models.items()):
            measured = model["measured"]
            x, y = measured[key] * scale, measured["masked_cross_entropy"]
            panel.plot(x, y, **_style(index), linestyle="", label=_label(name))
            if model[front]:
                points.append((x, y))
        points.sort()
        panel.plot(
            *zip(*points, strict=True), ":", color="#808080", linewidth=1.2
        )
        for name, measured in results["baselines"].items():
            panel.axhline(
                measured["masked_cross_entropy"],
                color="#808080",
                linestyle="--",
                linewidth=1,
                label=f"{name} (knows no context)",
            )
        panel.set(xlabel=label, ylabel="nats, lower is better")
        panel.margins(y=0.12)
        panel.set_xlim(
            0, 1.12 * max(m["measured"][key] for m in models.values()) * scale
        )
        panel.grid(alpha=0.25)
    return _svg(figure, axes[0], "quality")


def frequency_chart(results):
    """Held-out nats by how often a token was in training, a line a model."""
    models = results["models"]
    figure = _new_figure(3.6 + 0.22 * len(models))
    panel = figure.subplots()
    for index, (name, model) in enumerate(models.items()):
        rows = model["by_frequency"]
        places = [i for i, row in enumerate(rows) if row["hidden"]]
        nats = [rows[i]["masked_cross_entropy"] for i in places]
        panel.plot(places, nats, "-", **_style(index), label=_label(name))
    panel.set(
        xlabel="how often in the training text, rare to common",
        ylabel="nats, lower is better",
        xticks=range(len(rows)),
        xticklabels=[two_lines(bucket_name(row)) for row in rows],
    )
    panel.tick_params(axis="x", labelsize=8)
    panel.grid(alpha=0.25)
    return _svg(figure, panel, "frequency")


def reliability_chart(results):
    """How often models are right, by how sure they say they are."""
    models = results["models"]
    figure = _new_figure(4.2 + 0.22 * (len(models) + 1))
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], "--", color="#808080", label="as sure as right")
    for index, (name, model) in enumerate(models.items()):
        bins = [b for b in model["calibration"]["bins"] if b["rows"]]
        panel.plot(
            [b["confidence"] for b in bins],
            [b["accuracy"] for b in bins],
            "-",
            **_style(index),
            label=_label(name),
        )
    panel.set(
        xlabel="probability given to the first choice",
        ylabel="share of first choices that were right",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    panel.grid(alpha=0.25)
    return _svg(figure, panel, "reliability")


def two_lines(text):
    """Borders one above the other, where there is little room."""
    return text.replace(" to ", " to\n").replace(" or ", "\nor ")


def _label(name):
    """A name that matplotlib neither hides nor sets as mathematics."""
    name = name.replace("$", r"\$")
    return f"\u200b{name}" if name.startswith("_") else name


def _style(index):
    """A colour and a marker, so that neither is all there is to go by."""
    return {
        "color": f"C{index % 10}",
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 7,
        "markeredgewidth": 1.6,
        "fillstyle": "none",  # what lies beneath shows through
    }


def _new_figure(height):
    # Without pyplot: no global state, no display needed.
    from matplotlib.figure import Figure

    return Figure(figsize=(INCHES, height), layout="constrained")


def _svg(figure, panel, salt):
    """The figure with a legend below it, the same letters each time."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", frameon=False)
    FigureCanvasSVG(figure)
    text = io.StringIO()
    # Letters stay letters: small, sharp, and in the reader's own font.
    settings = {"svg.fonttype": "none", "svg.hashsalt": salt}
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(settings):
        figure.savefig(text, format="svg", metadata=metadata)
    return text.getvalue()
