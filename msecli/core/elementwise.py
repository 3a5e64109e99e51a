"""One value per element: the unreduced loss, and the gradient."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from msecli.core.chunk import Chunk
from msecli.core.exact import FloatArray
from msecli.core.loss import squared_error, unscaled_gradient
from msecli.core.state import Rules, judge


def element_losses(chunk: Chunk, rules: Rules) -> FloatArray:
    """Return w * (p - t)**2 in the shape of the prediction, NaN where an element is not used."""
    return _each(chunk, rules, squared_error, math.nan)


def element_gradient(chunk: Chunk, rules: Rules) -> FloatArray:
    """Return 2 * w * (p - t) in the shape of the prediction, 0 where an element is not used."""
    return _each(chunk, rules, unscaled_gradient, 0.0)


def _each(
    chunk: Chunk, rules: Rules, function: Callable[[FloatArray, FloatArray | None], FloatArray], unused: float
) -> FloatArray:
    values = np.empty(chunk.prediction.shape)
    for piece in chunk.pieces():
        residual, judgement = judge(piece, rules)
        start = piece.first_row - chunk.first_row
        out = values[start : start + piece.rows]
        with np.errstate(over="ignore", invalid="ignore"):
            out[...] = function(residual, piece.element_weight())
        # By selection: multiplying by a mask would turn a missing element into 0 * NaN, which is NaN.
        if judgement.used is not None:
            out[~judgement.used] = unused
    return values
