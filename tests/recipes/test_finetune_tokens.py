"""Tagging in miniature: what follows "the" is an X, what follows that, too."""

import dataclasses
import json

import keras_kd as kd
import finetune_tokens
import keras
import numpy as np
import pytest

WORDS = "cat dog mat hill sea sat ran on and old".split()


def write_sentences(path, number, seed):
    """A CoNLL file by a rule that no word's own tag says."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(number):
        words = random.choice([*WORDS, "the", "the", "the"], 8)
        before = ["", *words], ["", "", *words]
        for word, last, last_but_one in zip(words, *before, strict=False):
            tag = "I-X" if last_but_one == "the" else "O"
            rows.append(f"{word} {'B-X' if last == 'the' else tag}")
        rows.append("")
    path.write_text("\n".join(rows))
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagged")
    return {
        "train": write_sentences(folder / "train.conll", 600, 0),
        "validation": write_sentences(folder / "validation.conll", 100, 1),
    }


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, tokenizer):
    """The folder of a tiny encoder, not trained."""
    folder = tmp_path_factory.mktemp("encoder")
    config = kd.BertConfig(
        vocabulary_size=tokenizer.vocabulary_size,
        num_layers=2,
        hidden_dim=32,
        num_heads=2,
        max_sequence_length=16,
        dropout=0.0,
    )
    kd.BertMaskedLM(config, seed=0).save(folder / "teacher.keras")
    tokenizer.save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def teacher_run(tmp_path_factory, files, encoder):
    folder = tmp_path_factory.mktemp("teacher") / "run"
    config = finetune_tokens.Config(
        **files,
        encoder=encoder,
        run=str(folder),
        max_length=16,
        epochs=12,
        batch_size=16,
        learning_rate=3e-3,
        r_drop=0.5,
        jit_compile=False,
    )
    return folder, finetune_tokens.main(config), config


def check_results(results, folder):
    assert json.loads((folder / "metrics.json").read_text()) == results
    assert set(results) == {
        "task",
        "held_out",
        "metric",
        "model",
        "scores",
        "hold_out_scores",
        "baselines",
        "seed",
        "rows",
    }
    assert list(results["scores"]) == ["f1", "precision", "recall", "accuracy"]
    student = keras.saving.load_model(folder / "student.keras", compile=False)
    assert student.class_names == ["O", "B-X", "I-X"]
    assert results["model"]["parameters"] == student.count_params()


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_rule_is_learnt_that_words_alone_do_not_tell(teacher_run, files):
    folder, results, _ = teacher_run
    check_results(results, folder)
    baselines = results["baselines"]
    assert list(baselines) == ["majority tag", "each word's most frequent tag"]
    assert baselines["majority tag"]["f1"] == 0.0
    assert results["scores"]["f1"] > 0.9
    assert (
        results["scores"]["f1"]
        > baselines["each word's most frequent tag"]["f1"] + 0.4
    )
    assert results["rows"]["validation"] == 100
    assert results["rows"]["train"] + results["rows"]["hold_out"] == 600
    header = (folder / "history.csv").read_text().splitlines()[0]
    assert "val_f1" in header and "val_accuracy" in header


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_student_is_cut_from_its_teacher_and_learns_from_it(
    teacher_run, files, tmp_path
):
    teacher, found, config = teacher_run
    write_sentences(tmp_path / "more.conll", 50, 2)
    config = dataclasses.replace(
        config,
        teacher=str(teacher),
        r_drop=0.0,
        unlabeled=str(tmp_path / "more.conll"),
        num_layers=1,
        alpha_hidden=0.1,
        epochs=6,
        run=str(tmp_path / "run"),
    )
    results = finetune_tokens.main(config)
    check_results(results, tmp_path / "run")
    assert results["baselines"]["teacher"] == found["scores"]
    assert results["model"]["name"] == "1 layers x 32"
    assert results["scores"]["f1"] > 0.7
    assert results["rows"]["unlabeled"] == 50
    header = (tmp_path / "run" / "history.csv").read_text().splitlines()[0]
    assert {"soft_target", "label", "hidden_state"} <= set(header.split(","))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_words_of_another_scheme_are_scored_by_words(encoder, tmp_path):
    path = tmp_path / "tags.jsonl"
    row = {"tokens": ["the", "cat", "sat"], "ner_tags": [0, 1, 2]}
    path.write_text(f"{json.dumps(row)}\n" * 40)
    results = finetune_tokens.main(
        finetune_tokens.Config(
            train=str(path),
            validation=str(path),
            tag_names=("DET", "NOUN", "VERB"),
            encoder=encoder,
            num_layers=1,
            max_length=16,
            run=str(tmp_path / "run"),
            epochs=1,
            hold_out=0.25,
            jit_compile=False,
        )
    )
    assert results["metric"] == "accuracy"
    assert list(results["scores"]) == ["accuracy"]
    assert results["baselines"]["each word's most frequent tag"] == {
        "accuracy": 1.0
    }


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"train": None}, "`--train` and `--validation`.*Received: None"),
        ({"train": "none.conll"}, "`source` must be an existing file"),
        ({"unlabeled": "u"}, "`--unlabeled` needs --teacher.*u and no"),
        ({"word": 5}, "`word` and `tag` must be two columns"),
        ({"train_rows": 601}, "`--train-rows` must be from 1 to 600"),
        ({"hold_out": 1.0}, "`--hold-out` must leave"),
        ({"tag_names": ("O", "B-X")}, "must be one of `tag_names`.*'I-X'"),
        (
            {"tag_names": ("O", "B-X", "I-X", "B-Y")},
            "must hold a word of every tag.*none of 'B-Y'",
        ),
        ({"teacher": "nowhere"}, "`--teacher` must be a run folder"),
    ],
)
def test_what_is_wrong_ends_before_any_work(files, tmp_path, changed, message):
    config = finetune_tokens.Config(
        **files, encoder="nowhere", run=str(tmp_path / "run")
    )
    config = dataclasses.replace(config, **changed)
    with pytest.raises(SystemExit, match=message):
        finetune_tokens.main(config)
    assert not (tmp_path / "run").exists()


def test_a_tag_that_training_lacks_is_named_by_its_place(files, tmp_path):
    path = tmp_path / "other.conll"
    path.write_text("the O\n\nold O\nsea B-SEA\n")
    config = finetune_tokens.Config(train=files["train"], validation=str(path))
    with pytest.raises(
        SystemExit, match="'B-SEA' of 'sea', word 2.*other.conll, line 3"
    ):
        finetune_tokens.main(config)


@pytest.mark.tensorflow
def test_sizes_that_do_not_fit_end_before_any_work(files, encoder, tmp_path):
    config = finetune_tokens.Config(
        **files, encoder=encoder, run=str(tmp_path / "run"), max_length=17
    )
    with pytest.raises(SystemExit, match="at most the encoder's 16 tokens"):
        finetune_tokens.main(config)
    config = dataclasses.replace(config, max_length=16, batch_size=0)
    with pytest.raises(SystemExit, match="`batch_size` must be at least 1"):
        finetune_tokens.main(config)
    assert not (tmp_path / "run").exists()


def test_a_few_rows_may_lack_a_tag(tmp_path):
    path = tmp_path / "rare.conll"
    path.write_text("the O\n\n" * 20 + "sea B-SEA\n")
    config = finetune_tokens.Config(
        train=str(path), validation=str(path), train_rows=2, hold_out=0.5
    )
    task = finetune_tokens.read_task(config, None)
    assert task.tag_names == ["O", "B-SEA"]
    assert (len(task.train), len(task.hold_out)) == (1, 1)
    assert len(task.validation) == 21
