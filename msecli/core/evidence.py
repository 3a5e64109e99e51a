"""What paired tests keep of the differences between the losses of two systems.

A difference d is the loss of an element by a system minus that by the reference, so that a negative one is won. Every
test keeps sums of differences, which merge exactly, and makes an interval and a p-value of them.

References
----------
F. X. Diebold, R. S. Mariano, "Comparing predictive accuracy", J. Business & Economic Statistics 13(3), 1995, and the
correction for small samples: D. Harvey, S. Leybourne, P. Newbold, "Testing the equality of prediction mean squared
errors", Int. J. Forecasting 13(2), 1997.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from functools import cached_property, partial
from typing import Any, Protocol, Self

import numpy as np

from msecli import kernel
from msecli.arrays import FloatArray, IntArray
from msecli.core.exact import ONE, ExactSum, Total, root
from msecli.core.paired import Settings, Test
from msecli.core.resample import ResampledMeans, bootstrap_p_value, in_order, percentile_interval, permutation_p_value
from msecli.core.spread import Estimate, Moments, Spread, clustered
from msecli.tuples import NamedTuple


class Sample:
    """The losses of some elements by a system and by the reference.

    Parameters
    ----------
    losses, reference : ndarray of float64, shape (n,)
        Each with its weight as a factor.
    weight : ndarray of float64, shape (n,), optional
    first_row : int
        The number of the first row, of all rows that are compared.
    rows : ndarray of int64, shape (n,), optional
        The row of each element, counted from `first_row`; by default each is a row.
    clusters : (ndarray of int64, shape (n,), sequence of hashable), optional
        The number of each element's cluster, and the keys of the clusters.
    """

    def __init__(
        self,
        losses: FloatArray,
        reference: FloatArray,
        weight: FloatArray | None = None,
        *,
        first_row: int = 0,
        rows: IntArray | None = None,
        clusters: tuple[IntArray, Sequence[Hashable]] | None = None,
    ) -> None:
        self.losses, self.reference, self.weight = losses, reference, weight
        self.first_row, self.rows, self.clusters = first_row, rows, clusters

    @cached_property
    def differences(self) -> FloatArray:
        """The differences."""
        return self.losses - self.reference


class Verdict(NamedTuple):
    """The bounds of the confidence interval of a mean difference, and the p-value; nan where there are none."""

    low: float = math.nan
    high: float = math.nan
    p: float = math.nan


class Sums(NamedTuple):
    """The sum of the differences, that of the weights (or the number) in units of 2**-1074, and their number."""

    values: Total
    weights: int
    number: int

    @property
    def mean(self) -> float:
        """The mean difference."""
        return self.values.over(self.weights)


class Evidence(Protocol):
    """What a test keeps of the differences."""

    def add(self, sample: Sample) -> None:
        """Take in differences, in the order of their rows."""
        ...

    def merge(self, other: Any) -> None:
        """Take in what was kept of rows that follow."""
        ...

    def verdict(self, sums: Sums) -> Verdict:
        """Return what the differences say about their mean."""
        ...


class NoEvidence:
    """Keeps nothing."""

    def __init__(self, settings: Settings, *, weighted: bool) -> None: ...

    def add(self, sample: Sample) -> None:
        """Do nothing."""

    def merge(self, other: Self) -> None:
        """Do nothing."""

    def verdict(self, sums: Sums) -> Verdict:
        """Return nothing."""
        return Verdict()


class TEvidence:
    """The sum of squares behind Student's paired t-test; with weights also what their spread needs."""

    def __init__(self, settings: Settings, *, weighted: bool) -> None:
        self._confidence = settings.confidence
        self._squares = ExactSum()
        self._spread = Spread(weighted=True) if weighted else None

    def add(self, sample: Sample) -> None:
        """Take in differences."""
        if self._spread is not None:
            self._spread.add(sample.differences, sample.weight)
            return
        # The square of a difference is as well that of an error: one pass of the kernel, if all are finite.
        found = kernel.chosen().squared_error(sample.losses, sample.reference)
        if found is None:
            self._squares.add(sample.differences * sample.differences)
        else:
            self._squares.add_total(found[0])

    def merge(self, other: Self) -> None:
        """Take in the sums of other rows."""
        self._squares.merge(other._squares)
        if self._spread is not None and other._spread is not None:
            self._spread.merge(other._spread)

    def verdict(self, sums: Sums) -> Verdict:
        """Return the verdict of the t-test."""
        if self._spread is not None:
            (estimate,) = self._spread.estimates([sums.values], [sums.weights], [sums.number])
        else:
            number = Total(sums.number * ONE)
            squares = self._squares.total()
            estimate = Moments(sums.number, sums.values, number, squares, sums.values, number).estimate()
        return _by_student(estimate, self._confidence)


class ResampledEvidence:
    """The sums of resampled differences: of rows drawn with replacement, or with random signs.

    Under the null hypothesis of a permutation test system and reference may be exchanged in every row.
    """

    def __init__(self, kind: str, settings: Settings, *, weighted: bool) -> None:
        self._kind, self._confidence = kind, settings.confidence
        self._means = ResampledMeans(kind, settings.resamples, settings.seed, weighted=weighted)

    def add(self, sample: Sample) -> None:
        """Take in differences."""
        self._means.add(sample.differences, sample.weight, first_row=sample.first_row, rows=sample.rows)

    def merge(self, other: Self) -> None:
        """Take in the sums of other rows."""
        self._means.merge(other._means)

    def verdict(self, sums: Sums) -> Verdict:
        """Return the percentile interval and the p-value of a bootstrap, or the p-value of random signs."""
        means = self._means.means()[:, 0]
        if not math.isfinite(sums.mean):
            return Verdict()
        if self._kind == "permutation":
            return Verdict(p=permutation_p_value(sums.mean, means))
        return Verdict(*percentile_interval(means, self._confidence), bootstrap_p_value(means))


class SeriesEvidence:
    """The sums of products of differences up to `horizon` - 1 rows apart, merged in the order of their rows.

    The first and the last differences are kept, so that products across the border of two parts are known when these
    are joined.
    """

    def __init__(self, settings: Settings, *, weighted: bool) -> None:
        self._settings = settings
        self._products = [ExactSum() for _ in range(settings.horizon)]
        self._head = self._tail = np.empty(0)

    def add(self, sample: Sample) -> None:
        """Take in the next differences."""
        values = sample.differences
        self._follow(values, values)
        for lag, products in enumerate(self._products):
            products.add(values[lag:] * values[: values.size - lag])

    def merge(self, other: Self) -> None:
        """Take in the sums of rows that follow."""
        self._follow(other._head, other._tail)
        for products, more in zip(self._products, other._products, strict=True):
            products.merge(more)

    def verdict(self, sums: Sums) -> Verdict:
        """Return the verdict of the Diebold-Mariano test, corrected, with n - 1 degrees of freedom."""
        n, horizon, mean = sums.number, self._settings.horizon, sums.mean
        totals = [products.total() for products in self._products]
        if n < 2 or horizon >= n or sums.values.special or any(total.special for total in totals):
            return Verdict()
        # sum((d[t] - m) * (d[t-k] - m)) is made of the sums of products and of those without the first or last k.
        exact = sums.values.exact() / n
        covariances = [
            total.exact()
            - exact * (2 * sums.values.exact() - _exact_sum(self._head[:lag]) - _exact_sum(self._last(lag)))
            + (n - lag) * exact**2
            for lag, total in enumerate(totals)
        ]
        variance = (covariances[0] + 2 * sum(covariances[1:])) / n**2
        # Harvey et al. multiply the statistic by the root of (n + 1 - 2 h + h (h - 1) / n) / n.
        correction = (n + 1 - 2 * horizon + Fraction(horizon * (horizon - 1), n)) / n
        if variance < 0 or correction <= 0:
            return Verdict()
        square = variance / correction
        error = root(square.numerator, square.denominator)
        return _by_student(Estimate(mean, error, n - 1), self._settings.confidence)

    def _last(self, count: int) -> FloatArray:
        return self._tail[self._tail.size - count :]

    def _follow(self, head: FloatArray, tail: FloatArray) -> None:
        kept, border = self._settings.horizon - 1, self._tail.size
        across = np.concatenate([self._tail, head[:kept]])
        for lag, products in enumerate(self._products[1:], 1):
            later = across[max(border, lag) : border + lag]
            products.add(later * across[max(border - lag, 0) :][: later.size])
        self._head = np.concatenate([self._head, head[:kept]])[:kept]
        self._tail = np.concatenate([self._tail, tail])[max(0, self._tail.size + tail.size - kept) :]


def _exact_sum(values: FloatArray) -> Fraction:
    return sum(map(Fraction, values.tolist()), Fraction(0))


def _by_student(estimate: Estimate, confidence: float) -> Verdict:
    return Verdict(*estimate.interval(confidence), estimate.p_value())


class ClusterEvidence:
    """The sums of the differences in every cluster of rows; the test is made of these when all are known."""

    def __init__(self, test: Test, settings: Settings) -> None:
        self._test, self._settings = test, settings
        self._keys: dict[Hashable, int] = {}
        self._values, self._weights = ExactSum(0), ExactSum(0)

    def add(self, sample: Sample) -> None:
        """Take in differences."""
        assert sample.clusters is not None  # noqa: S101 - whoever asks for clusters gives them
        codes, keys = sample.clusters
        numbers = np.array([self._keys.setdefault(key, len(self._keys)) for key in keys], dtype=np.int64)
        weight = np.ones_like(sample.losses) if sample.weight is None else sample.weight
        for sums, values in ((self._values, sample.differences), (self._weights, weight)):
            sums.grow(len(self._keys))
            sums.add(values, numbers[codes])

    def merge(self, other: Self) -> None:
        """Take in the sums of rows that follow."""
        numbers = np.array([self._keys.setdefault(key, len(self._keys)) for key in other._keys], dtype=np.int64)
        for sums, more in ((self._values, other._values), (self._weights, other._weights)):
            sums.grow(len(self._keys))
            sums.merge(more, numbers)

    def verdict(self, sums: Sums) -> Verdict:
        """Return the verdict of the t-test with G - 1 degrees of freedom, or that of resampled clusters."""
        values, weights = self._values.totals(), self._weights.totals()
        if self._test.name == "t":
            estimate = clustered((total, weight.units) for total, weight in zip(values, weights, strict=True))
            return _by_student(estimate, self._settings.confidence)
        evidence = EVIDENCE[self._test.name](self._settings, weighted=True)
        order = [self._keys[key] for key in in_order(self._keys)]
        found, divisors = (np.array([totals[place].value() for place in order]) for totals in (values, weights))
        evidence.add(Sample(found, np.zeros_like(found), divisors))
        return evidence.verdict(sums)


EVIDENCE: dict[str, Callable[..., Evidence]] = {
    "t": TEvidence,
    "bootstrap": partial(ResampledEvidence, "bootstrap"),
    "permutation": partial(ResampledEvidence, "permutation"),
    "dm": SeriesEvidence,
    "none": NoEvidence,
}
"""What each test in the `TESTS` table keeps: from the settings, and whether there are weights, to that of no rows."""


class Differences:
    """What the differences between two systems leave behind.

    Parameters
    ----------
    test : Test
    settings : Settings
    weighted : bool
    clusters : bool
        Whether the rows are in clusters.

    Examples
    --------
    >>> from msecli.core.paired import TESTS
    >>> differences = Differences(TESTS["t"], Settings(), weighted=False)
    >>> differences.add(Sample(np.array([1.0, 2.0, 5.0]), np.array([2.0, 4.0, 5.0])))
    >>> round(differences.verdict(Total(-3 * ONE), 3 * ONE).p, 6), differences.won, differences.tied
    (0.225403, 2, 1)
    """

    def __init__(self, test: Test, settings: Settings, *, weighted: bool, clusters: bool = False) -> None:
        self.number = self.won = self.tied = 0
        self._evidence: Evidence = (
            ClusterEvidence(test, settings) if clusters else EVIDENCE[test.name](settings, weighted=weighted)
        )

    def add(self, sample: Sample) -> None:
        """Take in differences, in the order of their rows."""
        self.number += sample.losses.size
        self.won += int(np.count_nonzero(sample.losses < sample.reference))
        self.tied += int(np.count_nonzero(sample.losses == sample.reference))
        with np.errstate(invalid="ignore", over="ignore"):
            self._evidence.add(sample)

    def merge(self, other: Self) -> None:
        """Take in the differences of rows that follow."""
        self.number, self.won, self.tied = self.number + other.number, self.won + other.won, self.tied + other.tied
        self._evidence.merge(other._evidence)

    def verdict(self, values: Total, weights: int) -> Verdict:
        """Return the verdict of the test.

        Parameters
        ----------
        values : Total
            The exact sum of the differences: that of the losses of the system minus that of the reference.
        weights : int
            The sum of the weights, or the number of elements, in units of 2**-1074.
        """
        return self._evidence.verdict(Sums(values, weights, self.number))
