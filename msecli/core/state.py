"""The state of a loss: what a chunk of rows leaves behind, and all that is needed to give any result.

States merge exactly, so it does not matter how the rows were cut into chunks or in which order they were merged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from msecli.core.chunk import Chunk
from msecli.core.exact import ONE, BoolArray, ExactSum, FloatArray, IntArray, Total
from msecli.core.terms import Elements, addends
from msecli.core.workspace import scratch

Policy = Literal["raise", "omit", "propagate"]

COUNTS = ("total", "used", "ignored", "nan_target", "nan_prediction", "infinite")
"""What the ledger counts, in elements."""


@dataclass(frozen=True, slots=True)
class Rules:
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


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which elements of a piece are used (None: all of them), and which are left out for what reason."""

    used: BoolArray | None
    masks: dict[str, BoolArray]


@dataclass(frozen=True, slots=True)
class Summary:
    """The exact sums and counts of a cell, or of all cells together; what a metric is computed from."""

    sums: dict[str, Total]
    counts: dict[str, int]
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
        """The denominator of the mean in units of 2**-1074: the sum of the weights, else the number of elements."""
        return self.sums["weight"].units if self.weighted else self.used * ONE

    def plain(self, term: str) -> Total:
        """Return the sum of a term without weights."""
        return self.sums[f"plain_{term}" if self.weighted else term]


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

    def __init__(self, rules: Rules, *, weighted: bool = False) -> None:
        self.rules = rules
        self.weighted = weighted
        self._counts: dict[str, IntArray] = {name: np.zeros(rules.columns, dtype=np.int64) for name in COUNTS}
        self._sums = {term: ExactSum(rules.columns) for term in rules.terms}
        self._largest = np.zeros(rules.columns)
        self.rows_used = 0
        self.first_row: dict[str, int] = {}
        """The first row of each kind of problem: nan_target, nan_prediction, weight."""

    @classmethod
    def of(cls, chunk: Chunk, rules: Rules) -> Self:
        """Return the state of one chunk."""
        state = cls(rules, weighted=chunk.weight is not None)
        for piece in chunk.pieces():
            state._take(piece)
        return state

    def merge(self, other: Self) -> None:
        """Take in what `other`, a state under the same rules, has seen."""
        for name, counts in other._counts.items():
            self._counts[name] += counts
        for term, sums in other._sums.items():
            self._sums[term].merge(sums)
        np.maximum(self._largest, other._largest, out=self._largest)
        self.rows_used += other.rows_used
        for kind, row in other.first_row.items():
            self._note_row(kind, row)

    def summary(self) -> Summary:
        """Return the sums over all cells, with those of each column behind it where columns were kept apart."""
        totals = {term: sums.totals() for term, sums in self._sums.items()}
        cells = tuple(
            Summary(
                {term: values[cell] for term, values in totals.items()},
                {name: int(counts[cell]) for name, counts in self._counts.items()},
                int(self._counts["used"][cell]),
                float(self._largest[cell]),
                self.weighted,
            )
            for cell in range(self.rules.columns)
        )
        return Summary(
            {term: sum(values, Total(0)) for term, values in totals.items()},
            {name: int(counts.sum()) for name, counts in self._counts.items()},
            self.rows_used,
            float(self._largest.max()),
            self.weighted,
            cells,
        )

    def _take(self, piece: Chunk) -> None:
        residual, judgement = judge(piece, self.rules)
        self._count(piece, judgement)
        elements = self._elements(piece, residual, judgement.used)
        self._check_weights(piece, judgement.used)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            for term, sums in self._sums.items():
                for values in addends(term, elements):
                    sums.add(values, elements.cell)
            if self.rules.largest and elements.residual.size:
                self._keep_largest(np.abs(elements.residual), elements.cell)

    def _count(self, piece: Chunk, judgement: Judgement) -> None:
        shape = piece.prediction.shape
        self._counts["total"] += piece.prediction.size // self.rules.columns
        for name, mask in judgement.masks.items():
            self._counts[name] += np.count_nonzero(mask.reshape(-1, self.rules.columns), axis=0)
            if name.startswith("nan") and mask.any():
                self._note_row(name, piece.first_row + _first_row(mask))
        if judgement.used is None:
            self._counts["used"] += piece.prediction.size // self.rules.columns
            self.rows_used += shape[0]
        else:
            self._counts["used"] += np.count_nonzero(judgement.used.reshape(-1, self.rules.columns), axis=0)
            self.rows_used += int(np.count_nonzero(judgement.used.reshape(shape[0], -1).any(axis=1)))

    def _elements(self, piece: Chunk, residual: FloatArray, used: BoolArray | None) -> Elements:
        cell = None
        if self.rules.columns > 1:
            cell = np.broadcast_to(
                np.arange(self.rules.columns), (residual.size // self.rules.columns, self.rules.columns)
            )
            cell = cell.reshape(residual.shape)
        weight = piece.element_weight()
        if used is None:
            return Elements(
                residual.reshape(-1),
                piece.target.reshape(-1),
                None if weight is None else weight.reshape(-1),
                None if cell is None else cell.reshape(-1),
            )
        return Elements(
            residual[used],
            piece.target[used],
            None if weight is None else weight[used],
            None if cell is None else cell[used],
        )

    def _check_weights(self, piece: Chunk, used: BoolArray | None) -> None:
        weight = piece.element_weight()
        if weight is None:
            return
        bad = ~(np.isfinite(weight) & (weight >= 0))
        if used is not None:
            bad &= used
        if bad.any():
            self._note_row("weight", piece.first_row + _first_row(bad))

    def _keep_largest(self, size: FloatArray, cell: IntArray | None) -> None:
        if cell is None:
            self._largest[0] = np.maximum(self._largest[0], size.max())
        else:
            np.maximum.at(self._largest, cell, size)

    def _note_row(self, kind: str, row: int) -> None:
        self.first_row[kind] = min(row, self.first_row.get(kind, row))


def judge(piece: Chunk, rules: Rules) -> tuple[FloatArray, Judgement]:
    """Return the residuals of a piece, and which of its elements count."""
    with np.errstate(over="ignore", invalid="ignore"):
        out = scratch("residual", piece.prediction.shape, np.float64)
        residual = np.subtract(piece.prediction, piece.target, out=out)
    if not residual.size or (not rules.ignore and np.isfinite(residual.max()) and np.isfinite(residual.min())):
        return residual, Judgement(None, {})
    ignored = np.zeros(residual.shape, dtype=bool)
    for value in rules.ignore:
        ignored |= np.isnan(piece.target) if np.isnan(value) else piece.target == value
    nan_target = np.isnan(piece.target) & ~ignored
    nan_prediction = np.isnan(piece.prediction) & ~ignored
    unused = ignored.copy()
    if rules.nan_target != "propagate":
        unused |= nan_target
    if rules.nan_prediction != "propagate":
        unused |= nan_prediction
    infinite = (np.isinf(piece.prediction) | np.isinf(piece.target)) & ~unused
    masks = {"ignored": ignored, "nan_target": nan_target, "nan_prediction": nan_prediction, "infinite": infinite}
    return residual, Judgement(~unused if unused.any() else None, masks)


def _first_row(mask: BoolArray) -> int:
    return int(np.argmax(mask.reshape(mask.shape[0], -1).any(axis=1)))
