"""The examples of the README work when pasted into an empty file."""

import pathlib
import re
import subprocess
import sys

import keras_kd as kd
import pytest

README = pathlib.Path(__file__).parent.parent / "README.md"
WALK, FROM_HUGGING_FACE, WHICH_LAYERS, HEALING, TASK, SURVIVING = re.findall(
    r"```python\n(.*?)```", README.read_text("utf-8"), re.S
)


def run(program, folder):
    (folder / "example.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_walk(tmp_path):
    more = WHICH_LAYERS + HEALING + "print(len(every), plan.name)\n"
    printed = run(WALK + more, tmp_path)
    assert printed.splitlines()[-1] == "15 indices, narrower"
    assert "before any training, held-out text" in printed
    assert re.search(r"student +\d\.\d{3} ", printed)
    assert (tmp_path / "my_student" / "saved_model").is_dir()
    assert (tmp_path / "my_student" / "student.keras").is_file()
    short = SURVIVING.replace("=1000", "=2").replace("epochs=20", "epochs=1")
    program = WALK[: WALK.index("kd.compare")] + short
    run(program, tmp_path)
    printed = run(program.replace("epochs=1,", "epochs=2,"), tmp_path)
    assert "Epoch 2/2" in printed
    assert len(list((tmp_path / "runs" / "mine").glob("epoch-*"))) == 2


@pytest.mark.slow
def test_from_a_hugging_face_teacher_to_a_saved_model(tmp_path):
    """With a folder in place of the hub's, of twelve narrow layers."""
    tokenizer = kd.WordPieceTokenizer.train(["a cat sat on a mat"] * 9, 60)
    config = kd.BertConfig(
        tokenizer.vocabulary_size, 12, 16, 2, max_sequence_length=128
    )
    teacher = kd.BertMaskedLM(config, seed=0)
    kd.save_checkpoint(teacher, tmp_path / "bert", tokenizer)
    program, count = re.subn(
        r'(?m)^name = ".*"$', 'name = "bert"', FROM_HUGGING_FACE
    )
    assert count == 1
    run(program, tmp_path)
    assert (tmp_path / "my_bert" / "saved_model").is_dir()
    student = kd.load_checkpoint(tmp_path / "my_bert" / "hugging_face")
    assert student.config.num_layers == 6
    assert student.config.num_segments == 0


@pytest.mark.slow
def test_a_task(tmp_path):
    """With a folder in place of the hub's, of six narrow layers."""
    reviews = ["a cat\tgood", "a mat\tbad", "sat on\tgood", "on a\tbad"] * 4
    tokenizer = kd.WordPieceTokenizer.train(["a cat sat on a mat"] * 9, 60)
    config = kd.BertConfig(
        tokenizer.vocabulary_size, 6, 16, 2, max_sequence_length=128
    )
    kd.save_checkpoint(kd.BertBackbone(config), tmp_path / "encoder", tokenizer)
    for name in ("reviews.tsv", "held_out.tsv"):
        text = "\n".join(["text\tlabel", *reviews, ""])
        (tmp_path / name).write_text(text, "utf-8")
    program, count = re.subn(r'(?m)^name = ".*"$', 'name = "encoder"', TASK)
    assert count == 1
    printed = run(program, tmp_path)
    assert printed.count("val_accuracy: ") >= 6
    assert (tmp_path / "my_classifier" / "saved_model").is_dir()
