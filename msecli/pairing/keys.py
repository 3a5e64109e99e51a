"""Align the rows of two files by key.

Every distinct key gets a small number, its code. A table indexed by code then gives the row of a key in the other
file: one look-up per row, whatever the keys are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from math import prod
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from msecli.core.exact import BoolArray, FloatArray, IntArray
from msecli.errors import DataError, Problems, Warned, many
from msecli.formats.base import ROWS_PER_BLOCK, Block, LabelArray
from msecli.pairing.labels import (
    are_integers,
    codes_of,
    common_codes,
    decimal,
    instant,
    joined_labels,
    label_at,
    missing,
    take_labels,
)
from msecli.pairing.position import Aligned, Side, Stream, check_labels
from msecli.pairing.roles import Shared

Rows: TypeAlias = "NDArray[np.int32] | NDArray[np.int64]"
"""Numbers of rows, in the smaller type where it can hold them."""

SHOWN_KEYS = 3
COMPARED_KEYS = 10_000
"""Unmatched keys of each file among which a spelling that differs is looked for."""
MARGIN = 1.05
"""Rows expected of a file, as a share of those that its first rows let expect."""
DENSE = 4
"""Integer keys are their own codes, up to an offset, if their range is below this multiple of their number."""


class Matched(NamedTuple):
    """How rows were matched: for every prediction row its target row, or -1, and how many rows are matched or not."""

    position: Rows
    rows: int
    unmatched_prediction: int
    unmatched_target: int
    warnings: tuple[Warned, ...]


class Growing:
    """An array to which blocks are added; what is expected but never comes takes no memory."""

    def __init__(self, like: NDArray[Any], expected: int) -> None:
        self._values = np.empty((expected, *like.shape[1:]), dtype=like.dtype)
        self._rows = 0

    def add(self, block: NDArray[Any]) -> None:
        """Add a block."""
        rows = self._rows + len(block)
        if rows > len(self._values):
            more = np.empty((2 * rows, *self._values.shape[1:]), dtype=self._values.dtype)
            more[: self._rows] = self._values[: self._rows]
            self._values = more
        self._values[self._rows : rows] = block
        self._rows = rows

    def array(self) -> NDArray[Any]:
        """Return what has been added."""
        return self._values[: self._rows]


class Held:
    """All rows of a file in memory: numbers and labels, column by column.

    Parameters
    ----------
    stream : Stream
    names : mapping of str to str, optional
        Further names for label columns: from the new name to the column's own.
    work : int
        The size of the whole source, in the unit of `Block.work`.
    """

    def __init__(self, stream: Stream, names: Mapping[str, str] | None = None, work: int = 0) -> None:
        self.path, self.place = stream.path, stream.place
        numbers: dict[str | None, Growing] = {}
        labels: dict[str, list[LabelArray]] = {}
        for block in iter(stream.next, None):
            if not stream.rows - block.rows:
                # Later rows are about as long as the first ones; a few more keep this from being copied.
                expected = MARGIN * block.rows * work // max(block.work, 1) + block.rows
                numbers = {name: Growing(values, int(expected)) for name, values in block.numbers.items()}
                labels = {name: [] for name in block.labels}
            for name, growing in numbers.items():
                growing.add(block.numbers[name])
            for name, held in labels.items():
                held.append(block.labels[name])
        if not stream.rows:
            raise DataError(f"{stream.path}: there are no rows")
        self.rows = stream.rows
        self.numbers: dict[str | None, FloatArray] = {name: growing.array() for name, growing in numbers.items()}
        self.labels = {name: joined_labels(labels.pop(name)) for name in list(labels)}
        self.labels |= {name: self.labels[column] for name, column in (names or {}).items()}

    @property
    def widest(self) -> int:
        """The most elements that a column has in a row."""
        return max((max(1, prod(values.shape[1:])) for values in self.numbers.values()), default=1)

    def keep_labels(self, names: Collection[str]) -> None:
        """Keep only these columns of labels."""
        self.labels = {name: labels for name, labels in self.labels.items() if name in names}

    def naming(self, names: Mapping[str, str]) -> Self:
        """Return the same rows with further names for label columns: from the new name to the column's own."""
        named = copy(self)
        named.labels = self.labels | {name: self.labels[column] for name, column in names.items()}
        return named

    def take(self, rows: IntArray | slice) -> Block:
        """Return these rows as a block."""
        numbers = {name: values[rows] for name, values in self.numbers.items()}
        count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        return Block(count, numbers, {name: take_labels(labels, rows) for name, labels in self.labels.items()})


def rows_per_block(files: Iterable[Held]) -> int:
    """Return how many rows to take at once: `ROWS_PER_BLOCK`, or of wide rows so many elements."""
    return max(1, ROWS_PER_BLOCK // max((held.widest for held in files), default=1))


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
    last_rows = _last_rows(codes[1], absent[1], size)
    problems = Problems()
    with problems.collect():
        _refuse_duplicates(prediction, on, codes[0], absent[0], _present(codes[0], absent[0], size))
    with problems.collect():
        _refuse_duplicates(target, on, codes[1], absent[1], last_rows >= 0)
    problems.raise_found()
    position = last_rows[codes[0]]
    if absent[0] is not None:
        position[absent[0]] = -1
    del last_rows, codes  # each holds a number for every row
    matched = int(np.count_nonzero(position >= 0))
    result = Matched(position, matched, len(position) - matched, target.rows - matched, tuple(warnings))
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
    sides = [Side(held.path, held.place) for held in (prediction, target)]
    rows = np.flatnonzero(matched.position >= 0) if matched.unmatched_prediction else None
    step = rows_per_block((prediction, target))
    for start in range(0, matched.rows, step):
        part = slice(start, min(start + step, matched.rows))
        chosen = np.arange(part.start, part.stop) if rows is None else rows[part]
        numbers = chosen, matched.position[chosen].astype(np.int64, copy=False)
        blocks = prediction.take(part if rows is None else chosen), target.take(numbers[1])
        aligned = Aligned(start, blocks, numbers)
        check_labels(aligned, sides, checked)
        yield aligned


def _common_codes(
    prediction: Held, target: Held, on: Sequence[str], warnings: list[Warned]
) -> tuple[IntArray, IntArray]:
    """Return the code of every key, for both files; equal keys have equal codes."""
    first, *others = on
    codes = _column_codes(prediction, target, first, warnings)
    for name in others:
        column = np.concatenate(_column_codes(prediction, target, name, warnings))
        pairs = np.concatenate(codes) * (int(column.max(initial=0)) + 1) + column
        small = codes_of(pairs)[0]  # small again, so that a further column cannot overflow
        codes = small[: prediction.rows], small[prediction.rows :]
    return codes


def _column_codes(prediction: Held, target: Held, name: str, warnings: list[Warned]) -> tuple[IntArray, IntArray]:
    left, right = prediction.labels[name], target.labels[name]
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        low, high = min(int(left.min()), int(right.min())), max(int(left.max()), int(right.max()))
        if high - low < DENSE * (len(left) + len(right)):
            return (left - low, right - low) if low else (left, right)
        codes, _ = codes_of(np.concatenate([left, right]))
    else:
        codes, by_value = common_codes(left, right)
        if not by_value and are_integers(left) != are_integers(right):
            meaning = f"key {name!r} is text in one file and numbers in the other; compared as text"
            warnings.append(Warned("mixed_key_types", prediction.path, meaning, 1))
    return codes[: prediction.rows], codes[prediction.rows :]


def _last_rows(codes: IntArray, absent: BoolArray | None, size: int) -> Rows:
    """Return the last row of every code, -1 where it has none."""
    kind = np.dtype(np.int32 if len(codes) <= np.iinfo(np.int32).max else np.int64)
    last_rows: Rows = np.full(size, -1, dtype=kind)
    rows: Rows = np.arange(len(codes), dtype=kind)
    if absent is None:
        last_rows[codes] = rows
    else:
        last_rows[codes[~absent]] = rows[~absent]
    return last_rows


def _present(codes: IntArray, absent: BoolArray | None, size: int) -> BoolArray:
    """Return which codes there are."""
    present = np.zeros(size, dtype=bool)
    present[codes if absent is None else codes[~absent]] = True
    return present


def _refuse_duplicates(
    held: Held, on: Sequence[str], codes: IntArray, absent: BoolArray | None, present: BoolArray
) -> None:
    with_key = held.rows if absent is None else held.rows - int(np.count_nonzero(absent))
    if np.count_nonzero(present) == with_key:
        return
    last_rows = _last_rows(codes, absent, len(present))
    later = last_rows[codes] != np.arange(held.rows)
    earlier = np.flatnonzero(later if absent is None else later & ~absent)
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


def _any_missing(held: Held, on: Sequence[str]) -> BoolArray | None:
    """Return which rows lack a key; None if none does."""
    found = [absent for name in on if (absent := missing(held.labels[name])) is not None]
    return np.logical_or.reduce(found) if found else None


def _refuse_missing(files: Sequence[Held], on: Sequence[str], absent: Sequence[BoolArray | None], advice: str) -> None:
    problems = [
        f"{held.path}: {many(int(np.count_nonzero(mask)), 'row')} without a key in {_names(on)}, "
        f"the first in {held.place(int(np.argmax(mask)))}"
        for held, mask in zip(files, absent, strict=True)
        if mask is not None
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
            [
                str(label)
                for label in take_labels(held.labels[name], chosen[:COMPARED_KEYS]).tolist()
                if label is not None
            ]
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
    labels = [label_at(held.labels[name], row) for name in on]
    return repr(labels[0]) if len(labels) == 1 else repr(tuple(labels))


def _names(on: Sequence[str]) -> str:
    return " and ".join(map(repr, on))
