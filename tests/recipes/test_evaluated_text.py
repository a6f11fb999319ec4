"""The text, the lengths and the teacher that runs say for themselves."""

import dataclasses
import json

import keras_kd as kd
import evaluate_student
import evaluated_text
import pytest


def run_of(folder, **settings):
    """A run folder that holds nothing but its settings."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(settings))
    return str(folder)


def test_the_text_is_the_runs_own(tmp_path):
    text = str(tmp_path / "text.txt")
    bare = run_of(tmp_path / "bare")
    first = run_of(tmp_path / "a", corpus=[text], text_column="text", store=[])
    of_store = run_of(tmp_path / "b", corpus=["docstrings"], store=["s"])
    plain = evaluate_student.Config(runs=(first,))
    assert evaluated_text.with_text(plain).corpus == (text,)
    found = evaluated_text.with_text(
        dataclasses.replace(plain, runs=(of_store,))
    )
    assert (found.store, found.corpus) == (("s",), ())
    named = dataclasses.replace(plain, corpus=("other.txt",))
    assert evaluated_text.with_text(named) == named
    for changes, message in (
        ({"runs": (first, of_store)}, "one text.*Received: .*text.txt.*; .*s"),
        ({"runs": (bare,)}, "Received: none in"),
        ({"validation_corpus": ("v",)}, "`--validation-corpus`.*--corpus"),
        ({"corpus": ("c",), "store": ("s",)}, "`--corpus`.*with --store"),
    ):
        with pytest.raises(SystemExit, match=message):
            evaluated_text.with_text(dataclasses.replace(plain, **changes))


def model_of(positions):
    config = kd.BertConfig(9, 1, 4, 1, max_sequence_length=positions)
    return dataclasses.make_dataclass("Model", ["config"])(config)


@pytest.mark.parametrize(
    "block_length, smoke, own, expected",
    [
        (None, False, None, 32),  # 64 where nothing is known, but for the room
        (None, False, 16, 16),
        (None, False, 128, 32),
        (24, False, 16, 24),
        (40, True, None, 32),
    ],
)
def test_blocks_are_no_longer_than_the_positions(
    tmp_path, block_length, smoke, own, expected
):
    settings = {} if own is None else {"block_length": own}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    config = evaluate_student.Config(block_length=block_length, smoke=smoke)
    models = {str(tmp_path): model_of(32), "none": model_of(512)}
    found = evaluated_text.with_block_length(config, models)
    assert found.block_length == expected


def test_blocks_that_do_not_fit_are_refused(tmp_path):
    models = {"run": model_of(32)}
    config = evaluate_student.Config(block_length=33)
    with pytest.raises(SystemExit, match="at most the models' 32.*: 33$"):
        evaluated_text.with_block_length(config, models)
    tokenizer = kd.WordPieceTokenizer.train(["alpha beta"] * 9, 40)
    kd.TokenStore.write(tmp_path / "train", ["alpha " * 90], tokenizer, 40)
    config = evaluate_student.Config(store=(str(tmp_path),))
    with pytest.raises(SystemExit, match="Received: 40 of --store"):
        evaluated_text.with_block_length(config, models)
    longer = {"run": model_of(64)}
    found = evaluated_text.with_block_length(config, longer)
    assert found.block_length == 40


def test_a_teacher_among_the_runs_is_the_teacher(tmp_path, capsys):
    teacher = run_of(tmp_path / "teacher")
    student = run_of(tmp_path / "s", alpha_ce=5.0, teacher=teacher)
    plain = evaluate_student.Config(runs=(f"{student}/", teacher))
    found = evaluated_text.with_teacher(plain)
    assert found.teacher == teacher
    assert found.runs == (student, teacher)
    assert f"The teacher is {teacher}" in capsys.readouterr().out
    alone = dataclasses.replace(plain, runs=(student,))
    assert evaluated_text.with_teacher(alone).teacher is None
