"""Confidence intervals of mean losses, over all rows and by group: by Student's t, or by the Poisson bootstrap.

The values are independent of each other, or else the clusters of rows are.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Self, cast

import numpy as np

from msecli.arrays import FloatArray, IntArray
from msecli.core.chunk import Chunk
from msecli.core.exact import ONE, Total, ratio
from msecli.core.partition import Partition
from msecli.core.resample import ResampledMeans, in_order, percentile_interval
from msecli.core.spread import Spread, clustered
from msecli.core.state import Rules, Summary
from msecli.tuples import NamedTuple

Groups = tuple[IntArray, Sequence[Hashable]]
"""The number of every row's group (or cluster), and the keys of the groups."""


class Method(NamedTuple):
    """How to find an interval.

    Parameters
    ----------
    level : float
        The probability that the interval holds the true mean.
    resamples : int, optional
        The number of resamples of the bootstrap; without it the interval is by Student's t.
    seed : int
        The seed of the bootstrap.
    """

    level: float
    resamples: int | None = None
    seed: int = 0

    def sums(self, slots: int, *, weighted: bool) -> Spread | ResampledMeans:
        """Return sums of no values."""
        if self.resamples is None:
            return Spread(slots, weighted=weighted)
        return ResampledMeans("bootstrap", self.resamples, self.seed, slots, weighted=weighted)


class Bounds(NamedTuple):
    """An interval, nan where there is none, and the number of values or clusters that it comes from."""

    low: float
    high: float
    number: int


NONE = (math.nan, math.nan)


class Values:
    """What intervals need of the losses of independent elements.

    Elements with the weight 0 do not count. States of the bootstrap know their rows' numbers.

    Parameters
    ----------
    method : Method
    weighted, grouped : bool
        Whether there are weights, and groups.
    """

    def __init__(self, method: Method, *, weighted: bool, grouped: bool) -> None:
        self._method, self._weighted, self._grouped = method, weighted, grouped
        self._whole, self._count = method.sums(1, weighted=weighted), 0
        self._keys: dict[Hashable, int] = {}
        self._groups = method.sums(0, weighted=weighted) if grouped else None
        self._counts: IntArray = np.zeros(0, dtype=np.int64)

    @classmethod
    def of(cls, method: Method, chunk: Chunk, losses: FloatArray, groups: Groups | None = None) -> Self:
        """Return the state of a chunk, whose losses are nan where an element is not used."""
        made = cls(method, weighted=chunk.weight is not None, grouped=groups is not None)
        if groups is not None:
            made._grow(groups[1])
        for view in chunk.slices():
            start = view.first_row - chunk.first_row
            rows = slice(start, start + view.rows)
            made._add(view, losses[rows], None if groups is None else groups[0][rows])
        return made

    def merge(self, other: Self, first_row: int = 0) -> None:
        """Add the state of other rows; their numbers are already those in the whole input if they matter."""
        self._whole.merge(other._whole)  # type: ignore[arg-type] # of one method
        self._count += other._count
        if self._groups is not None and other._groups is not None:
            slots = self._grow(other._keys)
            self._groups.merge(other._groups, slots)  # type: ignore[arg-type]
            self._counts[slots] += other._counts

    def intervals(self, whole: Summary, groups: Mapping[Hashable, Summary]) -> tuple[Bounds, dict[Hashable, Bounds]]:
        """Return the interval over all rows, and that of every group, from the sums of their losses."""
        (bounds,) = self._bounds(self._whole, [whole], [self._count])
        if self._groups is None or not groups:
            return bounds, {}
        summaries = [groups[key] for key in self._keys]
        found = self._bounds(self._groups, summaries, self._counts.tolist())
        return bounds, dict(zip(self._keys, found, strict=True))

    def _bounds(
        self, sums: Spread | ResampledMeans, summaries: Sequence[Summary], counts: Sequence[int]
    ) -> list[Bounds]:
        totals = [summary.sums["squared_error"] for summary in summaries]
        if isinstance(sums, Spread):
            divisors = [summary.divisor for summary in summaries]
            estimates = sums.estimates(totals, divisors, counts)
            found = [estimate.interval(self._method.level) for estimate in estimates]
        else:
            found = [percentile_interval(means, self._method.level) for means in sums.means().T]
        return [
            Bounds(*(bounds if count > 1 and not total.special else NONE), count)
            for bounds, count, total in zip(found, counts, totals, strict=True)
        ]

    def _grow(self, keys: Iterable[Hashable]) -> IntArray:
        """Return the slots of groups; new ones are empty."""
        slots = np.array([self._keys.setdefault(key, len(self._keys)) for key in keys], dtype=np.int64)
        if self._groups is not None:
            self._groups.grow(len(self._keys))
        more = np.zeros(len(self._keys) - self._counts.size, dtype=np.int64)
        self._counts = np.concatenate([self._counts, more])
        return slots

    def _add(self, chunk: Chunk, losses: FloatArray, groups: IntArray | None) -> None:
        weight = chunk.element_weight()
        used = ~np.isnan(losses) if weight is None else ~np.isnan(losses) & (weight > 0)
        chosen = np.flatnonzero(used)
        rows = chosen // (losses.size // chunk.rows)
        values = losses.reshape(-1)[chosen]
        weights = None if weight is None else weight[used]
        self._count += values.size
        scopes = [(self._whole, None)] if groups is None else [(self._whole, None), (self._groups, groups[rows])]
        for sums, codes in scopes:
            if isinstance(sums, Spread):
                sums.add(values, weights, codes)
            elif sums is not None:
                sums.add(values, weights, codes, first_row=chunk.first_row, rows=rows)
        if groups is not None:
            self._counts += np.bincount(groups[rows], minlength=self._counts.size)


class Clusters:
    """What intervals need of the losses of rows in clusters, which are independent of each other."""

    def __init__(self, method: Method, *, weighted: bool, rules: Rules) -> None:
        self._method = method
        self._partition = Partition(rules.of_loss(), weighted=weighted)

    @classmethod
    def of(cls, method: Method, chunk: Chunk, rules: Rules, clusters: Groups, groups: Groups | None = None) -> Self:
        """Return the state of a chunk."""
        made = cls(method, weighted=chunk.weight is not None, rules=rules)
        codes, keys = clusters
        of_groups, group_keys = groups or (np.zeros(chunk.rows, dtype=np.int64), [None])
        pairs, codes = np.unique(of_groups * len(keys) + codes, return_inverse=True)
        both = [(group_keys[pair // len(keys)], keys[pair % len(keys)]) for pair in pairs.tolist()]
        made._partition = Partition.of(chunk, codes, both, rules=rules.of_loss())
        return made

    def merge(self, other: Self, first_row: int = 0) -> None:
        """Add the state of other rows."""
        self._partition.merge(other._partition, first_row)

    def intervals(self, whole: Summary, groups: Mapping[Hashable, Summary]) -> tuple[Bounds, dict[Hashable, Bounds]]:
        """Return the interval over all rows, and that of every group."""
        by_group: dict[Hashable, dict[Hashable, tuple[Total, int]]] = {key: {} for key in groups}
        clusters: dict[Hashable, tuple[Total, int]] = {}
        for key, summary in self._partition.items():
            group, cluster = cast("tuple[Hashable, Hashable]", key)
            sums = summary.sums["squared_error"], summary.divisor
            if group in by_group:
                by_group[group][cluster] = sums
            total, weight = clusters.get(cluster, (Total(0), 0))
            clusters[cluster] = total + sums[0], weight + sums[1]
        return self._bounds(clusters), {key: self._bounds(sums) for key, sums in by_group.items()}

    def _bounds(self, clusters: Mapping[Hashable, tuple[Total, int]]) -> Bounds:
        sums = [clusters[key] for key in in_order(clusters) if clusters[key][1]]
        if len(sums) < 2 or any(total.special for total, _ in sums):
            return Bounds(*NONE, len(sums))
        if self._method.resamples is None:
            return Bounds(*clustered(sums).interval(self._method.level), len(sums))
        resampled = self._method.sums(1, weighted=True)
        resampled.add(np.array([total.value() for total, _ in sums]), np.array([ratio(w, ONE) for _, w in sums]))
        assert isinstance(resampled, ResampledMeans)  # noqa: S101 - by its method
        return Bounds(*percentile_interval(resampled.means()[:, 0], self._method.level), len(sums))
