"""Questions about texts, from files to answers and scores. Not a recipe.

From a frozen `Config`'s fields: train, validation, version_2, hold_out,
train_rows, max_length, doc_stride, max_question_length, n_best,
max_answer_length, null_threshold, batch_size, seed, smoke.
"""

import dataclasses
import sys

import keras_kd as kd

from finetuning import run_results
from run_folder import write_json
from splits import draw, hold_out

ENOUGH = 20  # articles, to part the questions by them
SMOKE_QUESTIONS = 32


def read_questions(config):
    """Those that train, choose and report: a dict of lists, checked."""
    if not (config.train and config.validation):
        sys.exit(
            "`--train` and `--validation` must be given, in SQuAD's form. "
            f"Received: {config.train} and {config.validation}"
        )
    for name in ("n_best", "max_answer_length"):
        if getattr(config, name) < 1:
            sys.exit(
                f"`--{name.replace('_', '-')}` must be at least 1. "
                f"Received: {getattr(config, name)}"
            )
    try:
        train, validation = map(
            kd.read_squad, (config.train, config.validation)
        )
    except (OSError, ValueError, ImportError) as error:
        sys.exit(str(error))
    impossible = [q for q in [*train, *validation] if q.is_impossible]
    if impossible and not config.version_2:
        sys.exit(
            "`--version-2` must be given where questions have no answer. "
            f"Received: {impossible[0].place}"
        )
    if config.smoke:
        train, validation = (
            train[:SMOKE_QUESTIONS],
            validation[:SMOKE_QUESTIONS],
        )
    if config.train_rows is not None:
        train = draw(train, config.train_rows, config.seed)
    train, choosing = hold_out(train, config.hold_out, groups_of(train))
    return {"train": train, "hold_out": choosing, "validation": validation}


def groups_of(questions):
    """What each question belongs to: an article; where these are few, a text.

    A text that is in two articles belongs to the first of them.
    """
    by_title = len({q.title for q in questions}) >= ENOUGH
    groups = {}
    for question in questions:
        group = question.title if by_title else question.context
        groups.setdefault(question.context, group)
    return [groups[question.context] for question in questions]


def make_windows(config, questions, tokenizer):
    """`SpanWindows` of each list of questions."""
    try:
        return {
            name: kd.SpanWindows(
                some,
                tokenizer,
                config.max_length,
                config.doc_stride,
                config.max_question_length,
            )
            for name, some in questions.items()
        }
    except ValueError as error:
        sys.exit(str(error))


def answer_options(config):
    """How answers are found: `find_answers`'s arguments."""
    return {
        "no_answer": config.version_2,
        "n_best": config.n_best,
        "max_answer_length": config.max_answer_length,
    }


def answer(config, model, windows):
    """A model's answers, and how they do where it is told and where chosen.

    Returns:
        Dict of `found`, each validation question's `FoundAnswers`, `answers`,
        `null_threshold`, `scores` and `hold_out_scores`.
    """
    choosing, found = (
        kd.predict_answers(
            model, windows[name], config.batch_size, **answer_options(config)
        )
        for name in ("hold_out", "validation")
    )
    known = windows["hold_out"].questions
    threshold = kd.choose_threshold(known, choosing, config.null_threshold)
    answers = kd.decide(found, threshold)
    return {
        "found": found,
        "answers": answers,
        "null_threshold": threshold,
        "scores": kd.score_answers(windows["validation"].questions, answers),
        "hold_out_scores": kd.score_answers(
            known, kd.decide(choosing, threshold)
        ),
    }


def baselines(config, questions):
    """Scores of what needs no encoder, on the questions that report."""
    answers = {"nearest sentence": kd.nearest_sentences(questions)}
    if config.version_2:
        answers["no answer"] = {question.id: "" for question in questions}
    return {
        name: kd.score_answers(questions, some)
        for name, some in answers.items()
    }


def write_answers(folder, answered):
    """The files of SQuAD's scripts: answers, n best, odds of no answer."""
    found = answered["found"]
    write_json(folder / "predictions.json", answered["answers"])
    write_json(
        folder / "nbest_predictions.json",
        {
            name: [dataclasses.asdict(one) for one in some.n_best]
            for name, some in found.items()
        },
    )
    odds = {name: some.null_odds for name, some in found.items()}
    if None not in odds.values():
        write_json(folder / "null_odds.json", odds)


def measure(config, student, teacher, windows, folder):
    """All that is known of a run's student, for metrics.json; its answers."""
    answered = answer(config, student, windows)
    write_answers(folder, answered)
    beside = baselines(config, windows["validation"].questions)
    if teacher is not None:
        beside["teacher"] = answer(config, teacher, windows)["scores"]
    results = run_results(
        config,
        config.train,
        "f1",
        student,
        scores=answered["scores"],
        hold_out_scores=answered["hold_out_scores"],
        baselines=beside,
        rows={name: len(some.questions) for name, some in windows.items()},
    )
    if config.version_2:
        results["null_threshold"] = answered["null_threshold"]
    return results
