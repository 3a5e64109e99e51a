"""Losses reduced over some axes of an array: one for every position on the kept axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from msecli.arrays import FloatArray
from msecli.core.chunk import Chunk
from msecli.core.reduction import Reduction
from msecli.core.state import LossState, Rules, combined
from msecli.errors import DataError


def kept_axes(axes: Sequence[int], dimensions: int) -> tuple[int, ...]:
    """Return the axes that a reduction over `axes` keeps; negative axes count from the end.

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
            existing = "only axis 0" if dimensions == 1 else f"axes 0 to {dimensions - 1}"
            raise DataError(f"axis {axis} is out of range: the data have {existing}")
    reduced = [axis % dimensions for axis in axes]
    if len(set(reduced)) < len(reduced):
        raise DataError(f"axis {next(axis for axis in reduced if reduced.count(axis) > 1)} is named twice")
    return tuple(axis for axis in range(dimensions) if axis not in reduced)


def losses_of_items(state: LossState, item: tuple[int, ...], kept: Sequence[int], reduction: Reduction) -> FloatArray:
    """Return the losses over all rows, one for each position on the kept axes of a row.

    Parameters
    ----------
    state : LossState
        With a column for every element of a row.
    item : tuple of int
        The shape of a row.
    kept : sequence of int
        Axes of the whole array, so that 1 is the first axis of a row.
    reduction : Reduction
    """
    axes = [axis - 1 for axis in kept]
    numbers = np.moveaxis(np.arange(math.prod(item)).reshape(item), axes, range(len(axes)))
    shape = tuple(item[axis] for axis in axes)
    by_position = numbers.reshape(math.prod(shape), -1).tolist()
    columns = state.columns()
    losses = [reduction.loss(combined([columns[number] for number in reduced])) for reduced in by_position]
    return np.array(losses).reshape(shape)


def losses_of_rows(chunk: Chunk, rules: Rules, kept: Sequence[int], reduction: Reduction) -> FloatArray:
    """Return the losses of every row of a chunk, one for each position on the kept axes; the first of these is 0."""
    item = chunk.prediction.shape[1:]
    axes = [axis - 1 for axis in kept[1:]]
    shape = tuple(item[axis] for axis in axes)
    width = math.prod(shape)
    # Each kept position of each row becomes a row of its own, and so a group of its own.
    group = np.arange(chunk.rows * width)
    weight = chunk.element_weight()
    regrouped = Chunk(
        _regrouped(chunk.prediction, axes, width),
        _regrouped(chunk.target, axes, width),
        weight=None if weight is None else _regrouped(weight, axes, width),
        group=group,
        groups=len(group),
    )
    losses = LossState.of(regrouped, rules).losses(reduction.divisor)
    return np.array(losses).reshape(chunk.rows, *shape)


def _regrouped(array: FloatArray, axes: Sequence[int], width: int) -> FloatArray:
    moved = np.moveaxis(array, [axis + 1 for axis in axes], range(1, len(axes) + 1))
    # Not -1: NumPy could not infer that length for a chunk without rows.
    return moved.reshape(array.shape[0] * width, math.prod(array.shape[1:]) // width)
