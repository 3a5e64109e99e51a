"""The elements with the largest losses, gathered in memory that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from msecli.arrays import FloatArray, IntArray
from msecli.core.chunk import Chunk
from msecli.tuples import NamedTuple


class Element(NamedTuple):
    """One element: its row, from 0, its place in the row, both values, its loss, and the labels of its row."""

    row: int
    place: int
    prediction: float
    target: float
    loss: float
    labels: Any = ()


class Worst:
    """The elements with the largest losses, the first rows and then the first places before others with equal losses.

    An infinite loss is the largest; what is no number is not among them.

    Parameters
    ----------
    count : int
        How many to keep.

    Examples
    --------
    >>> import numpy as np
    >>> worst = Worst.of(Chunk(np.array([1.0, 5.0, 2.0]), np.zeros(3)), np.array([1.0, 25.0, 4.0]), 2)
    >>> [(element.row, element.loss) for element in worst.elements()]
    [(1, 25.0), (2, 4.0)]
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._losses, self._predictions, self._targets = np.empty(0), np.empty(0), np.empty(0)
        self._rows: IntArray = np.empty(0, dtype=np.int64)
        self._places: IntArray = np.empty(0, dtype=np.int64)
        self._labels: NDArray[np.object_] = np.empty(0, dtype=object)

    @classmethod
    def of(
        cls,
        chunk: Chunk,
        losses: FloatArray,
        count: int,
        *,
        numbers: IntArray | None = None,
        labels: Callable[[IntArray], Sequence[Hashable]] | None = None,
    ) -> Self:
        """Return the worst elements of a chunk.

        Parameters
        ----------
        chunk : Chunk
        losses : ndarray of float64, in the shape of the prediction
            NaN for elements that are not used.
        count : int
        numbers : ndarray of int64, shape (rows,), optional
            The rows' numbers, rising; by default rows count on from the chunk's first one.
        labels : callable, optional
            From indices of rows in the chunk to their labels.
        """
        made = cls(count)
        # NaN becomes a number below all losses, with which it can be compared.
        losses = np.where(np.isnan(losses), -1.0, losses).reshape(-1)
        chosen = _largest(losses, count)
        width = losses.size // chunk.rows
        inside = chosen // width
        made._losses, made._places = losses[chosen], chosen % width
        made._rows = chunk.first_row + inside if numbers is None else numbers[inside]
        made._predictions = chunk.prediction.reshape(-1)[chosen]
        made._targets = chunk.target.reshape(-1)[chosen]
        made._labels = _objects(labels(inside) if labels is not None else [()] * len(chosen))
        return made

    def merge(self, other: Self, first_row: int = 0) -> None:
        """Take in the worst elements of other rows, which are numbered from `first_row` on."""
        losses = np.concatenate([self._losses, other._losses])
        rows = np.concatenate([self._rows, other._rows + first_row])
        places = np.concatenate([self._places, other._places])
        order = np.lexsort((places, rows, -losses))[: self.count]

        def kept(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([ours, theirs])[order]

        self._losses, self._rows, self._places = losses[order], rows[order], places[order]
        self._predictions = kept(self._predictions, other._predictions)
        self._targets = kept(self._targets, other._targets)
        self._labels = kept(self._labels, other._labels)

    def elements(self) -> list[Element]:
        """Return the elements, the worst first."""
        columns = (self._rows, self._places, self._predictions, self._targets, self._losses)
        return [
            Element(row, place, prediction, target, loss, labels)
            for row, place, prediction, target, loss, labels in zip(
                *(column.tolist() for column in columns), self._labels, strict=True
            )
        ]


def _largest(losses: FloatArray, count: int) -> IntArray:
    """Return the indices of the largest losses in their order, of equal ones the first; none of what is negative."""
    if count < losses.size:
        least = float(np.partition(losses, losses.size - count)[losses.size - count])
        above = np.flatnonzero(losses > least)
        equal = np.flatnonzero(losses == least)[: count - above.size]
        chosen = np.concatenate([above, equal])
    else:
        chosen = np.arange(losses.size)
    chosen = chosen[losses[chosen] >= 0]
    found: IntArray = chosen[np.lexsort((chosen, -losses[chosen]))]
    return found


def _objects(values: Sequence[Hashable]) -> NDArray[np.object_]:
    """Return values, which may be tuples, as an array of one dimension."""
    array: NDArray[np.object_] = np.empty(len(values), dtype=object)
    for number, value in enumerate(values):
        array[number] = value
    return array
