import gzip
import json
import lzma

import datasets
import pytest
from keras_kd.data.squad import Answer, SpanQuestion, read_squad

CONTEXT = "The café in Zürich was opened in 1990 by two sisters."


def question_of(**fields):
    answer = {"text": "1990", "answer_start": 33}
    question = {
        "id": "q1",
        "question": "When was it opened?",
        "answers": [answer],
    }
    return {**question, **fields}


def file_of(*questions, context=CONTEXT):
    paragraph = {"context": context, "qas": list(questions)}
    article = {"title": "Cafés", "paragraphs": [paragraph]}
    return {"version": "1.1", "data": [article]}


def write(folder, content, name="squad.json"):
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, "utf-8")
    return folder / name


def test_questions_come_with_their_context_and_answers(tmp_path):
    second = question_of(
        id="q2",
        question="Where?",
        answers=[
            {"text": "Zürich", "answer_start": 12},
            {"text": "in Zürich", "answer_start": 9},
        ],
    )
    path = write(tmp_path, file_of(question_of(), second))
    first, found = read_squad(path)
    assert first.answers == (Answer("1990", 33),)
    place = f"{path}, article 0, paragraph 0, question 1, id 'q2'"
    answers = Answer("Zürich", 12), Answer("in Zürich", 9)
    assert found == SpanQuestion(
        "q2", "Where?", CONTEXT, answers, False, "Cafés", place
    )


def test_a_question_of_v2_may_have_no_answer(tmp_path):
    impossible = question_of(
        id="q2",
        answers=[],
        is_impossible=True,
        plausible_answers=[{"text": "1990", "answer_start": 33}],
    )
    possible = question_of(is_impossible=False)
    path = write(tmp_path, file_of(possible, impossible))
    first, second = read_squad(path)
    assert not first.is_impossible
    assert second.is_impossible and second.answers == ()


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)]
)
def test_a_compressed_file_is_read(tmp_path, suffix, compress):
    path = tmp_path / f"squad.json{suffix}"
    path.write_bytes(compress(json.dumps(file_of(question_of())).encode()))
    assert [q.id for q in read_squad(path)] == ["q1"]


def answers_of(text, start):
    return [{"text": text, "answer_start": start}]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"answers": answers_of("1990", 32)}, r"' 1990 by.* \(it is at 33\)"),
        ({"answers": answers_of("1991", 33)}, r"'1990 by.*nowhere in the"),
        ({"answers": answers_of("1990", -20)}, "at -20"),
        ({"answers": answers_of("1990", 4000)}, "where '' stands"),
        ({"answers": answers_of("1990", "3x")}, "`answer_start`.*int.*'3x'"),
        ({"answers": answers_of("1990", "-3")}, "`answer_start`.*int.*'-3'"),
        ({"answers": answers_of("1990", "9" * 5000)}, "`answer_start`.*int"),
        ({"answers": answers_of("1990", 33.5)}, "`answer_start`.*int.*33.5"),
        ({"answers": answers_of("1990", "32")}, r"at 32, .* \(it is at 33\)"),
        ({"answers": answers_of("", 0)}, "`text` must hold text"),
        ({"answers": answers_of("1990", True)}, "`answer_start`.*int.*True"),
        ({"answers": answers_of(" ", 3)}, "`text` must hold text"),
        ({"answers": ["1990"]}, "`text` must be there. Received: '1990'"),
        ({"answers": {}}, "`answers` must be of type list"),
        ({"answers": []}, "Received: neither"),
        ({"is_impossible": True}, "Received: both"),
        ({"is_impossible": "no"}, "`is_impossible` must be of type bool"),
        ({"question": " "}, "`question` must hold text"),
        ({"question": "\ud800?"}, "`question` must be UTF-8"),
    ],
)
def test_what_is_wrong_with_a_question_is_named(tmp_path, fields, message):
    path = write(tmp_path, file_of(question_of(**fields)))
    with pytest.raises(ValueError, match=message) as error:
        read_squad(path)
    assert str(path) in str(error.value)
    assert "id 'q1'" in str(error.value)


@pytest.mark.parametrize("name", ["id", "question", "answers"])
def test_a_missing_key_is_named(tmp_path, name):
    question = question_of()
    del question[name]
    path = write(tmp_path, file_of(question))
    with pytest.raises(ValueError, match=f"`{name}` must be there"):
        read_squad(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"`data` must be there. Received: \[\]"),
        ({"data": {}}, "`data` must be of type list"),
        ({"data": [{"title": "x"}]}, "`paragraphs`.*article 0"),
        ({"data": [{"title": 3, "paragraphs": []}]}, "`title`.*str"),
        ({"data": [{"paragraphs": [{}]}]}, "`context`.*paragraph 0"),
        ({"data": [{"paragraphs": [{"context": "x"}]}]}, "`qas`"),
        (file_of(question_of(), context=" \n"), "`context` must hold text"),
        (file_of(), "no question"),
        ({"data": []}, "no question"),
        (file_of(question_of(), question_of()), "'q1' twice"),
        ('{"data": [\n{"title"}', "line 2, column 9"),
        ("", "line 1, column 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=message) as error:
        read_squad(path)
    assert str(path) in str(error.value)


def test_a_file_must_be_there_and_be_json(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.json"):
        read_squad(tmp_path / "nothing.json")
    with pytest.raises(ValueError, match="must end in .json"):
        read_squad(write(tmp_path, "", "squad.csv"))


def test_an_article_may_have_no_title(tmp_path):
    content = file_of(question_of())
    del content["data"][0]["title"]
    assert read_squad(write(tmp_path, content))[0].title == ""


def rows_of(**changes):
    columns = {
        "id": ["q1", "q2"],
        "title": ["Cafés", "Cafés"],
        "context": [CONTEXT, CONTEXT],
        "question": ["When was it opened?", "By whom was it closed?"],
        "answers": [
            {"text": ["1990"], "answer_start": [33]},
            {"text": [], "answer_start": []},
        ],
    }
    return datasets.Dataset.from_dict({**columns, **changes})


def test_a_dataset_has_a_question_a_row(monkeypatch):
    rows = rows_of()
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    first, second = read_squad("hf:rajpurkar/squad_v2:validation")
    place = "hf:rajpurkar/squad_v2:validation, row 0, id 'q1'"
    assert first == SpanQuestion(
        "q1",
        "When was it opened?",
        CONTEXT,
        (Answer("1990", 33),),
        False,
        "Cafés",
        place,
    )
    assert second.is_impossible and second.answers == ()


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"answers": [{"text": ["a"], "answer_start": []}] * 2},
            "as many. Received: 1 and 0 in hf:me/mine:train, row 0",
        ),
        (
            {"answers": [{"text": ["1990"], "answer_start": [3]}] * 2},
            "it is at 33.*row 0",
        ),
        ({"id": ["q1", "q1"]}, "'q1' twice, in hf:me/mine:train, row 0"),
        ({"answers": [None, None]}, "`answers` must be of type dict.*row 0"),
    ],
)
def test_a_wrong_row_is_named(monkeypatch, changes, message):
    rows = rows_of(**changes)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    with pytest.raises(ValueError, match=message):
        read_squad("hf:me/mine")


@pytest.mark.parametrize("start", [33, "33", " 33 ", 33.0, "33.0"])
@pytest.mark.parametrize("name", ["98211", 98211])
def test_ids_may_be_numbers_and_offsets_text(tmp_path, name, start):
    question = question_of(id=name, answers=answers_of("1990", start))
    (found,) = read_squad(write(tmp_path, file_of(question)))
    assert (found.id, found.answers) == ("98211", (Answer("1990", 33),))
    again = question_of(id="98211")
    with pytest.raises(ValueError, match="'98211' twice"):
        read_squad(write(tmp_path, file_of(question, again)))


@pytest.mark.parametrize(
    "answers",
    [answers_of("", 0), answers_of(" ", -1), answers_of(None, None), None, []],
)
def test_an_impossible_question_may_have_answers_of_no_text(tmp_path, answers):
    question = question_of(answers=answers, is_impossible=True)
    (found,) = read_squad(write(tmp_path, file_of(question)))
    assert found.is_impossible and found.answers == ()


def test_fields_that_say_nothing_are_as_none(tmp_path):
    content = file_of(question_of(is_impossible=None))
    content["data"][0]["title"] = None
    (found,) = read_squad(write(tmp_path, content))
    assert (found.title, found.is_impossible) == ("", False)


def test_json_beyond_what_python_takes_is_named(tmp_path):
    path = write(tmp_path, "[" * 100_000)
    with pytest.raises(ValueError, match="squad.json: it is nested too deep"):
        read_squad(path)


def test_suffixes_may_be_in_capitals(tmp_path):
    path = write(tmp_path, file_of(question_of()), "SQUAD.JSON")
    assert len(read_squad(path)) == 1


def test_an_impossible_row_may_have_an_answer_of_no_text(monkeypatch):
    rows = rows_of(
        answers=[
            {"text": ["1990"], "answer_start": [33]},
            {"text": [""], "answer_start": [0]},
        ],
        is_impossible=[False, True],
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    assert [q.is_impossible for q in read_squad("hf:me/mine")] == [False, True]
