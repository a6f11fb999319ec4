import keras_kd as kd
import pytest

from splits import hold_out, hold_out_whole


def texts_of(rows):
    return [kd.LabeledText(*row, "x", "made up") for row in rows]


def rows_of(texts):
    return [(text.text, text.pair) for text in texts]


def test_whole_texts_choose_and_their_parts_do_not_train():
    whole = [(f"some  film {n} , at last", None) for n in range(40)]
    parts = [(f"film {n}", None) for n in range(40)]
    others = [("film", None), (", at last", None), ("at lasting 1", None)]
    train, choosing = hold_out_whole(texts_of(parts + whole + others), 0.3)
    chosen = [whole.index(row) for row in rows_of(choosing) if row in whole]
    assert 5 < len(chosen) < 25
    # Some letters of a text ("film 1" of "film 12") are no part of it.
    kept = [n for n in range(40) if n not in chosen]
    alone = [row for row in others[2:] if row not in rows_of(choosing)]
    expected = [rows[n] for rows in (parts, whole) for n in kept] + alone
    assert rows_of(train) == expected
    assert rows_of(choosing) == [whole[n] for n in sorted(chosen)]


def test_pairs_are_parts_by_both_texts():
    whole = [(f"a {n} b", f"c {n} d") for n in range(40)]
    parts = [(f"a {n}", f"{n} d") for n in range(40)]
    apart = [(f"a {n}", f"{n} e") for n in range(40)]  # by one text alone
    train, choosing = hold_out_whole(texts_of(whole + parts + apart), 0.3)
    chosen = rows_of(choosing)
    assert not set(chosen) & set(parts)
    gone = [parts[whole.index(row)] for row in chosen if row in whole]
    assert 5 < len(gone) < 25
    assert rows_of(train) == [
        row
        for row in whole + parts + apart
        if row not in chosen and row not in gone
    ]


def test_the_same_text_is_not_on_both_sides():
    rows = [(f"text {n}", None) for n in range(40)]
    train, choosing = hold_out_whole(texts_of(rows * 2), 0.3)
    assert not set(rows_of(train)) & set(rows_of(choosing))
    assert set(rows_of(train)) | set(rows_of(choosing)) == set(rows)


def test_texts_that_are_no_parts_are_drawn_as_by_hold_out():
    texts = texts_of([(f"text number {number}", None) for number in range(50)])
    assert hold_out_whole(texts, 0.2, 3) == hold_out(texts, 0.2, seed=3)


def test_texts_that_hold_all_others_are_refused():
    rows = [("a b c d", None), ("x a b c", None), *[("a b", None)] * 9]
    for seed in range(9):
        with pytest.raises(SystemExit, match="must leave texts on both sides"):
            hold_out_whole(texts_of(rows[:1] + rows[2:]), 0.5, seed)
