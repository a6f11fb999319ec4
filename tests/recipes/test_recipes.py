"""Each recipe runs, in miniature, as a user would run them in turn."""

import json
import pathlib
import subprocess
import sys

import benchmark_layer_drop
import distill_masked_lm
import evaluate_student
import export_student
import keras
import pytest
import quickstart
import train_teacher

RECIPES = pathlib.Path(quickstart.__file__).parent
NAMES = sorted(
    path.stem
    for path in RECIPES.glob("*.py")
    if path.stem not in ("run_folder", "text_batches")
)


@pytest.fixture(scope="module")
def teacher_run(tmp_path_factory, corpus):
    folder = tmp_path_factory.mktemp("teacher") / "run"
    train_teacher.main(
        train_teacher.Config(
            corpus=(corpus,), run=str(folder), smoke=True, jit_compile=False
        )
    )
    return folder


@pytest.fixture(scope="module")
def student_run(tmp_path_factory, corpus, teacher_run):
    folder = tmp_path_factory.mktemp("student") / "run"
    config = distill_masked_lm.Config(
        teacher=str(teacher_run),
        corpus=(corpus,),
        run=str(folder),
        num_layers=1,
        plan=(1,),
        freeze_position_embeddings=True,
        smoke=True,
        jit_compile=False,
    )
    distill_masked_lm.main(config)
    return folder


def test_train_teacher_leaves_a_run(teacher_run):
    metrics = json.loads((teacher_run / "metrics.json").read_text())
    assert set(metrics) == {"unigram", "teacher"}
    rows = (teacher_run / "history.csv").read_text().splitlines()
    assert rows[0] == "epoch,loss,val_loss"
    assert len(rows) == 3
    teacher = keras.saving.load_model(teacher_run / "teacher.keras")
    assert teacher.config.layer_drop == 0.2


def test_distill_masked_lm_leaves_a_run(student_run, teacher_run):
    metrics = json.loads((student_run / "metrics.json").read_text())
    assert set(metrics) == {"unigram", "teacher", "student"}
    assert metrics["student"]["teacher_kl"] > 0
    assert (student_run / "comparison.png").stat().st_size > 1000
    student = keras.saving.load_model(student_run / "student.keras")
    teacher = keras.saving.load_model(teacher_run / "teacher.keras")
    assert student.config.num_layers == 1
    frozen = [
        model.backbone.embeddings.position_embedding.get_weights()[0]
        for model in (student, teacher)
    ]
    assert (frozen[0] == frozen[1]).all()


def test_evaluate_student_compares_runs(student_run, teacher_run, corpus):
    results = evaluate_student.main(
        evaluate_student.Config(
            runs=(str(student_run),),
            teacher=str(teacher_run),
            corpus=(corpus,),
            smoke=True,
        )
    )
    assert set(results) == {"unigram", str(teacher_run), str(student_run)}
    assert (student_run / "evaluation.json").exists()
    assert (student_run / "evaluation.png").exists()


def test_a_learning_curve_is_held_out_masked_lm_by_step(tmp_path):
    (tmp_path / "config.json").write_text('{"steps": 20, "validations": 2}')
    rows = "epoch,loss,val_loss,val_masked_lm\n0,9,8,3.5\n1,7,6,3.25\n"
    (tmp_path / "history.csv").write_text(rows)
    found = evaluate_student.learning_curve(tmp_path)
    assert found == [(10, 3.5), (20, 3.25)]


def test_export_student_exports_a_run(student_run):
    export_student.main(export_student.Config(run=str(student_run)))
    assert (student_run / "export" / "saved_model" / "saved_model.pb").exists()
    with pytest.raises(SystemExit, match="overwrite"):
        export_student.main(export_student.Config(run=str(student_run)))


def test_a_block_longer_than_the_teachers_positions_is_refused(
    teacher_run, corpus, tmp_path
):
    config = distill_masked_lm.Config(
        teacher=str(teacher_run),
        corpus=(corpus,),
        run=str(tmp_path / "run"),
        block_length=64,
    )
    with pytest.raises(SystemExit, match="at most the teacher's 32 positions"):
        distill_masked_lm.main(config)
    assert not (tmp_path / "run").exists()


def test_a_wrong_plan_ends_before_anything_is_written(
    teacher_run, corpus, tmp_path
):
    config = distill_masked_lm.Config(
        teacher=str(teacher_run),
        corpus=(corpus,),
        run=str(tmp_path / "run"),
        plan=(0, 5),
        smoke=True,
    )
    with pytest.raises(ValueError, match="indices from 0 to 1"):
        distill_masked_lm.main(config)
    assert not (tmp_path / "run").exists()


def test_a_run_without_a_model_is_named(tmp_path):
    with pytest.raises(SystemExit, match="`--teacher` must be a run folder"):
        distill_masked_lm.load_teacher(tmp_path)
    with pytest.raises(SystemExit, match="must be run folders"):
        evaluate_student.load_model(tmp_path)
    with pytest.raises(SystemExit, match="must be a run folder with student"):
        export_student.main(export_student.Config(run=str(tmp_path)))


def test_quickstart_walks_from_text_to_filled_masks(tmp_path, corpus, capsys):
    results = quickstart.main(
        quickstart.Config(
            corpus=(corpus,),
            run=str(tmp_path / "run"),
            smoke=True,
            jit_compile=False,
        )
    )
    assert list(results) == [
        "unigram",
        "teacher",
        quickstart.FROM_LAYERS,
        quickstart.FROM_RANDOM,
        quickstart.ALONE,
    ]
    printed = capsys.readouterr().out
    assert "Ahead: " in printed
    assert printed.count("  ->  ") == len(quickstart.SENTENCES)
    assert (tmp_path / "run" / "comparison.png").exists()
    assert (tmp_path / "run" / "export" / "README.md").exists()


def test_the_verdict_names_the_lowest_cross_entropy():
    names = quickstart.FROM_LAYERS, quickstart.FROM_RANDOM, quickstart.ALONE
    results = {
        name: {"masked_cross_entropy": nats}
        for name, nats in zip(names, (3.5, 3.0, 3.25), strict=True)
    }
    assert quickstart.verdict(results).startswith(
        "Ahead: b: random start, by 0.250 nats before c: no distillation."
    )


def test_the_benchmark_prints_a_ratio_for_both(capsys):
    ratios = benchmark_layer_drop.main(benchmark_layer_drop.Config(smoke=True))
    assert set(ratios) == {True, False}
    assert "LayerDrop 0.5 / without" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_explains_itself(name):
    done = subprocess.run(
        [sys.executable, RECIPES / f"{name}.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--config" in done.stdout
    assert done.stderr == ""
