"""What follows from what was measured: shares, fronts, and what is missing."""

import copy
import json
import statistics

# Of a run's settings, those that may differ between seeds of one experiment.
BY_SEED = ("seed", "run", "save_steps", "jit_compile")


def complete(results):
    """Results of `evidence_card` with all that its pages show besides.

    Args:
        results: Dict, as `evidence_card` takes it; it is left as it is.

    Returns:
        A copy with `retained`, `on_size_front` and `on_latency_front` of each
        model, `best_student`, `seeds`, `retained` of each task,
        `kept_on_tasks` and `not_measured`.
    """
    results = copy.deepcopy(results)
    models, teacher = results["models"], results.get("teacher")
    for name, model in models.items():
        model["retained"] = (
            _retained(model, models[teacher], results["baselines"])
            if teacher and name != teacher
            else None
        )
        for front, key in (
            ("on_size_front", "parameters"),
            ("on_latency_front", "latency_ms"),
        ):
            model[front] = on_front(name, models, key)
    students = students_of(results)
    results["best_student"] = min(students, key=lambda n: _nats(models[n]))
    results["seeds"] = seed_groups({n: models[n] for n in students})
    for task in results["tasks"]:
        metric, theirs = task["metric"], task["baselines"].get("teacher")
        task["retained"] = (
            task["scores"][metric] / theirs[metric]
            if theirs and theirs[metric]
            else None
        )
    results["kept_on_tasks"] = kept_on_tasks(results["tasks"])
    results["not_measured"] = not_measured(results)
    return results


def students_of(results):
    """Names of the models that are no teachers, the one given or another."""
    return [
        name
        for name, model in results["models"].items()
        if name != results.get("teacher") and model["role"] != "teacher"
    ]


def kept_on_tasks(tasks):
    """Mean share of the teacher's score over the seeds of a task and model.

    Args:
        tasks: List of dict, each with its `retained`, or None.

    Returns:
        List of dict of `task`, `model`, `metric`, `retained` and `seeds`.
    """
    shares = {}
    for task in tasks:
        if task["retained"] is not None:
            key = task["task"], task["model"]["name"], task["metric"]
            shares.setdefault(key, []).append(task["retained"])
    return [
        {
            "task": task,
            "model": model,
            "metric": metric,
            "retained": statistics.fmean(values),
            "seeds": len(values),
        }
        for (task, model, metric), values in shares.items()
    ]


def _nats(model):
    return model["measured"]["masked_cross_entropy"]


def _retained(model, teacher, baselines):
    """Of the teacher's quality and cost, what a student has; shares."""
    mine, theirs = model["measured"], teacher["measured"]
    unigram = baselines["unigram"]["masked_cross_entropy"]
    learnt = unigram - _nats(teacher)
    return {
        # None beside a teacher that learnt nothing: a share of it says nought.
        "learnt": (unigram - _nats(model)) / learnt if learnt > 0 else None,
        "top1": mine["top1"] / theirs["top1"] if theirs["top1"] else None,
        "nats_above_teacher": _nats(model) - _nats(teacher),
        "parameters": mine["parameters"] / theirs["parameters"],
        "latency": mine["latency_ms"] / theirs["latency_ms"],
    }


def on_front(name, models, key):
    """Whether no other model is as small and as good, and better in one."""
    cost, nats = models[name]["measured"][key], _nats(models[name])
    others = [
        (m["measured"][key], _nats(m)) for n, m in models.items() if n != name
    ]
    return not any(
        (c <= cost and n <= nats) and (c < cost or n < nats) for c, n in others
    )


def seed_groups(models):
    """Runs that differ by their seed alone, with mean and deviation.

    Returns:
        List of dict of `runs`, `seeds`, `mean` and `deviation` (nats; None of
        one seed). Runs without a known seed are in none.
    """
    groups = {}
    for name, model in models.items():
        config = model["run"]["config"]
        if config.get("seed") is not None:
            kept = {k: v for k, v in config.items() if k not in BY_SEED}
            key = json.dumps(kept, sort_keys=True)
            groups.setdefault(key, []).append(name)
    found = []
    for names in groups.values():
        nats = [_nats(models[name]) for name in names]
        seeds = {models[name]["run"]["config"]["seed"] for name in names}
        several = len(seeds) > 1
        found.append(
            {
                "runs": names,
                "seeds": sorted(seeds),
                "mean": statistics.mean(nats),
                "deviation": statistics.stdev(nats) if several else None,
            }
        )
    return found


def not_measured(results):
    """What a reader might take for granted, and this card does not show.

    Args:
        results: Dict, as `evidence_card` takes it, with `seeds`.

    Returns:
        List of sentences.
    """
    students = [results["models"][name] for name in students_of(results)]
    roles = {model["role"] for model in students}
    starts = {model["start"] for model in students}
    environment = results["environment"]
    most = max((len(g["seeds"]) for g in results["seeds"]), default=0)
    said = {
        "The teacher: no run was given as one, so nothing is said of what was "
        "kept of it.": not results.get("teacher"),
        "The same student without distillation: no such run was given.": (
            "not distilled" not in roles
        ),
        "The same student from a random start: no such run was given.": (
            "random" not in starts
        ),
        "Another seed: each setting ran once, and another may rank close "
        "models otherwise.": most < 2,
        "Significance: fewer than 8 seeds of a setting show a trend.": (
            2 <= most < 8
        ),
        "Downstream tasks: no fine-tuned run was given, so what a classifier "
        "made of the student is worth is not known.": not results["tasks"],
        "The teacher on a downstream task: not every task has its score.": any(
            task["retained"] is None for task in results["tasks"]
        ),
        "8-bit weights (int8): quality and latency are of the weights as they "
        "were trained.": True,
        "Apple Metal, and any phone: latency is of the machine named below.": (
            "metal" not in environment["device"].lower()
        ),
        "A GPU: latency is of a processor.": (
            environment["device"].lower().startswith("cpu")
        ),
        "Latency in batches, and of text to tokens: one sequence of "
        "token ids at a time was timed.": True,
        "Memory while serving, and energy.": True,
        "Other text than the held-out text named here, other languages, and "
        "what the models say of people (bias).": True,
    }
    return [sentence for sentence, missing in said.items() if missing]
