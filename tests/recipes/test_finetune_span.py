"""Answers in miniature: what is asked for is the one name in the text."""

import dataclasses
import json
import shutil

import keras_kd as kd
import finetune_span
import keras
import numpy as np
import pytest

from span_extraction import groups_of, read_questions
from splits import hold_out

FILLERS = "sea hill cat dog mat old blue ran sat".split()
NAMES = "anna bela cora dora emma".split()


def write_squad(path, articles, seed, impossible=0.0):
    """A SQuAD file, four questions an article; texts of several windows."""
    random = np.random.default_rng(seed)
    data = []
    for article in range(articles):
        paragraphs = []
        for paragraph in range(2):
            words = list(random.choice(FILLERS, random.integers(10, 40)))
            name = str(random.choice(NAMES))
            possible = random.random() >= impossible
            if possible:
                words.insert(random.integers(len(words)), f"{name},")
            context = " ".join(words)
            start = context.find(name)
            answer = {"text": name, "answer_start": start}
            questions = [
                {
                    "id": f"{seed}-{article}-{paragraph}-{number}",
                    "question": question,
                    "answers": [answer] if possible else [],
                    "is_impossible": not possible,
                }
                for number, question in enumerate(["Who ran?", "Who sat?"])
            ]
            paragraphs.append({"context": context, "qas": questions})
        data.append({"title": f"Article {article}", "paragraphs": paragraphs})
    path.write_text(json.dumps({"version": "v2.0", "data": data}))
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("squad")
    return {
        "train": write_squad(folder / "train.json", 40, 0),
        "validation": write_squad(folder / "validation.json", 10, 1),
    }


@pytest.fixture(scope="module")
def files_2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("squad_2")
    return {
        "train": write_squad(folder / "train.json", 40, 2, 0.5),
        "validation": write_squad(folder / "validation.json", 10, 3, 0.5),
        "version_2": True,
    }


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """The folder of a tiny encoder, not trained."""
    folder = tmp_path_factory.mktemp("encoder")
    words = " ".join([*FILLERS, *NAMES, "who ?", ","])
    tokenizer = kd.WordPieceTokenizer.train([words] * 9, vocabulary_size=120)
    config = kd.BertConfig(
        vocabulary_size=tokenizer.vocabulary_size,
        num_layers=2,
        hidden_dim=32,
        num_heads=2,
        max_sequence_length=32,
        dropout=0.0,
    )
    kd.BertMaskedLM(config, seed=0).save(folder / "teacher.keras")
    tokenizer.save(folder)
    return str(folder)


def config_of(files, encoder, folder, **fields):
    return finetune_span.Config(
        **files,
        encoder=encoder,
        run=str(folder),
        max_length=24,
        doc_stride=8,
        max_question_length=4,
        hold_out=0.2,
        epochs=4,
        batch_size=16,
        learning_rate=3e-3,
        jit_compile=False,
        **fields,
    )


@pytest.fixture(scope="module")
def teacher_run(tmp_path_factory, files, encoder):
    folder = tmp_path_factory.mktemp("teacher") / "run"
    config = config_of(files, encoder, folder, r_drop=0.5)
    return folder, finetune_span.main(config), config


def read(folder, name):
    return json.loads((folder / name).read_text("utf-8"))


def check_results(results, folder):
    assert read(folder, "metrics.json") == results
    assert set(results) - {"null_threshold"} == {
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
    student = keras.saving.load_model(folder / "student.keras", compile=False)
    assert isinstance(student, kd.BertSpanExtractor)
    assert results["model"]["parameters"] == student.count_params()
    assert results["rows"] == {"train": 128, "hold_out": 32, "validation": 40}


@pytest.mark.slow
@pytest.mark.tensorflow
def test_names_are_found_and_answers_written(teacher_run):
    folder, results, _ = teacher_run
    check_results(results, folder)
    assert results["scores"]["exact_match"] > 0.9
    assert results["hold_out_scores"]["f1"] > 0.9
    assert list(results["baselines"]) == ["nearest sentence"]
    assert results["baselines"]["nearest sentence"]["exact_match"] == 0
    answers = read(folder, "predictions.json")
    assert len(answers) == 40
    right = [answer in NAMES for answer in answers.values()]
    assert np.mean(right) == results["scores"]["exact_match"]
    for name, some in read(folder, "nbest_predictions.json").items():
        assert some[0]["text"] == answers[name]
        assert len(some) <= 20
        assert sum(one["probability"] for one in some) == pytest.approx(1)
    assert not (folder / "null_odds.json").exists()
    header = (folder / "history.csv").read_text().splitlines()[0]
    assert "val_f1" in header and "val_exact_match" in header


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_student_is_cut_from_its_teacher_and_learns_from_it(
    teacher_run, tmp_path
):
    teacher, found, config = teacher_run
    config = dataclasses.replace(
        config,
        teacher=str(teacher),
        r_drop=0.0,
        num_layers=1,
        alpha_hidden=0.1,
        run=str(tmp_path / "run"),
    )
    results = finetune_span.main(config)
    check_results(results, tmp_path / "run")
    assert results["baselines"]["teacher"] == found["scores"]
    assert results["model"]["name"] == "1 layers x 32"
    assert results["scores"]["f1"] > 0.9
    header = (tmp_path / "run" / "history.csv").read_text().splitlines()[0]
    assert {"soft_target", "label", "hidden_state"} <= set(header.split(","))


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("threshold", [0.0, None])
def test_questions_without_answer_are_left_unanswered(
    files_2, encoder, tmp_path, threshold
):
    folder = tmp_path / "run"
    config = config_of(files_2, encoder, folder, null_threshold=threshold)
    results = finetune_span.main(config)
    check_results(results, folder)
    scores = results["scores"]
    assert scores["f1"] > 0.85
    assert set(scores) == {
        f"{kind}{score}"
        for kind in ("", "has_answer_", "no_answer_")
        for score in ("exact_match", "f1")
    }
    no_answer = results["baselines"]["no answer"]
    assert no_answer["no_answer_f1"] == 1 and no_answer["has_answer_f1"] == 0
    odds = read(folder, "null_odds.json")
    answers = read(folder, "predictions.json")
    if threshold is not None:
        assert results["null_threshold"] == threshold
    for name, answer in answers.items():
        assert (answer == "") == (odds[name] > results["null_threshold"])
    for some in read(folder, "nbest_predictions.json").values():
        assert "" in [one["text"] for one in some]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_smoke_run_is_short(files_2, encoder, tmp_path):
    config = config_of(files_2, encoder, tmp_path / "run", smoke=True)
    results = finetune_span.main(config)
    assert results["rows"]["validation"] == 32
    assert results["rows"]["train"] + results["rows"]["hold_out"] == 32


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"train": None}, "`--train` and `--validation`.*Received: None"),
        ({"validation": "none.json"}, "existing file. Received: none.json"),
        ({"train_rows": 161}, "`--train-rows` must be from 1 to 160"),
        ({"train_rows": 0}, "`--train-rows` must be from 1 to 160"),
        ({"n_best": 0}, "`--n-best` must be at least 1"),
        ({"max_answer_length": -1}, "`--max-answer-length` must.*-1"),
        ({"hold_out": 1.0}, "`--hold-out` must leave"),
        ({"teacher": "nowhere"}, "`--teacher` must be a run folder"),
        ({"max_length": 33}, "`--max-length` must be at most .* 32 .*33"),
        ({"doc_stride": 0}, "`doc_stride` must be at least 1"),
        ({"max_question_length": 21}, "`max_length` must be at least 25"),
    ],
)
def test_what_is_wrong_ends_before_any_work(
    files, encoder, tmp_path, changed, message
):
    config = config_of(files, encoder, tmp_path / "run")
    config = dataclasses.replace(config, **changed)
    with pytest.raises(SystemExit, match=message):
        finetune_span.main(config)
    assert not (tmp_path / "run").exists()


def test_questions_without_answer_need_version_2(files_2, encoder, tmp_path):
    config = config_of(files_2, encoder, tmp_path / "run")
    config = dataclasses.replace(config, version_2=False)
    with pytest.raises(SystemExit, match="`--version-2` must.*train.json, art"):
        finetune_span.main(config)


def test_a_teacher_of_another_task_is_refused(files, encoder, tmp_path):
    shutil.copy(f"{encoder}/teacher.keras", tmp_path / "student.keras")
    config = config_of(files, encoder, tmp_path / "run", teacher=str(tmp_path))
    with pytest.raises(SystemExit, match="must hold a BertSpanExtractor"):
        finetune_span.main(config)


def test_no_article_is_on_both_sides(files):
    questions = read_questions(
        finetune_span.Config(**files, hold_out=0.2, train_rows=100)
    )
    assert len(questions["train"]) + len(questions["hold_out"]) == 100
    titles, contexts = (
        [
            {getattr(question, field) for question in questions[name]}
            for name in ("train", "hold_out")
        ]
        for field in ("title", "context")
    )
    assert not titles[0] & titles[1]
    assert not contexts[0] & contexts[1]
    # A fifth of the articles, of about four questions each.
    assert 5 <= len(titles[1]) <= 8


def test_of_few_articles_no_text_is_on_both_sides(files):
    questions = read_questions(finetune_span.Config(**files, hold_out=0.2))
    few = [q for q in questions["train"] if q.title < "Article 15"]
    assert len({q.title for q in few}) < 20
    assert groups_of(few) == [q.context for q in few]
    # A text that comes again, in another article, goes with the first.
    again = dataclasses.replace(questions["train"][0], title="Another")
    groups = groups_of([*questions["train"], again])
    assert groups[-1] == groups[0] == questions["train"][0].title


def test_whole_groups_choose():
    texts, groups = list(range(8)), list("aabbccdd")
    train, choosing = hold_out(texts, 0.1, seed=0, groups=groups)
    assert len(choosing) == 2 and groups[choosing[0]] == groups[choosing[1]]
    assert sorted(train + choosing) == texts
    with pytest.raises(SystemExit, match="`--hold-out`"):
        hold_out(texts, 0.5, seed=0, groups=["a"] * 8)
