"""Resampled means: the Poisson bootstrap, and random signs for permutation tests of paired differences.

Every row has a factor in every resample: how often the bootstrap draws it, or a sign. A factor depends on the seed, the
row's number and the resample alone, and the sums are exact, so that neither the cut into chunks nor the number of
threads matters.

References
----------
Poisson bootstrap: N. Chamandy, O. Muralidharan, A. Najmi, S. Naidu, "Estimating uncertainty for massive data streams",
Google technical report, 2012. Random factors by position: J. K. Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011 (Philox, as in ``numpy.random.Philox``). The p-values count the observed value as one of the
resamples: B. Phipson, G. K. Smyth, "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 9, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from msecli.arrays import FloatArray, IntArray
from msecli.core.exact import ONE, ExactSum
from msecli.core.spread import Estimate
from msecli.core.workspace import scratch
from msecli.errors import UsageError, not_one_of
from msecli.tuples import NamedTuple

ROWS = 8192
"""Rows whose factors are drawn together."""
RESAMPLES_AT_ONCE = 64
"""Resamples whose factors are drawn together: as many as leave 16-bit numbers for a row in 1 MiB."""

Factors = NDArray[np.int8]
"""The factors of some rows in some resamples, shape (resamples, rows)."""


@cache
def _poisson_table() -> Factors:
    """Return the Poisson variate of mean 1 for each of the 65536 values of a uniform 16-bit number."""
    probability, total, bounds = math.exp(-1), 0.0, [0]
    for number in range(1, 10):
        total += probability
        bounds.append(round(total * 65536))
        probability /= number
    table = np.zeros(65536, dtype=np.int8)
    for bound in bounds[1:]:
        table[bound:] += 1
    return table


def _poisson(bits: NDArray[np.uint64], rows: int) -> Factors:
    drawn: Factors = _poisson_table()[bits.view(np.uint16).reshape(-1, rows)]
    return drawn


def _signs(bits: NDArray[np.uint64], rows: int) -> Factors:
    bit = np.unpackbits(bits.view(np.uint8)).view(np.int8).reshape(-1, rows)
    return 1 - 2 * bit


class Kind(NamedTuple):
    """A line of `KINDS`: how many random bits a factor takes, how they become factors, and what divides the sums."""

    bits: int
    factors: Callable[[NDArray[np.uint64], int], Factors]
    divides_by_drawn: bool


KINDS: dict[str, Kind] = {
    "bootstrap": Kind(16, _poisson, divides_by_drawn=True),
    "permutation": Kind(1, _signs, divides_by_drawn=False),
}
"""The kinds of resamples: rows drawn with replacement, or the signs of paired differences turned."""


def factors(kind: str, seed: int, resamples: int, block: int) -> Iterator[tuple[int, Factors]]:
    """Yield the first of some resamples, and their factors for the rows from ``block * ROWS`` on.

    Parameters
    ----------
    kind : {"bootstrap", "permutation"}
    seed, resamples, block : int
    """
    line = KINDS[kind]
    words = RESAMPLES_AT_ONCE * ROWS * line.bits // 64
    for first in range(0, resamples, RESAMPLES_AT_ONCE):
        # The counter has 256 bits; no generator comes near the 2**128 numbers between two beginnings.
        place = (block << 192) + (first << 128)
        drawn = line.factors(np.random.Philox(key=seed, counter=place).random_raw(words), ROWS)
        yield first, drawn[: resamples - first]


class ResampledMeans:
    """The exact sums of resampled values and of their weights, for each of `slots` slots.

    Parameters
    ----------
    kind : {"bootstrap", "permutation"}
    resamples : int
    seed : int
    slots : int
    weighted : bool
        Whether the values carry weights.

    Examples
    --------
    >>> import numpy as np
    >>> whole, parts = (ResampledMeans("bootstrap", 99, seed=0) for _ in range(2))
    >>> values = np.arange(10.0)
    >>> whole.add(values)
    >>> parts.add(values[6:], first_row=6)
    >>> parts.add(values[:6])
    >>> bool((whole.means() == parts.means()).all())
    True
    """

    def __init__(self, kind: str, resamples: int, seed: int, slots: int = 1, *, weighted: bool = False) -> None:
        if kind not in KINDS:
            raise UsageError(not_one_of(kind, KINDS))
        self._kind, self._resamples, self._seed = kind, resamples, seed
        self._slots = slots
        self._values = [ExactSum(slots) for _ in range(resamples)]
        self._weights = [ExactSum(slots) for _ in range(resamples)] if weighted else []
        self._counts = np.zeros((resamples, slots), dtype=np.int64)

    def add(
        self,
        values: FloatArray,
        weight: FloatArray | None = None,
        codes: IntArray | None = None,
        *,
        first_row: int = 0,
        rows: IntArray | None = None,
    ) -> None:
        """Add values.

        Parameters
        ----------
        values : ndarray of float64, shape (n,)
            Each with its weight as a factor.
        weight : ndarray of float64, shape (n,), optional
            The weights, if there are any.
        codes : ndarray of int64, shape (n,), optional
            The slots of the values; by default 0.
        first_row : int
            The number of the first row, of all rows that are resampled.
        rows : ndarray of int64, shape (n,), optional
            The row of each value, counted from `first_row`, in ascending order; by default each value is a row.
        """
        numbers = (np.arange(values.size) if rows is None else rows) + first_row
        if not numbers.size:
            return
        for block in range(int(numbers[0]) // ROWS, int(numbers[-1]) // ROWS + 1):
            part = slice(*np.searchsorted(numbers, (block * ROWS, (block + 1) * ROWS)).tolist())
            within = numbers[part] - block * ROWS
            self._add_block(
                block,
                within,
                values[part],
                None if weight is None else weight[part],
                None if codes is None else codes[part],
            )

    def merge(self, other: Self, slots: IntArray | None = None) -> None:
        """Add the sums of other rows; `slots` are the slots here for those of `other`, by default the same."""
        for mine, theirs in ((self._values, other._values), (self._weights, other._weights)):
            for sums, more in zip(mine, theirs, strict=True):
                sums.merge(more, slots)
        here = np.arange(other._counts.shape[1]) if slots is None else slots
        self._counts[:, here] += other._counts

    def grow(self, slots: int) -> None:
        """Keep at least this many slots; new ones are empty."""
        for sums in (*self._values, *self._weights):
            sums.grow(slots)
        more = np.zeros((self._resamples, max(0, slots - self._slots)), dtype=np.int64)
        self._counts = np.concatenate([self._counts, more], axis=1)
        self._slots = max(self._slots, slots)

    def means(self) -> FloatArray:
        """Return the means, shape (resamples, slots); nan where a resample holds nothing."""
        divisors = [[total.units for total in sums.totals()] for sums in self._weights] or [
            [count * ONE for count in counts] for counts in self._counts.tolist()
        ]
        return np.array(
            [
                [total.over(divisor) for total, divisor in zip(sums.totals(), each, strict=True)]
                for sums, each in zip(self._values, divisors, strict=True)
            ]
        )

    def _add_block(
        self, block: int, within: IntArray, values: FloatArray, weight: FloatArray | None, codes: IntArray | None
    ) -> None:
        by_drawn = KINDS[self._kind].divides_by_drawn
        finite = bool(np.isfinite(values).all())
        first_row = int(within[0])
        # Consecutive rows, as values usually are, need not be copied.
        chosen = slice(first_row, first_row + within.size) if int(within[-1]) - first_row + 1 == within.size else within
        for first, drawn in factors(self._kind, self._seed, self._resamples, block):
            for number, each in enumerate(drawn[:, chosen], first):
                self._values[number].add(_times(values, each, finite=finite), codes)
                if weight is not None:
                    self._weights[number].add(weight * each if by_drawn else weight, codes)
            if weight is None:
                self._count(first, drawn[:, chosen] if by_drawn else np.ones((len(drawn), within.size), np.int8), codes)

    def _count(self, first: int, times: Factors, codes: IntArray | None) -> None:
        """Add how often values without weights count, in the resamples from `first` on."""
        if codes is None:
            counts = times.sum(axis=1, dtype=np.int64)[:, np.newaxis]
        else:
            counts = np.stack([np.bincount(codes, each, self._slots) for each in times]).astype(np.int64)
        self._counts[first : first + len(times), : counts.shape[1]] += counts


def _times(values: FloatArray, factor: NDArray[np.int8], *, finite: bool) -> FloatArray:
    """Return products; what is drawn no times does not count, not even if it is infinite."""
    with np.errstate(invalid="ignore", over="ignore"):
        product = np.multiply(values, factor, out=scratch("resampled", values.size, np.float64))
    if not finite:
        product[factor == 0] = 0.0
    return product


def in_order(clusters: Iterable[Hashable]) -> list[Hashable]:
    """Return clusters in the order in which they are resampled, which does not depend on that of their rows."""
    return sorted(clusters, key=repr)


def percentile_interval(means: FloatArray, confidence: float) -> tuple[float, float]:
    """Return the interval that holds this share of the resampled means, the rest of them in equal parts beside it.

    Resamples that hold nothing, as only those of a few rows can be, are left out.

    Examples
    --------
    >>> import numpy as np
    >>> percentile_interval(np.arange(101.0), 0.5)
    (25.0, 75.0)
    """
    kept = means[~np.isnan(means)]
    if not kept.size:
        return math.nan, math.nan
    low, high = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2]).tolist()
    return low, high


def bootstrap_p_value(means: FloatArray) -> float:
    """Return twice the share of resampled means beyond 0, on the side with fewer of them; at most 1."""
    kept = means[~np.isnan(means)]
    if not kept.size:
        return math.nan
    fewer = min(np.count_nonzero(kept <= 0), np.count_nonzero(kept >= 0))
    return min(1.0, 2 * (int(fewer) + 1) / (kept.size + 1))


def permutation_p_value(observed: float, means: FloatArray) -> float:
    """Return the share of means, the observed one among them, that are at least as far from 0 as this."""
    if math.isnan(observed) or np.isnan(means).any():
        return math.nan
    return (int(np.count_nonzero(np.abs(means) >= abs(observed))) + 1) / (means.size + 1)


def bootstrap_estimate(mean: float, means: FloatArray) -> Estimate:
    """Return a mean with the standard deviation of its resamples as its standard error."""
    kept = means[~np.isnan(means)]
    return Estimate(mean, float(np.std(kept, ddof=1)) if kept.size > 1 else math.nan, kept.size - 1)
