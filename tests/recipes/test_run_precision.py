import dataclasses
import json

import keras
import pytest

import run_precision
from run_folder import new_run_folder
from run_precision import set_precision


@dataclasses.dataclass(frozen=True)
class Config:
    run: str
    precision: str = "auto"
    jit_compile: bool | None = None
    overwrite: bool = False
    resume: bool = False


@pytest.fixture(autouse=True)
def policy():
    """The global policy, which comes back."""
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture(autouse=True)
def faster(monkeypatch):
    """A processor that is measured to be faster in bfloat16."""

    def choose(device):
        assert device == "CPU:0"
        return "mixed_bfloat16", "It runs 1.87 times as fast."

    monkeypatch.setattr(run_precision, "training_device", lambda: "CPU:0")
    monkeypatch.setattr(run_precision, "precision_choice", choose)


def begin(config):
    """The config that a recipe has, its run folder written."""
    config = set_precision(config)
    with new_run_folder(config):
        pass
    return config


def test_auto_is_the_measured_choice_said_and_recorded(tmp_path, capsys):
    config = begin(Config(str(tmp_path / "run")))
    assert config.precision == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    said = "Precision: mixed_bfloat16. It runs 1.87 times as fast."
    assert said in capsys.readouterr().out
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())
    assert recorded["precision"] == "mixed_bfloat16"


@pytest.mark.parametrize("resume", [True, False])
def test_a_run_that_is_gone_on_with_keeps_its_policy(tmp_path, capsys, resume):
    """A study has no `resume`: the same command goes on with it."""
    config = Config(str(tmp_path / "run"), "float32")
    begin(config)
    again = dataclasses.replace(config, precision="auto", resume=resume)
    assert set_precision(again).precision == "float32"
    assert keras.config.dtype_policy().name == "float32"
    assert "began with it" in capsys.readouterr().out
    anew = dataclasses.replace(again, overwrite=True, resume=False)
    assert set_precision(anew).precision == "mixed_bfloat16"


def test_a_named_policy_is_taken_as_it_is(tmp_path, capsys):
    config = Config(str(tmp_path / "run"), "float32")
    assert set_precision(config) == config
    assert keras.config.dtype_policy().name == "float32"
    assert capsys.readouterr().out == ""


def test_with_xla_a_processor_stays_in_float32(tmp_path, capsys):
    config = Config(str(tmp_path / "run"), jit_compile=True)
    assert set_precision(config).precision == "float32"
    assert "XLA gains nothing" in capsys.readouterr().out


def test_a_policy_that_keras_does_not_know_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="`--precision` must be auto or .*f16"):
        set_precision(Config(str(tmp_path / "run"), "f16"))
