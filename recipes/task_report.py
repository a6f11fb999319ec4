"""The study of tasks in a table and in words. Not a recipe."""

import statistics

import keras_kd as kd
import keras
import numpy as np
import scipy.stats
from rich.console import Console
from rich.markdown import Markdown

from classification import baselines
from run_folder import write_json, write_text
from task_runs import Student, students

LENGTH = 32  # tokens of the texts that are timed
TEXTS = 32  # of them at once


def write_report(config, folder, task, runs):
    """report.md and report.json, of all that has been run.

    Returns:
        Dict of what the report says in numbers.
    """
    metric = task.metrics[0]
    scores = reported_scores(config, runs)
    costs = cost(config, runs)
    sizes = {"teacher": costs["teacher"]["parameters"]}
    for student in students(config):
        sizes[student.name] = costs[depth_name(student.depth)]["parameters"]
    found = {
        "task": task.name,
        "metric": metric,
        "seeds": list(config.seeds),
        "rows": {
            "train": len(task.train),
            "hold_out": len(task.hold_out),
            "validation": len(task.validation),
        },
        "models": {
            arm: {
                "parameters": sizes[arm],
                "scores": values,
                "median": statistics.median(values),
                "mean": statistics.fmean(values),
                "interval": interval(values),
                "retained": statistics.fmean(values)
                / statistics.fmean(scores["teacher"]),
            }
            for arm, values in scores.items()
        },
        "baselines": {
            name: values[metric] for name, values in baselines(task).items()
        },
        "differences": differences(config, scores),
        "cost": costs,
        "chosen": chosen(config, runs),
    }
    write_json(folder / "report.json", found)
    text = words(config, found)
    write_text(folder / "report.md", text)
    Console().print(Markdown(text))
    return found


def reported_scores(config, runs):
    """Scores on the validation texts: a list, by seed, of each model."""
    found = {}
    for arm in ["teacher", *(student.name for student in students(config))]:
        rows = [runs.reported(arm, seed) for seed in config.seeds]
        found[arm] = [float(row["validation"]) for row in rows]
    return found


def interval(values):
    """Student's 95 % interval of a mean, as a pair."""
    half = scipy.stats.sem(values) * scipy.stats.t.ppf(0.975, len(values) - 1)
    mean = statistics.fmean(values)
    return mean - float(half), mean + float(half)


def differences(config, scores):
    """Distilled minus the others of its depth, seed by seed."""
    found = {}
    for depth in config.depths:
        distilled = scores[Student(depth, "distilled").name]
        for kind in ("labels", "random"):
            other = Student(depth, kind).name
            difference = kd.paired_difference(distilled, scores[other])
            found[f"{depth} layers: distilled - {other.split(', ', 1)[1]}"] = (
                str(difference)
            )
    return found


def chosen(config, runs):
    """What the held-out texts chose: rates and layers."""
    arms = ["teacher", *(student.name for student in students(config))]
    rows = {arm: runs.reported(arm, config.seeds[0]) for arm in arms}
    return {
        arm: {"learning_rate": row["learning_rate"], "layers": row["layers"]}
        for arm, row in rows.items()
    }


def cost(config, runs):
    """Size, multiply-adds and time of each depth beside the teacher's."""
    seed = config.seeds[0]
    models = {"teacher": runs.teacher(seed)}
    for depth in config.depths:
        path = runs.path(Student(depth, "distilled").name, seed)
        models[depth_name(depth)] = keras.saving.load_model(path, compile=False)
    length = min(LENGTH, models["teacher"].config.max_sequence_length)
    timed = {}
    for texts in (1, TEXTS):
        calls = {
            name: caller(model, texts, length) for name, model in models.items()
        }
        timed[texts] = kd.time_in_turns(calls)
    return {
        name: {
            **kd.count_bytes(model),
            "multiply_adds": kd.multiply_adds(model, length),
            **{
                f"speed_up_{texts}": timings[name].speed_up(timings["teacher"])
                for texts, timings in timed.items()
            },
        }
        for name, model in models.items()
    }


def depth_name(depth):
    """What students of a depth are called where it is said what they cost."""
    return f"{depth} layers"


def caller(model, texts, length):
    """A function that classifies a batch of made-up texts, compiled."""
    logits = keras.Model(model.inputs, model.output["logits"])
    logits.compile()
    ids = np.random.default_rng(0).integers(
        5, model.config.vocabulary_size, (texts, length)
    )
    batch = {
        "token_ids": ids,
        "segment_ids": np.zeros_like(ids),
        "padding_mask": np.ones_like(ids),
    }
    batch = [batch[tensor.name] for tensor in logits.inputs]
    return lambda: logits.predict_on_batch(batch)


def words(config, found):
    """The report, Markdown."""
    rows = found["rows"]
    lines = [
        f"# {found['task']}: does the student hold up?",
        "",
        f"{found['metric']} on {rows['validation']:,} validation texts, which "
        f"only report; {rows['train']:,} train, {rows['hold_out']:,} choose; "
        f"seeds {', '.join(map(str, found['seeds']))}. Encoder: "
        f"{config.encoder}. Interval: Student's, 95 %, of the mean over the "
        "seeds.",
        "",
        f"| model | {found['metric']}, by seed | median | mean | interval | "
        "of the teacher's |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, model in found["models"].items():
        each = " ".join(f"{value:.4f}" for value in model["scores"])
        low, high = model["interval"]
        lines.append(
            f"| {name} | {each} | {model['median']:.4f} | {model['mean']:.4f} "
            f"| {low:.4f} to {high:.4f} | {model['retained']:.1%} |"
        )
    for name, value in found["baselines"].items():
        lines.append(f"| {name} | {value:.4f} | | | | |")
    lines += ["", "Distilled, minus the same seed's other student:", ""]
    lines += [f"- {name}: {v}" for name, v in found["differences"].items()]
    lines += [
        "",
        f"| model | M parameters | MB float32 / int8 | M multiply-adds a token "
        f"| times as fast, 1 text of {LENGTH} tokens | {TEXTS} texts |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in found["cost"].items():
        speeds = [
            "{:.2f} ({:.2f} to {:.2f})".format(*row[f"speed_up_{texts}"])
            for texts in (1, TEXTS)
        ]
        lines.append(
            f"| {name} | {row['parameters'] / 1e6:.1f} | "
            f"{row['float32_bytes'] / 1e6:.0f} / {row['int8_bytes'] / 1e6:.0f} "
            f"| {row['multiply_adds'] / 1e6:.1f} | {' | '.join(speeds)} |"
        )
    how = "Chosen on held-out training texts, with another seed"
    if config.teacher_rates:
        how += ", but for the teacher's rate, with all seeds"
    lines += ["", f"{how}:", ""]
    lines += [
        f"- {name}: rate {row['learning_rate']}, layers {row['layers']}"
        for name, row in found["chosen"].items()
    ]
    return "\n".join(lines) + "\n"
