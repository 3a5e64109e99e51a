"""Linear models: their predictions, and the gradient of the loss with respect to their parameters.

The shapes follow ``torch.nn.Linear``: coef (outputs, inputs) and intercept (outputs,); the prediction is
x @ coef.T + intercept. Products are added in float64, input by input, so that a prediction does not depend on the
other rows, as it would with a BLAS matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from msecli.arrays import FloatArray, IntArray
from msecli.core.cells import read_steps, written_steps
from msecli.core.chunk import Chunk
from msecli.core.loss import unscaled_gradient
from msecli.core.norm import norm_of
from msecli.core.state import Rules, judge
from msecli.core.wide import Wide, WideSum
from msecli.errors import DataError


@dataclass(frozen=True, slots=True)
class LinearModel:
    """The parameters of a linear model.

    Parameters
    ----------
    coef : ndarray of float64, shape (outputs, inputs), or (inputs,) for a single output
    intercept : ndarray of float64, shape (outputs,), optional

    Raises
    ------
    DataError
        If the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> LinearModel(np.array([2.0, 1.0]), np.array([0.5])).predict(np.array([[1.0, 3.0]]))
    array([5.5])
    """

    coef: FloatArray
    intercept: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.coef.ndim not in (1, 2) or self.coef.size == 0:
            raise DataError(f"the coefficients have shape {self.coef.shape}; it must be (outputs, inputs) or (inputs,)")
        if self.intercept is not None and self.intercept.size != self.outputs:
            raise DataError(
                f"the intercept has shape {self.intercept.shape}, the coefficients {self.coef.shape}: "
                f"{self.outputs} outputs need as many intercepts"
            )

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return int(self.coef.shape[-1])

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return 1 if self.coef.ndim == 1 else int(self.coef.shape[0])

    @property
    def item(self) -> tuple[int, ...]:
        """The shape of one row of predictions."""
        return self.coef.shape[:-1]

    @property
    def matrix(self) -> FloatArray:
        """The coefficients, shape (outputs, inputs)."""
        return self.coef.reshape(self.outputs, self.inputs)

    def predict(self, inputs: FloatArray) -> FloatArray:
        """Return the predictions, shape (rows, outputs) or (rows,), for inputs of shape (rows, inputs)."""
        predictions = np.zeros((len(inputs), self.outputs))
        with np.errstate(all="ignore"):
            for output, row in enumerate(self.matrix):
                column = predictions[:, output]
                for number, factor in enumerate(row.tolist()):
                    column += inputs[:, number] * factor
                if self.intercept is not None:
                    column += self.intercept.reshape(-1)[output]
        return predictions.reshape(len(inputs), *self.item)


class ParameterSums:
    """Exact sums over rows of the derivatives of the summed loss with respect to each parameter.

    Parameters
    ----------
    model : LinearModel
    groups : int
        The number of groups of rows.
    """

    def __init__(self, model: LinearModel, groups: int = 1) -> None:
        self._model = model
        self._size = model.outputs * (model.inputs + 1)
        self._sums = WideSum(groups * self._size)

    @classmethod
    def of(cls, chunk: Chunk, inputs: FloatArray, rules: Rules, model: LinearModel) -> Self:
        """Return the sums of a chunk whose predictions come from these inputs, shape (rows, inputs)."""
        made = cls(model, chunk.groups)
        for view in chunk.slices():
            start = view.first_row - chunk.first_row
            made._take(view, inputs[start : start + view.rows], rules)
        return made

    def merge(self, other: Self, groups: IntArray | None = None) -> None:
        """Add other sums; `groups` gives the group here for each of theirs."""
        here = np.arange(other._sums.slots // self._size) if groups is None else groups
        slots = (here[:, np.newaxis] * self._size + np.arange(self._size)).reshape(-1)
        self._sums.grow(int(slots.max(initial=-1)) + 1)
        self._sums.merge(other._sums, slots)

    def to_json(self) -> list[list[Any]]:
        """Return the sums in the shape of JSON, by group."""
        written = [written_steps(parts) for parts in self._sums.by_step()[: self._sums.slots]]
        return [written[start : start + self._size] for start in range(0, len(written), self._size)]

    def restore_json(self, groups: Sequence[Sequence[Any]]) -> None:
        """Add the sums that `to_json` has returned, for as many groups as there are here.

        Raises
        ------
        ValueError
            If they are others.
        """
        written = [each for group in groups for each in group]
        for slot, each in zip(range(self._sums.slots), written, strict=True):
            for step, total in read_steps(each).items():
                self._sums.restore(slot, step, total)

    def gradients(self, divisor: int) -> tuple[FloatArray, FloatArray]:
        """Return the gradients with respect to coef and intercept over all groups.

        Parameters
        ----------
        divisor : int
            The denominator of the loss in units of 2**-1074.
        """
        totals = np.array(self._sums.totals(), dtype=object).reshape(-1, self._size)
        return self._shaped([sum(column[1:], column[0]).over(divisor) for column in totals.T])

    def group_gradients(self, divisors: list[int]) -> list[tuple[FloatArray, FloatArray]]:
        """Return the gradients of every group, each with the denominator of its loss."""
        totals = self._sums.totals()
        size = self._size
        return [
            self._shaped(
                [total.over(divisor) if divisor else 0.0 for total in totals[group * size : (group + 1) * size]]
            )
            for group, divisor in enumerate(divisors)
        ]

    def _shaped(self, values: list[float]) -> tuple[FloatArray, FloatArray]:
        count = self._model.coef.size
        return np.array(values[:count]).reshape(self._model.coef.shape), np.array(values[count:])

    def _take(self, chunk: Chunk, inputs: FloatArray, rules: Rules) -> None:
        model = self._model
        residual, judgement = judge(chunk, rules)
        shape = (chunk.rows, model.outputs)
        with np.errstate(all="ignore"):
            derivatives = unscaled_gradient(residual, chunk.element_weight()).reshaped(shape)
            used = None if judgement.used is None else judgement.used.reshape(shape)
            for output in range(model.outputs):
                # By selection: the inputs of unused elements may be missing, and 0 * NaN is NaN.
                rows = slice(None) if used is None else used[:, output]
                derivative = derivatives.at((rows, output))
                group = None if chunk.group is None else chunk.group[rows] * self._size
                for number in range(model.inputs):
                    self._add(derivative.times(inputs[rows, number]), group, output * model.inputs + number)
                self._add(derivative._replace(values=derivative.values.copy()), group, model.coef.size + output)

    def _add(self, numbers: Wide, group: IntArray | None, slot: int) -> None:
        if group is None:
            self._sums.add(numbers, slot=slot)
        else:
            self._sums.add(numbers, group + slot)


def gradient_norm(gradients: tuple[FloatArray, FloatArray], *, intercept: bool) -> float:
    """Return the Euclidean norm of all parameters' gradients together, rounded once."""
    coef, bias = gradients
    return norm_of(np.concatenate([coef.reshape(-1), bias]) if intercept else coef, 2.0)
