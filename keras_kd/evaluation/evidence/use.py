"""What the evidence card shows of models at work: masks filled, tasks done.

Each takes completed results (`facts.complete`) and yields parts.
"""

from keras_kd.evaluation.evidence.pages import Table, Text
from keras_kd.evaluation.evidence.words import millions, optional, percent


def filled_masks(results):
    """What each model puts in a few places, side by side."""
    if not results["examples"]:
        yield Text("The held-out text has no sentence to show.")
        return
    yield Text(
        "Sentences cut from the held-out text by a rule that asks no model; "
        "one word of each is hidden. Each model's first three choices, and "
        "the probability it gave to the word that stood there."
    )
    for example in results["examples"]:
        yield Text(f"“{example['sentence']}” (hidden: {example['truth']})")
        choices = example["choices"]
        ranks = range(min(map(len, choices.values())))
        rows = [
            (
                str(rank + 1),
                *(
                    f"{c[rank]['token']} {percent(c[rank]['probability'])}"
                    for c in choices.values()
                ),
            )
            for rank in ranks
        ]
        truth = example["truth_probability"]
        rows.append(("truth", *(percent(truth[name]) for name in choices)))
        yield Table(
            f"Choices for “{example['truth']}”", ("", *choices), tuple(rows)
        )


def downstream(results):
    """Fine-tuned runs beside their baselines."""
    tasks = results["tasks"]
    if not tasks:
        yield Text(
            "Not measured: no run of a fine-tuning recipe was given. What a "
            "classifier made of the student is worth is not known."
        )
        return
    yield Table(
        "Scores. Kept: share of the teacher's score",
        ("task", "model", "parameters", "metric", "score", "kept", "seed"),
        tuple(
            (
                task["task"],
                task["model"]["name"],
                millions(task["model"]),
                task["metric"],
                f"{task['scores'][task['metric']]:.3f}",
                optional(task["retained"], percent),
                str(task["seed"]),
            )
            for task in tasks
        ),
    )
    yield Table(
        "Baselines on the same rows",
        ("task", "seed", "baseline", "score"),
        _once(
            (
                task["task"],
                str(task["seed"]),
                name,
                f"{scores[task['metric']]:.3f}",
            )
            for task in tasks
            for name, scores in task["baselines"].items()
        ),
    )
    yield Table(
        "Rows",
        ("task", "seed", "part", "rows"),
        _once(
            (task["task"], str(task["seed"]), _part(task, part), f"{rows:,}")
            for task in tasks
            for part, rows in task["rows"].items()
        ),
    )


def _part(task, part):
    """A part of a task's texts; of those that report, which they are."""
    own = task.get("held_out") if part == "validation" else None
    return f"{part}: {own}" if own else part


def _once(rows):
    """Rows as a tuple; what several models share stands there once."""
    return tuple(dict.fromkeys(rows))
