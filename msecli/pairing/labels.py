"""Labels: the values of keys, groups and row ids, as arrays of integers or Arrow arrays of integers or text."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from msecli import kernel
from msecli.arrays import BoolArray, IntArray
from msecli.formats.base import LabelArray
from msecli.kernel.interface import Texts

INT64_CHARACTERS = 20
"""The length of -2**63; Python refuses to parse labels of thousands of digits."""

DECIMAL = re.compile(r"(-?(?:0|[1-9]\d*))(?:\.(\d+))?", re.ASCII)
"""A plain decimal: without exponent, leading zeros or a plus sign."""

ISO_8601 = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
"""A date, or a date with a time: hours and minutes, seconds, their fraction, and the offset from UTC."""

GroupKey = tuple[str | None, ...]
"""The labels of a group as text, one per column; None is a missing label."""


def first_difference(left: LabelArray, right: LabelArray) -> tuple[int, Any, Any] | None:
    """Return the first row in which two columns differ, with both labels; None if they agree."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        if np.array_equal(left, right):
            return None
        row = int(np.argmax(left != right))
        return row, int(left[row]), int(right[row])
    if not (isinstance(left, np.ndarray) or isinstance(right, np.ndarray)) and left.equals(right):
        return None
    codes, _ = common_codes(left, right)
    rows = np.flatnonzero(codes[: len(left)] != codes[len(left) :])
    if not rows.size:
        return None
    row = int(rows[0])
    ours, theirs = label_at(left, row), label_at(right, row)
    if are_integers(left) != are_integers(right):
        ours, theirs = (label if label is None else str(label) for label in (ours, theirs))
    return row, ours, theirs


def are_integers(labels: LabelArray) -> bool:
    """Tell whether labels are integers; some may be missing."""
    if isinstance(labels, np.ndarray):
        return True
    import pyarrow as pa

    return bool(pa.types.is_integer(labels.type))


def kind_of(labels: LabelArray) -> str:
    """Return Arrow's name of the type of labels."""
    return "int64" if isinstance(labels, np.ndarray) else str(labels.type)


def common_kind(kinds: Collection[str]) -> str:
    """Return the type of labels that are of several types together: text."""
    return next(iter(kinds)) if len(kinds) == 1 else "string"


def of_kind(labels: LabelArray, kind: str) -> LabelArray:
    """Return labels as those of a type that they have together with others."""
    if kind_of(labels) == kind:
        return labels
    import pyarrow as pa

    from msecli.arrow.columns import arrow_labels
    from msecli.arrow.functions import cast

    return cast(arrow_labels(labels), pa.string())


def label_at(labels: LabelArray, row: int) -> Any:
    """Return the label of a row; None if it is missing."""
    return int(labels[row]) if isinstance(labels, np.ndarray) else labels[row].as_py()


def take_labels(labels: LabelArray, rows: IntArray | slice) -> LabelArray:
    """Return the labels of some rows."""
    if isinstance(labels, np.ndarray) or isinstance(rows, slice):
        return labels[rows]
    from msecli.arrow.functions import take

    return take(labels, rows)


def joined_labels(columns: Sequence[LabelArray]) -> LabelArray:
    """Return the labels of successive rows, as text if they are of several types."""
    if len(columns) == 1:
        return columns[0]
    if all(isinstance(labels, np.ndarray) for labels in columns):
        return np.concatenate(columns)
    import pyarrow as pa

    from msecli.arrow.columns import arrow_labels
    from msecli.arrow.functions import cast

    arrays = [arrow_labels(labels) for labels in columns]
    if len({array.type for array in arrays}) > 1:
        arrays = [cast(array, pa.string()) for array in arrays]
    return pa.concat_arrays(arrays)


def vary(labels: LabelArray) -> bool:
    """Tell whether there are several labels."""
    if isinstance(labels, np.ndarray):
        return bool(labels[0] != labels[-1] or (labels != labels[0]).any())
    if label_at(labels, 0) != label_at(labels, len(labels) - 1):
        return True
    return not _repeat(labels) and len(codes_of(labels)[1]) > 1


def _repeat(labels: LabelArray) -> bool:
    """Fast path of `vary` for one word in all rows, as in a partition: tell whether the bytes say so."""
    from msecli.arrow.columns import words

    found = words(labels)
    if found is None:
        return False
    data, ends = found
    size = int(ends[1] - ends[0])
    if int(ends[-1] - ends[0]) != size * (len(ends) - 1) or (np.diff(ends) != size).any():
        return False
    bytes_of_all = data[ends[0] : ends[-1]]
    return np.array_equal(bytes_of_all[size:], bytes_of_all[: len(bytes_of_all) - size])


def common_codes(left: LabelArray, right: LabelArray) -> tuple[IntArray, bool]:
    """Return a code for every label of both columns, and whether labels were told apart by their values.

    Labels with equal codes are equal. Texts that are not the same in both columns are compared by value if all of them
    are plain decimals, or all are dates and times.
    """
    codes, dictionary = codes_of(joined_labels([left, right]))
    if are_integers(dictionary):
        return codes, True
    found = [np.bincount(side, minlength=len(dictionary)) > 0 for side in (codes[: len(left)], codes[len(left) :])]
    values = None if np.array_equal(found[0], found[1]) else _codes_by_value(dictionary.tolist())
    return (codes, False) if values is None else (values[codes], True)


def _codes_by_value(texts: Sequence[str | None]) -> IntArray | None:
    """Return a code for every text, equal where the values are; None if these are not all numbers or all times."""
    first = next((text for text in texts if text is not None), None)
    for value in VALUES.values():
        if first is None or value(first) is None:
            continue
        values = [None if text is None else value(text) for text in texts]
        if all(value is not None or text is None for value, text in zip(values, texts, strict=True)):
            return _numbered(values)
    return None


def _numbered(values: Sequence[str | None]) -> IntArray:
    numbers: dict[str | None, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def codes_by(left: LabelArray, right: LabelArray, value: str | None) -> IntArray:
    """Return a code for every label of both columns, equal where these values of theirs are, by default the labels."""
    codes, dictionary = codes_of(joined_labels([left, right]))
    if value is None:
        return codes
    values = [None if text is None else VALUES[value](text) for text in dictionary.tolist()]
    return _numbered(values)[codes]


def decimal(text: str) -> str | None:
    """Return a plain decimal without the zeros that end its fraction; None for any other text."""
    found = DECIMAL.fullmatch(text)
    if found is None:
        return None
    fraction = (found[2] or "").rstrip("0")
    value = f"{found[1]}.{fraction}" if fraction else found[1]
    return "0" if value == "-0" else value


def instant(text: str) -> str | None:
    """Return a date or time in one spelling, in UTC if it has an offset; None for any other text."""
    found = ISO_8601.fullmatch(text)
    if found is None:
        return None
    date, minutes, seconds, fraction, offset = found.groups()
    spelled, rest = f"{date} {minutes or '00:00'}:{seconds or '00'}", (fraction or "").rstrip("0")
    if offset:
        from datetime import UTC, datetime

        try:
            moment = datetime.fromisoformat(f"{spelled}{offset}").astimezone(UTC)
        except (ValueError, OverflowError):
            return None
        spelled = f"{moment:%Y-%m-%d %H:%M:%S}"
    return f"{spelled}.{rest}{'Z' if offset else ''}"


VALUES: Mapping[str, Callable[[str], str | None]] = {"decimal": decimal, "instant": instant}
"""Values that texts may be compared by; each is None for a text that has none."""


def codes_of(labels: LabelArray) -> tuple[IntArray, LabelArray]:
    """Return a code for every label, and the label of every code; a missing label has a code, too."""
    if isinstance(labels, np.ndarray):
        if labels.size and int(labels.max()) - (low := int(labels.min())) < len(labels):
            return _codes_in_range(labels, low)
        codes, firsts = kernel.chosen().codes(labels)
        return codes, labels[firsts]
    from msecli.arrow.columns import words
    from msecli.arrow.functions import dictionary_encode, take

    found = words(labels)
    if found is not None:
        codes, firsts = kernel.chosen().codes(Texts(*found))
        return codes, take(labels, firsts)
    encoded = dictionary_encode(labels)
    return np.from_dlpack(encoded.indices).astype(np.int64), encoded.dictionary


def _codes_in_range(labels: IntArray, low: int) -> tuple[IntArray, IntArray]:
    """Fast path of `codes_of` for integers whose range is no larger than the array."""
    offsets = labels - low if low else labels
    present = np.bincount(offsets) > 0
    dictionary = np.flatnonzero(present) + low
    return offsets if present.all() else (np.cumsum(present) - 1)[offsets], dictionary


def group_codes(columns: Sequence[LabelArray]) -> tuple[IntArray, list[GroupKey]]:
    """Return the number of every row's group, from 0, and the key of every group."""
    codes, dictionary = codes_of(columns[0])
    keys: list[GroupKey] = [(label,) for label in _texts(dictionary)]
    for column in columns[1:]:
        more, dictionary = codes_of(column)
        labels = _texts(dictionary)
        pairs, codes = np.unique(codes * len(labels) + more, return_inverse=True)
        keys = [(*keys[pair // len(labels)], labels[pair % len(labels)]) for pair in pairs.tolist()]
    return codes, keys


def _texts(dictionary: LabelArray) -> list[str | None]:
    return [None if label is None else str(label) for label in dictionary.tolist()]


def missing(labels: LabelArray) -> BoolArray | None:
    """Return which labels are missing; None if none is."""
    if isinstance(labels, np.ndarray) or labels.null_count == 0:
        return None
    from msecli.arrow.columns import validity

    return ~validity(labels)


def shown_keys(keys: Sequence[GroupKey]) -> list[tuple[Any, ...]]:
    """Return the keys for output: a column of whole numbers becomes integers."""
    columns = list(zip(*keys, strict=True))
    shown = [_numbers(column) if all(_is_whole(label) for label in column) else column for column in columns]
    return list(zip(*shown, strict=True))


def _is_whole(label: str | None) -> bool:
    """Tell whether a label is missing, or a canonical integer that every output format can hold."""
    if label is None:
        return True
    if len(label) > INT64_CHARACTERS or not label.removeprefix("-").isdecimal():
        return False
    return str(int(label)) == label and -(2**63) <= int(label) < 2**63


def _numbers(column: Sequence[str | None]) -> list[int | None]:
    return [None if label is None else int(label) for label in column]


def sort_key(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Order keys by their labels, missing ones last."""
    return tuple((label is None, "" if label is None else label) for label in key)
