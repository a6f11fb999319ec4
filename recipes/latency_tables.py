"""The tables of `benchmark_latency.py`.

Not a recipe.
"""

from rich.table import Table


def cost_table(results):
    """What needs no clock."""
    lengths = next(iter(results["models"].values()))["multiply_adds"]
    threads = results["machine"]["threads"]
    table = Table(
        "model",
        "M parameters",
        "MB float32",
        "MB int8",
        *(f"M adds, {length}" for length in lengths),
        title=f"encoders; threads of each runtime: {threads}",
    )
    table.caption = (
        "MB of the weights, by their number; M adds: millions of multiply-adds "
        "per token of a text of so many tokens"
    )
    for name, model in results["models"].items():
        table.add_row(
            name,
            f"{model['parameters'] / 1e6:.2f}",
            f"{model['float32_bytes'] / 1e6:.1f}",
            f"{model['int8_bytes'] / 1e6:.1f}",
            *(f"{n / 1e6:.2f}" for n in model["multiply_adds"].values()),
        )
    return table


def time_table(rows, length):
    """Latency and throughput of texts of one length."""
    rows = [row for row in rows if row["length"] == length]
    batch_size = rows[-1]["batch_size"]
    table = Table(title=f"{length} tokens: one text; batches of {batch_size}")
    table.caption = (
        "times as fast as the teacher in the same runtime, and as transformers "
        "with the same model: medians and ranges of the rounds"
    )
    speed_ups = ("x teacher", "x transformers")
    for heading in (
        *("model", "runtime", "p50 ms", "p95 ms", *speed_ups),
        *("texts/s", *speed_ups),
    ):
        table.add_column(heading)
    half = len(rows) // 2
    for one, batch in zip(rows[:half], rows[half:], strict=True):
        if one["peer"] == rows[0]["peer"]:
            table.add_section()
        table.add_row(
            one["model"],
            one["peer"],
            f"{one['p50_ms']:.2f}",
            f"{one['p95_ms']:.2f}",
            *speed_up_cells(one),
            f"{batch['texts_per_second']:.1f}",
            *speed_up_cells(batch),
        )
    return table


def speed_up_cells(row):
    """Median and range over the teacher, and over transformers."""
    for name in ("teacher", "transformers"):
        found = row[f"speed_up_over_{name}"]
        form = "{:.2f} ({:.2f}-{:.2f})"
        if not found:
            yield "-"
        elif found[1] == found[2] == 1:  # the other is itself
            yield "1"
        else:
            yield form.format(*found)
