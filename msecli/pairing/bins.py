"""Groups of rows by quantiles of a column: the values between two order statistics are a group."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Self

import numpy as np

from msecli.arrays import FloatArray, IntArray
from msecli.errors import UsageError, shown
from msecli.pairing.labels import GroupKey
from msecli.pairing.position import Aligned
from msecli.pairing.roles import Place
from msecli.tuples import NamedTuple

DIGITS = range(6, 17)
"""How many significant digits edges have: the fewest of these that tell them apart; else as many as it takes."""

EXACT = 2.0**53
"""Whole numbers below it are written as such."""


class Bins(NamedTuple):
    """Quantile bins of a column.

    Parameters
    ----------
    name : str
        The column, as the user named it.
    number : int
        How many bins were asked for; equal values may leave fewer.
    place : Place, optional
        The column, once it is looked up.
    edges : tuple of float
        Where each bin begins, and last the largest value, once they are known.
    """

    name: str
    number: int
    place: Place | None = None
    edges: tuple[float, ...] = ()

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the bins that a text such as "age:10" names.

        Raises
        ------
        UsageError
        """
        name, _, count = text.rpartition(":")
        if not name or not count.isdecimal() or not int(count):
            raise UsageError(f"`by_bins`: {shown(text)} is not COLUMN:N, a column and the number of bins, as in age:10")
        return cls(name, int(count))

    @property
    def found(self) -> int:
        """The number of bins that there are."""
        return max(0, len(self.edges) - 1)

    def values(self, rows: Aligned) -> FloatArray:
        """Return the values of the column."""
        assert self.place is not None  # noqa: S101 - plans hold bins whose column is known
        return rows.blocks[self.place.file].numbers[self.place.columns[0]]

    def with_edges(self, values: FloatArray) -> Self:
        """Return the bins of these values, which become partly sorted.

        Of n values bin k of m begins at the order statistic k * n // m, counted from 0. So bins of distinct values
        differ by one row at most. Bins that would begin at the same value are one.
        """
        values = values[~np.isnan(values)]
        if not values.size:
            return self._replace(edges=())
        places = [place * values.size // self.number for place in range(self.number)]
        values.partition([*dict.fromkeys(places), values.size - 1])
        return self._replace(edges=(*np.unique(values[places]).tolist(), float(values[-1])))

    def codes(self, rows: Aligned) -> IntArray:
        """Return the number of every row's bin; a missing value has the number after the last one."""
        values = self.values(rows)
        found: IntArray = np.searchsorted(np.array(self.edges[1:-1]), values, side="right").astype(np.int64)
        found[np.isnan(values)] = self.found
        return found

    def labels(self) -> list[str]:
        """Return the labels of all bins, such as "[0.1, 2.5)"; the last one holds its end.

        Examples
        --------
        >>> Bins("age", 2, edges=(0.0, 2.5, 10.0)).labels()
        ['[0, 2.5)', '[2.5, 10]']
        """
        texts = dict(zip(self.edges, _told_apart(self.edges), strict=True))
        last = self.found - 1
        return [
            f"[{texts[low]}, {texts[high]}{']' if number == last else ')'}"
            for number, (low, high) in enumerate(pairwise(self.edges))
        ]


def _told_apart(edges: Sequence[float]) -> list[str]:
    """Return numbers in as few digits as tell different ones apart."""
    if all(edge == np.floor(edge) and abs(edge) < EXACT for edge in edges):
        return [str(int(edge)) for edge in edges]
    different = len(set(edges))
    for digits in DIGITS:
        texts = [f"{edge + 0.0:.{digits}g}" for edge in edges]
        if len(set(texts)) == different:
            return texts
    return [repr(edge) for edge in edges]


def with_bins(
    bins: Bins, rows: Aligned, groups: tuple[IntArray, Sequence[GroupKey]] | None
) -> tuple[IntArray, list[Hashable]]:
    """Return every row's group and the groups' keys, where a further label is the number of the bin."""
    codes, keys = groups or (np.zeros(rows.rows, dtype=np.int64), [()])
    width = bins.found + 1
    pairs, codes = np.unique(codes * width + bins.codes(rows), return_inverse=True)
    names = [*map(str, range(bins.found)), None]
    return codes, [(*keys[pair // width], names[pair % width]) for pair in pairs.tolist()]
