"""The states of groups of rows: groups by label, and mini-batches."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from msecli.arrays import BoolArray, FloatArray, IntArray
from msecli.core.chunk import Chunk
from msecli.core.state import LossState, Rules, Summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from msecli.core.linear import LinearModel, ParameterSums

ROWS_AT_ONCE = 1 << 20


class Partition:
    """The states of groups of rows, by key.

    Parameters
    ----------
    rules : Rules
    weighted : bool
        Whether the chunks carry weights.
    model : LinearModel, optional
        Also keep the derivatives with respect to its parameters.
    """

    def __init__(self, rules: Rules, *, weighted: bool, model: LinearModel | None = None) -> None:
        self.state = LossState(rules, weighted=weighted, groups=0)
        self.parameters: ParameterSums | None = None
        if model is not None:
            from msecli.core.linear import ParameterSums

            self.parameters = ParameterSums(model, groups=0)
        self.keys: dict[Hashable, int] = {}

    @classmethod
    def of(
        cls,
        chunk: Chunk,
        codes: IntArray | None = None,
        keys: Sequence[Hashable] = (None,),
        *,
        rules: Rules,
        model: LinearModel | None = None,
        inputs: FloatArray | None = None,
    ) -> Self:
        """Return the states of the rows of a chunk.

        Parameters
        ----------
        chunk : Chunk
        codes : ndarray of int64, shape (rows,), optional
            The number of every row's group. By default all rows are one group.
        keys : sequence of hashable
            The key of each group.
        rules, model
            As for the class.
        inputs : ndarray of float64, shape (rows, inputs), optional
            The inputs of the model's predictions.
        """
        made = cls.__new__(cls)
        grouped = chunk._replace(group=codes, groups=len(keys))
        made.state = LossState.of(grouped, rules)
        made.parameters = None
        if model is not None and inputs is not None:
            from msecli.core.linear import ParameterSums

            made.parameters = ParameterSums.of(grouped, inputs, rules, model)
        made.keys = {key: number for number, key in enumerate(keys)}
        return made

    @classmethod
    def restored(cls, keys: Sequence[Hashable], state: LossState, parameters: ParameterSums | None = None) -> Self:
        """Return the partition with these groups, by key, and the states of their rows."""
        made = cls.__new__(cls)
        made.state, made.parameters = state, parameters
        made.keys = {key: number for number, key in enumerate(keys)}
        return made

    def merge(self, other: Self, first_row: int = 0) -> None:
        """Add the states of other rows, which are numbered from `first_row` on."""
        known = self.keys
        groups = np.array([known.setdefault(key, len(known)) for key in other.keys], dtype=np.int64)
        self.state.merge(other.state, groups, first_row)
        if self.parameters is not None and other.parameters is not None:
            self.parameters.merge(other.parameters, groups)

    def summaries(self) -> dict[Hashable, Summary]:
        """Return the summary of every group by key, in order of first appearance."""
        return dict(self.items())

    def items(self) -> Iterator[tuple[Hashable, Summary]]:
        """Yield the key and the summary of every group, without holding them all."""
        return zip(self.keys, self.state.each_summary(), strict=True)


class Batches:
    """Mini-batches of rows, in file order or shuffled.

    Parameters
    ----------
    size : int
        Rows in a batch; the last one may have fewer.
    rows : int, optional
        The number of all rows; required to shuffle or to drop the last batch.
    seed : int, optional
        Shuffle the rows with ``numpy.random.default_rng(seed)``.
    drop_last : bool
        Leave out the last batch if it is not full.
    """

    def __init__(self, size: int, rows: int | None = None, *, seed: int | None = None, drop_last: bool = False) -> None:
        self._size = size
        self._position: NDArray[Any] | None = None
        self.full_rows = None if rows is None or not drop_last else rows - rows % size
        if seed is not None and rows is not None:
            # int32 if possible: this array is the only memory that grows with the number of rows.
            kind = np.dtype(np.int32 if rows <= np.iinfo(np.int32).max else np.int64)
            order = np.arange(rows, dtype=kind)
            np.random.default_rng(seed).shuffle(order)
            self._position = position = np.empty(rows, dtype=kind)
            for start in range(0, rows, ROWS_AT_ONCE):
                chosen = order[start : start + ROWS_AT_ONCE]
                position[chosen] = np.arange(start, start + len(chosen))

    def of(self, first_row: int, rows: int) -> tuple[IntArray, list[int]]:
        """Return the numbers of the batches that these rows belong to, and each row's index into them, first."""
        numbers, codes = np.unique(self._positions(first_row, rows) // self._size, return_inverse=True)
        return codes, numbers.tolist()

    def dropped(self, first_row: int, rows: int) -> BoolArray | None:
        """Return which of these rows are in a last batch to drop, or None if none are."""
        if self.full_rows is None:
            return None
        dropped: BoolArray = self._positions(first_row, rows) >= self.full_rows
        return dropped if dropped.any() else None

    def _positions(self, first_row: int, rows: int) -> IntArray:
        if self._position is None:
            return np.arange(first_row, first_row + rows)
        return self._position[first_row : first_row + rows].astype(np.int64)
