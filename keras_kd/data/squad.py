"""read_squad: questions, and where in a text their answers stand."""

import dataclasses
import json
import pathlib
import re

from keras_kd.data.dataset_sources import names_dataset, read_rows
from keras_kd.data.file_lines import kind_of, read_json, read_lines

SUFFIXES = (".json", ".json.gz", ".json.xz")
_WHOLE = re.compile(r"[0-9]{1,18}(\.0*)?")
SHOWN = 40  # characters of a context, in errors


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer, as it stands in its context.

    Attributes:
        text: Str.
        start: Int, the character of the context that it begins at.
    """

    text: str
    start: int


@dataclasses.dataclass(frozen=True)
class SpanQuestion:
    """A question about a text.

    Attributes:
        id: Str, another for each question.
        question: Str.
        context: Str, the text.
        answers: Tuple of `Answer`, all that people gave; the first is learnt.
            None where `is_impossible`.
        is_impossible: Bool. Whether the context does not answer it.
        title: Str, of the article the context is from; "" where the file does
            not say.
        place: Str. Where it stands, for errors: file and question.
    """

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...] = ()
    is_impossible: bool = False
    title: str = ""
    place: str = ""


def read_squad(source):
    """All questions of SQuAD, v1.1 or v2, or of a file of that form.

    As tools for annotation write them, ids may be numbers, `answer_start` text,
    and an impossible question may have answers of no text, or none at all.
    A dataset has a question a row, of that form but for `answers`, a dict of
    the lists `text` and `answer_start`; a row without answers is impossible.
    Sources: Rajpurkar et al., 2016, https://arxiv.org/abs/1606.05250, and
    2018, https://arxiv.org/abs/1806.03822

    Args:
        source: Str or path of a .json, also .json.gz or .json.xz; or
            "hf:OWNER/NAME/CONFIG:SPLIT", "tfds:NAME/CONFIG:SPLIT", such as
            hf:rajpurkar/squad_v2:validation.

    Returns:
        List of `SpanQuestion`, in the file's order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If its suffix is unknown; it is no JSON, by line; a key is
            missing or of another type; a context or a question is blank; an
            id is there twice; a question has no answer and is not
            `is_impossible`, or both; an answer is not where it is said to
            be; or there is no question. The message names file and question.
        OSError: If a dataset is not to be had.
    """
    if names_dataset(source):
        _, rows = read_rows(source)
        found = (_row_question(place, row) for place, row in rows)
    else:
        found = _questions_of_file(pathlib.Path(source))
    questions, places = [], {}
    for question in found:
        if question.id in places:
            raise ValueError(
                "`id` must be another for each question. Received: "
                f"{question.id!r} twice, in {places[question.id]} and in "
                f"{question.place}"
            )
        places[question.id] = question.place
        questions.append(question)
    if not questions:
        raise ValueError(
            f"`source` must hold questions. Received: no question in {source}"
        )
    return questions


def _questions_of_file(path):
    articles = _field(_load(path), "data", list, str(path))
    for number, article in enumerate(articles):
        yield from _article(article, f"{path}, article {number}")


def _row_question(place, row):
    """A dataset's row: its answers are lists side by side."""
    answers = _field(row, "answers", dict, place)
    texts, starts = (
        _field(answers, name, list, place) for name in ("text", "answer_start")
    )
    if len(texts) != len(starts):
        raise ValueError(
            "`text` and `answer_start` must be as many. Received: "
            f"{len(texts)} and {len(starts)} in {place}"
        )
    pairs = zip(texts, starts, strict=True)
    question = {
        **row,
        "answers": [{"text": t, "answer_start": s} for t, s in pairs],
        "is_impossible": row.get("is_impossible") is True or not texts,
    }
    context, title = _text(row, "context", place), _title(row, place)
    return _question(question, context, title, place)


def _load(path):
    """What a file's JSON says."""
    suffix, compression = kind_of(path)
    if suffix + (compression or "") not in SUFFIXES:
        raise ValueError(
            f"`source` must end in {', '.join(SUFFIXES)}. Received: {path}"
        )
    if not path.exists():
        raise FileNotFoundError(
            f"`source` must be an existing file. Received: {path}"
        )
    text = "".join(read_lines(path))
    try:
        return read_json(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"`source` must be JSON. Received: {path}, line {error.lineno}, "
            f"column {error.colno}: {error.msg}"
        ) from None
    except ValueError as error:
        raise ValueError(
            f"`source` must be JSON. Received: {path}: {error}"
        ) from None


def _article(article, place):
    """Yields the questions of an article."""
    title = _title(article, place)
    paragraphs = _field(article, "paragraphs", list, place)
    for number, paragraph in enumerate(paragraphs):
        where = f"{place}, paragraph {number}"
        context = _text(paragraph, "context", where)
        for index, question in enumerate(_field(paragraph, "qas", list, where)):
            yield _question(
                question, context, title, f"{where}, question {index}"
            )


def _title(fields, place):
    """What it is titled; "" where it does not say."""
    if isinstance(fields, dict) and fields.get("title") is not None:
        return _field(fields, "title", str, place)
    return ""


def _question(question, context, title, place):
    name = _name(question, place)
    place = f"{place}, id {name!r}"
    text = _text(question, "question", place)
    is_impossible = False
    if question.get("is_impossible") is not None:
        is_impossible = _field(question, "is_impossible", bool, place)
    found = []
    if not is_impossible or question.get("answers") is not None:
        found = _field(question, "answers", list, place)
    if is_impossible:
        found = [answer for answer in found if not _is_blank(answer)]
    answers = tuple(_answer(answer, context, place) for answer in found)
    if is_impossible == bool(answers):
        raise ValueError(
            "a question must have `answers`, or be `is_impossible`. Received: "
            f"{'both' if answers else 'neither'} in {place}"
        )
    return SpanQuestion(
        name, text, context, answers, is_impossible, title, place
    )


def _name(question, place):
    """A question's id, text; a number's digits."""
    name = question.get("id") if isinstance(question, dict) else None
    return str(name) if type(name) is int else _text(question, "id", place)


def _is_blank(answer):
    """Whether an answer says that there is none."""
    text = answer.get("text", "") if isinstance(answer, dict) else answer
    return text is None or (isinstance(text, str) and not text.strip())


def _start(answer, place):
    """Where an answer begins: a whole number, or text or a float of one."""
    start = answer.get("answer_start")
    if isinstance(start, str) and _WHOLE.fullmatch(start.strip()):
        return int(start.partition(".")[0])
    if isinstance(start, float) and start.is_integer():
        return int(start)
    return _field(answer, "answer_start", int, place)


def _answer(answer, context, place):
    """An answer that stands where it says."""
    text = _text(answer, "text", place)
    start = _start(answer, place)
    if start < 0 or not context.startswith(text, start):
        there = context.find(text)
        hint = "it is nowhere in the context"
        if there >= 0:
            hint = f"it is at {there}"
        found = context[max(0, start) :][: max(SHOWN, len(text))]
        raise ValueError(
            f"an answer must stand in its `context` at `answer_start`. "
            f"Received: {text!r} at {start}, where {found!r} stands ({hint}), "
            f"in {place}"
        )
    return Answer(text, start)


def _text(fields, name, place):
    """A field of text that is not blank, and can be written as UTF-8."""
    text = _field(fields, name, str, place)
    if not text.strip():
        raise ValueError(
            f"`{name}` must hold text. Received: {text!r} in {place}"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:  # half of an escaped pair
        raise ValueError(
            f"`{name}` must be UTF-8. Received: {error} in {place}"
        ) from None
    return text


def _field(fields, name, kind, place):
    """A field of a JSON object, of the type it must have."""
    if not isinstance(fields, dict) or name not in fields:
        received = sorted(fields) if isinstance(fields, dict) else fields
        raise ValueError(
            f"`{name}` must be there. Received: {repr(received)[:200]} "
            f"in {place}"
        )
    value = fields[name]
    # In Python a bool is an int.
    wrong_bool = kind is int and isinstance(value, bool)
    if not isinstance(value, kind) or wrong_bool:
        raise ValueError(
            f"`{name}` must be of type {kind.__name__}. "
            f"Received: {repr(value)[:200]} in {place}"
        )
    return value
