"""Align the rows of one to three sources by position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from msecli.arrays import BoolArray, FloatArray, IntArray
from msecli.errors import DataError, Warned, numbered
from msecli.formats.base import Block, LabelArray
from msecli.pairing.labels import first_difference, joined_labels, label_at, vary
from msecli.pairing.roles import PREDICTION, Shared
from msecli.tuples import NamedTuple

ROUNDED_ALIKE = 1e-6
"""The relative difference up to which fractions are alike: one file may hold fewer digits than the other."""


class Aligned(NamedTuple):
    """The same rows of every file.

    Parameters
    ----------
    first_row : int
        The number of rows aligned before these.
    blocks : tuple of Block
        One per file.
    row_numbers : tuple of ndarray of int64, shape (rows,), optional
        The number of every row in each file, from 0. By default rows count on from `first_row` in all files.
    """

    first_row: int
    blocks: tuple[Block, ...]
    row_numbers: tuple[IntArray, ...] | None = None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.blocks[0].rows

    def numbers(self, row: int) -> tuple[int, int]:
        """Return a row's numbers in the first two files, from 0."""
        if self.row_numbers is None:
            return self.first_row + row, self.first_row + row
        ours, theirs = (int(numbers[row]) for numbers in self.row_numbers[:2])
        return ours, theirs

    def take(self, rows: IntArray) -> Aligned:
        """Return these rows, which keep their numbers."""
        count = len(self.blocks)
        numbers = self.row_numbers or (self.first_row + np.arange(self.rows),) * count
        blocks = tuple(block.take(rows) for block in self.blocks)
        return Aligned(self.first_row, blocks, tuple(each[rows] for each in numbers))


class Read(NamedTuple):
    """How much of a source was read, with its warnings, and the byte at which it began, if it is text."""

    rows: int
    work: int
    warnings: tuple[Warned, ...]
    begin: int | None = None

    def joined(self, later: Read) -> Read:
        """Return how much was read here and after it."""
        return Read(self.rows + later.rows, self.work + later.work, (*self.warnings, *later.warnings), self.begin)


class Side(NamedTuple):
    """A file in messages: its path, and how its rows are named."""

    path: str
    place: Callable[..., str] = numbered


class Stream:
    """The blocks of one source; counts what has been read.

    Parameters
    ----------
    path : str
    blocks : iterable of Block
    place : callable
        From the numbers of rows to how messages name them.
    """

    def __init__(self, path: str, blocks: Iterable[Block], place: Callable[..., str] = numbered) -> None:
        self.path, self.place = path, place
        self.rows = 0
        self._blocks = iter(blocks)
        self._since: list[Read] = []

    def next(self) -> Block | None:
        """Return the next block, or None after the last one."""
        block = next(self._blocks, None)
        if block is not None:
            self.rows += block.rows
            self._since.append(Read(block.rows, block.work, block.warnings, block.begin))
        return block

    def exhaust(self) -> None:
        """Read to the end, to count the rows."""
        while self.next() is not None:
            pass

    def take(self) -> Read:
        """Return what has been read since the last call."""
        rows, work, warnings, begins = zip(*self._since, strict=True) if self._since else ((), (), (), (None,))
        self._since.clear()
        return Read(sum(rows), sum(work), tuple(chain.from_iterable(warnings)), begins[0])


class Window(NamedTuple):
    """The same rows of every file, in pieces that are yet to be joined."""

    first_row: int
    pieces: tuple[Sequence[Block], ...]

    def joined(self) -> Aligned:
        """Return the rows with one block for each file."""
        return Aligned(self.first_row, tuple(map(joined_blocks, self.pieces)))


def joined_blocks(blocks: Sequence[Block]) -> Block:
    """Return blocks of successive rows as one."""
    if len(blocks) == 1:
        return blocks[0]
    first = blocks[0]
    numbers = {name: np.concatenate([block.numbers[name] for block in blocks]) for name in first.numbers}
    labels = {name: joined_labels([block.labels[name] for block in blocks]) for name in first.labels}
    return Block(sum(block.rows for block in blocks), numbers, labels)


def windows(streams: Sequence[Stream], rows: int, advice: Callable[[], str] = str) -> Iterator[Window]:
    """Yield this many rows of all streams at a time, as `align` does wherever their blocks begin.

    The blocks of forty files begin at so many different rows that little would be left between two of them.
    """
    first_row = 0
    cut = [_cut(stream, rows) for stream in streams]
    while True:
        pieces = tuple(next(each, []) for each in cut)
        counts = {sum(block.rows for block in each) for each in pieces}
        if len(counts) > 1 or counts == {0}:
            break
        yield Window(first_row, pieces)
        first_row += rows
    for stream in streams:
        stream.exhaust()
    check_row_counts([(stream.path, stream.rows) for stream in streams], advice)


def _cut(stream: Stream, rows: int) -> Iterator[list[Block]]:
    """Yield the blocks of a stream, cut so that each time there are this many rows."""
    held: list[Block] = []
    while (block := stream.next()) is not None:
        start, missing = 0, rows - sum(each.rows for each in held)
        while block.rows - start >= missing:
            yield [*held, block.slice(start, start + missing)]
            held, start, missing = [], start + missing, rows
        if start < block.rows:
            held.append(block.slice(start, block.rows))
    if held:
        yield held


def align(streams: Sequence[Stream], first_row: int = 0, advice: Callable[[], str] = str) -> Iterator[Aligned]:
    """Yield the rows of all streams side by side.

    Parameters
    ----------
    streams : sequence of Stream
    first_row : int
        The number of the first of these rows in the whole input.
    advice : callable
        Returns what to do about different numbers of rows, for an error.

    Raises
    ------
    DataError
        If the streams have different numbers of rows.
    """
    held: list[Block | None] = [None] * len(streams)
    while True:
        held = [block or stream.next() for block, stream in zip(held, streams, strict=True)]
        blocks = tuple(block for block in held if block is not None)
        if len(blocks) < len(streams):
            break
        rows = min(block.rows for block in blocks)
        alike = all(block.rows == rows for block in blocks)
        yield Aligned(first_row, blocks if alike else tuple(block.slice(0, rows) for block in blocks))
        held = [block.slice(rows, block.rows) if block.rows > rows else None for block in blocks]
        first_row += rows
    for stream in streams:
        stream.exhaust()
    check_row_counts([(stream.path, stream.rows) for stream in streams], advice)


class CountsError(DataError):
    """The files have different numbers of rows."""


def check_row_counts(counts: Sequence[tuple[str, int]], advice: Callable[[], str] = str) -> None:
    """Refuse files, given as (path, rows), with different numbers of rows."""
    if len({rows for _, rows in counts}) > 1:
        listed = ", ".join(f"{path} has {rows}" for path, rows in counts)
        raise CountsError(f"the files have different numbers of rows: {listed}{advice()}")


class Labels(NamedTuple):
    """What a column holds in some rows: its first label as text, and whether there are others."""

    first: str
    varies: bool

    def joined(self, later: Labels) -> Labels:
        """Return what the column holds in these rows and in later ones."""
        return Labels(self.first, self.varies or later.varies or self.first != later.first)


Difference = tuple[tuple[int, int], Any, Any]
"""A row's numbers in both files, and the labels that differ there."""


class Compared(NamedTuple):
    """How a shared column agrees in some rows: the first difference, and both sides."""

    difference: Difference | None
    ours: Labels
    theirs: Labels

    def joined(self, later: Compared) -> Compared:
        """Return how the column agrees in these rows and in later ones."""
        return Compared(
            self.difference or later.difference, self.ours.joined(later.ours), self.theirs.joined(later.theirs)
        )

    @property
    def evidence(self) -> bool:
        """Whether the column tells rows apart; a constant one says nothing about them."""
        return self.ours.varies and self.theirs.varies


def compared(rows: Aligned, checked: Sequence[Shared]) -> tuple[Compared, ...]:
    """Compare shared columns of labels in some rows."""
    return tuple(
        _compared(rows, first_difference(ours, theirs), _labels(ours), _labels(theirs))
        for ours, theirs in (
            [rows.blocks[file].labels[name] for file, name in enumerate(shared.columns)] for shared in checked
        )
        if rows.rows
    )


def compared_numbers(blocks: tuple[Block, ...], looked_at: Sequence[Shared]) -> tuple[Compared, ...]:
    """Compare shared columns of numbers in the first rows."""
    count = min(block.rows for block in blocks)
    rows = Aligned(0, tuple(block.slice(0, count) for block in blocks))
    found = []
    for shared in looked_at:
        ours, theirs = (block.numbers[name] for block, name in zip(rows.blocks, shared.columns, strict=True))
        other = np.flatnonzero(~_alike(ours, theirs))
        difference = (int(other[0]), *_as_written(ours[other[0]], theirs[other[0]])) if other.size else None
        sides = [Labels(repr(float(side[0])), _varies(side[~np.isnan(side)])) for side in (ours, theirs)]
        found.append(_compared(rows, difference, *sides))
    return tuple(found)


FEWEST_VALUES = 10
"""Fewer different values, such as classes, may be there as often on both sides by chance."""


def moved(ours: FloatArray, theirs: FloatArray) -> bool:
    """Tell whether two columns hold the same values in another order, too many of them for chance."""
    if _bits(ours) != _bits(theirs) or np.array_equal(ours, theirs, equal_nan=True):
        return False
    values = np.sort(ours)
    different = 1 + np.count_nonzero(values[1:] != values[:-1])
    return bool(different >= FEWEST_VALUES) and np.array_equal(values, np.sort(theirs), equal_nan=True)


def _bits(values: FloatArray) -> int:
    """Return a sum that does not depend on the order: of most columns it tells that they are not the same values."""
    return int((values + 0.0).view(np.uint64).sum())


def _as_written(ours: float, theirs: float) -> tuple[Any, Any]:
    """Return numbers for a message: as integers if all of them are whole."""
    kind = int if float(ours).is_integer() and float(theirs).is_integer() else float
    return kind(ours), kind(theirs)


def _varies(values: FloatArray) -> bool:
    return bool((values != values[:1]).any())


def _alike(ours: FloatArray, theirs: FloatArray) -> BoolArray:
    with np.errstate(all="ignore"):
        whole = bool((np.floor(ours) == ours).all() and (np.floor(theirs) == theirs).all())
        return np.isclose(ours, theirs, rtol=0 if whole else ROUNDED_ALIKE, atol=0, equal_nan=True)


def _compared(rows: Aligned, difference: tuple[int, Any, Any] | None, ours: Labels, theirs: Labels) -> Compared:
    return Compared(None if difference is None else (rows.numbers(difference[0]), *difference[1:]), ours, theirs)


def _labels(column: LabelArray) -> Labels:
    return Labels(str(label_at(column, 0)), vary(column))


def joined_compared(left: tuple[Compared, ...], right: tuple[Compared, ...]) -> tuple[Compared, ...]:
    """Return how columns agree in all rows, column by column; nothing is said of no rows."""
    return tuple(map(Compared.joined, left, right)) if left and right else (*left, *right)


class RowCheck:
    """Sees by the columns that two files share whether the rows at the same position belong together.

    Parameters
    ----------
    sides : sequence of Side
    advice : callable
        Returns what to do, for an error.
    """

    def __init__(self, sides: Sequence[Side] = (), advice: Callable[[], str] = str) -> None:
        self._sides, self._advice = sides, advice
        self._found: dict[Shared, Compared] = {}

    def add(self, columns: Sequence[Shared], found: Sequence[Compared]) -> None:
        """Take in how columns agree in further rows.

        Raises
        ------
        DataError
            If a column differs and is constant in neither file.
        """
        for shared, more in zip(columns, found, strict=False):
            seen = self._found[shared].joined(more) if shared in self._found else more
            self._found[shared] = seen
            if seen.difference is not None and (seen.evidence or shared.group):
                raise DataError(differs(self._sides, shared, seen.difference) + self._advice())

    @property
    def names(self) -> tuple[str, ...]:
        """The columns by which the rows were checked, as the prediction file calls them."""
        return tuple(shared.columns[PREDICTION] for shared, found in self._found.items() if found.evidence)


def differs(sides: Sequence[Side], shared: Shared, difference: Difference) -> str:
    """Return that a shared column differs between two files, for an error."""
    rows, ours, theirs = difference
    places = [side.place(row) for side, row in zip(sides, rows, strict=False)]
    column = f"column {shared.columns[PREDICTION]!r}"
    if places[0] == places[1]:
        where, between = f" at {places[0]}", "the files"
    else:
        where, between = "", " and ".join(f"{place} of {side.path}" for place, side in zip(places, sides, strict=False))
    return f"{column} differs between {between}{where}: {ours!r} in {sides[0].path}, {theirs!r} in {sides[1].path}"


def check_labels(aligned: Aligned, sides: Sequence[Side], checked: Sequence[Shared]) -> None:
    """Refuse rows, paired by a key, whose labels in these columns differ between the first two files."""
    for shared, found in zip(checked, compared(aligned, checked), strict=False):
        if found.difference is not None:
            raise DataError(differs(sides, shared, found.difference))
