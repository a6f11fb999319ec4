import os

import pytest
from keras_kd.data import docstrings
from keras_kd.data.docstrings import read_docstrings, thin_to_prose

SUM = "Adds up all the numbers of a list and says what came out of it."
PRODUCT = "Multiplies all the numbers of a list and says what came out of it."
MODULE = "This module does arithmetic with lists of numbers, slowly but surely."
LONG = " It is exact for whole numbers and rounds like Python for others."


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A tiny package as the only root, and a cache folder of its own."""
    root = tmp_path / "package"
    (root / "inner").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "b.py").write_text(
        f'"""{MODULE}{LONG}"""\n\n'
        "class Sum:\n"
        f'    """{SUM}{LONG}"""\n\n'
        "    def call(self):\n"
        f'        """{PRODUCT}{LONG}"""\n\n'
        "def short():\n"
        '    """Too short to be a document, this one is."""\n',
        "utf-8",
    )
    (root / "inner" / "a.py").write_text(
        f'def again():\n    """{SUM}{LONG}"""\n\n'
        f"if True:\n    def one():\n        '''Inner: {SUM}{LONG}'''\n",
        "utf-8",
    )
    (root / "tests" / "c.py").write_text(f'"""A test. {SUM}{LONG}"""\n')
    (root / "broken.py").write_text(f'"""Broken. {SUM}{LONG}"""\ndef (:\n')
    monkeypatch.setattr(docstrings, "_roots", lambda: [root])
    monkeypatch.setattr(
        "platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache")
    )
    return root


# thin_to_prose


def test_plain_sentences_stay_one_paragraph_a_line():
    prose = thin_to_prose(
        "Adds up all the numbers\nof a list and stops.\n\n"
        "    The empty list gives\n    a nought, as it should.\n"
    )
    assert prose == (
        "Adds up all the numbers of a list and stops.\n"
        "The empty list gives a nought, as it should."
    )


@pytest.mark.parametrize(
    "fence",
    [
        "```python\nthis would be a line of words here\n```",
        "```\nthis fence is one that never ever ends\n",
    ],
)
def test_code_fences_go(fence):
    sentence = "Adds up all the numbers of a list."
    assert thin_to_prose(f"{sentence}\n\n{fence}") == sentence


def test_text_after_a_code_fence_stays():
    prose = thin_to_prose(
        "Adds up all the numbers of a list:\n```\nsum(numbers)\n```\n"
        "The numbers may be of any kind."
    )
    assert prose == (
        "Adds up all the numbers of a list:\nThe numbers may be of any kind."
    )


def test_doctests_go():
    prose = thin_to_prose(
        "Adds up all the numbers of a list.\n\n"
        ">>> sum([1, 2])\n... # and so on and on and on it goes\n3\n\n"
        "The numbers may be of any kind."
    )
    assert prose == (
        "Adds up all the numbers of a list.\nThe numbers may be of any kind."
    )


def test_section_titles_and_names_of_arguments_go_and_their_meanings_stay():
    prose = thin_to_prose(
        "Adds up all the numbers of a list.\n\n"
        "Args:\n"
        "    numbers: The numbers that are to be added up.\n"
        "    start (int): The number that one is to start from,\n"
        "        which is nought at first.\n"
        "    **options: Int.\n\n"
        "Returns:\n"
        "    The sum, which is a number of the same kind.\n"
    )
    assert prose == (
        "Adds up all the numbers of a list.\n"
        "The numbers that are to be added up.\n"
        "The number that one is to start from, which is nought at first.\n"
        "The sum, which is a number of the same kind."
    )


def test_list_marks_go():
    prose = thin_to_prose(
        "- The first thing is that it adds.\n"
        "2. The second thing is that it stops."
    )
    assert prose == (
        "The first thing is that it adds.\nThe second thing is that it stops."
    )


@pytest.mark.parametrize(
    "table",
    [
        "| a column with words | and another column with words |",
        "+----+----+\n| 1  | 2  |\n+----+----+",
        "=====  =====\n  A      B\n=====  =====",
        "kind     float64   int32   uint8   bool   str_",
        ".. note:: here is a line of words to read",
        "@decorator of some words that are here now",
        "x = add(1, 2) + add(3, 4) - add(5, 6)",
        "            an indented block of words like code here",
    ],
)
def test_tables_directives_and_code_go(table):
    sentence = "Adds up all the numbers of a list."
    assert thin_to_prose(f"{sentence}\n\n{table}\n") == sentence


def test_backticks_go_and_what_they_quote_stays():
    prose = thin_to_prose("Calls `add` on ``numbers`` and then returns them.")
    assert prose == "Calls add on numbers and then returns them."


def test_paragraphs_of_five_words_go():
    assert thin_to_prose("Adds up all the numbers.") == ""
    assert thin_to_prose("Adds up all the many numbers.") == (
        "Adds up all the many numbers."
    )


def test_a_paragraph_stays_when_three_quarters_are_words():
    three_of_four = "one two 3 four five six 7 eight"
    assert thin_to_prose(three_of_four) == three_of_four
    assert thin_to_prose("one two 3 four 5 six 7 eight") == ""


# The corpus


def test_documents_are_the_docstrings_in_the_order_of_the_files(package):
    # b.py before inner/a.py, whose two docstrings are in b.py already once
    # "Inner: " is gone; tests/ and what cannot be parsed are left out.
    assert list(read_docstrings()) == [
        MODULE + LONG,
        SUM + LONG,
        PRODUCT + LONG,
    ]


def test_two_readings_from_scratch_write_the_same_bytes(package, tmp_path):
    read = []
    for _ in range(2):
        list(read_docstrings())
        (cache,) = (tmp_path / "cache").iterdir()
        read.append((cache.name, cache.read_bytes()))
        cache.unlink()
    assert read[0] == read[1]
    assert read[0][1].count(b"\n\n") == 3


def test_the_second_reading_is_from_the_cache(package, monkeypatch):
    first = list(read_docstrings())
    monkeypatch.delattr(docstrings, "thin_to_prose")
    assert list(read_docstrings()) == first
    assert len(first) == 3


def test_a_package_installed_anew_is_read_anew(package, tmp_path):
    before = list(read_docstrings())
    (package / "c.py").write_text(f'"""Anew. {MODULE}{LONG}"""\n', "utf-8")
    os.utime(package, ns=(0, package.stat().st_mtime_ns + 1))
    assert list(read_docstrings()) == [*before, f"Anew. {MODULE}{LONG}"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_reading_leaves_nothing_half_written(
    package, tmp_path, monkeypatch, interruption
):
    calls = []

    def thin_once(docstring):
        calls.append(docstring)
        if len(calls) > 1:
            raise interruption
        return thin_to_prose(docstring)

    with monkeypatch.context() as patch:
        patch.setattr(docstrings, "thin_to_prose", thin_once)
        with pytest.raises(interruption):
            list(read_docstrings())
    assert len(calls) == 2
    assert list((tmp_path / "cache").iterdir()) == []
    assert len(list(read_docstrings())) == 3


def test_a_cache_that_cannot_be_written_is_named(package, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(OSError, match="cache folder must be writable.*cache"):
        list(read_docstrings())


@pytest.mark.slow
def test_the_real_keras_gives_prose(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache")
    )
    standard_library, keras, *_ = docstrings._roots()
    assert keras.name == "keras"
    assert (standard_library / "argparse.py").exists()
    monkeypatch.setattr(docstrings, "_roots", lambda: [keras])
    documents = list(read_docstrings())
    assert len(documents) > 1000
    assert len(set(documents)) == len(documents)
    assert min(map(len, documents)) >= docstrings.SHORTEST
    assert not any(
        mark in document for document in documents for mark in ("```", ">>>")
    )
