"""Align the rows of one to three sources by position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from msecli.core.exact import IntArray
from msecli.errors import DataError, Warned, setting
from msecli.formats.base import Block
from msecli.pairing.labels import first_difference


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

    def place(self, row: int) -> str:
        """Return a row's numbers in the first two files, for an error."""
        if self.row_numbers is None:
            return f"row {self.first_row + row + 1}"
        ours, theirs = (int(numbers[row]) + 1 for numbers in self.row_numbers[:2])
        return f"row {ours}" if ours == theirs else f"rows {ours} and {theirs}"


class Read(NamedTuple):
    """How much of a source was read, with its warnings."""

    rows: int
    work: int
    warnings: tuple[Warned, ...]


class Stream:
    """The blocks of one source; counts what has been read."""

    def __init__(self, path: str, blocks: Iterable[Block]) -> None:
        self.path = path
        self.rows = 0
        self._blocks = iter(blocks)
        self._since: list[Read] = []

    def next(self) -> Block | None:
        """Return the next block, or None after the last one."""
        block = next(self._blocks, None)
        if block is not None:
            self.rows += block.rows
            self._since.append(Read(block.rows, block.work, block.warnings))
        return block

    def exhaust(self) -> None:
        """Read to the end, to count the rows."""
        while self.next() is not None:
            pass

    def take(self) -> Read:
        """Return what has been read since the last call."""
        rows, work, warnings = zip(*self._since, strict=True) if self._since else ((), (), ())
        self._since.clear()
        return Read(sum(rows), sum(work), tuple(chain.from_iterable(warnings)))


def align(streams: Sequence[Stream], checked: Sequence[str] = (), first_row: int = 0) -> Iterator[Aligned]:
    """Yield the rows of all streams side by side.

    Parameters
    ----------
    streams : sequence of Stream
    checked : sequence of str
        Labels of the first two streams that must agree row by row.
    first_row : int
        The number of the first of these rows in the whole input.

    Raises
    ------
    DataError
        If the streams have different numbers of rows, or labels differ.
    """
    held: list[Block | None] = [None] * len(streams)
    paths = [stream.path for stream in streams]
    while True:
        held = [block or stream.next() for block, stream in zip(held, streams, strict=True)]
        blocks = tuple(block for block in held if block is not None)
        if len(blocks) < len(streams):
            break
        rows = min(block.rows for block in blocks)
        alike = all(block.rows == rows for block in blocks)
        aligned = Aligned(first_row, blocks if alike else tuple(block.slice(0, rows) for block in blocks))
        check_labels(aligned, paths, checked, by_position=True)
        yield aligned
        held = [block.slice(rows, block.rows) if block.rows > rows else None for block in blocks]
        first_row += rows
    for stream in streams:
        stream.exhaust()
    check_row_counts([(stream.path, stream.rows) for stream in streams])


def check_row_counts(counts: Sequence[tuple[str, int]]) -> None:
    """Refuse files, given as (path, rows), with different numbers of rows."""
    if len({rows for _, rows in counts}) > 1:
        listed = ", ".join(f"{path} has {rows}" for path, rows in counts)
        raise DataError(
            f"the files have different numbers of rows: {listed}; rows are paired by position, or by a key: `on=COLUMN`"
        )


def check_labels(aligned: Aligned, paths: Sequence[str], names: Sequence[str], *, by_position: bool = False) -> None:
    """Refuse rows, paired by position or by a key, whose labels in these columns differ between the first two files."""
    for name in names:
        difference = first_difference(aligned.blocks[0].labels[name], aligned.blocks[1].labels[name])
        if difference is not None:
            row, ours, theirs = difference
            hint = f"; to pair rows by it, {setting('on', name, added=True)}" if by_position else ""
            raise DataError(
                f"column {name!r} differs between the files at {aligned.place(row)}: "
                f"{ours!r} in {paths[0]}, {theirs!r} in {paths[1]}{hint}"
            )
