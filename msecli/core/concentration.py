"""How much of a loss its worst elements make up, from counts of losses by their size in memory that is bounded.

Losses are counted by the exponent and the leading bits of the mantissa of a float64: sorting of the bits is sorting of
the numbers. All losses of a count lie within one part in `2 * RESOLUTION` of the number that stands for them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from fractions import Fraction
from math import ceil
from typing import Self

import numpy as np
from numpy.typing import NDArray

from msecli.arrays import FloatArray, IntArray
from msecli.core.exact import Total, ratio, units_of

LEADING_BITS = 10
RESOLUTION = 1 << LEADING_BITS
"""The counts between a power of two and the next."""

ACCURACY = 1 / (2 * RESOLUTION)
"""The largest relative error of a share."""

SHIFT = 52 - LEADING_BITS


class Concentration:
    """Counts of losses by their size; they merge in any order.

    Examples
    --------
    >>> import numpy as np
    >>> from msecli.core.exact import ONE
    >>> found = Concentration.of(np.array([1.0] * 99 + [99.0]))
    >>> [(elements, round(share, 3)) for elements, share in found.shares([0.01], 100, Total(198 * ONE))]
    [(1, 0.5)]
    """

    def __init__(self) -> None:
        self._first = 0
        self._counts: IntArray = np.zeros(0, dtype=np.int64)

    @classmethod
    def of(cls, losses: FloatArray) -> Self:
        """Return the counts of losses; those that are nan do not count."""
        made = cls()
        flat = losses.reshape(-1)
        # + 0.0: of zeros only the positive one has the bits of the smallest number.
        codes = (flat[~np.isnan(flat)] + 0.0).view(np.int64) >> SHIFT
        if codes.size:
            made._first = int(codes.min())
            made._counts = np.bincount(codes - made._first)
        return made

    def merge(self, other: Self, first_row: int = 0) -> None:
        """Add other counts; the numbers of the rows do not matter."""
        if not other._counts.size:
            return
        if not self._counts.size:
            self._first, self._counts = other._first, other._counts.copy()
            return
        first = min(self._first, other._first)
        last = max(self._first + self._counts.size, other._first + other._counts.size)
        if (first, last) != (self._first, self._first + self._counts.size):
            counts = np.zeros(last - first, dtype=np.int64)
            counts[self._first - first :][: self._counts.size] = self._counts
            self._first, self._counts = first, counts
        self._counts[other._first - first :][: other._counts.size] += other._counts

    def shares(self, fractions: Iterable[float], used: int, total: Total) -> list[tuple[int, float | None]]:
        """Return how many elements are these fractions of all, rounded up, and the shares of the loss of the worst.

        Parameters
        ----------
        fractions : iterable of float
        used : int
            The number of all elements.
        total : Total
            The sum of all losses; without a share if it is 0 or not finite.
        """
        numbers = [ceil(Fraction(repr(fraction)) * used) for fraction in fractions]
        if total.special or not total.units:
            return [(elements, None) for elements in numbers]
        counts = self._counts[::-1]
        places = np.flatnonzero(counts)
        sizes = _sizes(self._first + self._counts.size - 1 - places).tolist()
        found: list[tuple[int, float | None]] = []
        for elements in numbers:
            left, units = elements, 0
            for count, size in zip(counts[places].tolist(), sizes, strict=True):
                taken = min(left, count)
                units += taken * units_of(size)
                left -= taken
                if not left:
                    break
            found.append((elements, min(1.0, ratio(units, total.units))))
        return found


def _sizes(codes: IntArray) -> NDArray[np.float64]:
    """Return the numbers that stand for the losses with these codes: the middles between their ends."""
    low, high = (((codes + step) << SHIFT).view(np.float64) for step in (0, 1))
    return low / 2 + np.minimum(high, sys.float_info.max) / 2
