"""Vector norms: sums of absolute values and of squares without rounding, whatever the magnitudes."""

from __future__ import annotations

import math
from typing import Self

import numpy as np

from msecli.core.exact import BLOCK, ONE, ExactSum, FloatArray, Total, root, two_product

MODERATE = 2.0**400
"""Squares of values between its inverse and itself, and the errors of these, are far from over- and underflow."""
SHIFT = 600
"""Larger values are scaled down by 2**SHIFT before they are squared, smaller ones up."""


class NormSums:
    """What the norms of orders 1, 2 and infinity need of a vector; mergeable, in any order.

    Examples
    --------
    >>> import numpy as np
    >>> NormSums.of(np.array([1e200, 1e200])).norm(2.0)
    1.414213562373095e+200
    """

    def __init__(self) -> None:
        self._absolute = ExactSum()
        self._squares = {shift: ExactSum() for shift in (-SHIFT, 0, SHIFT)}
        self.largest = 0.0

    @classmethod
    def of(cls, values: FloatArray) -> Self:
        """Return the sums of a vector, shape (n,), without NaN."""
        made = cls()
        for start in range(0, values.size, BLOCK):
            made._take(np.abs(values[start : start + BLOCK]))
        return made

    def merge(self, other: Self) -> None:
        """Take in the values of other sums."""
        self._absolute.merge(other._absolute)
        for shift, squares in other._squares.items():
            self._squares[shift].merge(squares)
        self.largest = float(np.maximum(self.largest, other.largest))

    def norm(self, order: float) -> float:
        """Return the norm of order 1, 2 or infinity, correctly rounded."""
        if math.isinf(order) or not math.isfinite(self.largest):
            return self.largest
        return self._absolute.total().value() if order == 1 else self._euclidean()

    def _euclidean(self) -> float:
        # The squares of values scaled by 2**-s are 2**(-2s) of the true ones.
        units = sum(squares.total().units << (2 * (SHIFT + shift)) for shift, squares in self._squares.items())
        return root(units, ONE << (2 * SHIFT))

    def _take(self, size: FloatArray) -> None:
        self.largest = float(np.maximum(self.largest, size.max(initial=0.0)))
        large = size > MODERATE
        small = (size < 1 / MODERATE) & (size != 0)
        finite = np.isfinite(size)
        self._square(size[finite & ~large & ~small], 0)
        self._square(size[finite & large], SHIFT)
        self._square(size[small], -SHIFT)
        self._absolute.add(size)

    def _square(self, values: FloatArray, shift: int) -> None:
        if values.size:
            scaled = np.ldexp(values, -shift)
            for part in two_product(scaled, scaled):
                self._squares[shift].add(part)


def power_sum(values: FloatArray, order: float, scale: float) -> ExactSum:
    """Return the sum of (abs(x) / scale)**order, for x up to the scale in size; each power is rounded, the sum not."""
    sums = ExactSum()
    if scale > 0:
        sums.add((np.abs(values) / scale) ** order)
    return sums


def power_norm(total: Total, order: float, scale: float) -> float:
    """Return the norm of an order from a `power_sum`."""
    return float(scale * total.value() ** (1 / order))


def norm_of(values: FloatArray, order: float) -> float:
    """Return the norm of a vector of any shape; nan if one of its elements is."""
    flat = values.reshape(-1)
    sums = NormSums.of(flat)
    if order in (1, 2) or math.isinf(order) or not math.isfinite(sums.largest):
        return sums.norm(order)
    return power_norm(power_sum(flat, order, sums.largest).total(), order, sums.largest)
