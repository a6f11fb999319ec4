import io
import pathlib
import re
import sys

import pytest
from keras_kd.data import text_files
from keras_kd.data.corpora import read_documents
from keras_kd.data.text_files import find_files

WIKITEXT_2 = (
    pathlib.Path(__file__).parents[3] / "shared" / "data" / "wikitext-2"
)


def test_a_folder_gives_all_its_files_of_every_kind(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.txt").write_text("one")
    (tmp_path / "a.jsonl").write_text('{"text": "two"}\n')
    (tmp_path / "c.csv").write_text("text\nthree\n")
    (tmp_path / "image.png").write_bytes(b"\0")
    (tmp_path / ".hidden.txt").write_text("hidden")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.txt").write_text("hidden")
    assert list(read_documents(tmp_path)) == ["two", "one", "three"]


def test_a_folder_without_such_files_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a folder with files ending in"):
        read_documents(tmp_path)


def test_wikitexts_own_suffixes_are_text(tmp_path):
    for name in ("wiki.test.raw", "wiki.test.tokens"):
        (tmp_path / name).write_text(" = A = \n\n one \n\n = B = \n two \n")
        found = list(read_documents(tmp_path / name))
        assert found == ["= A =\none", "= B =\ntwo"]


def test_standard_input_may_be_read_again_by_others_too(monkeypatch):
    text_files.piped_in.cache_clear()
    stdin = io.TextIOWrapper(io.BytesIO(b"one\n\ntwo\nlines\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    documents = read_documents("-")
    assert list(documents) == ["one", "two\nlines"]
    assert list(documents) == ["one", "two\nlines"]
    assert repr(documents) == "Documents(['standard input'], split=None)"
    assert list(read_documents(["-"])) == ["one", "two\nlines"]
    text_files.piped_in.cache_clear()


def test_files_come_in_order(tmp_path):
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(name)
    found = find_files(str(tmp_path / "*.txt"))
    assert [str(file) for file in found] == [
        str(tmp_path / "a.txt"),
        str(tmp_path / "b.txt"),
    ]


@pytest.mark.skipif(
    not WIKITEXT_2.exists(), reason="needs ../shared/data/wikitext-2"
)
def test_wikitext_2s_test_file_has_an_article_for_each_title():
    file = WIKITEXT_2 / "wiki.test.raw"
    titles = re.findall(r"(?m)^ = [^=].* = $", file.read_text("utf-8"))
    documents = list(read_documents(file))
    assert len(documents) == len(titles)
    assert 60 <= len(documents) < 70
    for document, title in zip(documents, titles, strict=True):
        assert document.startswith(title.strip() + "\n")
