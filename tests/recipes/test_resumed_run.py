"""Recipes that are interrupted go on as if they had not been."""

import dataclasses
import json
import pathlib
import shutil

import keras_kd as kd
import distill_masked_lm
import keras
import numpy as np
import pytest
import train_teacher

from resumed_run import make_run

# Keras's CSVLogger, where training ends by an error.
UNCLOSED = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


class Killed(Exception):
    """Stands for a process that is gone."""


def interrupted_after(steps, monkeypatch):
    """Has training end at a step of which nothing is saved."""
    real = kd.ResumableRun.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        if self.batches + 1 == steps:
            self.close()
            raise Killed
        real(self, batch, logs)

    monkeypatch.setattr(
        kd.ResumableRun, "on_train_batch_end", on_train_batch_end
    )


def config_of(recipe, corpus, run, **changes):
    return recipe.Config(
        corpus=(corpus,),
        run=str(run),
        smoke=True,
        jit_compile=False,
        save_steps=1,
        **changes,
    )


def what_is_left(run, name):
    """Weights, logs and figures but for the time that the model takes."""
    run = pathlib.Path(run)
    model = keras.saving.load_model(run / f"{name}.keras", compile=False)
    history = (run / "history.csv").read_text()
    figures = json.loads((run / "metrics.json").read_text())
    for model_figures in figures.values():
        model_figures.pop("latency_ms", None)
    return model.get_weights(), history, figures


def check_same(found, expected):
    for a, b in zip(found[0], expected[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert found[1:] == expected[1:]


def checkpoints_of(run):
    return {
        path.relative_to(run): path.read_bytes()
        for path in (run / "checkpoints").rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def teacher_run(tmp_path_factory, corpus):
    run = tmp_path_factory.mktemp("teacher") / "run"
    train_teacher.main(config_of(train_teacher, corpus, run))
    return run


@UNCLOSED
@pytest.mark.slow
def test_a_teacher_goes_on(teacher_run, corpus, tmp_path, monkeypatch):
    config = config_of(train_teacher, corpus, tmp_path / "run")
    with monkeypatch.context() as patch:
        interrupted_after(4, patch)
        with pytest.raises(Killed):
            train_teacher.main(config)
    assert not (tmp_path / "run" / "teacher.keras").exists()
    train_teacher.main(dataclasses.replace(config, resume=True))
    check_same(
        what_is_left(tmp_path / "run", "teacher"),
        what_is_left(teacher_run, "teacher"),
    )


@UNCLOSED
@pytest.mark.slow
def test_a_student_goes_on(teacher_run, corpus, tmp_path, monkeypatch):
    def config(run):
        return config_of(
            distill_masked_lm,
            corpus,
            tmp_path / run,
            teacher=str(teacher_run),
            num_layers=1,
            plan=(1,),
        )

    distill_masked_lm.main(config("whole"))
    with monkeypatch.context() as patch:
        interrupted_after(3, patch)
        with pytest.raises(Killed):
            distill_masked_lm.main(config("run"))
    distill_masked_lm.main(dataclasses.replace(config("run"), resume=True))
    check_same(
        what_is_left(tmp_path / "run", "student"),
        what_is_left(tmp_path / "whole", "student"),
    )


@pytest.mark.slow
@UNCLOSED
def test_a_teacher_that_has_vanished_is_named(
    teacher_run, corpus, tmp_path, monkeypatch
):
    """Nothing is lost by that; with the teacher back the run goes on."""
    teacher = tmp_path / "teacher"
    shutil.copytree(teacher_run, teacher)
    config = config_of(
        distill_masked_lm,
        corpus,
        tmp_path / "run",
        teacher=str(teacher),
        num_layers=1,
        plan=(1,),
    )
    with monkeypatch.context() as patch:
        interrupted_after(3, patch)
        with pytest.raises(Killed):
            distill_masked_lm.main(config)
    before = checkpoints_of(tmp_path / "run")
    teacher.rename(tmp_path / "elsewhere")
    again = dataclasses.replace(config, resume=True)
    with pytest.raises(SystemExit, match="`--teacher` must be a run folder"):
        distill_masked_lm.main(again)
    assert checkpoints_of(tmp_path / "run") == before
    (tmp_path / "elsewhere").rename(teacher)
    distill_masked_lm.main(again)
    assert (tmp_path / "run" / "student.keras").exists()


@pytest.mark.slow
def test_with_nothing_there_a_run_begins(corpus, tmp_path):
    config = config_of(train_teacher, corpus, tmp_path / "run", resume=True)
    train_teacher.main(config)
    assert (tmp_path / "run" / "teacher.keras").exists()


@pytest.mark.slow
def test_another_config_is_refused(teacher_run, corpus):
    config = config_of(train_teacher, corpus, teacher_run, resume=True, seed=7)
    with pytest.raises(SystemExit, match="`--run`.*seed: 0, now 7"):
        train_teacher.main(config)


@pytest.mark.slow
def test_a_batch_is_looked_at_alone(teacher_run, corpus, capsys):
    before = what_is_left(teacher_run, "teacher")
    config = config_of(
        train_teacher, corpus, teacher_run, resume=True, replay=2
    )
    assert train_teacher.main(config) is None
    printed = capsys.readouterr().out
    assert "Batch 2, with the weights after 4 batches" in printed
    assert "finite" in printed
    check_same(what_is_left(teacher_run, "teacher"), before)


def test_the_command_to_go_on_says_resume_once(tmp_path, monkeypatch):
    argv = ["recipes/x.py", "--run", "a b", "--resume"]
    monkeypatch.setattr("sys.argv", argv)
    run = make_run(train_teacher.Config(), tmp_path)
    run.close()
    expected = "uv run recipes/x.py --run 'a b' --resume"
    assert run.resume_command == expected
