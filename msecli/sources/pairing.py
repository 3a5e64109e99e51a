"""Blocks of one to three files to aligned rows, by position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msecli.core.exact import IntArray
from msecli.errors import DataError
from msecli.sources.base import Block
from msecli.sources.labels import first_difference

PAIR_BY_KEY = "; to pair rows by it, run: msecli compute {prediction} {target} --on {name}"


class Aligned(NamedTuple):
    """The same rows of every file.

    Parameters
    ----------
    first_row : int
        How many rows were aligned before these.
    blocks : tuple of Block
        One of each file.
    row_numbers : tuple of ndarray of int64, shape (rows,), optional
        The number of every row in each file, counted from 0; without it they run on from `first_row` in all files.
    """

    first_row: int
    blocks: tuple[Block, ...]
    row_numbers: tuple[IntArray, ...] | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.blocks[0].rows

    def place(self, row: int) -> str:
        """Return where a row is in the first two files, as an error says it."""
        if self.row_numbers is None:
            return f"row {self.first_row + row + 1}"
        ours, theirs = (int(numbers[row]) + 1 for numbers in self.row_numbers[:2])
        return f"row {ours}" if ours == theirs else f"rows {ours} and {theirs}"


class Stream:
    """The blocks of one file, with a count of the rows that have passed."""

    def __init__(self, path: str, blocks: Iterator[Block]) -> None:
        self.path = path
        self.rows = 0
        self._blocks = blocks

    def next(self) -> Block | None:
        """Return the next block, or None after the last one."""
        block = next(self._blocks, None)
        if block is not None:
            self.rows += block.rows
        return block

    def exhaust(self) -> None:
        """Read on to the end, for the number of rows."""
        while self.next() is not None:
            pass


def align_positions(streams: Sequence[Stream], index: Sequence[str] = ()) -> Iterator[Aligned]:
    """Yield the rows of all streams side by side.

    Parameters
    ----------
    streams : sequence of Stream
    index : sequence of str
        Labels of the first two streams that must agree row by row.

    Raises
    ------
    DataError
        If the streams do not have the same number of rows, or an index disagrees.
    """
    held: list[Block | None] = [None] * len(streams)
    first_row = 0
    paths = [stream.path for stream in streams]
    while True:
        held = [block or stream.next() for block, stream in zip(held, streams, strict=True)]
        blocks = [block for block in held if block is not None]
        if len(blocks) < len(streams):
            break
        rows = min(block.rows for block in blocks)
        aligned = Aligned(first_row, tuple(block.slice(0, rows) for block in blocks))
        check_labels(aligned, paths, index, advice=PAIR_BY_KEY)
        yield aligned
        held = [block.slice(rows, block.rows) if block.rows > rows else None for block in blocks]
        first_row += rows
    for stream in streams:
        stream.exhaust()
    check_row_counts([(stream.path, stream.rows) for stream in streams])


def check_row_counts(counts: Sequence[tuple[str, int]]) -> None:
    """Refuse files, given as (path, rows), of different lengths."""
    if len({rows for _, rows in counts}) > 1:
        listed = ", ".join(f"{path} has {rows}" for path, rows in counts)
        raise DataError(
            f"the files have different numbers of rows: {listed}; rows are paired by position, or by a key: --on COLUMN"
        )


def check_labels(aligned: Aligned, paths: Sequence[str], names: Sequence[str], *, advice: str = "") -> None:
    """Refuse rows whose labels of these names differ between the first two files.

    `advice` ends the message; it may hold {prediction}, {target} and {name}.
    """
    for name in names:
        difference = first_difference(aligned.blocks[0].labels[name], aligned.blocks[1].labels[name])
        if difference is not None:
            row, ours, theirs = difference
            hint = advice.format(prediction=paths[0], target=paths[1], name=name or repr(name))
            raise DataError(
                f"both files carry the column {name!r}, and it disagrees at {aligned.place(row)}: "
                f"{ours!r} in {paths[0]}, {theirs!r} in {paths[1]}{hint}"
            )
