"""Align the rows of two files by key.

Every distinct key gets a small number, its code. A table indexed by code then gives the row of a key in the other
file: one look-up per row, whatever the keys are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from msecli.arrow.functions import integers, take
from msecli.core.exact import BoolArray, FloatArray, IntArray
from msecli.errors import DataError, Problems, Warned, many
from msecli.formats.base import ROWS_PER_BLOCK, Block
from msecli.pairing.labels import codes_of, common_codes, decimal, instant, joined_labels, missing
from msecli.pairing.position import Aligned, Side, Stream, check_labels
from msecli.pairing.roles import Shared

SHOWN_KEYS = 3
COMPARED_KEYS = 10_000
"""Unmatched keys of each file among which a spelling that differs is looked for."""
DENSE = 4
"""Integer keys are their own codes, up to an offset, if their range is below this multiple of their number."""


class Matched(NamedTuple):
    """How rows were matched: for every prediction row its target row, or -1, and how many rows are matched or not."""

    position: IntArray
    rows: int
    unmatched_prediction: int
    unmatched_target: int
    warnings: tuple[Warned, ...]


class Held:
    """All rows of a file in memory: numbers and labels, column by column.

    Parameters
    ----------
    stream : Stream
    names : mapping of str to str, optional
        Further names for label columns: from the new name to the column's own.
    """

    def __init__(self, stream: Stream, names: Mapping[str, str] | None = None) -> None:
        self.path, self.place = stream.path, stream.place
        blocks = list(iter(stream.next, None))
        if not blocks:
            raise DataError(f"{stream.path}: there are no rows")
        self.rows = stream.rows
        self.numbers: dict[str | None, FloatArray] = {}
        for name in blocks[0].numbers:
            self.numbers[name] = np.concatenate([block.numbers[name] for block in blocks])
        self.labels = {name: joined_labels([block.labels[name] for block in blocks]) for name in blocks[0].labels}
        self.labels |= {name: self.labels[column] for name, column in (names or {}).items()}

    def naming(self, names: Mapping[str, str]) -> Self:
        """Return the same rows with further names for label columns: from the new name to the column's own."""
        named = copy(self)
        named.labels = self.labels | {name: self.labels[column] for name, column in names.items()}
        return named

    def take(self, rows: IntArray) -> Block:
        """Return these rows as a block."""
        return Block(
            len(rows),
            {name: values[rows] for name, values in self.numbers.items()},
            {name: take(values, rows) for name, values in self.labels.items()},
        )


SKIP = "; to leave them out, use `unmatched=skip`"


def match(prediction: Held, target: Held, on: Sequence[str], *, skip_unmatched: bool, advice: str = SKIP) -> Matched:
    """Find the target row of every prediction row; `advice` is what to do about keys without a match.

    Raises
    ------
    DataError
        If a file has duplicate keys; unless `skip_unmatched`, also if keys are missing or have no match.
    """
    warnings: list[Warned] = []
    codes = _common_codes(prediction, target, on, warnings)
    absent = [_any_missing(held, on) for held in (prediction, target)]
    if not skip_unmatched:
        _refuse_missing((prediction, target), on, absent, advice)
    # The table is indexed by the codes of both files.
    size = max(int(side.max(initial=-1)) for side in codes) + 1
    problems = Problems()
    with problems.collect():
        _refuse_duplicates(prediction, on, codes[0], absent[0], _last_rows(codes[0], absent[0], size))
    last_rows = _last_rows(codes[1], absent[1], size)
    with problems.collect():
        _refuse_duplicates(target, on, codes[1], absent[1], last_rows)
    problems.raise_found()
    position = last_rows[codes[0]]
    position[absent[0]] = -1
    del last_rows, codes  # each holds a number for every row
    unmatched = position < 0
    matched = len(position) - int(np.count_nonzero(unmatched))
    result = Matched(position, matched, int(np.count_nonzero(unmatched)), target.rows - matched, tuple(warnings))
    if not skip_unmatched and (result.unmatched_prediction or result.unmatched_target):
        raise _unmatched(prediction, target, on, result, advice)
    return result


def aligned_rows(prediction: Held, target: Held, matched: Matched, checked: Sequence[Shared] = ()) -> Iterator[Aligned]:
    """Yield the matched rows side by side, in the order of the prediction file.

    Raises
    ------
    DataError
        If the labels of a checked column differ.
    """
    rows = np.flatnonzero(matched.position >= 0)
    for start in range(0, len(rows), ROWS_PER_BLOCK):
        chosen = rows[start : start + ROWS_PER_BLOCK]
        numbers = chosen, matched.position[chosen]
        aligned = Aligned(start, (prediction.take(numbers[0]), target.take(numbers[1])), numbers)
        check_labels(aligned, [Side(held.path, held.place) for held in (prediction, target)], checked)
        yield aligned


def _common_codes(
    prediction: Held, target: Held, on: Sequence[str], warnings: list[Warned]
) -> tuple[IntArray, IntArray]:
    """Return the code of every key, for both files; equal keys have equal codes."""
    codes: IntArray | None = None
    for name in on:
        column = _column_codes(prediction, target, name, warnings)
        if codes is None:
            codes = column
        else:
            pairs = codes * (int(column.max(initial=0)) + 1) + column
            codes = codes_of(integers(pairs))[0]  # small again, so that a further column cannot overflow
    assert codes is not None  # noqa: S101 - `on` is not empty, and every column gives codes
    return codes[: prediction.rows], codes[prediction.rows :]


def _column_codes(prediction: Held, target: Held, name: str, warnings: list[Warned]) -> IntArray:
    left, right = prediction.labels[name], target.labels[name]
    if left.type == right.type == pa.int64() and left.null_count == right.null_count == 0:
        keys = np.concatenate([np.from_dlpack(left), np.from_dlpack(right)])
        low, high = int(keys.min()), int(keys.max())
        if high - low < DENSE * len(keys):
            keys -= low
            return keys
        return _ranks(keys)
    codes, by_value = common_codes(left, right)
    if not by_value and pa.types.is_integer(left.type) != pa.types.is_integer(right.type):
        meaning = f"key {name!r} is text in one file and numbers in the other; compared as text"
        warnings.append(Warned("mixed_key_types", prediction.path, meaning, 1))
    return codes


def _ranks(keys: IntArray) -> IntArray:
    """Return the rank of every key among the distinct ones; sorting takes half the memory of a hash table."""
    order = np.argsort(keys)
    ordered = keys[order]
    new = np.empty(len(keys), dtype=bool)
    new[0] = False
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    ranks = np.cumsum(new, out=ordered)
    keys[order] = ranks
    return keys


def _last_rows(codes: IntArray, absent: BoolArray, size: int) -> IntArray:
    """Return the last row of every code, -1 where it has none."""
    last_rows = np.full(size, -1, dtype=np.int64)
    rows = np.flatnonzero(~absent)
    last_rows[codes[rows]] = rows
    return last_rows


def _refuse_duplicates(held: Held, on: Sequence[str], codes: IntArray, absent: BoolArray, last_rows: IntArray) -> None:
    earlier = np.flatnonzero((last_rows[codes] != np.arange(held.rows)) & ~absent)
    if not earlier.size:
        return
    # A key in three rows has two earlier rows, but counts once.
    first = np.sort(earlier[np.unique(codes[earlier], return_index=True)[1]])
    examples = ", ".join(
        f"{_key(held, on, row)} in {held.place(row, int(last_rows[codes[row]]))}" for row in first[:SHOWN_KEYS].tolist()
    )
    more = ", …" if len(first) > SHOWN_KEYS else ""
    raise DataError(
        f"{held.path}: {many(len(first), 'duplicate key')} in {_names(on)}: {examples}{more}; "
        "remove the duplicates, or add a key column with `on`"
    )


def _any_missing(held: Held, on: Sequence[str]) -> BoolArray:
    absent = np.zeros(held.rows, dtype=bool)
    for name in on:
        absent |= missing(held.labels[name])
    return absent


def _refuse_missing(files: Sequence[Held], on: Sequence[str], absent: Sequence[BoolArray], advice: str) -> None:
    problems = [
        f"{held.path}: {many(int(np.count_nonzero(mask)), 'row')} without a key in {_names(on)}, "
        f"the first in {held.place(int(np.argmax(mask)))}"
        for held, mask in zip(files, absent, strict=True)
        if mask.any()
    ]
    if problems:
        raise DataError("\n".join(problems) + advice)


def _unmatched(prediction: Held, target: Held, on: Sequence[str], matched: Matched, advice: str) -> DataError:
    lines = []
    if matched.unmatched_prediction:
        lines.append(_without_match(prediction, on, np.flatnonzero(matched.position < 0), target.path))
    found = np.zeros(target.rows, dtype=bool)
    found[matched.position[matched.position >= 0]] = True
    if matched.unmatched_target:
        lines.append(_without_match(target, on, np.flatnonzero(~found), prediction.path))
    rows = np.flatnonzero(matched.position < 0), np.flatnonzero(~found)
    lines[-1] += _spelled_otherwise(prediction, target, on, rows)
    return DataError("\n".join(lines) + advice)


def _without_zone(text: str) -> str | None:
    found = instant(text)
    return None if found is None else (instant(text[:19]) or found).removesuffix("Z")


SPELLINGS: tuple[tuple[str, Callable[[str], str | None]], ...] = (
    ("in blanks around them", str.strip),
    ("in upper and lower case", str.casefold),
    ("in how numbers are written", decimal),
    ("in leading zeros", lambda text: text.lstrip("0") if text.isdecimal() else None),
    ("in how times are written", instant),
    ("in the time zone: UTC or an offset against no time zone", _without_zone),
)
"""Ways to write the same key that make two keys of it: what differs, and the key without the difference."""


def _spelled_otherwise(prediction: Held, target: Held, on: Sequence[str], rows: tuple[IntArray, IntArray]) -> str:
    """Return how unmatched keys of one file differ from those of the other, if only in their spelling."""
    for name in on:
        ours, theirs = (
            [str(label) for label in take(held.labels[name], chosen[:COMPARED_KEYS]).to_pylist() if label is not None]
            for held, chosen in zip((prediction, target), rows, strict=True)
        )
        for difference, spelled in SPELLINGS:
            known = {spelled(label): label for label in theirs}
            known.pop(None, None)
            pair = next(((label, known[spelled(label)]) for label in ours if spelled(label) in known), None)
            if pair is not None and pair[0] != pair[1]:
                return f"; keys differ {difference}: {pair[0]!r} against {pair[1]!r}"
    return ""


def _without_match(held: Held, on: Sequence[str], rows: IntArray, other: str) -> str:
    examples = ", ".join(_key(held, on, row) for row in rows[:SHOWN_KEYS].tolist())
    more = ", …" if len(rows) > SHOWN_KEYS else ""
    have = "has" if len(rows) == 1 else "have"
    counted = f"{len(rows)} of {many(held.rows, 'key')} ({_names(on)})"
    return f"{held.path}: {counted} {have} no match in {other}: {examples}{more}"


def _key(held: Held, on: Sequence[str], row: int) -> str:
    labels: list[Any] = [held.labels[name][row].as_py() for name in on]
    return repr(labels[0]) if len(labels) == 1 else repr(tuple(labels))


def _names(on: Sequence[str]) -> str:
    return " and ".join(map(repr, on))
