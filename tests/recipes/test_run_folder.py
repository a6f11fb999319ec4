import dataclasses
import json

import keras
import numpy as np
import pytest

from run_folder import make_optimizer, open_run_folder, read_config


@dataclasses.dataclass(frozen=True)
class Config:
    """A recipe's settings.

    Args:
        steps: How many.
        run: Run folder.
        overwrite: Replace it.
    """

    steps: int = 10
    run: str = "run"
    overwrite: bool = False


def config_from(monkeypatch, *flags):
    monkeypatch.setattr("sys.argv", ["recipe.py", *flags])
    return read_config(Config, "A recipe.")


def test_flags_win_over_the_file_and_the_file_over_defaults(
    monkeypatch, tmp_path
):
    file = tmp_path / "run.json"
    file.write_text('{"steps": 20, "run": "from-file"}')
    assert config_from(monkeypatch) == Config(10, "run")
    flags = ("--config", str(file))
    assert config_from(monkeypatch, *flags) == Config(20, "from-file")
    flags += ("--steps", "30")
    assert config_from(monkeypatch, *flags) == Config(30, "from-file")


def test_an_unknown_flag_ends_the_program(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        config_from(monkeypatch, "--stepz", "3")
    assert "--stepz" in capsys.readouterr().err


def test_an_unknown_field_in_the_file_is_named(monkeypatch, tmp_path):
    file = tmp_path / "run.json"
    file.write_text('{"stepz": 20}')
    with pytest.raises(SystemExit, match=r"Received: \['stepz'\]"):
        config_from(monkeypatch, "--config", str(file))


def test_a_config_that_is_no_json_is_refused(monkeypatch, tmp_path):
    file = tmp_path / "run.json"
    file.write_text("steps: 20")
    with pytest.raises(SystemExit, match="`--config` must be a JSON file"):
        config_from(monkeypatch, "--config", str(file))


def test_a_run_that_is_there_is_kept_without_overwrite(tmp_path):
    config = Config(run=str(tmp_path / "run"))
    folder = open_run_folder(config)
    assert json.loads((folder / "config.json").read_text()) == {
        "steps": 10,
        "run": str(folder),
        "overwrite": False,
    }
    (folder / "student.keras").write_text("precious")
    with pytest.raises(SystemExit, match="already holds a run"):
        open_run_folder(config)
    assert (folder / "student.keras").read_text() == "precious"
    open_run_folder(dataclasses.replace(config, overwrite=True))
    assert [path.name for path in folder.iterdir()] == ["config.json"]


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_the_learning_rate_warms_up_and_decays(name):
    optimizer = make_optimizer(name, 0.4, 100)
    schedule = optimizer._learning_rate
    found = [float(schedule(step)) for step in (0, 1, 5, 100)]
    np.testing.assert_allclose(found, [0, 0.08, 0.4, 0], atol=1e-6)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_an_optimizer_decays_kernels_but_no_biases(name):
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])
    model.build((None, 4))
    optimizer = make_optimizer(name, 0.4, 100)
    optimizer.build(model.trainable_variables)
    decayed = [optimizer._use_weight_decay(v) for v in model.trainable_weights]
    assert decayed == [True, False, True, False]
