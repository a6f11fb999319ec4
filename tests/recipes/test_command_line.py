import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import typing

from command_line import read_config

import keras_kd as kd
import benchmark_latency
import distill_masked_lm
import pytest
import train_teacher

import latency_peers

RECIPES = pathlib.Path(train_teacher.__file__).parent

# Runs each recipe with a flag, as Python runs a program, in one process.
RUN_EACH = """
import pathlib, runpy, sys

folder, flag = sys.argv[1:]
sys.path.insert(0, folder)
for path in sorted(pathlib.Path(folder).glob("*.py")):
    if "class Config:" not in path.read_text("utf-8"):
        continue
    sys.argv = [str(path), flag]
    sys.modules.pop("command_line", None)
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        print("ended", path.stem, end.code)
    for slow in ("keras", "tensorflow"):
        if slow in sys.modules:
            sys.exit(f"{path.stem} imports {slow}")
"""


@dataclasses.dataclass(frozen=True)
class Config:
    """A recipe's settings.

    Args:
        steps: How many.
        run: Run folder.
        layers: Which, or all.
    """

    steps: int = 10
    run: str = "run"
    layers: str | tuple[int, ...] = "all"


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


def test_a_config_from_a_pipe_is_read_once(monkeypatch):
    reader, writer = os.pipe()
    os.write(writer, b'{"steps": 20}')
    os.close(writer)
    flags = ("--config", f"/dev/fd/{reader}")
    assert config_from(monkeypatch, *flags) == Config(20)
    assert config_from(monkeypatch, *flags) == Config(20)
    os.close(reader)


@pytest.mark.parametrize(
    "text, received",
    [
        ('{"steps": "20"}', "`steps`. Received: '20'"),
        ('{"run": 5}', "`run`. Received: 5"),
        ('{"layers": [0, "x"]}', r"`layers`. Received: \(0, 'x'\)"),
        ('{"steps": true}', "`steps`. Received: True"),
        ('[{"steps": 1}]', "of one object"),
        ("null", "of one object. Received: None"),
    ],
)
def test_a_field_of_another_type_is_refused(
    monkeypatch, tmp_path, text, received
):
    file = tmp_path / "run.json"
    file.write_text(text)
    with pytest.raises(SystemExit, match=received):
        config_from(monkeypatch, "--config", str(file))


def run_each(flag):
    """Names and exit codes of all recipes, and all that they wrote."""
    ran = subprocess.run(
        [sys.executable, "-c", RUN_EACH, str(RECIPES), flag],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    codes = dict(re.findall(r"^ended (\w+) (\d)$", ran.stdout, re.MULTILINE))
    return codes, ran.stdout, ran.stderr


RECIPES_WITH_FLAGS = {
    file.stem
    for file in RECIPES.glob("*.py")
    if "class Config:" in file.read_text("utf-8")
}


def test_help_is_answered_before_keras_is_imported():
    codes, written, _ = run_each("--help")
    assert codes == dict.fromkeys(RECIPES_WITH_FLAGS, "0")
    assert "--layer-drop-law" in written
    assert "How it differs by depth" in written


def test_a_mistyped_flag_is_answered_before_keras_is_imported():
    codes, _, errors = run_each("--stepz")
    assert codes == dict.fromkeys(RECIPES_WITH_FLAGS, "2")
    assert errors.count("--stepz") >= len(RECIPES_WITH_FLAGS)


@pytest.mark.parametrize(
    "recipe, field, names",
    [
        (train_teacher, "layer_drop_law", kd.LAWS),
        (distill_masked_lm, "compensation", kd.COMPENSATIONS),
    ],
)
def test_choices_are_those_of_the_library(recipe, field, names):
    hint = typing.get_type_hints(recipe.Config)[field]
    choices = typing.get_args(hint)
    if type(None) in choices:
        choices = typing.get_args(choices[0])
    assert choices == tuple(names)


def test_peers_are_all_that_there_are():
    assert benchmark_latency.Config().peers == tuple(latency_peers.PEERS)
