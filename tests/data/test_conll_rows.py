import pytest
from keras_kd.data.conll import read_tagged_words


@pytest.fixture
def read(tmp_path):
    """`read(text, **columns)`: words and tags of each sentence of a file."""

    def read(text, **columns):
        path = tmp_path / "data.conll"
        path.write_bytes(text.encode())
        found = read_tagged_words(path, **columns)
        return [(s.words, s.tags) for s in found]

    return read


ROWS = "lisbon _ _ B-LOC\nis _ _ O\n\nanna _ _ B-PER\n"
SENTENCES = [(("lisbon", "is"), ("B-LOC", "O")), (("anna",), ("B-PER",))]


@pytest.mark.parametrize(
    "comment",
    [
        "# newdoc id d0",  # with as many columns as a row
        "# newdoc",
        "#newdoc x y d0",
        "# id 3f-1\tdomain=en",  # with a tab where rows have none
        "# sent_id = 1",
        "# text = lisbon O",
        "# x y d0",
        "## a comment",
        "# a comment of several words",
        "#begin document (bc/cctv/00); part 000",
        "# newdoc id d0\n# sent_id = 1\n# text = O",
    ],
)
def test_comments_at_a_sentences_head_are_left_out(read, comment):
    assert read(f"{comment}\n{ROWS}") == SENTENCES
    first, second = ROWS.split("\n\n")
    assert read(f"{comment}\n\n{first}\n\n{comment}\n{second}") == SENTENCES
    assert [words for words, _ in read(f"{comment}\n{ROWS}", tag=None)] == [
        words for words, _ in SENTENCES
    ]


def test_comments_with_tabs_among_tabs(read):
    text = (
        "#\thttp://a.b [2009]\n1\tAnna\tB-PER\tO\n2\tran\tO\tO\n\n"
        "#\thttp://c.d [2009]\n1\tLisbon\tB-LOC\tO\n"
    )
    assert read(text, word=1, tag=2) == [
        (("Anna", "ran"), ("B-PER", "O")),
        (("Lisbon",), ("B-LOC",)),
    ]
    text = "#\thttp://a.b\nAnna\tB-PER\nran\tO\n"
    assert read(text) == [(("Anna", "ran"), ("B-PER", "O"))]


@pytest.mark.parametrize(
    "row", ["# NN O", "#1 CD O", "#love NN B-TAG", "#id NN O"]
)
def test_a_word_may_be_or_begin_with_the_sign(read, row):
    word, _, tag = row.split()
    found = read(f"{row}\nwins VBZ O\n{row}\n")
    assert found == [((word, "wins", word), (tag, "O", tag))]


def test_the_signs_own_tag_is_one(read):
    text = "cost V\n# #\n5 CD\n\n# #\n7 CD\n"
    assert read(text) == [
        (("cost", "#", "5"), ("V", "#", "CD")),
        (("#", "7"), ("#", "CD")),
    ]


def test_a_comment_within_a_sentence_is_refused(read):
    text = "a _ _ O\n# sent_id = 2\nb _ _ O\n"
    with pytest.raises(
        ValueError, match="comment must stand.*'# sent_id = 2' in .*line 2"
    ):
        read(text)


def test_numbers_of_no_word_are_left_out(read):
    text = "# text = du\n1-2\tdu\t_\n1\tde\tO\n2\tle\tO\n2.1\t_\t_\n"
    assert read(text, word=1) == [(("de", "le"), ("O", "O"))]
    assert read("3-2 O\n1 O\n") == [(("3-2", "1"), ("O", "O"))]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(read, end):
    text = f"# newdoc\n{ROWS}".replace("\n", end)
    assert read(text) == SENTENCES
    assert read(f"{text}{end}{ROWS}") == SENTENCES * 2


def test_places_are_counted_whatever_ends_lines(tmp_path):
    path = tmp_path / "data.conll"
    path.write_bytes(b"# newdoc\ra O\r\rb O\r")
    found = read_tagged_words(path)
    assert [s.place for s in found] == [f"{path}, line 2", f"{path}, line 4"]


def test_one_giant_sentence_is_refused(read):
    with pytest.raises(
        ValueError, match="blank lines between.*101 words in 1 sentences in"
    ):
        read("a O\n" * 101)
    assert len(read("a O\n" * 100)) == 1
    assert len(read("a O\n" * 150 + "\nb O\n")) == 2
    with pytest.raises(ValueError, match="2,001 words in 2 sentences"):
        read("a O\n" * 2000 + "\nb O\n")
