import json
import pathlib

import keras_kd as kd
import pytest
from keras_kd.data.file_lines import kind_of, read_json, unix_lines


@pytest.mark.parametrize(
    "name, kind",
    [
        ("a.txt", (".txt", None)),
        ("A.TXT.GZ", (".txt", ".gz")),
        ("a.b.Csv.xZ", (".csv", ".xz")),
        ("a", ("", None)),
    ],
)
def test_the_kind_of_a_file_is_told_in_lower_case(name, kind):
    assert kind_of(pathlib.Path(name)) == kind


def test_lines_of_old_macs_are_lines():
    assert list(unix_lines(["a\rb\r\rc"])) == ["a\n", "b\n", "\n", "c\n"]
    same = ["a\rb\r\n", "c\n", "d"]
    assert list(unix_lines(same)) == same


def test_files_of_old_macs_are_read(tmp_path):
    def write(name, text):
        (tmp_path / name).write_bytes(text.replace("\n", "\r").encode())
        return tmp_path / name

    text = write("a.txt", "one\nstill\n\ntwo\n")
    assert list(kd.read_documents(text)) == ["one\nstill", "two"]
    rows = "".join(f"{json.dumps({'text': t, 'label': t})}\n" for t in "ab")
    for file in (
        write("a.tsv", "text\tlabel\na\ta\nb\tb\n"),
        write("a.jsonl", rows),
    ):
        found = kd.read_labeled_texts(file)
        assert [(t.text, t.label) for t in found] == [("a", "a"), ("b", "b")]
    assert list(kd.read_documents(tmp_path / "a.jsonl")) == ["a", "b"]


def test_json_that_is_nested_too_deeply_is_a_value_error():
    assert read_json('{"a": [1]}') == {"a": [1]}
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json("[" * 100_000)
