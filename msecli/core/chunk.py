"""Aligned rows of predictions and targets: what every computation of msecli works on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np

from msecli.core.exact import BLOCK, BoolArray, FloatArray, IntArray


class Chunk(NamedTuple):
    """Rows of predictions paired with targets.

    Parameters
    ----------
    prediction, target : ndarray of float64, shape (rows, ...)
        The same shape; NaN is a missing element.
    first_row : int
        The number of the first row in the whole input, counted from 0.
    weight : ndarray of float64, shape (rows,) or (rows, ...), optional
        One weight per row, or one per element.
    group : ndarray of int64, shape (rows,), optional
        The number, below `groups`, of the group each row belongs to; without it all rows are group 0.
    groups : int
        The number of groups.
    dropped : ndarray of bool, shape (rows,), optional
        Rows that are not there: counted nowhere, used nowhere.
    """

    prediction: FloatArray
    target: FloatArray
    first_row: int = 0
    weight: FloatArray | None = None
    group: IntArray | None = None
    groups: int = 1
    dropped: BoolArray | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.prediction.shape[0])

    def slice(self, start: int, stop: int) -> Self:
        """Return the rows from `start` up to, not including, `stop`, as views."""
        rows = slice(start, stop)
        return type(self)(
            self.prediction[rows],
            self.target[rows],
            self.first_row + start,
            None if self.weight is None else self.weight[rows],
            None if self.group is None else self.group[rows],
            self.groups,
            None if self.dropped is None else self.dropped[rows],
        )

    def pieces(self) -> Iterator[Self]:
        """Yield row slices of about as many elements as stay in the processor's cache."""
        width = max(1, int(np.prod(self.prediction.shape[1:])))
        step = max(1, BLOCK // width)
        for start in range(0, self.rows, step):
            yield self.slice(start, start + step)

    def element_weight(self) -> FloatArray | None:
        """Return the weight of every element, in the shape of the prediction: a row's weight counts for all of it."""
        if self.weight is None or self.weight.shape == self.prediction.shape:
            return self.weight
        column = self.weight.reshape((-1,) + (1,) * (self.prediction.ndim - 1))
        return np.broadcast_to(column, self.prediction.shape)
