"""Labels: the values of keys, groups and row ids, as Arrow arrays of integers or text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from msecli.core.exact import BoolArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

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


def first_difference(left: pa.Array, right: pa.Array) -> tuple[int, Any, Any] | None:
    """Return the first row in which two columns differ, with both labels; None if they agree."""
    if left.type == right.type and left.equals(right):
        return None
    codes, _ = common_codes(left, right)
    rows = np.flatnonzero(codes[: len(left)] != codes[len(left) :])
    if not rows.size:
        return None
    row = int(rows[0])
    ours, theirs = left[row].as_py(), right[row].as_py()
    if left.type != right.type:
        ours, theirs = (label if label is None else str(label) for label in (ours, theirs))
    return row, ours, theirs


def common_codes(left: pa.Array, right: pa.Array) -> tuple[IntArray, bool]:
    """Return a code for every label of both columns, and whether labels were told apart by their values.

    Labels with equal codes are equal. Texts that are not the same in both columns are compared by value if all of them
    are plain decimals, or all are dates and times.
    """
    import pyarrow as pa

    if left.type != right.type:
        from msecli.arrow.functions import cast

        left, right = cast(left, pa.string()), cast(right, pa.string())
    codes, dictionary = codes_of(pa.concat_arrays([left, right]))
    if pa.types.is_integer(left.type):
        return codes, True
    found = [np.bincount(side, minlength=len(dictionary)) > 0 for side in (codes[: len(left)], codes[len(left) :])]
    values = None if np.array_equal(found[0], found[1]) else _codes_by_value(dictionary.to_pylist())
    return (codes, False) if values is None else (values[codes], True)


def _codes_by_value(texts: Sequence[str | None]) -> IntArray | None:
    """Return a code for every text, equal where the values are; None if these are not all numbers or all times."""
    first = next((text for text in texts if text is not None), None)
    for value in (decimal, instant):
        if first is None or value(first) is None:
            continue
        values = [None if text is None else value(text) for text in texts]
        if all(value is not None or text is None for value, text in zip(values, texts, strict=True)):
            numbers: dict[str | None, int] = {}
            return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)
    return None


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


def joined_labels(columns: Sequence[pa.Array]) -> pa.Array:
    """Return the labels of several blocks one after another, as text if some are text."""
    import pyarrow as pa

    if len({column.type for column in columns}) > 1:
        from msecli.arrow.functions import cast

        columns = [cast(column, pa.string()) for column in columns]
    return columns[0] if len(columns) == 1 else pa.concat_arrays(list(columns))


def codes_of(column: pa.Array) -> tuple[IntArray, pa.Array]:
    """Return a code for every label, and the label of every code; a missing label has a code, too."""
    import pyarrow as pa

    from msecli.arrow.functions import dictionary_encode

    if column.type == pa.int64() and len(column) and not column.null_count:
        values: IntArray = np.asarray(np.from_dlpack(column), dtype=np.int64)
        low, high = int(values.min()), int(values.max())
        if high - low < len(column):
            return _codes_in_range(values, low)
    encoded = dictionary_encode(column)
    return np.from_dlpack(encoded.indices).astype(np.int64), encoded.dictionary


def _codes_in_range(values: IntArray, low: int) -> tuple[IntArray, pa.Array]:
    """Fast path of `codes_of` for integers whose range is no larger than the array."""
    from msecli.arrow.functions import integers

    offsets = values - low
    present = np.bincount(offsets) > 0
    dictionary = integers(np.flatnonzero(present) + low)
    return offsets if present.all() else (np.cumsum(present) - 1)[offsets], dictionary


def group_codes(columns: Sequence[pa.Array]) -> tuple[IntArray, list[GroupKey]]:
    """Return the number of every row's group, from 0, and the key of every group."""
    codes, dictionary = codes_of(columns[0])
    keys: list[GroupKey] = [(label,) for label in _texts(dictionary)]
    for column in columns[1:]:
        more, dictionary = codes_of(column)
        labels = _texts(dictionary)
        pairs, codes = np.unique(codes * len(labels) + more, return_inverse=True)
        keys = [(*keys[pair // len(labels)], labels[pair % len(labels)]) for pair in pairs.tolist()]
    return codes, keys


def _texts(dictionary: pa.Array) -> list[str | None]:
    return [None if label is None else str(label) for label in dictionary.to_pylist()]


def missing(column: pa.Array) -> BoolArray:
    """Return which labels are missing."""
    from msecli.arrow.columns import validity

    return ~validity(column)


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
