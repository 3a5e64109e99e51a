"""The squared error and its gradient, element by element.

The convention is PyTorch's: the error is squared, not halved, so the derivative carries the factor 2.
"""

from __future__ import annotations

import numpy as np

from msecli.arrays import FloatArray
from msecli.core.wide import Wide


def squared_error(
    residual: FloatArray, weight: FloatArray | None = None, *, out: FloatArray | None = None
) -> FloatArray:
    """Return w * (r * r), in this order, for residuals r = prediction - target.

    Examples
    --------
    >>> import numpy as np
    >>> squared_error(np.array([1.0, -3.0]), np.array([1.0, 0.5]))
    array([1. , 4.5])
    """
    # r * r, not r ** 2: only the product is guaranteed to be correctly rounded.
    square = np.multiply(residual, residual, out=out)
    return square if weight is None else np.multiply(square, weight, out=square)


def unscaled_gradient(residual: FloatArray, weight: FloatArray | None = None) -> Wide:
    """Return 2 * w * r, the derivative of the summed squared error with respect to the prediction.

    The gradient of a mean is this divided by the mean's denominator; the gradient with respect to the target is
    its negative.

    Examples
    --------
    >>> import numpy as np
    >>> unscaled_gradient(np.array([1.0, -3.0])).values
    array([ 2., -6.])
    """
    doubled = Wide(residual).doubled()
    return doubled if weight is None else doubled.times(weight)
