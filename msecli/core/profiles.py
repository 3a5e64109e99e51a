"""What a column holds in some rows: profiles of successive rows join to that of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from msecli import kernel
from msecli.arrays import FloatArray
from msecli.core.check import LAST_EXACT_INTEGER
from msecli.core.exact import ONE, Total

MOST_DISTINCT = 10_000
"""More distinct values are not counted, so that a profile stays small."""

Value = int | float | str


@dataclass(frozen=True, slots=True)
class Profile:
    """What a column holds in some rows.

    Parameters
    ----------
    count : int
        How many values there are, missing ones included.
    missing, infinite : int
    minimum, maximum : int, float or str, optional
        None if all are missing.
    whole : bool
        Whether all numbers are integers that float64 holds exactly.
    total : Total, optional
        The exact sum of the values that are not missing; None for labels.
    distinct : frozenset, optional
        The values that are not missing; None if they are more than `most`.
    most : int
    ends : tuple of two values, optional
        The first and the last one if each is above the one before it, so that no value is there twice; otherwise None.
    """

    count: int
    missing: int = 0
    infinite: int = 0
    minimum: Value | None = None
    maximum: Value | None = None
    whole: bool = True
    total: Total | None = None
    distinct: frozenset[Value] | None = frozenset()
    most: int = MOST_DISTINCT
    ends: tuple[Value, Value] | None = None

    def joined(self, later: Self) -> Self:
        """Return the profile of these rows and of later ones."""
        distinct = None
        if self.distinct is not None and later.distinct is not None:
            both = self.distinct if later.distinct <= self.distinct else self.distinct | later.distinct
            distinct = both if len(both) <= self.most else None
        rising = self.ends and later.ends and _below(self.ends[1], later.ends[0])
        return type(self)(
            self.count + later.count,
            self.missing + later.missing,
            self.infinite + later.infinite,
            _first([self.minimum, later.minimum], largest=False),
            _first([self.maximum, later.maximum], largest=True),
            self.whole and later.whole,
            None if self.total is None or later.total is None else self.total + later.total,
            distinct,
            self.most,
            (self.ends[0], later.ends[1]) if rising and self.ends and later.ends else None,
        )

    @property
    def mean(self) -> float | None:
        """The mean of the numbers that are not missing, correctly rounded; None without any, and for labels."""
        present = self.count - self.missing
        return None if self.total is None or not present else self.total.over(present * ONE)

    @property
    def unique(self) -> bool | None:
        """Whether no value is missing or there twice; None if that is not known."""
        if self.missing:
            return False
        if self.distinct is not None:
            return len(self.distinct) == self.count
        return True if self.ends else None


def _below(left: Value, right: Value) -> bool:
    return type(left) is type(right) and left < right  # type: ignore[operator] # of one type


def _first(values: list[Value | None], *, largest: bool) -> Value | None:
    """Return the smallest or the largest value; texts and numbers of one column are compared as texts."""
    known = [value for value in values if value is not None]
    if any(isinstance(value, str) for value in known):
        known = [str(value) for value in known]
    choose = max if largest else min
    return choose(known, default=None)


def profile_of(values: FloatArray, most: int = MOST_DISTINCT) -> Profile:
    """Return the profile of numbers; NaN is missing."""
    flat = values.reshape(-1)
    absent = np.isnan(flat)
    missing = int(np.count_nonzero(absent))
    present = flat[~absent] if missing else flat
    if not present.size:
        return Profile(flat.size, missing, total=Total(0), most=most)
    low, high = float(present.min()), float(present.max())
    infinite = int(np.count_nonzero(np.isinf(present)))
    exact = kernel.chosen().exact_sum(np.ascontiguousarray(present))
    with np.errstate(invalid="ignore"):
        whole = not infinite and max(-low, high) < LAST_EXACT_INTEGER and bool((np.floor(present) == present).all())
        rising = not missing and bool((np.diff(present) > 0).all())
    return Profile(
        flat.size,
        missing,
        infinite,
        low + 0.0,  # for people there is no -0
        high + 0.0,
        whole,
        Total(exact.units, exact.special),
        _distinct(present, most),
        most,
        (float(present[0]), float(present[-1])) if rising else None,
    )


def _distinct(present: FloatArray, most: int) -> frozenset[Value] | None:
    # Most columns with many values show it in their first rows, which are sorted sooner.
    for values in (present[: 2 * most], present):
        found = np.unique(values)
        if found.size > most:
            return None
    return frozenset(found.tolist())
