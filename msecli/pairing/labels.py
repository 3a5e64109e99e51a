"""Labels: the values of keys, groups and row ids, as Arrow arrays of integers or text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from msecli.core.exact import BoolArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

INT64_CHARACTERS = 20
"""The length of -2**63; Python refuses to parse labels of thousands of digits."""

GroupKey = tuple[str | None, ...]
"""The labels of a group as text, one per column; None is a missing label."""


def first_difference(left: pa.Array, right: pa.Array) -> tuple[int, Any, Any] | None:
    """Return the first row in which two columns differ, with both labels; None if they agree."""
    if left.type != right.type:
        import pyarrow as pa

        from msecli.arrow.functions import cast

        left, right = cast(left, pa.string()), cast(right, pa.string())
    if left.equals(right):
        return None
    pairs = enumerate(zip(left.to_pylist(), right.to_pylist(), strict=True))
    return next((row, ours, theirs) for row, (ours, theirs) in pairs if ours != theirs)


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
