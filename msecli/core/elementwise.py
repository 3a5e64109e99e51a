"""One value per element: the unreduced loss, and the gradient."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from msecli import kernel
from msecli.arrays import BoolArray, FloatArray
from msecli.core.chunk import Chunk
from msecli.core.exact import ONE, ratio
from msecli.core.loss import squared_error, unscaled_gradient
from msecli.core.state import Rules, judge
from msecli.core.wide import Wide

SPAN = 1 << 20
"""Elements of a gradient computed at once: so many that starting a thread for them costs nothing in comparison."""

Each = Callable[[Callable[[int], bool], Sequence[int]], Iterable[bool]]


def element_losses(chunk: Chunk, rules: Rules) -> FloatArray:
    """Return w * (p - t)**2 in the shape of the prediction, NaN for unused elements."""
    values, used = losses_and_used(chunk, rules)
    # By selection: multiplying by a mask would turn a missing element into 0 * NaN, which is NaN.
    if used is not None:
        values[~used] = math.nan
    return values


def losses_and_used(chunk: Chunk, rules: Rules, out: FloatArray | None = None) -> tuple[FloatArray, BoolArray | None]:
    """Return w * (p - t)**2 in the shape of the prediction, and which elements are used; None if all are."""
    values, used = np.empty(chunk.prediction.shape) if out is None else out, None
    for view in chunk.slices():
        residual, judgement = judge(view, rules)
        rows = slice(view.first_row - chunk.first_row, view.first_row - chunk.first_row + view.rows)
        with np.errstate(all="ignore"):
            squared_error(residual, view.element_weight(), out=values[rows])
        if judgement.used is not None:
            used = np.ones(values.shape, dtype=bool) if used is None else used
            used[rows] = judgement.used
    return values, used


def gradient_over(chunk: Chunk, rules: Rules, divisor: int) -> FloatArray:
    """Return 2 * w * (p - t) over a divisor in units of 2**-1074, in the shape of the prediction, 0 where unused."""
    values = plain_gradient(chunk, rules, divisor)
    return element_gradient(chunk, rules).over(divisor) if values is None else values


def plain_gradient(chunk: Chunk, rules: Rules, divisor: int, each: Each = map) -> FloatArray | None:
    """Return the same by one pass; None if not all elements count, or numbers are at the ends of the range.

    `each` calls a function for every item, as `map` does, and perhaps in several threads.
    """
    denominator = ratio(divisor, ONE)
    if not (chunk.plain and not rules.ignore and sys.float_info.min <= denominator < math.inf):
        return None
    weight, values = chunk.element_weight(), np.empty(chunk.prediction.shape)
    prediction, target, out = (array.reshape(-1) for array in (chunk.prediction, chunk.target, values))
    weights = None if weight is None else weight.reshape(-1)

    def fill(start: int) -> bool:
        span = slice(start, start + SPAN)
        weights_here = None if weights is None else weights[span]
        return kernel.chosen().gradient(prediction[span], target[span], weights_here, denominator, out[span])

    return values if all(each(fill, range(0, out.size, SPAN))) else None


def element_gradient(chunk: Chunk, rules: Rules) -> Wide:
    """Return 2 * w * (p - t) in the shape of the prediction, 0 for unused elements."""
    values, exponent = np.empty(chunk.prediction.shape), None
    for view in chunk.slices():
        residual, judgement = judge(view, rules)
        rows = slice(view.first_row - chunk.first_row, view.first_row - chunk.first_row + view.rows)
        with np.errstate(all="ignore"):
            gradient = unscaled_gradient(residual, view.element_weight())
        values[rows] = gradient.values
        if judgement.used is not None:
            values[rows][~judgement.used] = 0.0
        if gradient.exponent is not None:
            exponent = np.zeros(values.shape, dtype=np.int64) if exponent is None else exponent
            exponent[rows] = gradient.exponent
    return Wide(values, exponent)
