"""evidence_card: does the student hold up? Proof that is read on a phone."""

import json

from keras_kd.evaluation.evidence.facts import complete, students_of
from keras_kd.evaluation.evidence.html import to_html
from keras_kd.evaluation.evidence.pages import (
    Bullets,
    Figure,
    Listing,
    Section,
    Table,
    Text,
    to_markdown,
)
from keras_kd.evaluation.evidence.sections import quality, rarity, sureness
from keras_kd.evaluation.evidence.use import downstream, filled_masks
from keras_kd.evaluation.evidence.words import (
    beside_teacher,
    millions,
    percent,
    setting,
)

ALONE = "not distilled"
TITLE = "Does the student hold up?"

# Fields of a run's config.json that the card shows, and their names.
SETTINGS = {
    "teacher": "teacher",
    "plan": "starts from",
    "compensation": "compensation",
    "layer_drop": "LayerDrop",
    "alpha_ce": "weight of soft targets",
    "alpha_mlm": "weight of masked LM",
    "alpha_cos": "weight of hidden-state cosine",
    "alpha_mse": "weight of logits' distance",
    "temperature": "temperature",
    "restrict_ce_to_mask": "soft targets at masked tokens only",
    "unmasked_share": "share of other tokens with soft targets",
    "mlm_smoothing": "smoothing of masks (rare tokens more often)",
    "mask_across_batch": "masks drawn across the batch",
    "whole_words": "whole words masked",
    "freeze_position_embeddings": "positions frozen",
    "sandwich": "layers of the sub-network that learns along",
    "layer_drop_law": "LayerDrop by depth",
    "layer_drop_late": "LayerDrop late",
    "dropout": "dropout",
    "from_checkpoint": "goes on from",
    "steps": "steps",
    "batch_size": "sequences a step",
    "block_length": "tokens a sequence",
    "optimizer": "optimizer",
    "learning_rate": "highest learning rate",
    "precision": "precision",
    "seed": "seed",
    "corpus": "text",
    "validation_corpus": "held-out text",
    "store": "prepared text",
    "store_weights": "shares of prepared texts",
}
# What a run with prepared text never read, whatever its config.json has.
BESIDE_STORE = ("corpus", "validation_corpus")


def evidence_card(results):
    """The evidence card of a student: text, page, charts and numbers.

    A pure function of what was measured. Every number on the pages is in
    `metrics.json`; the page is one file that asks the network for nothing.

    Args:
        results: Dict that JSON can hold, of
            `models`: dict of name to a dict of `role` ("teacher",
            "distilled", "not distilled" or "unknown"), `start` (str, what its
            weights started from), `shape` (dict of `num_layers`,
            `hidden_dim`, `num_heads`, `vocabulary_size`), `other_teacher`
            (str, the one it learnt from where that is not the one given;
            may be left out), `measured` (of
            `evaluate`; a list `latency_rounds_ms` shows how far rounds of
            timing lie apart), `by_frequency` (of `evaluate_by_frequency`, with
            the same borders for all), `calibration` (of `calibration`) and
            `run` (dict of `config`, the run's settings, and `replay`, a
            command; {} and "" where not known);
            `teacher`: name of one of them, or None;
            `baselines`: dict of "unigram" to the dict of `evaluate_unigram`;
            `held_out`: dict of `text` (str), `sequences`, `block_length`,
            `hidden`, and `counted` (str, the text that tokens are counted
            in; may be left out);
            `examples`: list of dict of `sentence`, `truth`, `choices` (dict of
            model name to dicts of `token` and `probability`) and
            `truth_probability` (dict of model name to float);
            `tasks`: list of dict of `task`, `metric`, `model` (`name`,
            `parameters`), `scores`, `baselines`, `seed`, `rows`, and
            `held_out` (str, the texts that report; may be left out);
            `environment`: dict of str, among them `device`.

    Returns:
        Dict of file name to str: `card.md`, `card.html`, `metrics.json` and
        the charts `quality.svg`, `frequency.svg`, `reliability.svg`.

    Raises:
        ValueError: If there is no model but teachers.
    """
    if not students_of(results):
        raise ValueError(
            "`results` must hold a model that is not the teacher. "
            f"Received: {list(results['models'])}"
        )
    results = complete(results)
    sections = card_sections(results)
    figures = {
        part.name: part.svg
        for section in sections
        for part in section.parts
        if isinstance(part, Figure)
    }
    return {
        "card.md": to_markdown(TITLE, sections),
        "card.html": to_html(TITLE, sections),
        "metrics.json": json.dumps(results, indent=2, allow_nan=False) + "\n",
        **figures,
    }


def card_sections(results):
    """The card as `Section`s, of completed results."""
    return [
        Section("The answer", (Bullets(tuple(answer(results))),)),
        Section("What was distilled from what", tuple(origin(results))),
        Section("Quality against size and speed", tuple(quality(results))),
        Section("Rare words and common ones", tuple(rarity(results))),
        Section("Masks filled", tuple(filled_masks(results))),
        Section("Is it as right as it is sure?", tuple(sureness(results))),
        Section("Downstream tasks", tuple(downstream(results))),
        Section("Not measured", tuple(missing(results))),
    ]


def answer(results):
    """A sentence or three, the numbers first."""
    name = results["best_student"]
    model = results["models"][name]
    measured, kept = model["measured"], model["retained"]
    size = f"{millions(measured)} parameters"
    speed = f"{measured['latency_ms']:.1f} ms a sequence"
    if kept:
        size += f" ({percent(kept['parameters'])} of the teacher's)"
        speed += f" ({percent(kept['latency'])} of the teacher's)"
    yield f"{name}: {size}, {speed}."
    nats = measured["masked_cross_entropy"]
    unigram = results["baselines"]["unigram"]["masked_cross_entropy"]
    yield (
        f"On held-out text it has {nats:.3f} nats a hidden token (lower is "
        f"better; knowing word frequencies alone gives {unigram:.3f}) and "
        f"guesses {percent(measured['top1'])} of them."
    )
    if kept and kept["learnt"] is not None:
        yield (
            f"It keeps {percent(kept['learnt'])} of what the teacher learnt "
            f"beyond word frequencies: it is {beside_teacher(kept)}."
        )
    if kept and model.get("other_teacher"):
        yield (
            f"It learnt from another teacher, {model['other_teacher']}: the "
            f"shares are of {results['teacher']}, which it is compared with."
        )
    if kept and kept["learnt"] is None:
        yield (
            "The teacher itself is no better than word frequencies: what is "
            "kept of it says nothing."
        )
    for other, model in results["models"].items():
        is_baseline = "random" in model["start"] or model["role"] == ALONE
        if is_baseline and other in students_of(results) and other != name:
            yield (
                f"Beside it, {other} ({model['role']}, start: "
                f"{model['start']}) has "
                f"{model['measured']['masked_cross_entropy']:.3f} nats."
            )
    for kept in results["kept_on_tasks"]:
        seeds = (
            "" if kept["seeds"] == 1 else f" (mean of {kept['seeds']} seeds)"
        )
        yield (
            f"{kept['task']}: {kept['model']} keeps "
            f"{percent(kept['retained'])} of the teacher's {kept['metric']}"
            f"{seeds}."
        )
    yield "What is not measured is listed at the end."


def origin(results):
    """Shapes, settings, and how to run it again."""
    models = results["models"]
    yield Table(
        "Models",
        ("model", "role", "start", "layers", "width", "heads", "parameters"),
        tuple(
            (
                name,
                model["role"],
                model["start"],
                *(
                    f"{model['shape'][key]:,}"
                    for key in ("num_layers", "hidden_dim", "num_heads")
                ),
                millions(model["measured"]),
            )
            for name, model in models.items()
        ),
    )
    # The teacher last: on a phone the first columns are what is seen.
    ranked = sorted(models, key=lambda name: name == results.get("teacher"))
    configs = [really_used(models[name]["run"]["config"]) for name in ranked]
    rows = [
        (label, *(setting(config.get(key)) for config in configs))
        for key, label in SETTINGS.items()
        if any(setting(config.get(key)) != "-" for config in configs)
    ]
    if rows:
        headings = ("", *ranked)
        yield Table("Settings of each run", headings, tuple(rows), words=True)
    for name, model in models.items():
        if model.get("other_teacher"):
            yield Text(
                f"{name} learnt from {model['other_teacher']}, by its "
                f"config.json, not from {results['teacher']}: what it keeps, "
                "agrees and KL are beside the latter."
            )
    replays = [m["run"]["replay"] for m in models.values()]
    if any(replays):
        commands = "\n".join(filter(None, replays))
        yield Listing("Commands that run it again", commands)
    for name, model in models.items():
        if model["run"]["config"]:
            text = json.dumps(model["run"]["config"], indent=2)
            yield Listing(f"config.json of {name}", text, folded=True)
        else:
            yield Text(f"How {name} was made is not known: no config.json.")


def really_used(config):
    """A run's settings without a text that its store stood in for."""
    unread = BESIDE_STORE if config.get("store") else ()
    return {key: value for key, value in config.items() if key not in unread}


def missing(results):
    """What is not there, and where the rest was measured."""
    yield Bullets(tuple(results["not_measured"]))
    yield Table(
        "Measured on",
        ("", "this machine"),
        tuple(results["environment"].items()),
        words=True,
    )
