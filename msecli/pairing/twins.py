"""What the values of scored columns say about the choice of these columns: equal ones, and integers that only moved."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from msecli.arrays import FloatArray
from msecli.core.check import LAST_EXACT_INTEGER
from msecli.tuples import NamedTuple

MODULUS = 1 << 64
"""Sums of integers are compared modulo this, so that they cost as much as machine integers."""

Sums = tuple[int, int]


class Twin(NamedTuple):
    """A prediction column beside its target column, in some rows.

    Parameters
    ----------
    equal : bool
        Whether they are equal in every row.
    whole : bool
        Whether both hold only integers that float64 holds exactly.
    low, high : float
        The range of both, if they are equal or whole.
    prediction, target : (int, int)
        The sum and the sum of squares, if they are whole.
    """

    equal: bool
    whole: bool
    low: float = math.inf
    high: float = -math.inf
    prediction: Sums = (0, 0)
    target: Sums = (0, 0)

    def joined(self, other: Twin) -> Twin:
        """Return the twin of these rows and others."""
        return Twin(
            self.equal and other.equal,
            self.whole and other.whole,
            min(self.low, other.low),
            max(self.high, other.high),
            _added(self.prediction, other.prediction),
            _added(self.target, other.target),
        )

    @property
    def repeated(self) -> bool:
        """Whether both are equal in every row, and vary."""
        return self.equal and self.low < self.high

    def counts(self, rows: int) -> bool:
        """Tell whether a column beside itself seems to hold every integer of a range once."""
        if not self.whole or self.high - self.low + 1 != rows:
            return False
        low, high = int(self.low), int(self.high)
        squares = _sum_of_squares(high) - _sum_of_squares(low - 1)
        return self.prediction == ((low + high) * rows // 2 % MODULUS, squares % MODULUS)

    def moved(self, rows: int) -> bool:
        """Tell whether both seem to hold the same integers in another order, as many as there are rows."""
        spread = self.whole and self.high - self.low + 1 >= rows
        return spread and not self.equal and self.prediction == self.target


def _sum_of_squares(last: int) -> int:
    """Return the sum of the squares of 1, 2, …, last; differences of these are right for negative numbers, too."""
    return last * (last + 1) * (2 * last + 1) // 6


def _added(left: Sums, right: Sums) -> Sums:
    return (left[0] + right[0]) % MODULUS, (left[1] + right[1]) % MODULUS


def twins_of(prediction: FloatArray, target: FloatArray, *, tables: bool) -> tuple[Twin, ...]:
    """Return the twin of every column of two tables, or one of two whole arrays, in which only equality matters."""
    if not prediction.size:
        return ()
    columns = math.prod(prediction.shape[1:]) if tables else 1
    pairs = zip(prediction.reshape(-1, columns).T, target.reshape(-1, columns).T, strict=True)
    return tuple(_twin(ours, theirs, whole=tables) for ours, theirs in pairs)


def _twin(ours: FloatArray, theirs: FloatArray, *, whole: bool) -> Twin:
    # Most columns are told apart by their first values.
    equal = bool(ours[0] == theirs[0]) and np.array_equal(ours, theirs)
    whole = whole and is_whole(ours) and is_whole(theirs)
    if not (equal or whole):
        return Twin(equal=False, whole=False)
    low, high = min(float(ours.min()), float(theirs.min())), max(float(ours.max()), float(theirs.max()))
    if not whole:
        return Twin(equal, whole, low, high)
    return Twin(equal, whole, low, high, _sums(ours), _sums(theirs))


def is_whole(values: FloatArray) -> bool:
    """Tell whether values are integers that float64 holds exactly."""
    if not float(values[0]).is_integer():
        return False
    return bool(np.all(np.floor(values) == values)) and bool(np.all(np.abs(values) < LAST_EXACT_INTEGER))


def _sums(values: FloatArray) -> Sums:
    integers = values.astype(np.int64).view(np.uint64)
    return int(integers.sum()), int((integers * integers).sum())


def joined_twins(left: Sequence[Twin], right: Sequence[Twin]) -> tuple[Twin, ...]:
    """Return the twins of all rows, column by column; no twins are those of no rows."""
    if not (left and right):
        return (*left, *right)
    return tuple(ours.joined(theirs) for ours, theirs in zip(left, right, strict=True))
