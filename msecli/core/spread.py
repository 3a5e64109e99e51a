"""The standard error of a mean: of losses, or of the differences between the losses of two systems.

The mean of values x with weights w is estimated as m = sum(x) / sum(w), where x already holds its weight (of a loss
l it is w * l). Its variance, linearised, is n / (n - 1) * sum((x - m * w)**2) / sum(w)**2; without weights this is the
square of the usual standard error. For dependent rows the same formula holds of the sums over clusters of rows.

References
----------
W. G. Cochran, "Sampling Techniques", 3rd ed., 1977, section 6.4 (ratio estimates); C. B. Cameron, D. L. Miller,
"A practitioner's guide to cluster-robust inference", J. Human Resources 50(2), 2015 (the factor G / (G - 1)).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np

from msecli.arrays import FloatArray, IntArray
from msecli.core.exact import ONE, UNIT_EXPONENT, Total, root
from msecli.core.student import quantile, two_sided
from msecli.core.wide import WideSum, exact_product
from msecli.tuples import NamedTuple


class Estimate(NamedTuple):
    """An estimated mean, its standard error, and the degrees of freedom of their quotient.

    The error is nan where there are fewer than two values, or one that is not finite.
    """

    mean: float
    error: float
    freedom: int

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the bounds of the confidence interval; nan where there is none."""
        if math.isnan(self.error):
            return math.nan, math.nan
        reach = quantile(confidence, self.freedom) * self.error if self.error else 0.0
        return self.mean - reach, self.mean + reach

    def p_value(self) -> float:
        """Return the probability of a mean as far from 0 as this, if the true one is 0."""
        if math.isnan(self.error):
            return math.nan
        if self.error == 0:
            return 1.0 if self.mean == 0 else 0.0
        return two_sided(self.mean / self.error, self.freedom)


class Moments(NamedTuple):
    """The sums that an estimate is made of: over values (or clusters) x with weights w, of which there are `number`."""

    number: int
    values: Total
    weights: Total
    squares: Total
    products: Total
    squared_weights: Total

    def estimate(self) -> Estimate:
        """Return the estimated mean with its standard error."""
        from fractions import Fraction

        mean = self.values.over(self.weights.units)
        if self.number < 2 or any(total.special for total in self[1:]) or self.weights.units == 0:
            return Estimate(mean, math.nan, self.number - 1)
        exact = self.values.exact() / self.weights.exact()
        squares = self.squares.exact() - 2 * exact * self.products.exact() + exact**2 * self.squared_weights.exact()
        # Squares that were rounded before they were summed may fall short by as much.
        variance = Fraction(self.number, self.number - 1) * max(squares, Fraction(0)) / self.weights.exact() ** 2
        return Estimate(mean, root(variance.numerator, variance.denominator), self.number - 1)


class Spread:
    """The exact sums of squares and products behind the standard errors of means, for each of `slots` slots.

    They merge in any order, as all exact sums do.

    Parameters
    ----------
    slots : int
    weighted : bool
        Whether the values carry weights.

    Examples
    --------
    >>> import numpy as np
    >>> spread = Spread()
    >>> spread.add(np.array([1.0, 2.0, 3.0]))
    >>> spread.estimates([Total(6 * ONE)], [3 * ONE], [3])
    [Estimate(mean=2.0, error=0.5773502691896257, freedom=2)]
    """

    def __init__(self, slots: int = 1, *, weighted: bool = False) -> None:
        self.weighted = weighted
        self._squares = WideSum(slots)
        self._products, self._squared_weights = WideSum(slots), WideSum(slots)

    def add(self, values: FloatArray, weight: FloatArray | None = None, codes: IntArray | None = None) -> None:
        """Add values.

        Parameters
        ----------
        values : ndarray of float64, shape (n,)
            Each with its weight as a factor.
        weight : ndarray of float64, shape (n,), optional
            The weights, if there are any.
        codes : ndarray of int64, shape (n,), optional
            The slots of the values; by default 0.
        """
        with np.errstate(all="ignore"):
            _add(self._squares, codes, values, values)
            if weight is not None:
                _add(self._products, codes, values, weight)
                _add(self._squared_weights, codes, weight, weight)

    def merge(self, other: Self, slots: IntArray | None = None) -> None:
        """Add the sums of other values; `slots` are the slots here for those of `other`, by default the same."""
        self._squares.merge(other._squares, slots)
        if self.weighted:
            self._products.merge(other._products, slots)
            self._squared_weights.merge(other._squared_weights, slots)

    def grow(self, slots: int) -> None:
        """Keep at least this many slots; new ones are empty."""
        for sums in (self._squares, self._products, self._squared_weights):
            sums.grow(slots)

    def estimates(self, values: Sequence[Total], weights: Sequence[int], counts: Sequence[int]) -> list[Estimate]:
        """Return the estimated mean of every slot.

        Parameters
        ----------
        values : sequence of Total
            The exact sum of the values in each slot.
        weights : sequence of int
            The sum of their weights, or their number, in units of 2**-1074.
        counts : sequence of int
            Their number.
        """
        squares = self._squares.totals()
        products = self._products.totals() if self.weighted else values
        squared = self._squared_weights.totals() if self.weighted else [Total(count * ONE) for count in counts]
        totals = [Total(units) for units in weights]
        return [
            Moments(*each).estimate() for each in zip(counts, values, totals, squares, products, squared, strict=False)
        ]


def _add(sums: WideSum, codes: IntArray | None, *factors: FloatArray) -> None:
    for part in exact_product(*factors):
        sums.add(part, codes)


def clustered(clusters: Iterable[tuple[Total, int]]) -> Estimate:
    """Return the estimated mean of values whose clusters are independent of each other, but not the values in one.

    Parameters
    ----------
    clusters : iterable of (Total, int)
        Of each cluster the exact sum of its values, and that of their weights (or their number), both in units of
        2**-1074. Clusters without weight are left out.

    Examples
    --------
    >>> clustered([(Total(3 * ONE), 2 * ONE), (Total(3 * ONE), ONE)])
    Estimate(mean=2.0, error=0.6666666666666666, freedom=1)
    """
    count, values, weights = 0, Total(0), 0
    squares = products = squared_weights = 0
    for total, weight in clusters:
        if weight:
            count += 1
            values += total
            weights += weight
            squares += total.units * total.units
            products += total.units * weight
            squared_weights += weight * weight
    # A product of two sums has the unit 2**-2148.
    twice = [Total(units, finer=-UNIT_EXPONENT) for units in (squares, products, squared_weights)]
    return Moments(count, values, Total(weights), *twice).estimate()
