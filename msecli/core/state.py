"""The state of a loss: what a chunk of rows leaves behind, and all that is needed to give any result.

States merge exactly, so it does not matter how the rows were cut into chunks or in which order they were merged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Literal, NamedTuple, Self

import numpy as np

from msecli.core.chunk import Chunk
from msecli.core.exact import ONE, BoolArray, FloatArray, IntArray, Total
from msecli.core.reduction import Used
from msecli.core.terms import Elements, addends, sum_of
from msecli.core.workspace import scratch
from msecli.errors import UsageError

Policy = Literal["raise", "omit", "propagate"]
POLICIES = ("raise", "omit", "propagate")

COUNTS = ("total", "used", "ignored", "nan_target", "nan_prediction", "infinite")
"""What the ledger counts, in elements."""


RowNumbers = Mapping[str, IntArray]
"""For each kind of problem the number of every row of a chunk in the file where such a problem would be."""


class Rules(NamedTuple):
    """What a state keeps of a chunk, and which elements count.

    Parameters
    ----------
    terms : tuple of str
        The sums to keep, names of `msecli.core.terms.TERMS`.
    largest : bool
        Keep the largest absolute residual, too.
    columns : int
        1 for one cell over all elements, or the number of elements in a row for one cell for each of them.
    nan_target, nan_prediction : {"raise", "omit", "propagate"}
        What a missing target and a missing prediction mean. "raise" is judged at the end, by `LossState.missing`,
        so that the message can say how many there are.
    ignore : tuple of float
        Elements whose target equals one of these are left out; NaN matches NaN.
    """

    terms: tuple[str, ...] = ("squared_error",)
    largest: bool = False
    columns: int = 1
    nan_target: Policy = "raise"
    nan_prediction: Policy = "raise"
    ignore: tuple[float, ...] = ()


class Judgement(NamedTuple):
    """Which elements of a piece are used (None: all of them), and which are left out for what reason."""

    used: BoolArray | None
    masks: dict[str, BoolArray]


class Summary(NamedTuple):
    """The exact sums and counts of a cell, or of all cells together; what a metric is computed from."""

    sums: dict[str, Total]
    counts: dict[str, int]
    rows: int
    rows_used: int
    largest: float
    weighted: bool
    columns: tuple[Summary, ...] = ()

    @property
    def used(self) -> int:
        """Number of used elements."""
        return self.counts["used"]

    @property
    def divisor(self) -> int:
        """The denominator of the mean, as `Used` has it."""
        return self.sums["weight"].units if self.weighted else self.used * ONE

    def plain(self, term: str) -> Total:
        """Return the sum of a term without weights."""
        return self.sums[f"plain_{term}" if self.weighted else term]


def combined(parts: Sequence[Summary]) -> Summary:
    """Return the summary of the elements of several columns together; a row counts once for each."""
    first = parts[0]
    return Summary(
        {term: sum((part.sums[term] for part in parts), Total(0)) for term in first.sums},
        {name: sum(part.counts[name] for part in parts) for name in first.counts},
        first.rows,
        max(part.rows_used for part in parts),
        # Python's max would lose a NaN.
        float(np.max([part.largest for part in parts])),
        first.weighted,
    )


class LossState:
    """Exact sums, counts and first offenders over any number of chunks.

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
        self._largest = np.zeros((groups, rules.columns))
        self._sums = {term: sum_of(term, groups * rules.columns) for term in rules.terms}
        self.first_row: dict[str, int] = {}
        """The first row of each kind of problem: nan_target, nan_prediction, weight."""

    @classmethod
    def of(cls, chunk: Chunk, rules: Rules, row_numbers: RowNumbers | None = None) -> Self:
        """Return the state of one chunk, whose rows are numbered on from its first one unless numbers are given."""
        state = cls(rules, weighted=chunk.weight is not None, groups=chunk.groups)
        for piece in chunk.pieces():
            start = piece.first_row - chunk.first_row
            rows = slice(start, start + piece.rows)
            state._take(piece, {kind: numbers[rows] for kind, numbers in (row_numbers or {}).items()})
        return state

    def merge(self, other: Self, groups: IntArray | None = None) -> None:
        """Take in what `other`, a state under the same rules, has seen.

        Parameters
        ----------
        other : LossState
        groups : ndarray of int64, shape (other.groups,), optional
            Which group here each group of `other` is; without it group by group.
        """
        here = np.arange(other.groups) if groups is None else groups
        self.weighted = self.weighted or other.weighted
        self._grow(int(here.max(initial=-1)) + 1)
        for name, counts in other._counts.items():
            self._counts[name][here] += counts[: other.groups]
        self._rows[here] += other._rows[: other.groups]
        self._rows_used[here] += other._rows_used[: other.groups]
        self._largest[here] = np.maximum(self._largest[here], other._largest[: other.groups])
        slots = (here[:, np.newaxis] * self.rules.columns + np.arange(self.rules.columns)).reshape(-1)
        for term, sums in other._sums.items():
            self._sums[term].merge(sums, slots)
        for kind, row in other.first_row.items():
            self._note_row(kind, row)

    def summary(self) -> Summary:
        """Return the sums over all cells, with those of each column behind it where columns were kept apart."""
        return self.pooled(range(self.groups))

    def summaries(self) -> list[Summary]:
        """Return the summary of every group."""
        return list(self.each_summary())

    def each_summary(self) -> Iterator[Summary]:
        """Yield the summary of every group: of millions of groups all together would take gigabytes."""
        totals = self._totals()
        if self.rules.columns > 1:
            yield from (self._summary([group], totals) for group in range(self.groups))
            return
        # Plain lists are far faster to index than arrays.
        counts = [values[: self.groups, 0].tolist() for values in self._counts.values()]
        rows, rows_used = self._rows.tolist(), self._rows_used.tolist()
        largest = self._largest[:, 0].tolist()
        for group in range(self.groups):
            sums = {term: values[group] for term, values in totals.items()}
            numbers = {name: values[group] for name, values in zip(self._counts, counts, strict=True)}
            yield Summary(sums, numbers, rows[group], rows_used[group], largest[group], self.weighted)

    def columns(self) -> list[Summary]:
        """Return the summary of every column, over all groups."""
        totals = self._totals()
        return [self._cell(range(self.groups), column, totals) for column in range(self.rules.columns)]

    def losses(self, divisor: Callable[[Used], int]) -> list[float]:
        """Return the loss of every group, nan where nothing is used; for very many groups."""
        totals = self._totals()
        used, rows = self._counts["used"][: self.groups, 0].tolist(), self._rows_used.tolist()
        weights = [total.units for total in totals["weight"]] if self.weighted else [None] * self.groups
        # Rows without weights mostly have the same counts, and so the same divisor.
        divisors = cache(divisor)
        divided = [divisors(Used(*counts)) for counts in zip(used, rows, weights, strict=False)]
        sums = zip(totals["squared_error"], divided, used, strict=True)
        return [total.over(divisor) if count else math.nan for total, divisor, count in sums]

    def pooled(self, groups: Sequence[int]) -> Summary:
        """Return the sums over some groups together."""
        return self._summary(groups, self._totals())

    def _totals(self) -> dict[str, list[Total]]:
        return {term: sums.totals() for term, sums in self._sums.items()}

    def _summary(self, groups: Sequence[int], totals: dict[str, list[Total]]) -> Summary:
        width = self.rules.columns
        columns = [self._cell(groups, column, totals) for column in range(width)]
        whole = combined(columns) if width > 1 else columns[0]
        return whole._replace(rows_used=int(self._rows_used[groups].sum()), columns=tuple(columns) if width > 1 else ())

    def _cell(self, groups: Sequence[int], column: int, totals: dict[str, list[Total]]) -> Summary:
        width = self.rules.columns
        used = int(self._counts["used"][groups, column].sum())
        return Summary(
            {
                term: sum((values[group * width + column] for group in groups), Total(0))
                for term, values in totals.items()
            },
            {name: int(counts[groups, column].sum()) for name, counts in self._counts.items()},
            int(self._rows[groups].sum()),
            used,
            float(self._largest[groups, column].max(initial=0.0)),
            self.weighted,
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
            self._largest = np.concatenate([self._largest, np.zeros((more, self.rules.columns))])
        for sums in self._sums.values():
            sums.grow(self.groups * self.rules.columns)

    def _take(self, piece: Chunk, row_numbers: RowNumbers) -> None:
        residual, judgement = judge(piece, self.rules)
        self._count(piece, judgement)
        for kind in ("nan_target", "nan_prediction"):
            self._note_first(kind, judgement.masks.get(kind), piece, row_numbers)
        elements = self._elements(piece, residual, judgement.used)
        self._note_first("weight", _bad_weights(piece, judgement.used), piece, row_numbers)
        with np.errstate(all="ignore"):
            for term, sums in self._sums.items():
                for values in addends(term, elements):
                    sums.add(values, elements.cell)
            if self.rules.largest and elements.residual.size:
                self._keep_largest(np.abs(elements.residual), elements.cell)

    def _count(self, piece: Chunk, judgement: Judgement) -> None:
        rows = _rows_by_group(piece)
        all_elements = (rows * (self._item_size(piece) // self.rules.columns))[:, np.newaxis]
        self._rows += rows
        self._counts["total"] += all_elements
        for name, mask in judgement.masks.items():
            self._counts[name] += _by_group(self._per_row(mask, piece), piece)
        if judgement.used is None:
            self._counts["used"] += all_elements
            self._rows_used += rows
        else:
            used = self._per_row(judgement.used, piece)
            self._counts["used"] += _by_group(used, piece)
            some = np.any(used, axis=1)
            self._rows_used += _by_group(some.astype(np.int64), piece)

    def _per_row(self, mask: BoolArray, piece: Chunk) -> IntArray:
        """Return how many elements are marked, by row and column."""
        counts: IntArray = mask.reshape(piece.rows, self.rules.columns, -1).sum(axis=2, dtype=np.int64)
        return counts

    def _item_size(self, piece: Chunk) -> int:
        return piece.prediction.size // piece.rows if piece.rows else 0

    def _cells(self, piece: Chunk) -> IntArray | None:
        """Return the cell of every element, in the shape of the prediction; None if there is only one."""
        columns = self.rules.columns
        if columns == 1 and (self.groups == 1 or piece.group is None):
            return None
        if columns == 1 and piece.group is not None and piece.prediction.ndim == 1:
            return piece.group
        group = np.zeros(piece.rows, dtype=np.int64) if piece.group is None else piece.group
        by_row = group[:, np.newaxis] * columns + np.arange(columns)
        return np.broadcast_to(by_row, (piece.rows, self._item_size(piece))).reshape(piece.prediction.shape)

    def _elements(self, piece: Chunk, residual: FloatArray, used: BoolArray | None) -> Elements:
        arrays = (residual, piece.target, piece.element_weight(), self._cells(piece))
        if used is None:
            flat = [None if array is None else array.reshape(-1) for array in arrays]
        else:
            flat = [None if array is None else array[used] for array in arrays]
        return Elements(*flat)  # type: ignore[arg-type]

    def _keep_largest(self, size: FloatArray, cell: IntArray | None) -> None:
        if cell is None:
            self._largest[0] = np.maximum(self._largest[0], size.max())
        else:
            np.maximum.at(self._largest.reshape(-1), cell, size)

    def _note_first(self, kind: str, mask: BoolArray | None, piece: Chunk, row_numbers: RowNumbers) -> None:
        """Remember the lowest number of the marked rows."""
        if mask is None or not mask.any():
            return
        rows = np.flatnonzero(mask.reshape(piece.rows, -1).any(axis=1))
        numbers = row_numbers.get(kind)
        self._note_row(kind, piece.first_row + int(rows[0]) if numbers is None else int(numbers[rows].min()))

    def _note_row(self, kind: str, row: int) -> None:
        self.first_row[kind] = min(row, self.first_row.get(kind, row))


def judge(piece: Chunk, rules: Rules) -> tuple[FloatArray, Judgement]:
    """Return the residuals of a piece, and which of its elements count."""
    with np.errstate(all="ignore"):
        out = scratch("residual", piece.prediction.shape, np.float64)
        residual = np.subtract(piece.prediction, piece.target, out=out)
    whole = piece.dropped is None and not rules.ignore
    if not residual.size or (whole and np.isfinite(residual.max()) and np.isfinite(residual.min())):
        return residual, Judgement(None, {})
    there = _there(piece)
    ignored = np.zeros(residual.shape, dtype=bool)
    for value in rules.ignore:
        ignored |= np.isnan(piece.target) if np.isnan(value) else piece.target == value
    ignored &= there
    unused = ignored | ~there
    nan_target = np.isnan(piece.target) & ~unused
    nan_prediction = np.isnan(piece.prediction) & ~unused
    if rules.nan_target != "propagate":
        unused |= nan_target
    if rules.nan_prediction != "propagate":
        unused |= nan_prediction
    infinite = (np.isinf(piece.prediction) | np.isinf(piece.target)) & ~unused
    masks = {"ignored": ignored, "nan_target": nan_target, "nan_prediction": nan_prediction, "infinite": infinite}
    return residual, Judgement(~unused if unused.any() else None, masks)


def _there(piece: Chunk) -> BoolArray:
    """Return which elements belong to rows that are not dropped."""
    there = np.ones(piece.prediction.shape, dtype=bool)
    if piece.dropped is not None:
        there[piece.dropped] = False
    return there


def _rows_by_group(piece: Chunk) -> IntArray:
    """Return how many rows of each group are not dropped."""
    if piece.group is None:
        dropped = 0 if piece.dropped is None else np.count_nonzero(piece.dropped)
        return np.array([piece.rows - dropped] + [0] * (piece.groups - 1))
    group = piece.group if piece.dropped is None else piece.group[~piece.dropped]
    return np.bincount(group, minlength=piece.groups)


def _by_group(per_row: IntArray, piece: Chunk) -> IntArray:
    """Return the sums of rows of counts over the rows of each group."""
    sums = np.zeros((piece.groups, *per_row.shape[1:]), dtype=np.int64)
    if piece.group is None:
        sums[0] = per_row.sum(axis=0)
    else:
        np.add.at(sums, piece.group, per_row)
    return sums


def _bad_weights(piece: Chunk, used: BoolArray | None) -> BoolArray | None:
    """Return at which used elements the weights are impossible, None without weights."""
    weight = piece.element_weight()
    if weight is None:
        return None
    bad: BoolArray = ~(np.isfinite(weight) & (weight >= 0))
    return bad if used is None else bad & used


def check_policies(nan_policy: str, nan_pred: str) -> None:
    """Refuse unknown policies for missing elements."""
    for name, policy in (("nan_policy", nan_policy), ("nan_pred", nan_pred)):
        if policy not in POLICIES:
            raise UsageError(f"{name}: {policy!r} is not one of {', '.join(POLICIES)}")
