import dataclasses
import json

from command_line import read_config

import keras_kd as kd
import keras
import numpy as np
import pytest
from rich.table import Table

from run_folder import (
    make_optimizer,
    new_run_folder,
    wide_console,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """A recipe's settings.

    Args:
        steps: How many.
        run: Run folder.
        overwrite: Replace it.
        layers: Which, or all.
    """

    steps: int = 10
    run: str = "run"
    overwrite: bool = False
    layers: str | tuple[int, ...] = "all"


@dataclasses.dataclass(frozen=True)
class WithTeacher(Config):
    teacher: str = "teacher"


def test_a_written_config_is_read_back_without_overwrite(
    monkeypatch, tmp_path, recwarn
):
    config = Config(7, str(tmp_path / "run"), overwrite=True, layers=(0, 2))
    with new_run_folder(config):
        pass
    flags = ["--config", str(tmp_path / "run" / "config.json")]
    monkeypatch.setattr("sys.argv", ["recipe.py", *flags])
    found = read_config(Config, "A recipe.")
    assert found == dataclasses.replace(config, overwrite=False)
    assert not recwarn.list


@pytest.fixture
def run(tmp_path):
    """Config of a run that is there, with a student in it."""
    config = Config(run=str(tmp_path / "run"))
    with new_run_folder(config) as folder:
        (folder / "student.keras").write_text("precious")
    return config


def files_of(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_that_is_there_is_kept_without_overwrite(run, tmp_path):
    fields = json.loads((tmp_path / "run" / "config.json").read_text())
    assert fields == {"steps": 10, "run": run.run, "layers": "all"}
    with pytest.raises(SystemExit, match="already holds files"):
        with new_run_folder(run):
            pass
    assert (tmp_path / "run" / "student.keras").read_text() == "precious"


def test_overwrite_replaces_a_run_once_the_new_one_is_ready(run, tmp_path):
    run = dataclasses.replace(run, overwrite=True)
    with pytest.raises(ValueError, match="no text"):
        with new_run_folder(run):
            raise ValueError("no text")
    assert files_of(tmp_path) == ["run"]
    assert files_of(tmp_path / "run") == ["config.json", "student.keras"]
    with new_run_folder(run) as folder:
        (folder / "vocab.txt").write_text("new")
    assert files_of(tmp_path) == ["run"]
    assert files_of(tmp_path / "run") == ["config.json", "vocab.txt"]


def test_a_run_that_failed_leaves_its_name_free(tmp_path):
    config = Config(run=str(tmp_path / "run"))
    with pytest.raises(ValueError, match="no text"):
        with new_run_folder(config):
            raise ValueError("no text")
    assert files_of(tmp_path) == []


def test_overwrite_spares_what_is_no_run(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    config = Config(run=str(tmp_path), overwrite=True)
    with pytest.raises(SystemExit, match="holds something else"):
        with new_run_folder(config):
            pass
    assert files_of(tmp_path) == ["thesis.txt"]
    config = Config(run=str(tmp_path / "thesis.txt"), overwrite=True)
    with pytest.raises(SystemExit, match="thesis.txt, a file"):
        with new_run_folder(config):
            pass


def test_overwrite_spares_what_the_run_reads(run, tmp_path):
    teacher = str(tmp_path / "run")
    config = WithTeacher(run=run.run, overwrite=True, teacher=teacher)
    with pytest.raises(SystemExit, match="must not replace what is in use"):
        with new_run_folder(config):
            pass
    config = WithTeacher(
        run=run.run, overwrite=True, teacher=str(tmp_path / "*" / "*.keras")
    )
    with pytest.raises(SystemExit, match="which holds .*student.keras"):
        with new_run_folder(config):
            pass
    assert files_of(tmp_path / "run") == ["config.json", "student.keras"]


def test_the_current_folder_is_no_run(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "run")
    for name in (".", "..", str(tmp_path)):
        with pytest.raises(SystemExit, match="must not be the current folder"):
            with new_run_folder(Config(run=name, overwrite=True)):
                pass
    assert files_of(tmp_path / "run") == ["config.json", "student.keras"]


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_the_learning_rate_warms_up_and_decays(name):
    optimizer = make_optimizer(name, 0.4, 100).inner_optimizer
    schedule = optimizer._learning_rate
    found = [float(schedule(step)) for step in (0, 1, 5, 100)]
    np.testing.assert_allclose(found, [0, 0.08, 0.4, 0], atol=1e-6)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_an_optimizer_decays_kernels_but_no_biases(name):
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])
    model.build((None, 4))
    optimizer = make_optimizer(name, 0.4, 100).inner_optimizer
    optimizer.build(model.trainable_variables)
    decayed = [optimizer._use_weight_decay(v) for v in model.trainable_weights]
    assert decayed == [True, False, True, False]


def test_distilbert_is_the_optimizer_of_its_scripts():
    found = make_optimizer("distilbert", 5e-4, 100)
    found = found.inner_optimizer.get_config()
    expected = kd.distilbert_optimizer(100).get_config()
    assert {**found, "name": ""} == {**expected, "name": ""}
    assert found["beta_2"] == 0.98
    assert found["global_clipnorm"] == 5.0


def test_a_log_holds_wide_tables_whole(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Table(*(f"a rather long heading {n}" for n in range(5)))
    wide_console().print(table)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].count("a rather long heading") == 5


@pytest.mark.parametrize(
    "flags, lowercase, steps",
    [
        ("--steps 3", None, 3),
        ("--lowercase --steps 3", True, 3),
        ("--steps 3 --lowercase", True, 3),
        ("--no-lowercase", False, 10),
        ("--lowercase False", False, 10),
        ("--lowercase None", None, 10),
    ],
)
def test_what_may_be_none_has_two_flags(monkeypatch, flags, lowercase, steps):
    fields = [("steps", int, 10), ("lowercase", bool | None, None)]
    config_class = dataclasses.make_dataclass("C", fields, frozen=True)
    monkeypatch.setattr("sys.argv", ["recipe.py", *flags.split()])
    config = read_config(config_class, "A recipe.")
    assert (config.lowercase, config.steps) == (lowercase, steps)
