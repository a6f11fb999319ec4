"""Names of classes and tags: their order, and the ids they have in it."""

import decimal
import re

import numpy as np

MANY = 30  # names that half of all rows may not each have one of their own of
MORE = 100  # names that a tenth of all rows may not each have one of
MOST = 5000  # names that nobody has
SHOWN = 20  # labels at fault, and lines of each, in errors


def class_names_of(texts):
    """The labels that texts have, in order.

    Those of a dataset, or of an explicit list, in its order; others after
    them, numbers by their value, else as text with the numbers in it by theirs:
    LABEL_2 before LABEL_10.

    Args:
        texts: List of `LabeledText`.

    Returns:
        List of str.
    """
    known = dict.fromkeys(n for t in texts for n in t.class_names or ())
    there = {t.label for t in texts if t.label is not None}
    return names_in_order(there, known)


def names_in_order(names, known=()):
    """Names in the order of those that are known, then by their value.

    Args:
        names: Set of str.
        known: Iterable of str, which may hold others, too.

    Returns:
        List of str.
    """
    first = [name for name in known if name in names]
    others = set(names).difference(first)
    numbers = {name: _number(name) for name in others}
    if None in numbers.values():
        numbers = {name: _parts(name) for name in others}
    return first + sorted(others, key=lambda name: (numbers[name], name))


def _number(name):
    """The number that a name is; None where it is none."""
    try:
        number = decimal.Decimal(name)
    except (decimal.InvalidOperation, TypeError):
        return None
    return number if number.is_finite() else None


def _parts(name):
    """A name's text and numbers in turn."""
    parts = re.split(r"([0-9]+)", name)
    return [int(p) if n % 2 else p for n, p in enumerate(parts)]


def grows_with_text(names, rows):
    """Whether so many names of so many rows are no set of classes.

    Args:
        names: Int, how many there are.
        rows: Int, how many have one.
    """
    if names < MANY:
        return False
    return (
        names > rows / 2 or (names > MORE and names > rows / 10) or names > MOST
    )


def check_classes(texts, class_names):
    """Refuses training texts that lack a class.

    Args:
        texts: List of `LabeledText`.
        class_names: List of str.

    Raises:
        ValueError: If a class is empty, or as `label_ids`.
    """
    label_ids(texts, class_names)
    there = {text.label for text in texts}
    empty = [name for name in class_names if name not in there]
    if empty:
        raise ValueError(
            f"`texts` must hold a text of every class of {list(class_names)}. "
            f"Received: none of {', '.join(map(repr, empty))}"
        )


def label_ids(texts, class_names):
    """Labels of texts as an array, (N,): int32 ids or float32 numbers.

    Raises:
        ValueError: If labels are no classes: all of them, by their rows.
    """
    if class_names is None:
        labels = [0.0 if text.label is None else text.label for text in texts]
        return np.array(labels, "float32")
    ids = {name: index for index, name in enumerate(class_names)}
    unknown = {}
    for text in texts:
        if text.label is not None and text.label not in ids:
            place = text.place or "a text"
            unknown.setdefault(repr(text.label), []).append(place)
    if unknown:
        raise ValueError(
            f"labels must be one of `class_names`, {list(class_names)}. "
            f"Received: {rows_by_label(unknown)}"
        )
    return np.array([ids.get(text.label, 0) for text in texts], "int32")


def rows_by_label(labels):
    """Labels at fault, each with the rows that it stands in, for errors.

    Args:
        labels: Dict of a label, as it is to be shown, to a list of places.
    """
    shown = [
        f"{label} in {_lines(places)}"
        for label, places in list(labels.items())[:SHOWN]
    ]
    if len(labels) > SHOWN:
        shown.append(f"{len(labels) - SHOWN:,} more")
    return ", ".join(shown)


def _lines(places):
    """Places of one file: the first whole, of others the numbers alone."""
    numbers = [place.rpartition(" ")[2] for place in places[1:SHOWN]]
    more = len(places) - SHOWN
    text = ", ".join([places[0], *numbers])
    return f"{text} and {more:,} more" if more > 0 else text
