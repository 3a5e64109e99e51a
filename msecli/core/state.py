"""The state of a loss: the exact sums and counts of some rows, from which every result follows.

States merge exactly, so neither the cut into chunks nor the order of merging matters. A state keeps its sums and
counts by cell: one group of rows in one column, or in all columns together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import Literal, Self

import numpy as np

from msecli import kernel
from msecli.arrays import BoolArray, FloatArray, IntArray
from msecli.core.cells import Cells
from msecli.core.chunk import Chunk
from msecli.core.exact import ONE, Total
from msecli.core.reduction import Used
from msecli.core.series import SeasonalSums
from msecli.core.terms import EXTREMES, Elements, addends, flaw_named, sum_of
from msecli.core.workspace import scratch
from msecli.errors import UsageError, not_one_of
from msecli.kernel.interface import MOST_VALUES, Sum
from msecli.tuples import NamedTuple

Policy = Literal["raise", "omit", "propagate"]
POLICIES = ("raise", "omit", "propagate")

COUNTS = ("total", "used", "ignored", "nan_target", "nan_prediction", "infinite")
"""The ledger's counts of elements."""


class Rules(NamedTuple):
    """What a state keeps of a chunk, and which elements count.

    Parameters
    ----------
    terms : tuple of str
        The sums to keep, by their names in `msecli.core.terms.TERMS`.
    largest : tuple of str
        The quantities to keep the largest of, by their names in `msecli.core.terms.EXTREMES`.
    columns : int
        The number of cells per group: 1, or the number of elements in a row.
    nan_target, nan_prediction : {"raise", "omit", "propagate"}
        How to treat missing targets and missing predictions. "raise" is applied at the end, by
        `msecli.core.verdict.check_usable`, so that the message can give their number.
    ignore : tuple of float
        Leave out elements whose target equals one of these; NaN matches NaN.
    flaws : tuple of str
        The flaws of used elements to count, by their names for `msecli.core.terms.flaw_named`.
    refused : tuple of str
        The flaws that are errors.
    holds : bool
        Also hold the absolute residuals.
    season : int
        Also sum the differences of targets that are this many rows apart; 0 for none. States must then be merged in
        the order of their rows.
    """

    terms: tuple[str, ...] = ("squared_error",)
    largest: tuple[str, ...] = ()
    columns: int = 1
    nan_target: Policy = "raise"
    nan_prediction: Policy = "raise"
    ignore: tuple[float, ...] = ()
    flaws: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    holds: bool = False
    season: int = 0

    def of_loss(self) -> Rules:
        """Return the rules for the same elements of which only the loss is wanted, with one cell for each group."""
        terms = ("squared_error", "weight") if "weight" in self.terms else ("squared_error",)
        return Rules(terms, nan_target=self.nan_target, nan_prediction=self.nan_prediction, ignore=self.ignore)


@lru_cache
def _are_plain(rules: Rules) -> bool:
    """Tell whether only the loss is wanted, of all elements that are not missing."""
    return rules == rules.of_loss() and not rules.ignore


class Judgement(NamedTuple):
    """The used elements of a chunk (None: all), and a mask for each of the ledger's other counts."""

    used: BoolArray | None
    masks: dict[str, BoolArray]


class Summary(NamedTuple):
    """The exact sums and counts of one or more cells, from which metrics are computed."""

    sums: dict[str, Total]
    counts: dict[str, int]
    rows: int
    rows_used: int
    largest: dict[str, float]
    weighted: bool
    columns: tuple[Summary, ...] = ()
    held: tuple[FloatArray, ...] = ()

    @property
    def used(self) -> int:
        """The number of used elements."""
        return self.counts["used"]

    @property
    def divisor(self) -> int:
        """The denominator of the mean in units of 2**-1074, as in `Used`."""
        return self.sums["weight"].units if self.weighted else self.used * ONE

    def plain(self, term: str) -> Total:
        """Return the sum of a term without weights."""
        return self.sums[f"plain_{term}" if self.weighted else term]


def combined(parts: Sequence[Summary]) -> Summary:
    """Return the summary of several columns together; their rows are the same rows."""
    first = parts[0]
    return Summary(
        {term: sum((part.sums[term] for part in parts), Total(0)) for term in first.sums},
        {name: sum(part.counts[name] for part in parts) for name in first.counts},
        first.rows,
        max(part.rows_used for part in parts),
        # Python's max would lose a NaN.
        {name: float(np.max([part.largest[name] for part in parts])) for name in first.largest},
        first.weighted,
        held=tuple(values for part in parts for values in part.held),
    )


def plain_summary(chunk: Chunk, rules: Rules) -> Summary | None:
    """Return the summary of a chunk by one pass over it, without a state.

    None if not all its elements count, if more than the loss is wanted, or if there is nothing to divide by.
    """
    if not (_are_plain(rules) and chunk.plain and chunk.prediction.size):
        return None
    sums = _plain_sums(chunk)
    if sums is None or not (chunk.weight is None or sums[-1].units):
        return None
    size, rows = chunk.prediction.size, chunk.rows
    counts = dict.fromkeys(COUNTS, 0) | {"total": size, "used": size}
    totals = {term: Total(*total) for term, total in zip(rules.terms, sums, strict=True)}
    return Summary(totals, counts, rows, rows, {}, chunk.weight is not None)


def _plain_sums(chunk: Chunk) -> tuple[Sum, ...] | None:
    """Return the exact sums of the losses and of the weights, if there are any; None if some element does not count."""
    return kernel.chosen().squared_error(*_flat_arrays(chunk))


def _flat_arrays(chunk: Chunk) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Return the predictions, the targets, and any weights of the elements."""
    weight = chunk.element_weight()
    return chunk.prediction.reshape(-1), chunk.target.reshape(-1), None if weight is None else weight.reshape(-1)


class LossState:
    """Exact sums, counts and first bad rows over any number of chunks.

    Parameters
    ----------
    rules : Rules
    weighted : bool
        Whether the chunks carry weights.

    Examples
    --------
    >>> import numpy as np
    >>> from msecli.core.chunk import Chunk
    >>> state = LossState.of(Chunk(np.array([1.0, 4.0]), np.array([1.0, 2.0])), Rules())
    >>> state.summary().sums["squared_error"].value()
    4.0
    """

    def __init__(self, rules: Rules, *, weighted: bool = False, groups: int = 1) -> None:
        self.rules = rules
        self.weighted = weighted
        self.groups = groups
        self._counts = {name: self._zeros(groups) for name in COUNTS}
        self._rows = np.zeros(groups, dtype=np.int64)
        self._rows_used = np.zeros(groups, dtype=np.int64)
        self._largest = {name: np.full((groups, rules.columns), EXTREMES[name].start) for name in rules.largest}
        self._sums = {term: sum_of(term, groups * rules.columns) for term in rules.terms}
        self._held: list[tuple[FloatArray, IntArray | None]] = []
        self._series = SeasonalSums(rules.season, groups * rules.columns) if rules.season else None
        self._plain = _are_plain(rules)
        self.first_row: dict[str, int] = {}
        """The first row of each kind of problem: nan_target, nan_prediction, infinite_…, weight, and the flaws."""
        self.flaws: dict[str, int] = {}
        """The number of elements with each flaw."""

    @classmethod
    def of(cls, chunk: Chunk, rules: Rules) -> Self:
        """Return the state of one chunk."""
        state = cls(rules, weighted=chunk.weight is not None, groups=chunk.groups)
        # The kernel takes a plain chunk of any size at once; if elements are missing, most slices are still plain.
        if not (chunk.rows and state._take_plain(chunk)):
            for view in chunk.slices():
                if not state._take_plain(view):
                    state._take_any(view)
        return state

    def merge(self, other: Self, groups: IntArray | None = None, first_row: int = 0) -> None:
        """Add another state with the same rules.

        Parameters
        ----------
        other : LossState
        groups : ndarray of int64, shape (other.groups,), optional
            The group in this state for each group of `other`; by default the same.
        first_row : int
            The number in this state of row 0 of `other`.
        """
        here = np.arange(other.groups) if groups is None else groups
        self.weighted = self.weighted or other.weighted
        self._grow(int(here.max(initial=-1)) + 1)
        for name, counts in other._counts.items():
            self._counts[name][here] += counts[: other.groups]
        self._rows[here] += other._rows[: other.groups]
        self._rows_used[here] += other._rows_used[: other.groups]
        for name, largest in other._largest.items():
            self._largest[name][here] = np.maximum(self._largest[name][here], largest[: other.groups])
        slots = (here[:, np.newaxis] * self.rules.columns + np.arange(self.rules.columns)).reshape(-1)
        for term, sums in other._sums.items():
            self._sums[term].merge(sums, slots)
        for values, cell in other._held:
            self._held.append((values, _moved(cell, slots, values.size)))
        if self._series is not None and other._series is not None:
            self._series.merge(other._series, slots)
        for flaw, count in other.flaws.items():
            self.flaws[flaw] = self.flaws.get(flaw, 0) + count
        for kind, row in other.first_row.items():
            self._note_row(kind, first_row + row)

    def cells(self) -> Cells:
        """Return the exact content, from which `of_cells` makes the same state; without held values and series."""
        groups = self.groups
        return Cells(
            self._rows[:groups].tolist(),
            self._rows_used[:groups].tolist(),
            {name: counts[:groups].tolist() for name, counts in self._counts.items()},
            {name: largest[:groups].tolist() for name, largest in self._largest.items()},
            {term: sums.by_step()[: groups * self.rules.columns] for term, sums in self._sums.items()},
        )

    @classmethod
    def of_cells(cls, cells: Cells, rules: Rules, *, weighted: bool) -> Self:
        """Return the state with this content."""
        made = cls(rules, weighted=weighted, groups=len(cells.rows))
        made._rows[:] = cells.rows
        made._rows_used[:] = cells.rows_used
        for name, counts in cells.counts.items():
            made._counts[name][:] = counts
        for name, largest in cells.largest.items():
            made._largest[name][:] = largest
        for term, by_slot in cells.sums.items():
            for slot, parts in enumerate(by_slot):
                for step, total in parts.items():
                    made._sums[term].restore(slot, step, total)
        return made

    @property
    def rows(self) -> int:
        """The number of rows in all groups."""
        return int(self._rows[: self.groups].sum())

    def summary(self) -> Summary:
        """Return the summary of all cells; `Summary.columns` holds each column's if they are kept apart."""
        return self.pooled(range(self.groups))

    def summaries(self) -> list[Summary]:
        """Return the summary of every group."""
        return list(self.each_summary())

    def each_summary(self) -> Iterator[Summary]:
        """Yield the summary of every group; those of millions of groups would take gigabytes at once."""
        totals, held = self._totals(), self._held_by_cell()
        if self.rules.columns > 1:
            yield from (self._summary([group], totals, held) for group in range(self.groups))
            return
        # Plain lists are far faster to index than arrays.
        counts = [values[: self.groups, 0].tolist() for values in self._counts.values()]
        rows, rows_used = self._rows.tolist(), self._rows_used.tolist()
        extremes = [values[: self.groups, 0].tolist() for values in self._largest.values()]
        for group in range(self.groups):
            sums = {term: values[group] for term, values in totals.items()}
            numbers = {name: values[group] for name, values in zip(self._counts, counts, strict=True)}
            largest = {name: values[group] for name, values in zip(self._largest, extremes, strict=True)}
            own = tuple(held[group]) if held else ()
            yield Summary(sums, numbers, rows[group], rows_used[group], largest, self.weighted, held=own)

    def columns(self) -> list[Summary]:
        """Return the summary of every column, over all groups."""
        totals, held = self._totals(), self._held_by_cell()
        return [self._cell(range(self.groups), column, totals, held) for column in range(self.rules.columns)]

    def losses(self, divisor: Callable[[Used], int]) -> list[float]:
        """Return the loss of every group, nan if nothing is used; fast for millions of groups."""
        totals = self._totals()
        used, rows = self._counts["used"][: self.groups, 0].tolist(), self._rows_used.tolist()
        weights = [total.units for total in totals["weight"]] if self.weighted else [None] * self.groups
        # Without weights most groups have the same counts, and so the same divisor.
        divisors = cache(divisor)
        divided = [divisors(Used(*counts)) for counts in zip(used, rows, weights, strict=False)]
        sums = zip(totals["squared_error"], divided, used, strict=True)
        return [total.over(divisor) if count else math.nan for total, divisor, count in sums]

    def pooled(self, groups: Sequence[int]) -> Summary:
        """Return the summary of some groups together."""
        return self._summary(groups, self._totals(), self._held_by_cell())

    def _totals(self) -> dict[str, list[Total]]:
        totals = {term: sums.totals() for term, sums in self._sums.items()}
        if self._series is not None:
            totals |= {"seasonal_difference": self._series.totals(), "seasonal_differences": self._series.counts()}
        return totals

    def _held_by_cell(self) -> list[list[FloatArray]]:
        """Return the held values of every cell; no list if none are held."""
        slots = self.groups * self.rules.columns
        if not self.rules.holds:
            return []
        if slots == 1:
            return [[values for values, _ in self._held]]
        cells = [np.zeros(values.size, dtype=np.int64) if cell is None else cell for values, cell in self._held]
        cell = np.concatenate([np.empty(0, dtype=np.int64), *cells])
        order = np.argsort(cell, kind="stable")
        # The values are held in order from now on, so that they are not in memory twice.
        values, cell = np.concatenate([np.empty(0), *(values for values, _ in self._held)])[order], cell[order]
        self._held = [(values, cell)]
        borders = np.searchsorted(cell, np.arange(slots + 1)).tolist()
        return [[values[start:stop]] for start, stop in pairwise(borders)]

    def _summary(self, groups: Sequence[int], totals: dict[str, list[Total]], held: list[list[FloatArray]]) -> Summary:
        width = self.rules.columns
        columns = [self._cell(groups, column, totals, held) for column in range(width)]
        whole = combined(columns) if width > 1 else columns[0]
        return whole._replace(rows_used=_sum_of(self._rows_used, groups), columns=tuple(columns) if width > 1 else ())

    def _cell(
        self, groups: Sequence[int], column: int, totals: dict[str, list[Total]], held: list[list[FloatArray]]
    ) -> Summary:
        slots = [group * self.rules.columns + column for group in groups]
        counts = {name: _sum_of(numbers[:, column], groups) for name, numbers in self._counts.items()}
        return Summary(
            {term: sum((values[slot] for slot in slots[1:]), values[slots[0]]) for term, values in totals.items()}
            if slots
            else dict.fromkeys(totals, Total(0)),
            counts,
            _sum_of(self._rows, groups),
            counts["used"],
            {
                name: float(values[groups, column].max(initial=EXTREMES[name].start))
                for name, values in self._largest.items()
            },
            self.weighted,
            held=tuple(values for slot in slots for values in held[slot]) if held else (),
        )

    def _zeros(self, groups: int) -> IntArray:
        return np.zeros((groups, self.rules.columns), dtype=np.int64)

    def _grow(self, groups: int) -> None:
        self.groups = max(self.groups, groups)
        if self.groups > len(self._rows):
            more = 2 * self.groups - len(self._rows)
            self._counts = {name: np.concatenate([counts, self._zeros(more)]) for name, counts in self._counts.items()}
            self._rows, self._rows_used = (
                np.concatenate([rows, np.zeros(more, dtype=np.int64)]) for rows in (self._rows, self._rows_used)
            )
            self._largest = {
                name: np.concatenate([values, np.full((more, self.rules.columns), EXTREMES[name].start)])
                for name, values in self._largest.items()
            }
        for sums in self._sums.values():
            sums.grow(self.groups * self.rules.columns)
        if self._series is not None:
            self._series.grow(self.groups * self.rules.columns)

    def _take_plain(self, chunk: Chunk) -> bool:
        """Add the losses of a chunk, in one pass over it, if all its elements count and nothing else is wanted."""
        if not (self._plain and chunk.whole):
            return False
        cell = self._cells(chunk)
        if cell is None:
            totals = _plain_sums(chunk)
            if totals is None:
                return False
            for sums, total in zip(self._sums.values(), totals, strict=False):
                sums.add_total(total)
        elif cell.size <= MOST_VALUES:
            arrays = _flat_arrays(chunk)
            by_slot = kernel.chosen().squared_error_by_slot(*arrays, cell.reshape(-1), self.groups)
            if by_slot is None:
                return False
            for sums, slots in zip(self._sums.values(), by_slot, strict=False):
                sums.add_slots(slots, cell.size)
        else:
            return False
        self._count(chunk, Judgement(None, {}))
        return True

    def _take_any(self, chunk: Chunk) -> None:
        residual, judgement = judge(chunk, self.rules)
        self._count(chunk, judgement)
        for kind in ("nan_target", "nan_prediction"):
            self._note_first(kind, judgement.masks.get(kind), chunk)
        infinite = judgement.masks.get("infinite")
        if infinite is not None and infinite.any():
            self._note_first("infinite_prediction", infinite & np.isinf(chunk.prediction), chunk)
            self._note_first("infinite_target", infinite & np.isinf(chunk.target), chunk)
        omits = self.rules.nan_prediction == "omit"
        elements = Elements(chunk, residual, judgement.used, self._cells(chunk), omits=omits)
        self._note_first("weight", _bad_weights(chunk, judgement.used), chunk)
        self._note_flaws(chunk, judgement.used)
        with np.errstate(all="ignore"):
            for term, sums in self._sums.items():
                for values in addends(term, elements):
                    sums.add(values, elements.cell)
            if elements.residual.size:
                for name, largest in self._largest.items():
                    _keep_largest(largest, EXTREMES[name].values(elements), elements.cell)
            if self._series is not None:
                self._series.add(elements.target, elements.cell)
        if self.rules.holds:
            # The residuals are in scratch space, so these are copies in any case.
            self._held.append((np.abs(elements.residual), elements.cell))

    def _count(self, chunk: Chunk, judgement: Judgement) -> None:
        rows = _rows_by_group(chunk)
        all_elements = (rows * (self._item_size(chunk) // self.rules.columns))[:, np.newaxis]
        self._rows += rows
        self._counts["total"] += all_elements
        for name, mask in judgement.masks.items():
            self._counts[name] += _by_group(self._per_row(mask, chunk), chunk)
        if judgement.used is None:
            self._counts["used"] += all_elements
            self._rows_used += rows
        else:
            used = self._per_row(judgement.used, chunk)
            self._counts["used"] += _by_group(used, chunk)
            some = np.any(used, axis=1)
            self._rows_used += _by_group(some.astype(np.int64), chunk)

    def _per_row(self, mask: BoolArray, chunk: Chunk) -> IntArray:
        """Count the marked elements by row and column."""
        counts: IntArray = mask.reshape(chunk.rows, self.rules.columns, -1).sum(axis=2, dtype=np.int64)
        return counts

    def _item_size(self, chunk: Chunk) -> int:
        return chunk.prediction.size // chunk.rows if chunk.rows else 0

    def _cells(self, chunk: Chunk) -> IntArray | None:
        """Return the cell of every element, in the shape of the prediction; None if there is only one."""
        columns = self.rules.columns
        if columns == 1 and (self.groups == 1 or chunk.group is None):
            return None
        if columns == 1 and chunk.group is not None and chunk.prediction.ndim == 1:
            return chunk.group
        group = np.zeros(chunk.rows, dtype=np.int64) if chunk.group is None else chunk.group
        by_row = group[:, np.newaxis] * columns + np.arange(columns)
        return np.broadcast_to(by_row, (chunk.rows, self._item_size(chunk))).reshape(chunk.prediction.shape)

    def _note_flaws(self, chunk: Chunk, used: BoolArray | None) -> None:
        for name in self.rules.flaws:
            flaw = flaw_named(name, self.rules.nan_prediction)
            mask = flaw.found(chunk.side(flaw.side))
            mask = mask if used is None else mask & used
            self.flaws[name] = self.flaws.get(name, 0) + int(np.count_nonzero(mask))
            self._note_first(name, mask, chunk)

    def _note_first(self, kind: str, mask: BoolArray | None, chunk: Chunk) -> None:
        """Note the lowest number among the marked rows."""
        if mask is None or not mask.any():
            return
        rows = np.flatnonzero(mask.reshape(chunk.rows, -1).any(axis=1))
        numbers = (chunk.numbers or {}).get(kind)
        self._note_row(kind, chunk.first_row + int(rows[0]) if numbers is None else int(numbers[rows].min()))

    def _note_row(self, kind: str, row: int) -> None:
        self.first_row[kind] = min(row, self.first_row.get(kind, row))


def _sum_of(numbers: IntArray, groups: Sequence[int]) -> int:
    """Return the sum over some groups; of a single one without the cost of a sum."""
    return int(numbers[groups[0]] if len(groups) == 1 else numbers[groups].sum())


def _keep_largest(largest: FloatArray, values: FloatArray, cell: IntArray | None) -> None:
    if cell is None:
        largest[0] = np.maximum(largest[0], values.max())
    else:
        np.maximum.at(largest.reshape(-1), cell, values)


def _moved(cell: IntArray | None, slots: IntArray, size: int) -> IntArray | None:
    """Return the slots of elements after a merge; None for slot 0."""
    if cell is None:
        return None if slots[0] == 0 else np.full(size, slots[0])
    moved: IntArray = slots[cell]
    return moved


def judge(chunk: Chunk, rules: Rules) -> tuple[FloatArray, Judgement]:
    """Return the residuals of a chunk, and judge which of its elements count.

    The residuals are in scratch space: they are valid until this thread judges another chunk.
    """
    with np.errstate(all="ignore"):
        out = scratch("residual", chunk.prediction.shape, np.float64)
        residual = np.subtract(chunk.prediction, chunk.target, out=out)
    whole = chunk.dropped is None and chunk.excluded is None and not rules.ignore
    if not residual.size or (whole and np.isfinite(residual.max()) and np.isfinite(residual.min())):
        return residual, Judgement(None, {})
    dropped = np.zeros(residual.shape, dtype=bool)
    if chunk.dropped is not None:
        dropped[chunk.dropped] = True
    ignored = np.zeros(residual.shape, dtype=bool)
    for value in rules.ignore:
        ignored |= np.isnan(chunk.target) if np.isnan(value) else chunk.target == value
    ignored &= ~dropped
    unused = ignored | dropped
    nan_target = np.isnan(chunk.target) & ~unused
    nan_prediction = np.isnan(chunk.prediction) & ~unused
    if rules.nan_target != "propagate":
        unused |= nan_target
    if rules.nan_prediction != "propagate":
        unused |= nan_prediction
    if chunk.excluded is not None:
        unused |= chunk.excluded
    infinite = (np.isinf(chunk.prediction) | np.isinf(chunk.target)) & ~unused
    masks = {"ignored": ignored, "nan_target": nan_target, "nan_prediction": nan_prediction, "infinite": infinite}
    return residual, Judgement(~unused if unused.any() else None, masks)


def _rows_by_group(chunk: Chunk) -> IntArray:
    """Count the rows of each group that are not dropped."""
    if chunk.group is None:
        dropped = 0 if chunk.dropped is None else np.count_nonzero(chunk.dropped)
        return np.array([chunk.rows - dropped] + [0] * (chunk.groups - 1))
    group = chunk.group if chunk.dropped is None else chunk.group[~chunk.dropped]
    return np.bincount(group, minlength=chunk.groups)


def _by_group(per_row: IntArray, chunk: Chunk) -> IntArray:
    """Sum counts by row to counts by group."""
    sums = np.zeros((chunk.groups, *per_row.shape[1:]), dtype=np.int64)
    if chunk.group is None:
        sums[0] = per_row.sum(axis=0)
    else:
        np.add.at(sums, chunk.group, per_row)
    return sums


def _bad_weights(chunk: Chunk, used: BoolArray | None) -> BoolArray | None:
    """Return the used elements whose weights are impossible, or None without weights."""
    weight = chunk.element_weight()
    if weight is None:
        return None
    bad: BoolArray = ~(np.isfinite(weight) & (weight >= 0))
    return bad if used is None else bad & used


def check_policies(nan_target: str, nan_pred: str) -> None:
    """Refuse unknown policies for missing elements."""
    for name, policy in (("nan_target", nan_target), ("nan_pred", nan_pred)):
        if policy not in POLICIES:
            raise UsageError(f"`{name}`: {not_one_of(policy, POLICIES)}")
