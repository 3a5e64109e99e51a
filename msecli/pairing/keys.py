"""Align the rows of two files by key.

Every distinct key gets a small number, its code. A table indexed by code then gives the row of a key in the other
file: one look-up per row, whatever the keys are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from msecli.arrays import BoolArray, FloatArray, IntArray
from msecli.errors import DataError, Warned, numbered
from msecli.formats.base import ROWS_PER_BLOCK, Block, LabelArray
from msecli.pairing.labels import are_integers, codes_of, common_codes, joined_labels, label_at, missing, take_labels
from msecli.pairing.position import Aligned, Side, Stream, check_labels
from msecli.pairing.roles import Shared
from msecli.pairing.unpaired import (
    COMPARED_KEYS,
    SHOWN_KEYS,
    SKIP,
    Keyless,
    Lone,
    Repeated,
    key_text,
    refuse_keyless,
    refuse_repeated,
    refuse_unmatched,
)
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

Rows: TypeAlias = "NDArray[np.int32] | NDArray[np.int64]"
"""Numbers of rows, in the smaller type where it can hold them."""

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
        self.row_numbers: IntArray | None = None
        self.numbers: dict[str | None, FloatArray] = {name: growing.array() for name, growing in numbers.items()}
        self.labels = {name: joined_labels(labels.pop(name)) for name in list(labels)}
        self.labels |= {name: self.labels[column] for name, column in (names or {}).items()}

    @classmethod
    def of(cls, path: str, block: Block, row_numbers: IntArray) -> Self:
        """Return some rows of a file, of which these are the numbers in it."""
        held = cls.__new__(cls)
        held.path, held.place, held.rows, held.row_numbers = path, numbered, block.rows, row_numbers
        held.numbers, held.labels = dict(block.numbers), dict(block.labels)
        return held

    @property
    def side(self) -> Side:
        """The file as messages name it."""
        return Side(self.path, self.place)

    @property
    def widest(self) -> int:
        """The most elements that a column has in a row."""
        return max((max(1, prod(values.shape[1:])) for values in self.numbers.values()), default=1)

    def keep_labels(self, names: Collection[str]) -> None:
        """Keep only these columns of labels."""
        self.labels = {name: labels for name, labels in self.labels.items() if name in names}

    def only_labels(self, names: Collection[str]) -> Self:
        """Return the same rows with nothing but these columns of labels."""
        made = copy(self)
        made.numbers = {}
        made.keep_labels(names)
        return made

    def naming(self, names: Mapping[str, str]) -> Self:
        """Return the same rows with further names for label columns: from the new name to the column's own."""
        named = copy(self)
        named.labels = self.labels | {name: self.labels[column] for name, column in names.items()}
        return named

    def numbered(self, rows: IntArray) -> IntArray:
        """Return the numbers of these rows in the file."""
        return rows if self.row_numbers is None else self.row_numbers[rows]

    def key(self, on: Sequence[str], row: int) -> str:
        """Return the key of a row as messages name it."""
        return key_text([label_at(self.labels[name], row) for name in on])

    def take(self, rows: IntArray | slice) -> Block:
        """Return these rows as a block."""
        numbers = {name: values[rows] for name, values in self.numbers.items()}
        count = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        return Block(count, numbers, {name: take_labels(labels, rows) for name, labels in self.labels.items()})


def rows_per_block(files: Iterable[Held]) -> int:
    """Return how many rows to take at once: `ROWS_PER_BLOCK`, or of wide rows so many elements."""
    return max(1, ROWS_PER_BLOCK // max((held.widest for held in files), default=1))


Comparing = Callable[["Held", "Held", str], "tuple[IntArray, IntArray]"]
"""From both files and the name of a column of their keys to the codes of its labels, equal where these are equal."""


class Paired(NamedTuple):
    """How the rows of two files go together.

    Parameters
    ----------
    position : ndarray of int, shape (rows,)
        For every prediction row its target row, or -1.
    rows : int
        How many prediction rows have one.
    repeated : (Repeated, Repeated)
        The keys that are in a file several times; then `position` says little.
    absent : list of ndarray of bool, or None
        The rows of each file that lack a key.
    """

    position: Rows
    rows: int
    repeated: tuple[Repeated, Repeated]
    absent: list[BoolArray | None]

    def unmatched(self, prediction: Held, target: Held, on: Sequence[str]) -> tuple[Lone, Lone]:
        """Return the keys of each file that the other lacks."""
        found = np.zeros(target.rows, dtype=bool)
        found[self.position[self.position >= 0]] = True
        rows = np.flatnonzero(self.position < 0), np.flatnonzero(~found)
        return _lone(prediction, on, rows[0]), _lone(target, on, rows[1])


def match(prediction: Held, target: Held, on: Sequence[str], *, skip_unmatched: bool, advice: str = SKIP) -> Matched:
    """Find the target row of every prediction row; `advice` is what to do about keys without a match.

    Raises
    ------
    DataError
        If a file has duplicate keys; unless `skip_unmatched`, also if keys are missing or have no match.
    """
    warnings: list[Warned] = []
    files, sides = (prediction, target), (prediction.side, target.side)
    found = pair(prediction, target, on, partial(_column_codes, warnings))
    if not skip_unmatched:
        keyless = [Keyless.of(mask) for mask in found.absent]
        refuse_keyless(sides, on, keyless, advice)
    refuse_repeated(sides, on, found.repeated)
    result = Matched(
        found.position, found.rows, prediction.rows - found.rows, target.rows - found.rows, tuple(warnings)
    )
    if not skip_unmatched and (result.unmatched_prediction or result.unmatched_target):
        refuse_unmatched(sides, on, found.unmatched(*files, on), (prediction.rows, target.rows), advice)
    return result


def pair(prediction: Held, target: Held, on: Sequence[str], compare: Comparing) -> Paired:
    """Find the target row of every prediction row, whatever rows are left over."""
    codes = _common_codes(prediction, target, on, compare)
    absent = [any_missing(held, on) for held in (prediction, target)]
    # The table is indexed by the codes of both files.
    size = max(int(side.max(initial=-1)) for side in codes) + 1
    last_rows = _last_rows(codes[1], absent[1], size)
    repeated = (
        _repeated(prediction, on, codes[0], absent[0], _present(codes[0], absent[0], size)),
        _repeated(target, on, codes[1], absent[1], last_rows >= 0),
    )
    position = last_rows[codes[0]]
    if absent[0] is not None:
        position[absent[0]] = -1
    return Paired(position, int(np.count_nonzero(position >= 0)), repeated, absent)


def aligned_rows(
    prediction: Held, target: Held, matched: Matched | Paired, checked: Sequence[Shared] = ()
) -> Iterator[Aligned]:
    """Yield the matched rows side by side, in the order of the prediction file.

    Raises
    ------
    DataError
        If the labels of a checked column differ.
    """
    files = prediction, target
    rows = np.flatnonzero(matched.position >= 0) if matched.rows < prediction.rows else None
    step = rows_per_block(files)
    for start in range(0, matched.rows, step):
        part = slice(start, min(start + step, matched.rows))
        chosen = np.arange(part.start, part.stop) if rows is None else rows[part]
        partners = matched.position[chosen].astype(np.int64, copy=False)
        blocks = prediction.take(part if rows is None else chosen), target.take(partners)
        aligned = Aligned(start, blocks, (prediction.numbered(chosen), target.numbered(partners)))
        check_labels(aligned, [held.side for held in files], checked)
        yield aligned


def _common_codes(prediction: Held, target: Held, on: Sequence[str], compare: Comparing) -> tuple[IntArray, IntArray]:
    """Return the code of every key, for both files; equal keys have equal codes."""
    first, *others = on
    codes = compare(prediction, target, first)
    for name in others:
        column = np.concatenate(compare(prediction, target, name))
        pairs = np.concatenate(codes) * (int(column.max(initial=0)) + 1) + column
        small = codes_of(pairs)[0]  # small again, so that a further column cannot overflow
        codes = small[: prediction.rows], small[prediction.rows :]
    return codes


def _column_codes(warnings: list[Warned], prediction: Held, target: Held, name: str) -> tuple[IntArray, IntArray]:
    left, right = prediction.labels[name], target.labels[name]
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        dense = dense_codes(left, right)
        if dense is not None:
            return dense
        codes, _ = codes_of(np.concatenate([left, right]))
    else:
        codes, by_value = common_codes(left, right)
        if not by_value and are_integers(left) != are_integers(right):
            warnings.append(mixed_types(prediction.path, name))
    return codes[: prediction.rows], codes[prediction.rows :]


def dense_codes(left: LabelArray, right: LabelArray) -> tuple[IntArray, IntArray] | None:
    """Return integers as their own codes, up to an offset, if their range is small; otherwise None."""
    if not (isinstance(left, np.ndarray) and isinstance(right, np.ndarray) and left.size and right.size):
        return None
    low, high = min(int(left.min()), int(right.min())), max(int(left.max()), int(right.max()))
    if high - low >= DENSE * (len(left) + len(right)):
        return None
    return (left - low, right - low) if low else (left, right)


def mixed_types(path: str, name: str) -> Warned:
    """Return a warning of a column of keys that is text in only one of the files."""
    meaning = f"key {name!r} is text in one file and numbers in the other; compared as text"
    return Warned("mixed_key_types", path, meaning, 1)


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


def _repeated(held: Held, on: Sequence[str], codes: IntArray, absent: BoolArray | None, present: BoolArray) -> Repeated:
    with_key = held.rows if absent is None else held.rows - int(np.count_nonzero(absent))
    if np.count_nonzero(present) == with_key:
        return Repeated()
    last_rows = _last_rows(codes, absent, len(present))
    later = last_rows[codes] != np.arange(held.rows)
    earlier = np.flatnonzero(later if absent is None else later & ~absent)
    # A key in three rows has two earlier rows, but counts once.
    first = np.sort(earlier[np.unique(codes[earlier], return_index=True)[1]])
    shown = first[:SHOWN_KEYS]
    last = last_rows[codes[shown]].astype(np.int64)
    numbers = zip(held.numbered(shown).tolist(), held.numbered(last).tolist(), strict=True)
    keys = (held.key(on, row) for row in shown.tolist())
    return Repeated(len(first), tuple((*rows, key) for rows, key in zip(numbers, keys, strict=True)))


def _lone(held: Held, on: Sequence[str], rows: IntArray) -> Lone:
    first = rows[:COMPARED_KEYS]
    return Lone(len(rows), held.numbered(first), tuple(take_labels(held.labels[name], first) for name in on))


def any_missing(held: Held, on: Sequence[str]) -> BoolArray | None:
    """Return which rows lack a key; None if none does."""
    found = [absent for name in on if (absent := missing(held.labels[name])) is not None]
    return np.logical_or.reduce(found) if found else None
