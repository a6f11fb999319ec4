"""Labels of rows, read; one report of all that cannot be meant so."""

import math
import re
import unicodedata

from keras_kd.data.class_names import grows_with_text, rows_by_label

SHOWN = 100  # characters of a label, in errors
# What programs write where nothing is.
NOTHING = {"nan", "NaN", "NAN", "<NA>", "NaT", "None", "null", "NULL"}
NOTHING |= {"#N/A", "N/A", "n/a"}


def read_labels(values, places, columns, names=None):
    """What rows are labelled.

    Args:
        values: List of what the label's column holds.
        places: List of str, where each stands.
        columns: `TaskColumns` with a label.
        names: List of str or None. Names of ids.

    Returns:
        List of str, or of float where they are numbers.

    Raises:
        ValueError: If one is missing, a list, unknown, another spelling of
            another one, or no number: one message names all of them.
    """
    read = _read_number if columns.regression else _read_class
    found, faults = [], {}
    for value, place in zip(values, places, strict=True):
        label, fault = read(value, columns.labels, names)
        found.append(label)
        if fault:
            rows = faults.setdefault(fault, {})
            rows.setdefault(_shown(value), []).append(place)
    if not columns.regression and columns.labels is None:
        _add_suspects(found, places, faults)
    if faults:
        raise ValueError(
            "; ".join(
                f"column {columns.label!r} must {fault}. "
                f"Received: {rows_by_label(labels)}"
                for fault, labels in faults.items()
            )
            + (_WAY_OUT if _SUSPECTS & set(faults) else "")
        )
    return found


_SEVERAL = (
    "hold one label a row: several labels, or numbers, a text are not "
    "supported yet"
)
_SPELLING = "spell a class in one way"
_MISSING = "hold a label"
_TOO_MANY = "hold classes that texts share"
_SUSPECTS = {_SEVERAL, _SPELLING, _MISSING, _TOO_MANY}
_WAY_OUT = (
    ". Mend the file; or say what is meant by `labels` of `TaskColumns`, a "
    "dict of the file's labels to names of classes; or name all classes "
    "(`--classes` of the recipe) to take them as they are"
)


def _read_number(value, labels, names):
    if isinstance(value, (list, tuple, dict)):
        return None, _SEVERAL
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    fault = None if math.isfinite(number) else "hold a finite number"
    return number, fault


def _read_class(value, labels, names):
    if isinstance(value, (list, tuple, dict)):
        return None, _SEVERAL
    if names and type(value) is int:  # of a dataset; -1 where it has none
        value = names[value] if 0 <= value < len(names) else None
    label = "" if value is None else str(value)
    if labels is not None and label not in labels.values():
        if label not in labels:
            return label, f"be one of {list(labels)}"
        label = labels[label]
    return label, None if label else _MISSING


def _add_suspects(found, places, faults):
    """Adds labels that are most likely meant as others, or as none."""
    there = {}
    for label, place in zip(found, places, strict=True):
        if label:
            there.setdefault(label, []).append(place)
    for label, rows in there.items():
        if is_nothing(label):
            faults.setdefault(_MISSING, {})[_shown(label)] = rows
        elif _is_several(label, there):
            faults.setdefault(_SEVERAL, {})[_shown(label)] = rows
    numbers = {label: len(rows) for label, rows in there.items()}
    for label, meant in look_alikes(numbers).items():
        shown = f"{_shown(label)} beside {_shown(meant)}"
        faults.setdefault(_SPELLING, {})[shown] = there[label]
    rows = sum(map(len, there.values()))
    if not faults and grows_with_text(len(there), rows):
        label, some = next(iter(there.items()))
        shown = f"{len(there)} labels of {rows} texts, such as {_shown(label)}"
        faults[_TOO_MANY] = {shown: some}


def _shown(value):
    return repr(value)[:SHOWN]


def is_nothing(name):
    """Whether a label says that there is none."""
    return name.strip() in NOTHING or not name.strip()


def look_alikes(numbers):
    """Names that others are most likely meant by.

    Args:
        numbers: Dict of a name to how many rows have it.

    Returns:
        Dict of a name to the one that most rows have out of those like it.
    """
    alike = {}
    for name in numbers:
        alike.setdefault(_meaning(name), []).append(name)
    found = {}
    for names in alike.values():
        names.sort(key=lambda name: (-numbers[name], name))
        found.update(dict.fromkeys(names[1:], names[0]))
    return found


def _meaning(label):
    """The same for labels that look alike.

    They differ by case, width, spaces, hyphens between words, quotes, zeros,
    or signs that nobody sees.
    """
    label = unicodedata.normalize("NFKC", label)
    label = "".join(c for c in label if unicodedata.category(c) != "Cf")
    label = " ".join(label.split()).casefold()
    label = label.strip("\"' ") or label
    label = re.sub(r"(?<=\w)[-_ ]+(?=\w)", " ", label)
    if re.fullmatch(r"[+-]?[0-9]+(\.0*)?", label):
        return int(label.partition(".")[0])
    return label


def _is_several(label, there):
    """Whether it reads as a list, or as others of the labels side by side."""
    if label[0] + label[-1] in ("[]", "{}") and len(label) > 1:
        return True
    parts = [part.strip() for part in re.split(r"[,;|]", label)]
    return len(parts) > 1 and all(p in there or not p for p in parts)
