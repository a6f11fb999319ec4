import dataclasses
import json
import types

from command_line import read_config

import keras_kd as kd
import finetune_classifier
import numpy as np
import pytest
import study_tasks
import tensorflow as tf
from finetune_classifier import Config, main

import classification
import finetuning


@pytest.fixture
def config(reviews, tmp_path):
    return Config(
        task="none",
        train=str(reviews / "train.tsv"),
        validation=str(reviews / "validation.tsv"),
        encoder=str(reviews / "encoder"),
        run=str(tmp_path / "run"),
        hold_out=0.2,
        max_length=16,
        batch_size=16,
        learning_rate=5e-3,
        epochs=10,
        patience=10,
        jit_compile=False,
    )


@pytest.mark.parametrize(
    "flags, plan",
    [(["first"], "first"), (["1"], (1,)), (["0", "2"], (0, 2))],
)
def test_a_plan_is_a_name_or_layers_be_they_one(monkeypatch, flags, plan):
    monkeypatch.setattr("sys.argv", ["recipe.py", "--plan", *flags])
    assert read_config(Config, "A recipe.").plan == plan


@pytest.mark.slow
def test_a_task_is_learnt_distilled_and_served(config, reviews, tmp_path):
    results = main(dataclasses.replace(config, r_drop=1.0))
    assert results["scores"]["accuracy"] > 0.9
    assert results["baselines"]["majority class"]["accuracy"] == 0.5
    assert results["baselines"]["TF-IDF and a linear model"]["accuracy"] > 0.9
    run = tmp_path / "run"
    assert json.loads((run / "metrics.json").read_text()) == results
    header = (run / "history.csv").read_text().splitlines()[0]
    assert {"loss", "val_accuracy", "val_matthews"} <= set(header.split(","))

    student = main(
        dataclasses.replace(
            config,
            teacher=config.run,
            num_layers=1,
            plan="first",
            unlabeled=str(reviews / "more.tsv"),
            alpha_hidden=0.1,
            run=str(tmp_path / "student"),
        )
    )
    assert student["scores"]["accuracy"] > 0.9
    assert student["baselines"]["teacher"] == results["scores"]
    assert student["rows"]["unlabeled"] == 100
    assert student["model"]["name"] == "1 layers x 16"

    check_served(tmp_path / "student", reviews / "validation.tsv")


def check_served(run, file):
    """The SavedModel names the classes that Keras gives, text by text."""
    import keras

    model = keras.saving.load_model(run / "student.keras", compile=False)
    tokenizer = kd.WordPieceTokenizer.load(run)
    kd.export_student(
        model,
        run / "export",
        tokenizer,
        metrics=json.loads((run / "metrics.json").read_text()),
        formats=["saved_model"],
    )
    texts = kd.read_labeled_texts(file)
    batches = kd.labeled_batches(
        texts, tokenizer, 16, model.class_names, 16, shuffle=False
    )
    _, logits = kd.predict_task(model, batches)
    expected = [model.class_names[i] for i in np.argmax(logits, axis=-1)]
    served = tf.saved_model.load(str(run / "export" / "saved_model"))
    found = served.signatures["classify"](
        text=tf.constant([text.text for text in texts])
    )
    assert [n.decode() for n in found["label"].numpy()] == expected
    card = (run / "export" / "README.md").read_text()
    assert "| TF-IDF and a linear model |" in card


PUBLIC = {"train": None, "validation": None}


def test_nothing_trains_on_bad_data(config, tmp_path):
    bad = tmp_path / "bad.tsv"
    bad.write_text("text\tlabel\nfine\tnice\n'\ta\tb'\tbad\n", "utf-8")
    cases = [
        ({"train": str(bad)}, r"a row must have.*bad.tsv, line 3"),
        ({"train": None}, "`--train` and `--validation` must be given"),
        ({"label": "stars"}, r"without \['stars'\]"),
        ({"hold_out": 0.0}, "`--hold-out` must leave texts"),
        ({"train_rows": 10_000}, "`--train-rows` must be from 1 to 200"),
        ({"unlabeled": str(bad)}, "tab parts columns"),
        ({**PUBLIC, "task": "IMDB"}, "`task` must be one of"),
        ({"encoder": str(tmp_path / "none")}, "`--encoder`:"),
        ({"teacher": str(tmp_path)}, "`--teacher` must be a run folder"),
        ({"teacher": "run", "r_drop": 1.0}, "`--r-drop` must be 0 with a"),
        (
            {**PUBLIC, "classes": ("good", "bad"), "task": "SST-2"},
            "`--classes` are",
        ),
        ({"classes": ("a", "b"), "regression": True}, "be left out with"),
        ({"classes": ("x", "y")}, r"one of \['x', 'y'\]. Received: "),
        ({"r_drop": -1.0}, "`--r-drop`: `weight` must be 0 or more"),
    ]
    for changes, message in cases:
        with pytest.raises(SystemExit, match=message):
            main(dataclasses.replace(config, **changes))
    assert not (tmp_path / "run").exists()


def test_whole_texts_are_held_out_where_asked_for(config, tmp_path):
    path = tmp_path / "parts.tsv"
    parts = [f"part {n}" for n in range(40)]
    rows = [f"{row}\tnice" for n in parts for row in (n, f"all of {n}")]
    path.write_text("\n".join(["text\tlabel", *rows, "none\tbad"]) + "\n")
    config = dataclasses.replace(config, train=str(path), hold_out_whole=True)
    task = finetune_classifier.read_task(config)
    chosen = {text.text for text in task.hold_out} - {"none"}
    assert 2 < len(chosen) and all(text.startswith("all of") for text in chosen)
    gone = chosen | {text.removeprefix("all of ") for text in chosen}
    trained = {text.text for text in task.train} - {"none"}
    assert trained == {*parts, *(f"all of {n}" for n in parts)} - gone


def test_unlabelled_texts_need_a_teacher(config, reviews):
    with pytest.raises(SystemExit, match="`--unlabeled` needs --teacher"):
        main(dataclasses.replace(config, unlabeled=str(reviews / "more.tsv")))


def test_a_validation_text_of_no_class_ends_the_program(config, tmp_path):
    other = tmp_path / "other.tsv"
    other.write_text("text\tlabel\nalpha\tugly\n", "utf-8")
    with pytest.raises(SystemExit, match=r"'ugly' in .*other.tsv, line 2"):
        main(dataclasses.replace(config, validation=str(other)))


def test_the_recipe_has_a_line_for_every_field():
    fields = {field.name for field in dataclasses.fields(Config)}
    described = Config.__doc__.split("Args:")[1]
    assert all(f"{name}:" in described for name in fields)
    assert finetune_classifier.SMOKE.keys() <= fields


def test_classes_are_in_the_order_asked_for_or_the_teachers(config, tmp_path):
    path = tmp_path / "stars.tsv"
    rows = [f"text {n}\t{n % 12}" for n in range(60)]
    path.write_text("\n".join(["text\tlabel", *rows]))
    config = dataclasses.replace(config, train=str(path), validation=str(path))
    names = [str(number) for number in range(12)]
    task = finetune_classifier.read_task(config)
    assert task.class_names == names
    teacher = types.SimpleNamespace(class_names=sorted(names))
    learnt = finetune_classifier.with_classes_of(config, task, teacher)
    assert learnt.class_names == sorted(names)
    config = dataclasses.replace(config, classes=tuple(names[::-1]))
    task = finetune_classifier.read_task(config)
    assert task.class_names == names[::-1]
    with pytest.raises(SystemExit, match="must have the task's classes"):
        finetune_classifier.with_classes_of(config, task, teacher)


class Read(Exception):
    """The texts are read: nothing more is wanted."""


def stop(path, columns):
    raise Read(path, columns)


def test_files_that_are_given_are_the_task(config, reviews, monkeypatch):
    alone = dataclasses.replace(config, task=None)
    task = finetune_classifier.read_task(alone)
    assert task.name == str(reviews / "train.tsv")
    assert task.class_names == ["bad", "nice"]
    assert len(task.train) + len(task.hold_out) == 200
    monkeypatch.setattr(kd, "read_labeled_texts", stop)
    with pytest.raises(Read, match="train.tsv"):
        main(alone)


def test_without_files_the_task_is_a_public_one(config):
    none = dataclasses.replace(config, task=None, train=None, validation=None)
    assert classification.with_task(none).task == "SST-2"
    named = dataclasses.replace(none, task="CoLA", unlabeled="u", text="t")
    assert classification.with_task(named).task == "CoLA"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"task": "SST-2"}, "--task SST-2 with --train and --validation"),
        ({"task": "CoLA", "train": None}, "--task CoLA with --validation"),
        ({"task": None, "train": None}, "`--train` and `--validation` must be"),
        ({"data": "glue"}, "`--data` would do nothing with files of your own"),
        (
            {"task": "RTE", "train": None, "validation": None, "label": "y"},
            "`--label` would do nothing with --task RTE.*Received: --label y",
        ),
        (
            {"task": None, "train": None, "validation": None, "pair": "b"},
            "`--pair` would do nothing with --task SST-2",
        ),
    ],
)
@pytest.mark.parametrize("recipe", [finetune_classifier, study_tasks])
def test_a_task_named_twice_or_idle_flags_end_the_program(
    config, tmp_path, recipe, changes, message
):
    fields = {"task": "none", "train": config.train, "run": config.run}
    fields |= {"validation": config.validation, **changes}
    with pytest.raises(SystemExit, match=message):
        recipe.main(recipe.Config(**fields))
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_what_a_teacher_alone_makes_use_of_is_said(config, capsys):
    asked = dataclasses.replace(config, alpha_hidden=1.0, plan="first")
    finetuning.load_task_teacher(asked, kd.BertClassifier)
    printed = capsys.readouterr().out
    assert "Of no use without --teacher: --alpha-hidden" in printed
    assert "Of no use without --num-layers: --plan" in printed
