"""States kept apart for the groups of rows, under names that are given as the rows come."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msecli.core.exact import BoolArray, IntArray
from msecli.core.linear import LinearModel, ParameterSums
from msecli.core.state import LossState, Rules, Summary

ROWS_AT_ONCE = 1 << 20


class Partition:
    """A division of all rows into groups, each with a key.

    Parameters
    ----------
    rules : Rules
    weighted : bool
        Whether the chunks carry weights.
    model : LinearModel, optional
        Keep the derivatives with respect to its parameters, too.
    """

    def __init__(self, rules: Rules, *, weighted: bool, model: LinearModel | None = None) -> None:
        self.state = LossState(rules, weighted=weighted, groups=0)
        self.parameters = None if model is None else ParameterSums(model, groups=0)
        self.keys: dict[Hashable, int] = {}

    def merge(self, state: LossState, keys: Sequence[Hashable], parameters: ParameterSums | None = None) -> None:
        """Take in a state, and sums of derivatives, whose groups have these keys."""
        known = self.keys
        groups = np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)
        self.state.merge(state, groups)
        if self.parameters is not None and parameters is not None:
            self.parameters.merge(parameters, groups)

    def summaries(self) -> dict[Hashable, Summary]:
        """Return the summary of every group, by key, in the order in which the keys came."""
        return dict(self.items())

    def items(self) -> Iterator[tuple[Hashable, Summary]]:
        """Yield the key and the summary of every group, as `summaries` has them, without holding all of them."""
        return zip(self.keys, self.state.each_summary(), strict=True)


class Batches:
    """Mini-batches of rows in their order, or in that of a seeded permutation.

    Parameters
    ----------
    size : int
        Rows in a batch; the last one may have fewer.
    rows : int, optional
        The number of all rows; needed to shuffle them and to drop the last batch.
    seed : int, optional
        Shuffle the rows by the permutation that ``numpy.random.default_rng(seed)`` gives of them.
    drop_last : bool
        Leave out the rows of a last batch that is not full.
    """

    def __init__(self, size: int, rows: int | None = None, *, seed: int | None = None, drop_last: bool = False) -> None:
        self._size = size
        self._position: NDArray[Any] | None = None
        self.full_rows = None if rows is None or not drop_last else rows - rows % size
        if seed is not None and rows is not None:
            # Half as large where it can be: this is all that a run holds for every row.
            kind = np.dtype(np.int32 if rows <= np.iinfo(np.int32).max else np.int64)
            order = np.arange(rows, dtype=kind)
            np.random.default_rng(seed).shuffle(order)
            self._position = position = np.empty(rows, dtype=kind)
            for start in range(0, rows, ROWS_AT_ONCE):
                chosen = order[start : start + ROWS_AT_ONCE]
                position[chosen] = np.arange(start, start + len(chosen))

    def of(self, first_row: int, rows: int) -> tuple[IntArray, IntArray]:
        """Return the batch of each of these rows, numbered from 0 in the second array of the batches' numbers."""
        numbers, codes = np.unique(self._positions(first_row, rows) // self._size, return_inverse=True)
        return codes, numbers

    def dropped(self, first_row: int, rows: int) -> BoolArray | None:
        """Return which of these rows belong to a last batch that is to be left out, None if none does."""
        if self.full_rows is None:
            return None
        dropped: BoolArray = self._positions(first_row, rows) >= self.full_rows
        return dropped if dropped.any() else None

    def _positions(self, first_row: int, rows: int) -> IntArray:
        if self._position is None:
            return np.arange(first_row, first_row + rows)
        return self._position[first_row : first_row + rows].astype(np.int64)
