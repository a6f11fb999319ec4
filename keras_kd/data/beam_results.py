"""What a pipeline of Beam's hands back, counted again at each of its steps."""

import json

import numpy as np
from keras_kd.data.packing import SHORTEST_BLOCK


def write_results(path, shards, counts, reasons, read, tokenised, sizes):
    """What the program that waits goes on with."""
    results = {
        "shards": dict(shards),
        "counts": np.asarray(counts[0]).tolist() if counts else [],
        "reasons": reasons,
        "read": read,
        "tokenised": sum(tokenised),
        "sizes": sizes,
    }
    path.write_text(json.dumps(results), "utf-8")


def check_results(results, sources, layout, runner):
    """Refuses what has not all that was read.

    Args:
        results: Dict, as of `write_results`.
        sources: Int, how many there are.
        layout: Dict of `block_length` and `line_by_line`.
        runner: Str, for errors.

    Raises:
        RuntimeError: If anything was lost, or came twice.
    """
    written = dict.fromkeys((length for length, _ in results["sizes"]), 0)
    for shard in results["shards"].values():
        written.setdefault(shard["length"], 0)
        written[shard["length"]] += shard["blocks"]
    pairs = {
        "sources read": (len(results["read"]), sources),
        "documents judged": (
            sum(results["reasons"].values()),
            sum(number for _, (number, _) in results["read"]),
        ),
        "documents tokenised": (
            results["tokenised"],
            results["reasons"].get("kept", 0),
        ),
        "blocks written": (
            sum(written.values()),
            sum(
                blocks_of(size, length, layout)
                for length, size in results["sizes"]
            ),
        ),
    }
    wrong = [
        f"{found:,} of {all_:,} {what}"
        for what, (found, all_) in pairs.items()
        if found != all_
    ]
    if wrong:
        raise RuntimeError(
            "`pipeline_options` must name a runner that hands on all that it "
            f"is given. Received: {runner}, with {', '.join(wrong)}; no store "
            "is written"
        )


def blocks_of(size, length, layout):
    """How many blocks there are of so many ids, or rows of lines."""
    if layout["line_by_line"]:
        return size
    # The last [SEP] is that of the frame, as in `write_shard`.
    whole, left = divmod(max(0, size - 1), length - 2)
    return whole + (left >= SHORTEST_BLOCK - 2)
