"""Terms: the per-element quantities whose exact sums a state keeps.

A term maps the used elements of a chunk to one or more arrays to be summed. Several arrays represent one quantity
without rounding: x * y is the sum of the two arrays of `exact_product`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from msecli.arrays import BoolArray, FloatArray, IntArray
from msecli.core.chunk import BASELINE, Chunk
from msecli.core.loss import squared_error
from msecli.core.norm import power_sum, powers
from msecli.core.wide import Wide, WideSum, exact_product
from msecli.core.workspace import scratch
from msecli.tuples import NamedTuple


class Elements:
    """The used elements of a chunk as flat arrays of shape (n,), each selected when it is first needed.

    Parameters
    ----------
    chunk : Chunk
    residual : ndarray of float64, in the shape of the prediction
    used : ndarray of bool, in the shape of the prediction, optional
        By default all elements are used.
    cells : ndarray of int64, in the shape of the prediction, optional
        The cell of every element; by default all are in cell 0.
    omits : bool
        Whether elements without a baseline are left out of what compares with it; otherwise this becomes nan.
    """

    def __init__(
        self,
        chunk: Chunk,
        residual: FloatArray,
        used: BoolArray | None = None,
        cells: IntArray | None = None,
        *,
        omits: bool = False,
    ) -> None:
        self._chunk, self._residual, self._used, self._cells = chunk, residual, used, cells
        self._omits = omits

    @cached_property
    def residual(self) -> FloatArray:
        """Prediction - target."""
        return self._flat(self._residual)

    @cached_property
    def prediction(self) -> FloatArray:
        """The predictions."""
        return self._flat(self._chunk.prediction)

    @cached_property
    def target(self) -> FloatArray:
        """The targets."""
        return self._flat(self._chunk.target)

    def baseline(self, column: str) -> FloatArray:
        """Return other predictions."""
        return self._flat(self._chunk.side(BASELINE + column))

    def beside(self, column: str, residual: FloatArray) -> FloatArray:
        """Return residuals, with 0 for elements that are left out because they have no baseline."""
        return np.where(np.isnan(self.baseline(column)), 0.0, residual) if self._omits else residual

    @cached_property
    def weight(self) -> FloatArray | None:
        """The weights, if there are any."""
        weight = self._chunk.element_weight()
        return None if weight is None else self._flat(weight)

    @cached_property
    def cell(self) -> IntArray | None:
        """The cells, if there are several."""
        if self._cells is None:
            return None
        cell: IntArray = self._cells.reshape(-1) if self._used is None else self._cells[self._used]
        return cell

    def _flat(self, array: FloatArray) -> FloatArray:
        flat: FloatArray = array.reshape(-1) if self._used is None else array[self._used]
        return flat


POWER = "power"
"""The terms |r| ** P; behind a colon follows P."""


def _space(elements: Elements) -> FloatArray:
    return scratch("addend", elements.residual.size, np.float64)


def _weighted(values: FloatArray, weight: FloatArray | None) -> FloatArray:
    return values if weight is None else np.multiply(values, weight, out=values)


def _exact(weight: FloatArray | None, *factors: FloatArray) -> list[Wide]:
    factors = factors if weight is None else (*factors, weight)
    return exact_product(*factors) if len(factors) > 1 else [Wide(factors[0].copy())]


def _squared_log_error(e: Elements) -> list[Wide]:
    """Return w * d**2 for d = log(1 + p) - log(1 + t): infinite at -1, nan below and where both are -1."""
    return [Wide(squared_error(np.log1p(e.prediction) - np.log1p(e.target), e.weight, out=_space(e)))]


def _relative_error(e: Elements) -> list[Wide]:
    """Return w * (abs(p - t) / abs(t)), nan where t is 0."""
    quotient = np.abs(e.residual) / np.abs(e.target)
    quotient[e.target == 0] = np.nan
    return [Wide(_weighted(quotient, e.weight))]


def _symmetric_error(e: Elements) -> list[Wide]:
    """Return w * (2 * abs(p - t) / (abs(p) + abs(t))), 0 where both are 0."""
    # Quarters of large numbers, which are exact, so that neither the difference nor the sum overflows.
    scale = np.where((np.abs(e.prediction) > 1) | (np.abs(e.target) > 1), 0.25, 1.0)
    prediction, target = e.prediction * scale, e.target * scale
    size = np.abs(prediction) + np.abs(target)
    quotient = 2.0 * (np.abs(prediction - target) / size)
    quotient[size == 0] = 0.0
    return [Wide(_weighted(quotient, e.weight))]


TERMS: dict[str, Callable[[Elements], list[Wide]]] = {
    "squared_error": lambda e: [Wide(squared_error(e.residual, e.weight, out=_space(e)))],
    "absolute_error": lambda e: [Wide(_weighted(np.abs(e.residual, out=_space(e)), e.weight))],
    "error": lambda e: [Wide(_weighted(e.residual.copy(), e.weight))],
    "weight": lambda e: [Wide(np.ones_like(e.residual) if e.weight is None else e.weight.copy())],
    "plain_absolute_error": lambda e: [Wide(np.abs(e.residual, out=_space(e)))],
    "exact_squared_error": lambda e: _exact(e.weight, e.residual, e.residual),
    "plain_exact_squared_error": lambda e: _exact(None, e.residual, e.residual),
    "exact_error": lambda e: _exact(e.weight, e.residual),
    "target": lambda e: _exact(e.weight, e.target),
    "squared_target": lambda e: _exact(e.weight, e.target, e.target),
    "absolute_target": lambda e: _exact(e.weight, np.abs(e.target)),
    "prediction": lambda e: _exact(e.weight, e.prediction),
    "squared_prediction": lambda e: _exact(e.weight, e.prediction, e.prediction),
    "product": lambda e: _exact(e.weight, e.prediction, e.target),
    "squared_log_error": _squared_log_error,
    "relative_error": _relative_error,
    "symmetric_error": _symmetric_error,
}


def _baseline(e: Elements, column: str) -> list[Wide]:
    """Return w * (b - t)**2."""
    residual = e.beside(column, e.baseline(column) - e.target)
    return _exact(e.weight, residual, residual)


def _beside_baseline(e: Elements, column: str) -> list[Wide]:
    """Return w * (p - t)**2 of the elements that have a baseline."""
    residual = e.beside(column, e.residual)
    return _exact(e.weight, residual, residual)


PARAMETRIC: dict[str, Callable[[Elements, str], list[Wide]]] = {
    POWER: lambda e, power: powers(e.residual, float(power)),
    "baseline": _baseline,
    "beside_baseline": _beside_baseline,
}
"""Terms with a parameter, which follows behind a colon."""


class Extreme(NamedTuple):
    """A quantity of which a state keeps the largest, and what it keeps without elements."""

    values: Callable[[Elements], FloatArray]
    start: float


EXTREMES: dict[str, Extreme] = {
    "residual": Extreme(lambda e: np.abs(e.residual), 0.0),
    "target": Extreme(lambda e: e.target, -np.inf),
    "negative_target": Extreme(lambda e: -e.target, -np.inf),
}


class Flaw(NamedTuple):
    """Values for which some metrics are undefined: their side, as in `Chunk.side`, how to find them, and a message."""

    side: str
    found: Callable[[FloatArray], BoolArray]
    meaning: str


def _is_zero(values: FloatArray) -> BoolArray:
    zero: BoolArray = values == 0
    return zero


def _is_below_minus_one(values: FloatArray) -> BoolArray:
    below: BoolArray = values < -1
    return below


BELOW_MINUS_ONE = "below -1, where the logarithms of msle and rmsle are undefined"
FLAWS: dict[str, Flaw] = {
    "zero_target": Flaw("target", _is_zero, "0, where mape is undefined"),
    "log_prediction": Flaw("prediction", _is_below_minus_one, BELOW_MINUS_ONE),
    "log_target": Flaw("target", _is_below_minus_one, BELOW_MINUS_ONE),
}
BASELINE_FLAWS = MISSING, INFINITE = "missing_baseline", "infinite_baseline"
"""The flaws of baselines; behind a colon follows the column."""

MISSING_BASELINES = {
    "raise": "missing; to leave such elements out of {}, use `nan_pred=omit`",
    "omit": "missing (their elements are left out of {})",
    "propagate": "missing, so that {} is undefined",
}
"""What missing values in a baseline lead to, by the policy for missing predictions."""


def flaw_named(name: str, policy: str) -> Flaw:
    """Return a flaw: one in `FLAWS`, or one of a baseline under this policy for missing predictions."""
    if name in FLAWS:
        return FLAWS[name]
    kind, _, column = name.partition(":")
    metric = f"skill:{column}"
    if kind == MISSING:
        return Flaw(BASELINE + column, np.isnan, MISSING_BASELINES[policy].format(metric))
    return Flaw(BASELINE + column, np.isinf, f"infinite, so that {metric} is undefined")


def addends(term: str, elements: Elements) -> list[Wide]:
    """Return arrays that add up to the term's sum over the elements; callers may overwrite them."""
    if term in TERMS:
        return TERMS[term](elements)
    name, _, parameter = term.partition(":")
    return PARAMETRIC[name](elements, parameter)


def sum_of(term: str, slots: int) -> WideSum:
    """Return sums of zero for a term."""
    name, _, parameter = term.partition(":")
    return power_sum(float(parameter), slots) if name == POWER else WideSum(slots)
