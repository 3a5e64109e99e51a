"""Losses along some axes of an array: one for every position on the axes that are left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from msecli.core.chunk import Chunk
from msecli.core.exact import FloatArray
from msecli.core.reduction import Reduction
from msecli.core.state import LossState, Rules, Summary, combined
from msecli.errors import DataError


def kept_axes(axes: Sequence[int], dimensions: int) -> tuple[int, ...]:
    """Return the axes that a reduction over `axes` leaves, negative ones counted from the end.

    Raises
    ------
    DataError
        If an axis is out of range or named twice.

    Examples
    --------
    >>> kept_axes([0, -1], 3)
    (1,)
    """
    for axis in axes:
        if not -dimensions <= axis < dimensions:
            raise DataError(f"axis {axis} is out of range: the data have {dimensions} axes, 0 to {dimensions - 1}")
    reduced = [axis % dimensions for axis in axes]
    if len(set(reduced)) < len(reduced):
        raise DataError(f"axis {next(axis for axis in reduced if reduced.count(axis) > 1)} is named twice")
    return tuple(axis for axis in range(dimensions) if axis not in reduced)


def loss_of(summary: Summary, reduction: Reduction) -> float:
    """Return the reduced loss, nan if no element was used or all weights are 0."""
    return summary.sums["squared_error"].over(reduction.divisor(summary)) if summary.used else math.nan


def losses_of_items(state: LossState, item: tuple[int, ...], kept: Sequence[int], reduction: Reduction) -> FloatArray:
    """Return the losses over all rows, one for each position on the kept axes of an item.

    Parameters
    ----------
    state : LossState
        With a column for every element of an item.
    item : tuple of int
        The shape of a row.
    kept : sequence of int
        Axes of the whole array, so that 1 is the first axis of an item.
    reduction : Reduction
    """
    axes = [axis - 1 for axis in kept]
    numbers = np.moveaxis(np.arange(math.prod(item)).reshape(item), axes, range(len(axes)))
    shape = tuple(item[axis] for axis in axes)
    cells = numbers.reshape(math.prod(shape), -1)
    columns = state.columns()
    losses = [loss_of(combined([columns[number] for number in cell]), reduction) for cell in cells.tolist()]
    return np.array(losses).reshape(shape)


def losses_of_rows(chunk: Chunk, rules: Rules, kept: Sequence[int], reduction: Reduction) -> FloatArray:
    """Return the losses of every row of a chunk, one for each position on the kept axes, the first of which is 0."""
    item = chunk.prediction.shape[1:]
    axes = [axis - 1 for axis in kept[1:]]
    shape = tuple(item[axis] for axis in axes)
    cells = math.prod(shape)
    # Rows times kept positions become the rows of a chunk of its own; what is left of an item is summed.
    group = np.arange(chunk.rows * cells)
    weight = chunk.element_weight()
    regrouped = Chunk(
        _regrouped(chunk.prediction, axes, cells),
        _regrouped(chunk.target, axes, cells),
        weight=None if weight is None else _regrouped(weight, axes, cells),
        group=group,
        groups=len(group),
    )
    losses = LossState.of(regrouped, rules).losses(reduction.divisor)
    return np.array(losses).reshape(chunk.rows, *shape)


def _regrouped(array: FloatArray, axes: Sequence[int], cells: int) -> FloatArray:
    moved = np.moveaxis(array, [axis + 1 for axis in axes], range(1, len(axes) + 1))
    # In numbers: of a chunk without rows NumPy could not tell the length that is left.
    return moved.reshape(array.shape[0] * cells, math.prod(array.shape[1:]) // cells)
