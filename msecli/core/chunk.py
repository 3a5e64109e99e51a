"""Chunks: aligned rows of predictions and targets, the input of every computation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np

from msecli.arrays import BoolArray, FloatArray, IntArray
from msecli.core.exact import BLOCK
from msecli.tuples import NamedTuple

BASELINE = "baseline:"
"""The prefix of the sides that are baselines; a column's name follows it."""


class Chunk(NamedTuple):
    """Rows of predictions paired with targets.

    Parameters
    ----------
    prediction, target : ndarray of float64, shape (rows, ...)
        Both of the same shape; NaN is a missing value.
    first_row : int
        The number of the first row in the whole input, counted from 0.
    weight : ndarray of float64, shape (rows,) or (rows, ...), optional
        One weight per row, or one per element.
    group : ndarray of int64, shape (rows,), optional
        The number of each row's group, below `groups`. By default all rows are in group 0.
    groups : int
        The number of groups.
    dropped : ndarray of bool, shape (rows,), optional
        Rows to leave out of every sum and every count.
    numbers : mapping of str to ndarray of int64, shape (rows,), optional
        Row numbers in the original files, by kind of problem. By default rows count on from `first_row`.
    baselines : mapping of str to ndarray of float64, in the shape of the prediction, optional
        Other predictions to compare with, by the name of their column.
    excluded : ndarray of bool, in the shape of the prediction, optional
        Elements that are not used, whatever they hold, because other predictions lack them.
    """

    prediction: FloatArray
    target: FloatArray
    first_row: int = 0
    weight: FloatArray | None = None
    group: IntArray | None = None
    groups: int = 1
    dropped: BoolArray | None = None
    numbers: Mapping[str, IntArray] | None = None
    baselines: Mapping[str, FloatArray] | None = None
    excluded: BoolArray | None = None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.prediction.shape[0])

    @property
    def whole(self) -> bool:
        """Whether no element is left out beforehand."""
        return self.dropped is None and self.excluded is None

    @property
    def plain(self) -> bool:
        """Whether all elements count, in one group."""
        return self.whole and (self.group is None or self.groups == 1)

    def slice(self, start: int, stop: int) -> Self:
        """Return views of the rows from `start` up to, not including, `stop`."""
        rows = slice(start, stop)
        return type(self)(
            self.prediction[rows],
            self.target[rows],
            self.first_row + start,
            None if self.weight is None else self.weight[rows],
            None if self.group is None else self.group[rows],
            self.groups,
            None if self.dropped is None else self.dropped[rows],
            None if self.numbers is None else {kind: numbers[rows] for kind, numbers in self.numbers.items()},
            None if self.baselines is None else {name: values[rows] for name, values in self.baselines.items()},
            None if self.excluded is None else self.excluded[rows],
        )

    def side(self, name: str) -> FloatArray:
        """Return the values of a side: "prediction", "target", or "baseline:" and the name of a baseline."""
        if name.startswith(BASELINE):
            return (self.baselines or {})[name.removeprefix(BASELINE)]
        return self.prediction if name == "prediction" else self.target

    def slices(self) -> Iterator[Self]:
        """Yield slices of rows that fit in the processor's cache."""
        width = max(1, int(np.prod(self.prediction.shape[1:])))
        step = max(1, BLOCK // width)
        for start in range(0, self.rows, step):
            yield self.slice(start, start + step)

    def element_weight(self) -> FloatArray | None:
        """Return the weights in the shape of the prediction; a row's weight counts for each of its elements."""
        if self.weight is None or self.weight.shape == self.prediction.shape:
            return self.weight
        column = self.weight.reshape((-1,) + (1,) * (self.prediction.ndim - 1))
        return np.broadcast_to(column, self.prediction.shape)
