import gzip
import json

import datasets
import numpy as np
import pytest
from keras_kd.data.conll import (
    TaggedWords,
    check_tags,
    read_tagged_words,
    tag_ids,
    tag_names_of,
)

CONLL = """-DOCSTART- -X- -X- O

EU NNP B-NP I-ORG
rejects VBZ B-VP O


Peter NNP B-NP I-PER
-DOCSTART- -X- O
Blackburn  NNP B-NP I-PER
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="data.conll"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_words_are_in_the_first_column_and_tags_in_the_last(write):
    path = write(CONLL)
    assert read_tagged_words(path) == [
        TaggedWords(("EU", "rejects"), ("I-ORG", "O"), f"{path}, line 3"),
        TaggedWords(("Peter",), ("I-PER",), f"{path}, line 7"),
        TaggedWords(("Blackburn",), ("I-PER",), f"{path}, line 9"),
    ]
    [first, *_] = read_tagged_words(path, tag=1)
    assert first.tags == ("NNP", "VBZ")
    [first, *_] = read_tagged_words(str(path), tag=None)
    assert first.tags is None


def test_tabs_part_columns_where_the_first_row_has_one(write):
    path = write("1\tNew York\tB-LOC\r\n2\tis \tO\r\n\t\r\n1\ta\u00a0b\tO")
    found = read_tagged_words(path, word=1)
    assert [s.words for s in found] == [("New York", "is"), ("a\u00a0b",)]
    assert [s.tags for s in found] == [("B-LOC", "O"), ("O",)]


def test_a_file_may_be_compressed_and_begin_with_a_mark(write):
    path = write(gzip.compress(b"\xef\xbb\xbfthe O\n"), "train.txt.gz")
    [sentence] = read_tagged_words(path)
    assert (sentence.words, sentence.tags) == (("the",), ("O",))


@pytest.mark.parametrize("key", ["tags", "ner_tags"])
def test_json_lines_hold_lists(write, key):
    row = json.dumps({"tokens": ["A", "b"], key: ["B-X", "O"]})
    path = write(f"\n{row}\n", "data.jsonl")
    expected = TaggedWords(("A", "b"), ("B-X", "O"), f"{path}, line 2")
    assert read_tagged_words(path) == [expected]
    [untagged] = read_tagged_words(path, tag=None)
    assert untagged.tags is None


def test_ids_in_json_lines_are_named(write):
    row = json.dumps({"tokens": ["A", "b"], "ner_tags": [1, 0]})
    path = write(gzip.compress(row.encode()), "data.jsonl.gz")
    [sentence] = read_tagged_words(path, tag_names=["O", "B-X"])
    assert sentence.tags == ("B-X", "O")
    with pytest.raises(
        ValueError, match="ids of `tag_names`, None.*1 in .*e 1"
    ):
        read_tagged_words(path)
    with pytest.raises(ValueError, match="`ner_tags` must be.*Received: 1 in"):
        read_tagged_words(path, tag_names=["O"])


@pytest.mark.parametrize(
    "text, message",
    [
        ("the\n", "`word` and `tag` must be two columns.*1 columns.*line 1"),
        ("a DT O\nb O\n", "must have 3 columns.*2, .'b', 'O'., in .*line 2"),
        ("a O\nb DT O\n", "must have 2 columns.*Received: 3.*line 2"),
        ("a\tO\nb\t\n", "a word and its tag.*'b', ''. in .*line 2"),
        ("\tO\n", "a word and its tag.*line 1"),
        ("-DOCSTART- O\n\n", "must hold sentences.*data.conll"),
        ("", "must hold sentences"),
        (b"a O\n\xe9t\xe9 O\n", "must be UTF-8.*byte 4 .line 2. is 0xe9"),
    ],
)
def test_bad_rows_are_named_by_file_and_line(write, text, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read_tagged_words(write(text))


@pytest.mark.parametrize(
    "row, message",
    [
        ('{"tokens": ["a"]}', "`tags` must be a list.*None in .*line 1"),
        ('{"tokens": ["a"], "tags": ["O", "O"]}', "each of the 1 words"),
        ('{"tokens": ["a"], "tags": [true]}', "must be text.*True in"),
        ('{"tokens": ["a"], "tags": ["\\ud800"]}', "must be text"),
        ('{"tokens": "a b", "tags": ["O"]}', "`tokens` must be a list.*'a b'"),
        ('{"tokens": [], "tags": []}', "`tokens` must be a list.*line 1"),
        ('{"tokens": [" "], "tags": ["O"]}', "`tokens` must be a list"),
        ('{"tokens": ["\\ud800"], "tags": ["O"]}', "`tokens` must be a list"),
        ('["a"]', "one JSON object a line.*line 1"),
        ("{", "one JSON object a line.*line 1"),
    ],
)
def test_bad_json_is_named_by_file_and_line(write, row, message):
    with pytest.raises(ValueError, match=message):
        read_tagged_words(write(row, "data.jsonl"))


def test_a_column_that_is_not_there_is_named(write):
    path = write("a O\n")
    for word, tag in ((2, -1), (0, -3), (1, -1)):
        with pytest.raises(ValueError, match=f"here {word} and {tag}"):
            read_tagged_words(path, word, tag)
    with pytest.raises(FileNotFoundError, match="`source` must be an existing"):
        read_tagged_words(path.parent)


def test_tags_have_ids_in_the_order_of_their_names():
    sentences = [
        TaggedWords(("a", "b"), ("I-X", "O")),
        TaggedWords(("c",)),
        TaggedWords(("d",), ("B-X",)),
    ]
    names = tag_names_of(sentences)
    assert names == ["O", "B-X", "I-X"]
    ids = tag_ids(sentences, names)
    assert [list(one) for one in ids] == [[2, 0], [0], [1]]
    assert ids[0].dtype == np.int32
    check_tags(sentences, names)


def test_an_unknown_tag_is_named_by_its_place():
    sentences = [TaggedWords(("a", "Rome"), ("O", "B-LOC"), "f, line 7")]
    with pytest.raises(
        ValueError, match="'B-LOC' of 'Rome', word 2 of the sentence at f, line"
    ):
        tag_ids(sentences, ["O"])


def test_a_tag_without_a_word_is_refused():
    sentences = [TaggedWords(("a",), ("O",))]
    with pytest.raises(ValueError, match="Received: none of 'B-X', 'I-X'"):
        check_tags(sentences, ["O", "B-X", "I-X"])


@pytest.fixture
def hub(monkeypatch):
    """`hub(columns, **features)`: what the hub has, under whatever name."""

    def give(columns, **features):
        features = datasets.Features(features) if features else None
        rows = datasets.Dataset.from_dict(columns, features=features)
        monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)

    return give


def test_a_dataset_names_its_ids(hub):
    names = ["O", "B-PER"]
    hub(
        {"tokens": [["Peter", "ran"], ["so"]], "ner_tags": [[1, 0], [0]]},
        tokens=datasets.List(datasets.Value("string")),
        ner_tags=datasets.List(datasets.ClassLabel(names=names)),
    )
    place = "hf:me/names:train, row"
    assert read_tagged_words("hf:me/names") == [
        TaggedWords(("Peter", "ran"), ("B-PER", "O"), f"{place} 0"),
        TaggedWords(("so",), ("O",), f"{place} 1"),
    ]
    untagged = read_tagged_words("hf:me/names", tag=None)
    assert [sentence.tags for sentence in untagged] == [None, None]


def test_a_dataset_without_names_takes_those_given(hub):
    hub({"tokens": [["Peter"]], "tags": [[1]]})
    (found,) = read_tagged_words("hf:me/names", tag_names=["O", "X"])
    assert found.tags == ("X",)
    with pytest.raises(ValueError, match="Received: 1 in hf:me/names:train, r"):
        read_tagged_words("hf:me/names")


def test_a_dataset_of_other_columns_is_refused(hub):
    hub({"words": [["Peter"]]})
    with pytest.raises(ValueError, match="`tokens` must be a list of words"):
        read_tagged_words("hf:me/names")


def test_tags_keep_the_order_of_their_dataset(hub):
    names = ["O", "B-PER", "I-PER", "B-LOC"]
    hub(
        {"tokens": [["a", "b", "c"]], "ner_tags": [[3, 1, 0]]},
        tokens=datasets.List(datasets.Value("string")),
        ner_tags=datasets.List(datasets.ClassLabel(names=names)),
    )
    assert tag_names_of(read_tagged_words("hf:me/names")) == [
        "O",
        "B-PER",
        "B-LOC",
    ]


def test_tags_that_are_numbers_are_in_the_order_of_their_values():
    tags = [str(number) for number in range(12)]
    sentences = [TaggedWords(tuple(tags), tuple(sorted(tags)))]
    assert tag_names_of(sentences) == tags


def test_an_explicit_list_of_tags_gives_their_order(write):
    path = write("a X\nb O\nc Y\n")
    found = read_tagged_words(path, tag_names=["Y", "X", "O"])
    assert tag_names_of(found) == ["Y", "X", "O"]


def test_a_column_of_words_is_no_column_of_tags(write):
    path = write("\n".join(f"w{n} l{n} O\n" for n in range(40)))
    with pytest.raises(
        ValueError, match="`tag` must be.*40 tags of 40 words in .*'l0', 'l1'"
    ):
        read_tagged_words(path, tag=1)
    names = [f"l{n}" for n in range(40)]
    assert len(read_tagged_words(path, tag=1, tag_names=names)) == 40
    assert len(read_tagged_words(path)) == 40


def test_suffixes_may_be_in_capitals(write):
    row = json.dumps({"tokens": ["a"], "tags": ["O"]})
    path = write(gzip.compress(row.encode()), "DATA.JSONL.GZ")
    assert read_tagged_words(path)[0].words == ("a",)


def test_tags_that_look_alike_or_are_none_are_told(write):
    path = write("a B-PER\nb O\n\nc o\nd O\n\ne nan\nf b-per\ng B-PER\n")
    with pytest.raises(ValueError, match="each spelt in one way") as error:
        read_tagged_words(path)
    for told in (
        f"'o' beside 'O' in {path}, line 4",
        f"'b-per' beside 'B-PER' in {path}, line 7",
        f"'nan' in {path}, line 7",
    ):
        assert told in str(error.value)
    names = ["O", "o", "B-PER", "b-per", "nan"]
    found = read_tagged_words(path, tag_names=names)
    assert tag_names_of(found) == names
