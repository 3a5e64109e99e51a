"""The loss and its gradient on arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, overload

import numpy as np

from msecli.arrays import as_array, check_labels
from msecli.core.check import check_shapes
from msecli.core.chunk import Chunk
from msecli.core.elementwise import element_gradient, element_losses
from msecli.core.exact import FloatArray
from msecli.core.metrics import needed_terms
from msecli.core.reduction import reduction_named
from msecli.core.state import LossState, Policy, Rules, Summary, check_policies
from msecli.core.verdict import Where, check_usable
from msecli.errors import DataError, UsageError


@overload
def mse_loss(
    pred: Any,
    target: Any,
    *,
    reduction: Literal["mean", "sum", "batchmean"] = "mean",
    weight: Any = None,
    ignore_index: float | Iterable[float] = (),
    nan_policy: Policy = "raise",
    nan_pred: Policy = "raise",
) -> float: ...
@overload
def mse_loss(
    pred: Any,
    target: Any,
    *,
    reduction: Literal["none"],
    weight: Any = None,
    ignore_index: float | Iterable[float] = (),
    nan_policy: Policy = "raise",
    nan_pred: Policy = "raise",
) -> FloatArray: ...
@overload
def mse_loss(
    pred: Any,
    target: Any,
    *,
    reduction: str,
    weight: Any = None,
    ignore_index: float | Iterable[float] = (),
    nan_policy: Policy = "raise",
    nan_pred: Policy = "raise",
) -> float | FloatArray: ...
def mse_loss(
    pred: Any,
    target: Any,
    *,
    reduction: str = "mean",
    weight: Any = None,
    ignore_index: float | Iterable[float] = (),
    nan_policy: Policy = "raise",
    nan_pred: Policy = "raise",
) -> float | FloatArray:
    """Return the exactly summed squared error of predictions against targets.

    Parameters
    ----------
    pred, target : array_like, shape (n, ...)
        The same shape; only (n,) and (n, 1) are the same thing. Converted to float64 before subtracting.
    reduction : {"mean", "sum", "batchmean", "none"}
        "batchmean" divides by the number of rows, "none" returns the loss of every element.
    weight : array_like, shape (n,) or that of `pred`, optional
        Finite and at least 0; the mean is divided by the sum of the weights.
    ignore_index : float or iterable of float
        Elements whose target equals one of these are left out; NaN matches NaN.
    nan_policy, nan_pred : {"raise", "omit", "propagate"}
        What a missing target and a missing prediction (NaN, null, masked) mean.

    Returns
    -------
    float, or ndarray of float64 in the shape of `pred` for "none"
        In the array, elements that are left out are NaN.

    Raises
    ------
    DataError
        If shapes differ, values are not real numbers, elements are missing, or none is left.
    UsageError
        For an unknown reduction or policy.

    References
    ----------
    The convention, squared and not halved, is that of ``torch.nn.MSELoss``; dividing by the sum of the weights is
    that of ``torch.nn.functional.mse_loss(weight=)`` and of scikit-learn's ``sample_weight``.

    Examples
    --------
    >>> mse_loss([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0])
    0.375
    >>> mse_loss([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0], reduction="none")
    array([0.25, 0.25, 0.  , 1.  ])
    """
    chosen = reduction_named(reduction)
    chunk = _chunk(pred, target, weight)
    rules = _rules(ignore_index, nan_policy, nan_pred, weighted=weight is not None)
    summary = _summary(chunk, rules)
    if chosen.name == "none":
        return element_losses(chunk, rules)
    return summary.sums["squared_error"].over(chosen.divisor(summary))


def mse_loss_grad(
    pred: Any,
    target: Any,
    *,
    reduction: str = "mean",
    weight: Any = None,
    ignore_index: float | Iterable[float] = (),
    nan_policy: Policy = "raise",
    nan_pred: Policy = "raise",
) -> FloatArray:
    """Return the gradient of `mse_loss` with respect to the prediction; the target's is its negative.

    Parameters
    ----------
    pred, target, weight, ignore_index, nan_policy, nan_pred
        As for `mse_loss`.
    reduction : {"mean", "sum", "batchmean"}

    Returns
    -------
    ndarray of float64, in the shape of `pred`
        2 * w * (pred - target) over the reduction's denominator; exactly 0 for elements that are left out.

    Raises
    ------
    DataError, UsageError
        As `mse_loss`; also for reduction "none", whose result has no gradient but a Jacobian.

    Examples
    --------
    >>> mse_loss_grad([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0])
    array([-0.25,  0.25,  0.  ,  0.5 ])
    """
    chosen = reduction_named(reduction)
    if chosen.name == "none":
        raise UsageError("reduction 'none' gives a vector, which has no gradient; use 'sum', 'mean' or 'batchmean'")
    chunk = _chunk(pred, target, weight)
    rules = _rules(ignore_index, nan_policy, nan_pred, weighted=weight is not None)
    from msecli.core.exact import ONE, ratio

    divisor = ratio(chosen.divisor(_summary(chunk, rules)), ONE)
    return element_gradient(chunk, rules) / divisor


def _chunk(pred: Any, target: Any, weight: Any) -> Chunk:
    check_labels(pred, target)
    prediction, truth = as_array(pred, "prediction"), as_array(target, "target")
    check_shapes(prediction.shape, truth.shape)
    weights = None if weight is None else as_array(weight, "weight")
    if weights is not None and weights.shape not in (prediction.shape, prediction.shape[:1]):
        raise DataError(
            f"the weights have shape {weights.shape}; they must have that of the prediction, {prediction.shape}, "
            f"or one per row, {prediction.shape[:1]}"
        )
    return Chunk(prediction, truth.reshape(prediction.shape), weight=weights)


def _rules(ignore_index: float | Iterable[float], nan_policy: Policy, nan_pred: Policy, *, weighted: bool) -> Rules:
    check_policies(nan_policy, nan_pred)
    ignore = tuple(np.atleast_1d(np.asarray(ignore_index, dtype=np.float64)).tolist())
    return Rules(needed_terms((), weighted=weighted), nan_target=nan_policy, nan_prediction=nan_pred, ignore=ignore)


def _summary(chunk: Chunk, rules: Rules) -> Summary:
    state = LossState.of(chunk, rules)
    summary = state.summary()
    check_usable(state, summary, Where())
    return summary
