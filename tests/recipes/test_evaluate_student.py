"""The recipe's card, with untrained models: all but what they have learnt."""

import dataclasses
import json
import re

import keras_kd as kd
import distill_masked_lm
import evaluate_student
import numpy as np
import pytest
import train_teacher
from keras_kd.evaluation.evidence.card import SETTINGS

import card_facts
import card_sentences

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa".split()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A teacher's and a student's run folder, and a text of sentences."""
    folder = tmp_path_factory.mktemp("runs")
    documents = [
        " ".join(
            f"{WORDS[i % 10]} {WORDS[(i * k) % 10]} and the {WORDS[k]} of "
            f"{WORDS[(i + k) % 10]} {i % 7} go on."
            for k in range(1, 6)
        )
        for i in range(120)
    ]
    (folder / "text.txt").write_text("\n\n".join(documents), "utf-8")
    tokenizer = kd.WordPieceTokenizer.train(documents, 150)
    shape = kd.BertConfig(
        tokenizer.vocabulary_size, 2, 16, 2, max_sequence_length=32
    )
    settings = {
        "teacher": {"preset": "tiny", "steps": 9, "seed": 0},
        "student": {"plan": [1], "alpha_ce": 5.0, "alpha_cos": 1.0, "seed": 0},
    }
    for seed, (name, config) in enumerate(settings.items()):
        model = kd.BertMaskedLM(shape.with_layers(2 - seed), seed=seed)
        tokenizer.save(folder / name)
        model.save(folder / name / f"{name}.keras")
        (folder / name / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def config(runs):
    return evaluate_student.Config(
        runs=(str(runs / "student"),),
        teacher=str(runs / "teacher"),
        corpus=(str(runs / "text.txt"),),
        overwrite=True,
        smoke=True,
    )


def task(**changes):
    """What a fine-tuning recipe leaves."""
    return {
        "task": "SST-2",
        "metric": "accuracy",
        "model": {"name": "student", "parameters": 2_000_000},
        "scores": {"accuracy": 0.81},
        "baselines": {"teacher": {"accuracy": 0.9}},
        "seed": 0,
        "rows": {"train": 67_349, "validation": 872},
        **changes,
    }


def write_task(folder, content):
    folder.mkdir(exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(content))
    return str(folder)


def made_up(model, batches, teacher=None):
    """Stands in for `kd.evaluate`, which takes its time."""
    return {
        "masked_cross_entropy": 3.0 + (teacher is not None),
        "perplexity": 20.0,
        "top1": 0.4,
        "top5": 0.6,
        "parameters": model.count_params(),
    }


def test_a_card_is_written_beside_the_evaluation(
    config, runs, tmp_path, monkeypatch
):
    monkeypatch.setattr(evaluate_student.kd, "evaluate", made_up)
    tasks = (write_task(tmp_path / "task", task()),)
    results = evaluate_student.main(dataclasses.replace(config, tasks=tasks))
    assert set(results) == {"unigram", "teacher", "student"}
    assert (runs / "student" / "evaluation.json").exists()
    assert (runs / "student" / "evaluation.png").exists()

    folder = runs / "student" / "card"
    assert {path.name for path in folder.iterdir()} == {
        "card.md",
        "card.html",
        "metrics.json",
        "quality.svg",
        "frequency.svg",
        "reliability.svg",
    }
    card = json.loads((folder / "metrics.json").read_text("utf-8"))
    page = (folder / "card.md").read_text("utf-8")
    assert card["models"]["student"]["measured"] == results["student"]
    assert results["student"]["latency_ms"] > 0
    assert card["models"]["student"]["role"] == "distilled"
    assert card["models"]["student"]["start"] == "layers 1"
    assert 0 < len(card["examples"]) <= card_sentences.EXAMPLES
    assert "SST-2: student, task keeps 90.0% of the teacher's accuracy" in page
    student = re.escape(str(runs / "student"))
    assert re.search(
        rf"distill_masked_lm.py --config {student}/config.json", page
    )


@pytest.mark.slow
def test_buckets_and_bins_together_are_what_evaluate_says(config, runs):
    results = evaluate_student.main(config)
    folder = runs / "student" / "card"
    card = json.loads((folder / "metrics.json").read_text("utf-8"))
    for name in ("teacher", "student"):
        model = card["models"][name]
        rows = model["by_frequency"]
        hidden = [row["hidden"] for row in rows]
        assert sum(hidden) == card["held_out"]["hidden"]
        for key in ("masked_cross_entropy", "top1"):
            values = [row[key] or 0.0 for row in rows]
            np.testing.assert_allclose(
                np.average(values, weights=hidden), results[name][key], 1e-4
            )
        accuracy = model["calibration"]["accuracy"]
        np.testing.assert_allclose(accuracy, results[name]["top1"], 1e-4)


def test_a_teacher_alone_is_evaluated_without_a_card(config, runs, monkeypatch):
    alone = dataclasses.replace(config, runs=(config.teacher,))
    monkeypatch.setattr(evaluate_student.kd, "evaluate", made_up)
    assert set(evaluate_student.main(alone)) == {"unigram", "teacher"}
    assert not (runs / "teacher" / "card").exists()


def test_tokens_of_another_text_are_not_taken_for_this_one(config, tmp_path):
    kept = evaluate_student.token_folder(config, tmp_path) / "tokens"
    kept.mkdir()
    evaluate_student.token_folder(config, tmp_path)
    assert kept.exists()
    other = dataclasses.replace(config, block_length=16)
    evaluate_student.token_folder(other, tmp_path)
    assert not kept.exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"task": None}, "must have str as `task`.*Received: None"),
        ({"metric": "f1"}, "int or float as `scores.f1`"),
        ({"model": {"name": "s"}}, "int as `model.parameters`"),
        ({"scores": {"accuracy": "high"}}, "`scores.accuracy`.*'high'"),
        ({"scores": {"accuracy": float("nan")}}, "Received: nan"),
        ({"baselines": {"teacher": {}}}, "`baselines.teacher.accuracy`"),
        ({"baselines": []}, r"must have dict as `baselines`.*Received: \[\]"),
        ({"seed": True}, "must have int as `seed`.*Received: True"),
        ({"rows": {"train": "all"}}, "must have int as `rows.train`"),
    ],
)
def test_a_task_of_another_shape_is_named(tmp_path, changes, message):
    folder = write_task(tmp_path / "other", task(**changes))
    with pytest.raises(SystemExit, match=message) as error:
        card_facts.read_tasks(folder)
    assert "`--tasks`" in str(error.value)
    assert f"{folder}/metrics.json" in str(error.value)


def study(**changes):
    """What study_tasks.py leaves, of two seeds."""
    return {
        "task": "SST-2",
        "metric": "accuracy",
        "seeds": [0, 1],
        "rows": {"train": 60_000, "validation": 872},
        "models": {
            "teacher": {"parameters": 4_000, "scores": [0.9, 0.8]},
            "2 layers": {"parameters": 2_000, "scores": [0.81, 0.6]},
        },
        "baselines": {"majority class": 0.5},
        **changes,
    }


def test_each_student_of_a_study_stands_beside_its_seed_s_teacher(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(study()))
    first, second = card_facts.read_tasks(tmp_path)
    assert first == {
        "task": "SST-2",
        "metric": "accuracy",
        "model": {"name": "2 layers", "parameters": 2_000},
        "seed": 0,
        "scores": {"accuracy": 0.81},
        "baselines": {
            "majority class": {"accuracy": 0.5},
            "teacher": {"accuracy": 0.9},
        },
        "rows": {"train": 60_000, "validation": 872},
    }
    assert second["seed"] == 1
    assert second["scores"]["accuracy"] == 0.6
    assert second["baselines"]["teacher"]["accuracy"] == 0.8


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"models": {}}, "must have list as `models.teacher.scores`"),
        ({"seeds": None}, "must have list as `seeds`.*Received: None"),
        ({"seeds": [0]}, "a score of each seed.*Received: 1 and 2"),
        ({"rows": None}, "must have dict as `rows`"),
        ({"baselines": {"mean": "high"}}, "`baselines.mean.accuracy`.*'high'"),
    ],
)
def test_a_study_of_another_shape_is_named(tmp_path, changes, message):
    (tmp_path / "report.json").write_text(json.dumps(study(**changes)))
    with pytest.raises(SystemExit, match=message) as error:
        card_facts.read_tasks(tmp_path)
    assert f"{tmp_path}/report.json" in str(error.value)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_task_that_is_no_file_of_fields_is_named(tmp_path, content):
    if content:
        (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(SystemExit, match="`--tasks`.*metrics.json"):
        card_facts.read_tasks(tmp_path)


@pytest.mark.parametrize(
    "settings, role, start",
    [
        (
            {"alpha_ce": 5.0, "plan": "every_other"},
            "distilled",
            "every_other",
        ),
        ({"alpha_ce": 0.0, "plan": "random"}, "not distilled", "random"),
        ({"alpha_ce": 0.0, "alpha_cos": 1.0}, "distilled", "unknown"),
        ({"alpha_ce": 1.0, "plan": [0, 2]}, "distilled", "layers 0 2"),
        ({"preset": "mini"}, "unknown", "random"),
        ({"preset": "mini", "from_checkpoint": "x"}, "unknown", "x"),
        (None, "unknown", "unknown"),
    ],
)
def test_what_a_run_is_by_its_config(
    tmp_path, tiny_config, settings, role, start
):
    model = dataclasses.make_dataclass("Model", ["config"])(tiny_config)
    if settings is not None:
        (tmp_path / "config.json").write_text(json.dumps(settings))
    facts = card_facts.run_facts(str(tmp_path), model, None)
    assert (facts["role"], facts["start"]) == (role, start)
    assert facts["shape"]["hidden_dim"] == 16
    assert facts["run"]["config"] == (settings or {})
    assert bool(facts["run"]["replay"]) == (settings is not None)
    facts = card_facts.run_facts(str(tmp_path), model, str(tmp_path))
    assert facts["role"] == "teacher"


def test_sentences_are_cut_by_a_rule(runs, tmp_path):
    tokenizer = kd.WordPieceTokenizer.load(runs / "teacher")
    documents = (runs / "text.txt").read_text("utf-8").split("\n\n")
    store = kd.TokenStore.write(tmp_path / "store", documents, tokenizer, 64)
    counts = store.token_counts
    found = card_sentences.choose_sentences(store, tokenizer, counts, number=3)
    assert len(found) == 3
    for sentence, place in found:
        text = tokenizer.decode(sentence)
        assert text.endswith("on.") and text.count(".") == 1
        assert text in documents[0] or any(text in d for d in documents)
        # Of the words that are one token, the one in the middle.
        ids = {token: i for i, token in enumerate(tokenizer.vocabulary)}
        words = [word for word in text.rstrip(".").split() if word.isalpha()]
        found_counts = sorted(counts[ids[w]] for w in words if w in ids)
        middle = found_counts[len(found_counts) // 2]
        assert counts[sentence[place]] == middle


def test_masks_are_filled_with_what_the_model_says(runs):
    tokenizer = kd.WordPieceTokenizer.load(runs / "teacher")
    model = evaluate_student.load_model(str(runs / "student"))
    (sentence,) = tokenizer.encode_batch(["the alpha of beta."])
    (example,) = card_sentences.fill_sentences(
        {"student": model}, [(sentence, 1)], tokenizer
    )
    assert example["sentence"] == "the [MASK] of beta."
    assert example["truth"] == "alpha"
    ids = [tokenizer.cls_id, *sentence, tokenizer.sep_id]
    ids[2] = tokenizer.mask_id
    x = {
        "token_ids": [ids],
        "segment_ids": [[0] * len(ids)],
        "padding_mask": [[1] * len(ids)],
        "mask_positions": [[2]],
    }
    x = {name: np.array(value, "int32") for name, value in x.items()}
    logits = np.asarray(model(x)["logits"], "float64")[0, 0]
    p = np.exp(logits) / np.exp(logits).sum()
    choices = example["choices"]["student"]
    best = np.argsort(-p)[:3]
    assert [c["token"] for c in choices] == [
        tokenizer.vocabulary[i] for i in best
    ]
    np.testing.assert_allclose(
        [c["probability"] for c in choices], p[best], rtol=1e-4
    )
    truth = p[tokenizer.vocabulary.index("alpha")]
    np.testing.assert_allclose(
        example["truth_probability"]["student"], truth, rtol=1e-4
    )


def test_another_teacher_than_the_one_given_is_said(runs):
    teacher, student = str(runs / "teacher"), runs / "student"
    path = student / "config.json"
    settings = path.read_text("utf-8")
    path.write_text(json.dumps({"alpha_ce": 5.0, "teacher": teacher}))
    model = evaluate_student.load_model(student)
    assert card_facts.run_facts(teacher, model, "other")["role"] == "teacher"
    facts = card_facts.run_facts(student, model, "other")
    assert facts["other_teacher"] == teacher
    facts = card_facts.run_facts(student, model, f"{teacher}/")
    assert (facts["role"], facts["other_teacher"]) == ("distilled", None)
    path.write_text(settings, "utf-8")


def test_an_earlier_card_is_not_replaced_unasked(config, tmp_path):
    run = tmp_path / "run"
    (run / "card").mkdir(parents=True)
    config = dataclasses.replace(config, runs=(str(run),), overwrite=False)
    with pytest.raises(SystemExit, match="`--overwrite` must.*run/card"):
        evaluate_student.main(config)


@pytest.mark.parametrize(
    "changes, text, counted",
    [
        ({}, "c, its documents of the validation part", "c"),
        ({"validation_corpus": ("v",)}, "v", "c"),
        (
            {"store": ("s", "t"), "corpus": ()},
            "s, t, the store's held-out part",
            "s, t",
        ),
    ],
)
def test_the_held_out_text_is_what_was_read(changes, text, counted):
    weights = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    batches = dataclasses.make_dataclass("Batches", ["held_out"])(
        [({}, None, weights)]
    )
    config = dataclasses.replace(
        evaluate_student.Config(corpus=("c",), block_length=16), **changes
    )
    assert card_facts.held_out_facts(config, batches) == {
        "text": text,
        "counted": counted,
        "sequences": 1,
        "block_length": 16,
        "hidden": 2,
    }


# Settings of a run that say nothing of what it is worth, or stand elsewhere
# on the card.
ASIDE = (
    "text_column run overwrite resume save_steps replay num_layers "
    "micro_batches validations validation_batches loggers jit_compile smoke "
    "tokenizer lowercase vocabulary_size preset positions layer_drop_pin_first "
    "layer_drop_pin_last initializer_range sinusoidal_positions"
).split()


def test_a_card_shows_every_setting_of_a_run():
    for recipe in (distill_masked_lm, train_teacher):
        names = {field.name for field in dataclasses.fields(recipe.Config)}
        assert names - set(SETTINGS) <= set(ASIDE)
