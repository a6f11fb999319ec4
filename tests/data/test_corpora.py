import gzip
import json
import lzma

import pyarrow
import pyarrow.parquet
import pytest
from keras_kd.data.corpora import SPLITS, part_of, read_documents

COMPRESS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}

WIKITEXT = """
 = Robert Boulter =

 Robert Boulter is an English actor .

 = = Career = =

 He had a guest role in 2000 .

 = Plain maskray =

 The plain maskray is a ray .
"""


def read(*sources, **options):
    return list(read_documents([str(source) for source in sources], **options))


def write_parquet(file, columns):
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file


def made_up_documents(count=2000):
    return [f"document {number} of a made-up corpus" for number in range(count)]


# .txt


@pytest.mark.parametrize("compression", COMPRESS)
def test_wikitext_titles_start_a_document_and_section_titles_do_not(
    tmp_path, compression
):
    file = tmp_path / f"wiki.train.txt{compression}"
    file.write_bytes(COMPRESS[compression](WIKITEXT.encode()))
    assert read(file) == [
        "= Robert Boulter =\nRobert Boulter is an English actor .\n"
        "= = Career = =\nHe had a guest role in 2000 .",
        "= Plain maskray =\nThe plain maskray is a ray .",
    ]


@pytest.mark.parametrize("compression", COMPRESS)
def test_blank_lines_separate_documents(tmp_path, compression):
    file = tmp_path / f"notes.txt{compression}"
    text = "one\nstill one\n\n\n  two  \n \t \nthree"
    file.write_bytes(COMPRESS[compression](text.encode()))
    assert read(file) == ["one\nstill one", "two", "three"]


@pytest.mark.parametrize("compression", COMPRESS)
def test_without_blank_lines_each_line_is_a_document(tmp_path, compression):
    file = tmp_path / f"lines.txt{compression}"
    file.write_bytes(COMPRESS[compression]("one\n two\r\nthrée\n".encode()))
    assert read(file) == ["one", "two", "thrée"]


def test_a_byte_order_mark_is_not_text(tmp_path):
    file = tmp_path / "windows.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert read(file) == ["one", "two"]


def test_the_layout_is_told_from_the_first_2000_lines(tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("x\n" * 2000 + "\n" + "x\ny\n", "utf-8")
    assert read(file) == ["x"] * 2001 + ["y"]  # lines: the blank comes late
    file.write_text("x\n" * 1999 + "\n" + "x\ny\n", "utf-8")
    assert read(file) == ["\n".join(["x"] * 1999), "x\ny"]


# .jsonl, .csv, .parquet


@pytest.mark.parametrize("compression", COMPRESS)
def test_jsonl_is_a_document_a_row(tmp_path, compression):
    file = tmp_path / f"rows.jsonl{compression}"
    lines = ['{"text": "one\\ntwo", "id": 1}', "", '"bare"', '{"text": " "}']
    file.write_bytes(COMPRESS[compression]("\n".join(lines).encode()))
    assert read(file) == ["one\ntwo", "bare"]


@pytest.mark.parametrize("compression", COMPRESS)
def test_csv_is_a_document_a_row(tmp_path, compression):
    file = tmp_path / f"rows.csv{compression}"
    text = 'id,text\n1,"one, and\n\nmore"\n2,\n3\n4,two\n'
    file.write_bytes(COMPRESS[compression](text.encode()))
    assert read(file) == ["one, and\n\nmore", "two"]


def test_a_quote_that_does_not_close_is_named(tmp_path):
    (tmp_path / "a.csv").write_text('text\n"one\ntwo\nthree\n', "utf-8")
    with pytest.raises(ValueError, match="must be CSV.*a.csv, line 4"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("compression", COMPRESS)
def test_parquet_is_a_document_a_row(tmp_path, compression):
    plain = write_parquet(
        tmp_path / "plain.parquet", {"id": [1, 2, 3], "text": ["a", None, "b"]}
    )
    file = tmp_path / f"rows.parquet{compression}"
    file.write_bytes(COMPRESS[compression](plain.read_bytes()))
    assert read(file) == ["a", "b"]


def test_text_column_names_the_column_in_each_format(tmp_path):
    (tmp_path / "a.csv").write_text("text,body\nno,csv\n", "utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": 1, "body": "jsonl"}', "utf-8")
    write_parquet(tmp_path / "c.parquet", {"text": ["no"], "body": ["parquet"]})
    documents = read(tmp_path / "*", text_column="body")
    assert documents == ["csv", "jsonl", "parquet"]


MARKED = "_START_ARTICLE_\nRay\n_START_SECTION_\nLife\n_START_PARAGRAPH_\n"
MARKED += "It swims._NEWLINE_It eats."


def read_words(file):
    return " ".join(read(file)).split()


@pytest.mark.parametrize("text", [f"\n{MARKED}", MARKED, f"  \n\n{MARKED}\n"])
def test_wiki40bs_marks_are_left_out_whatever_the_file(tmp_path, text):
    words = "Ray Life It swims. It eats.".split()
    parquet = write_parquet(tmp_path / "a.parquet", {"text": [text]})
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}))
    (tmp_path / "a.csv").write_text(f'text\n"{text}"\n')
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "b.txt").write_text(text.replace("\n", " "))
    for file in (parquet, *map(tmp_path.joinpath, ("a.jsonl", "a.csv"))):
        assert read_words(file) == words
    for file in (tmp_path / "a.txt", tmp_path / "b.txt"):
        assert read_words(file) == words
    (document,) = read(tmp_path / "a.jsonl")
    assert "Life\n" in document  # lines stay apart


def test_a_paragraph_by_itself_has_no_marks_either(tmp_path):
    rows = ["_START_PARAGRAPH_\nIt swims.", "It eats._NEWLINE_So.", "a_START_b"]
    write_parquet(tmp_path / "a.parquet", {"text": rows})
    assert read(tmp_path / "a.parquet") == [
        "It swims.",
        "It eats.\nSo.",
        "a_START_b",
    ]


# Sources


def test_lists_are_read_in_their_order_and_globs_sorted(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.txt", "a.txt", "c.txt", "deep/d.txt"):
        (tmp_path / name).write_text(f"{name}\n", "utf-8")
    c, glob = tmp_path / "c.txt", tmp_path / "[ab].txt"
    assert read(c, glob) == ["c.txt", "a.txt", "b.txt"]
    assert read(glob, c) == ["a.txt", "b.txt", "c.txt"]
    assert read(c, c) == ["c.txt", "c.txt"]
    assert read(tmp_path / "**" / "*.txt")[-1] == "deep/d.txt"
    assert list(read_documents(c)) == list(read_documents(str(c))) == ["c.txt"]


def test_an_existing_file_with_brackets_in_its_name_is_no_glob(tmp_path):
    file = tmp_path / "corpus [1].txt"
    file.write_text("text\n", "utf-8")
    assert read(file) == ["text"]


def test_documents_start_anew_each_time(tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("one\ntwo\nthree\n", "utf-8")
    documents = read_documents(file)
    first, second = iter(documents), iter(documents)
    assert [next(first), next(first), next(second)] == ["one", "two", "one"]
    assert list(documents) == ["one", "two", "three"]


def test_repr_says_files_and_split(tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("one\n", "utf-8")
    expected = f"Documents(['{file}'], split='test')"
    assert repr(read_documents(file, "test")) == expected


def test_docstrings_names_the_built_in_corpus(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "keras_kd.data.corpora.read_docstrings", lambda: iter(["built in"])
    )
    (tmp_path / "a.txt").write_text("mine\n", "utf-8")
    assert list(read_documents("docstrings")) == ["built in"]
    assert read("docstrings", tmp_path / "a.txt") == ["built in", "mine"]


# Splits


def test_the_part_of_a_text_stays_what_it_was():
    # The first 8 bytes of BLAKE2b, big end first, modulo 100. Were these to
    # change, test documents of older runs would be trained on.
    assert [part_of("hello"), part_of("The cat sat."), part_of("é")] == [
        41,
        38,
        43,
    ]


def test_splits_are_90_5_5_hundredths():
    assert [len(parts) for parts in SPLITS.values()] == [90, 5, 5]
    assert sorted(p for parts in SPLITS.values() for p in parts) == list(
        range(100)
    )


def test_splits_are_disjoint_and_complete_with_about_their_shares(tmp_path):
    documents = made_up_documents()
    file = tmp_path / "lines.txt"
    file.write_text("\n".join(documents), "utf-8")
    splits = {name: read(file, split=name) for name in SPLITS}
    together = [document for split in splits.values() for document in split]
    assert sorted(together) == sorted(documents)
    # Expected 1800, 100, 100; four standard deviations are 54, 39, 39.
    assert abs(len(splits["train"]) - 1800) < 54
    assert abs(len(splits["validation"]) - 100) < 39
    assert abs(len(splits["test"]) - 100) < 39


def test_a_text_is_in_the_same_split_whatever_the_file(tmp_path):
    documents = made_up_documents(400)
    one = tmp_path / "one.txt"
    one.write_text("\n".join(documents), "utf-8")
    rows = [json.dumps({"text": text}) for text in documents[:200]]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), "utf-8")
    write_parquet(tmp_path / "rest.parquet", {"text": documents[:199:-1]})
    parts = tmp_path / "r*"
    for split in SPLITS:
        assert sorted(read(parts, split=split)) == sorted(
            read(one, split=split)
        )
    assert len(read(parts)) == 400


# Bad input: said at once


def test_a_missing_file_is_said_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match="existing file.*missing.txt"):
        read_documents(tmp_path / "missing.txt")


def test_a_glob_without_match_is_said_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"at least one file.*\*\.txt"):
        read_documents(str(tmp_path / "*.txt"))


def test_an_unknown_source_name_is_said_at_once():
    with pytest.raises(ValueError, match="'docstrings', an exi.*'wikitext'"):
        read_documents("wikitext")


@pytest.mark.parametrize("source", [[], None])
def test_no_source_is_said_at_once(source):
    with pytest.raises(ValueError, match="`source` must name a corpus"):
        read_documents(source)


@pytest.mark.parametrize("name", ["a.docx", "a.gz", "a.docx.gz", "a.txt.zip"])
def test_an_unknown_suffix_is_said_at_once(tmp_path, name):
    (tmp_path / name).write_text("text", "utf-8")
    with pytest.raises(ValueError, match=rf"ending in .txt, .raw, .*{name}"):
        read_documents(tmp_path / name)


def test_an_unknown_split_is_said_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"\['train', 'valid.*: 'dev'"):
        read_documents("docstrings", split="dev")


# Bad input: said while reading


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("content", [b"", b"\n \n\n"])
def test_a_file_without_text_is_refused(tmp_path, name, compression, content):
    if content and name == "a.csv":
        content = b"text\n \n\n"
    file = tmp_path / f"{name}{compression}"
    file.write_bytes(COMPRESS[compression](content))
    with pytest.raises(ValueError, match=f"must hold text.*no text in {file}"):
        read(file)


def test_an_empty_file_among_many_is_passed_over_and_counted(tmp_path):
    for name, text in (("a", "one\n"), ("b", " \n"), ("c", "two\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    for source in (tmp_path, str(tmp_path / "*.txt")):
        documents = read_documents(source)
        for _ in range(2):
            assert list(documents) == ["one", "two"]
            assert [str(file) for file in documents.empty_files] == [
                str(tmp_path / "b.txt")
            ]
    with pytest.raises(ValueError, match="no text in .*b.txt$"):
        read(tmp_path, tmp_path / "b.txt")


def test_a_folder_of_empty_files_alone_is_refused(tmp_path):
    (tmp_path / "void").mkdir()
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "void" / "a.txt").write_text("\n")
    (tmp_path / "void" / "b.txt").write_text("")
    with pytest.raises(ValueError, match="must hold text.*no text in .*void$"):
        read(tmp_path / "a.txt", tmp_path / "void")


def test_a_parquet_file_without_rows_is_refused(tmp_path):
    column = pyarrow.array([], pyarrow.string())
    file = write_parquet(tmp_path / "a.parquet", {"text": column})
    with pytest.raises(ValueError, match="`source` must hold text"):
        read(file)


def test_a_split_without_documents_is_not_an_empty_file(tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("hello\n", "utf-8")  # part 41: training
    assert read(file, split="train") == ["hello"]
    assert read(file, split="test") == []


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.txt.gz"])
def test_a_binary_file_is_refused_naming_file_byte_and_line(tmp_path, name):
    content = b'"text"\n"x"\n"\x89PNG\0\0"\n'  # fine but for the second zero
    content = content.replace(b"\x89", b"")
    file = tmp_path / name
    compress = COMPRESS[".gz"] if name.endswith(".gz") else bytes
    file.write_bytes(compress(content))
    place = r"zero byte at byte 15, line 3"  # 7 + 4 bytes, then "PNG
    with pytest.raises(ValueError, match=rf"binary file, {file} \(a {place}\)"):
        read(file)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_text_that_is_not_utf8_is_refused_naming_file_line_and_byte(
    tmp_path, name
):
    file = tmp_path / name
    file.write_bytes(b'"text"\n"caf\xe9"\n')  # Latin-1
    with pytest.raises(
        ValueError, match=rf"UTF-8.*{file}, byte 11 \(line 2\) is 0xe9"
    ):
        read(file)


def test_the_byte_that_is_not_utf8_is_counted_after_a_byte_order_mark(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbfab\xffc\n")
    with pytest.raises(ValueError, match=r"byte 5 \(line 1\) is 0xff"):
        read(file)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_missing_column_is_refused_naming_file_and_columns(tmp_path, name):
    file = tmp_path / name
    if name == "a.csv":
        file.write_text("id,body\n1,x\n", "utf-8")
    else:
        write_parquet(file, {"id": [1], "body": ["x"]})
    with pytest.raises(
        ValueError, match=rf"columns of {file}: \['id', 'body'\].*: 'text'"
    ):
        read(file)


@pytest.mark.parametrize(
    "row, received",
    [
        ('{"id": 2}', "['id']"),
        ('{"text": null, "id": 2}', "{'text': None}"),
        ("[1]", "[1]"),
    ],
)
def test_a_jsonl_row_without_text_is_refused_naming_file_and_line(
    tmp_path, row, received
):
    file = tmp_path / "a.jsonl"
    file.write_text(f'{{"text": "x"}}\n\n{row}\n', "utf-8")
    with pytest.raises(ValueError, match=f"'text' in {file}, line 3") as error:
        read(file)
    assert str(error.value).endswith(f"Received: {received}")


def test_a_broken_json_line_is_refused_naming_file_and_line(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "x"}\n{"text": "y"\n', "utf-8")
    with pytest.raises(ValueError, match=f"JSON object a line.*{file}, line 2"):
        read(file)


def test_half_a_surrogate_pair_in_json_is_refused_naming_file_and_line(
    tmp_path,
):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "x"}\n{"text": "cut \\ud83d"}\n', "utf-8")
    with pytest.raises(ValueError, match=f"UTF-8.*{file}, line 2.*ud83d"):
        read(file)


def test_a_column_of_numbers_is_refused(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", {"text": [1, 2]})
    with pytest.raises(ValueError, match=f"column of text.*'text'.*{file}.*1"):
        read(file)


@pytest.mark.parametrize(
    "content, line",
    [(b"id,text\r1,one\r2,two\r", 1), (b"id,text\n1,one\n2,t\rwo\n", 3)],
)
def test_a_csv_with_a_lone_carriage_return_is_refused_naming_file_and_line(
    tmp_path, content, line
):
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"must be CSV.*{file}, line {line}"):
        read(file)


def test_a_parquet_file_that_is_none_is_refused(tmp_path):
    file = tmp_path / "a.parquet"
    file.write_text("text\nx\n", "utf-8")
    with pytest.raises(ValueError, match=f"must be Parquet. Received: {file}"):
        read(file)


@pytest.mark.parametrize("compression", [".gz", ".xz"])
@pytest.mark.parametrize("name", ["a.txt", "a.parquet"])
def test_a_truncated_file_is_refused(tmp_path, name, compression):
    plain = tmp_path / name
    if name == "a.txt":
        plain.write_text("\n".join(made_up_documents()), "utf-8")
    else:
        write_parquet(plain, {"text": made_up_documents()})
    compressed = COMPRESS[compression](plain.read_bytes())
    file = tmp_path / f"{name}{compression}"
    file.write_bytes(compressed[: len(compressed) // 2])
    with pytest.raises(
        ValueError, match=rf"not be read: {file}.* ended before"
    ):
        read(file)


@pytest.mark.parametrize("compression", [".gz", ".xz"])
def test_a_damaged_compressed_file_is_refused(tmp_path, compression):
    text = "\n".join(made_up_documents()).encode()
    damaged = bytearray(COMPRESS[compression](text))
    middle = len(damaged) // 2
    damaged[middle : middle + 40] = b"\xff" * 40
    file = tmp_path / f"a.txt{compression}"
    file.write_bytes(damaged)
    with pytest.raises(ValueError, match=rf"could not be read: {file}, after"):
        read(file)


def test_a_file_that_is_not_compressed_is_refused(tmp_path):
    file = tmp_path / "a.txt.gz"
    file.write_text("plain\n", "utf-8")
    with pytest.raises(ValueError, match="after byte 0: Not a gzipped file"):
        read(file)


@pytest.mark.parametrize(
    "row, message",
    [
        (f'{{"text": {"[" * 100_000}{"]" * 100_000}}}', "nested too deeply"),
        (f'{{"text": "x", "id": {"1" * 5000}}}', "limit .4300 digits"),
    ],
)
def test_json_beyond_what_python_takes_is_named(tmp_path, row, message):
    file = tmp_path / "a.jsonl"
    file.write_text(f'{{"text": "x"}}\n{row}\n', "utf-8")
    with pytest.raises(
        ValueError, match=f"JSON object a line.*{file}, line 2: .*{message}"
    ):
        read(file)


@pytest.mark.parametrize(
    "name", ["A.TXT", "A.Jsonl", "A.CSV", "A.PARQUET", "A.TXT.GZ", "A.csv.Xz"]
)
def test_suffixes_may_be_in_capitals(tmp_path, name):
    kind = name.lower().split(".")[1]
    plain = tmp_path / f"plain.{kind}"
    if kind == "parquet":
        write_parquet(plain, {"text": ["one"]})
    else:
        content = {"txt": "one", "csv": "text\none\n", "jsonl": '"one"'}
        plain.write_text(content[kind])
    (tmp_path / "mine").mkdir()
    _, _, compression = name.lower().partition(f".{kind}")
    file = tmp_path / "mine" / name
    file.write_bytes(COMPRESS[compression](plain.read_bytes()))
    assert read(file) == read(tmp_path / "mine") == ["one"]
