"""Two files, or two groups of columns of one, to aligned chunks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from msecli.core.check import same_item_shape
from msecli.core.chunk import Chunk
from msecli.core.exact import FloatArray
from msecli.errors import DataError
from msecli.sources.base import ARRAY, Block

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Side:
    """One side of a pairing: how errors name the file, the columns to take, and the rows seen so far."""

    path: str
    columns: tuple[str, ...]
    rows: int = 0


def pair_columns(blocks: Iterator[Block], prediction: Side, target: Side) -> Iterator[Chunk]:
    """Pair columns of the same file."""
    for block in blocks:
        yield Chunk(_values(block, prediction.columns), _values(block, target.columns), prediction.rows)
        prediction.rows += block.rows
        target.rows += block.rows


def pair_positions(
    prediction_blocks: Iterator[Block], target_blocks: Iterator[Block], prediction: Side, target: Side
) -> Iterator[Chunk]:
    """Pair the rows of two files by their positions.

    Raises
    ------
    DataError
        If the files do not have the same number of rows, or carry a common index that disagrees.
    """
    left: Block | None = None
    right: Block | None = None
    first_row = 0
    while True:
        left = left or _next(prediction_blocks, prediction)
        right = right or _next(target_blocks, target)
        if left is None or right is None:
            break
        rows = min(left.rows, right.rows)
        chunk = _chunk(left, right, rows, first_row, (prediction, target))
        left = _rest(left, rows)
        right = _rest(right, rows)
        first_row += rows
        yield chunk
    _exhaust(prediction_blocks, prediction)
    _exhaust(target_blocks, target)
    check_row_counts(prediction, target, prediction.rows, target.rows)


def check_row_counts(prediction: Side, target: Side, prediction_rows: int, target_rows: int) -> None:
    """Refuse files of different lengths."""
    if prediction_rows != target_rows:
        raise DataError(
            f"the files have different numbers of rows: {prediction.path} has {prediction_rows}, "
            f"{target.path} has {target_rows}; rows are paired by position, or by a key: --on COLUMN"
        )


def _next(blocks: Iterator[Block], side: Side) -> Block | None:
    block = next(blocks, None)
    if block is not None:
        side.rows += block.rows
    return block


def _exhaust(blocks: Iterator[Block], side: Side) -> None:
    while _next(blocks, side) is not None:
        pass


def _rest(block: Block, taken: int) -> Block | None:
    return block.slice(taken, block.rows) if taken < block.rows else None


def _chunk(left: Block, right: Block, rows: int, first_row: int, sides: tuple[Side, Side]) -> Chunk:
    left, right = left.slice(0, rows), right.slice(0, rows)
    for name, labels in left.labels.items():
        _check_index(name, labels, right.labels[name], first_row, sides)
    prediction, target = _values(left, sides[0].columns), _values(right, sides[1].columns)
    if prediction.shape != target.shape and same_item_shape(prediction.shape[1:], target.shape[1:]):
        target = target.reshape(prediction.shape)
    return Chunk(prediction, target, first_row)


def _values(block: Block, columns: tuple[str, ...]) -> FloatArray:
    names = columns or (ARRAY,)
    if len(names) == 1:
        return block.numbers[names[0]]
    return np.stack([block.numbers[name] for name in names], axis=1)


def _check_index(name: str, left: pa.Array, right: pa.Array, first_row: int, sides: tuple[Side, Side]) -> None:
    if left.type != right.type:
        left, right = left.cast("string"), right.cast("string")
    if left.equals(right):
        return
    pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
    row, (ours, theirs) = next((row, pair) for row, pair in enumerate(pairs) if pair[0] != pair[1])
    raise DataError(
        f"both files carry the index {name!r}, and it disagrees at row {first_row + row + 1}: "
        f"{ours!r} in {sides[0].path}, {theirs!r} in {sides[1].path}; "
        f"to pair rows by it, run: msecli compute {sides[0].path} {sides[1].path} --on {name or repr(name)}"
    )
