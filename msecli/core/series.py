"""Seasonal differences of targets in row order, the scale of the metric mase."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Self

import numpy as np

from msecli.arrays import FloatArray, IntArray
from msecli.core.exact import ONE, ExactSum, Total


class SeasonalSums:
    """Exact sums of abs(t[i] - t[i - season]) over the targets of each slot, in their order.

    The first and the last `season` targets of a slot are kept, so that the differences across the border of two parts
    are known when the parts are joined. Unlike other sums these must be merged in the order of the rows.

    Parameters
    ----------
    season : int
        At least 1.
    slots : int
        How many series are kept side by side.

    Examples
    --------
    >>> first, second = SeasonalSums(1), SeasonalSums(1)
    >>> first.add(np.array([1.0, 4.0]))
    >>> second.add(np.array([9.0]))
    >>> first.merge(second, np.array([0]))
    >>> first.totals()[0].value()
    8.0
    """

    def __init__(self, season: int, slots: int = 1) -> None:
        self._season = season
        self._sums = ExactSum(slots)
        self._counts = np.zeros(slots, dtype=np.int64)
        self._heads: dict[int, FloatArray] = {}
        self._tails: dict[int, FloatArray] = {}

    def add(self, values: FloatArray, codes: IntArray | None = None) -> None:
        """Add the next 1-D values; `codes` are their slots."""
        slots = np.zeros(values.size, dtype=np.int64) if codes is None else codes
        if codes is not None:
            order = np.argsort(codes, kind="stable")
            values, slots = values[order], codes[order]
        starts = np.flatnonzero(np.diff(slots, prepend=-1)).tolist()
        parts = [values[start:stop] for start, stop in pairwise([*starts, values.size])]
        self._follow([(slot, part, part) for slot, part in zip(slots[starts].tolist(), parts, strict=True)])
        same = slots[self._season :] == slots[: -self._season]
        self._take(np.abs(values[self._season :] - values[: -self._season])[same], slots[self._season :][same])

    def merge(self, other: Self, slots: IntArray) -> None:
        """Add the sums of rows that follow; `slots` are the slots here for those of `other`."""
        self._follow([(int(slots[slot]), head, other._tails[slot]) for slot, head in other._heads.items()])
        self._sums.merge(other._sums, slots)
        self._counts[slots] += other._counts[: slots.size]

    def grow(self, slots: int) -> None:
        """Keep at least this many series; new ones are empty."""
        self._sums.grow(slots)
        if slots > self._counts.size:
            self._counts = np.concatenate([self._counts, np.zeros(2 * slots - self._counts.size, dtype=np.int64)])

    def totals(self) -> list[Total]:
        """Return the sum of every slot."""
        return self._sums.totals()

    def counts(self) -> list[Total]:
        """Return the number of differences of every slot, in the units of sums."""
        return [Total(count * ONE) for count in self._counts[: self._sums.slots].tolist()]

    def _follow(self, parts: Iterable[tuple[int, FloatArray, FloatArray]]) -> None:
        """Join values to those of their slots: (slot, head, tail), where both have `season` values if there are."""
        season, nothing = self._season, np.empty(0)
        found: list[FloatArray] = [nothing]
        slots: list[int] = []
        for slot, head, tail in parts:
            across = np.concatenate([self._tails.get(slot, nothing), head[:season]])
            found.append(np.abs(across[season:] - across[:-season]))
            slots += [slot] * found[-1].size
            self._heads[slot] = np.concatenate([self._heads.get(slot, nothing), head[:season]])[:season]
            self._tails[slot] = np.concatenate([self._tails.get(slot, nothing), tail[-season:]])[-season:]
        self._take(np.concatenate(found), np.array(slots, dtype=np.int64))

    def _take(self, differences: FloatArray, slots: IntArray) -> None:
        if differences.size:
            self._counts += np.bincount(slots, minlength=self._counts.size)
            self._sums.add(differences, slots)
