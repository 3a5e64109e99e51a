"""The loss and its gradient on arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, overload

from msecli.arrays import aligned, as_array, computing
from msecli.core.check import check_shapes
from msecli.core.chunk import Chunk
from msecli.core.elementwise import element_gradient, element_losses
from msecli.core.exact import FloatArray
from msecli.core.metrics import needed_terms
from msecli.core.parameters import real_numbers
from msecli.core.reduction import Reduction, legacy_reduction, reduction_named
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
    align: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
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
    align: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
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
    align: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
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
    align: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
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
    align : bool
        Pair pandas objects by their labels; without it different labels are an error.
    size_average, reduce : bool, optional
        Deprecated: as in PyTorch, ``reduce=False`` is "none", else ``size_average=False`` is "sum", else "mean".

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
    chosen = reduction_named(legacy_reduction(size_average, reduce) or reduction)
    rules = rules_from(ignore_index, nan_policy, nan_pred, weighted=weight is not None)
    with computing():
        chunk = chunk_from(pred, target, weight, align=align)
        summary = checked_summary(chunk, rules)
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
    align: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
) -> FloatArray:
    """Return the gradient of `mse_loss` with respect to the prediction; the target's is its negative.

    Parameters
    ----------
    pred, target, weight, ignore_index, nan_policy, nan_pred, align, size_average, reduce
        As for `mse_loss`.
    reduction : {"mean", "sum", "batchmean"}

    Returns
    -------
    ndarray of float64, in the shape of `pred`
        2 * w * (pred - target) over the reduction's denominator, without over- or underflow on the way; exactly 0 for
        elements that are left out.

    Raises
    ------
    DataError, UsageError
        As `mse_loss`; also for reduction "none", whose result has no gradient but a Jacobian.

    Examples
    --------
    >>> mse_loss_grad([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0])
    array([-0.25,  0.25,  0.  ,  0.5 ])
    """
    chosen = reduction_named(legacy_reduction(size_average, reduce) or reduction)
    refuse_none(chosen)
    rules = rules_from(ignore_index, nan_policy, nan_pred, weighted=weight is not None)
    with computing():
        chunk = chunk_from(pred, target, weight, align=align)
        return element_gradient(chunk, rules).over(chosen.divisor(checked_summary(chunk, rules)))


def refuse_none(reduction: Reduction) -> None:
    """Refuse the gradient of a vector."""
    if reduction.name == "none":
        raise UsageError("reduction 'none' gives a vector, which has no gradient; use 'sum', 'mean' or 'batchmean'")


def chunk_from(pred: Any, target: Any, weight: Any, *, align: bool = False) -> Chunk:
    """Return array-likes as one chunk.

    Raises
    ------
    DataError
        If they are not real numbers, or their shapes or labels differ.
    """
    pred, target = aligned(pred, target, align=align)
    prediction, truth = as_array(pred, "prediction"), as_array(target, "target")
    check_shapes(prediction.shape, truth.shape)
    weights = None if weight is None else as_array(aligned(pred, weight, align=align)[1], "weight")
    if weights is not None and weights.shape == (*prediction.shape[:1], 1):
        weights = weights.reshape(-1)
    if weights is not None and weights.shape not in (prediction.shape, prediction.shape[:1]):
        raise DataError(
            f"the weights have shape {weights.shape}; they must have that of the prediction, {prediction.shape}, "
            f"or one per row, {prediction.shape[:1]}"
        )
    return Chunk(prediction, truth.reshape(prediction.shape), weight=weights)


def rules_from(ignore_index: float | Iterable[float], nan_policy: Policy, nan_pred: Policy, *, weighted: bool) -> Rules:
    """Return the rules for the loss alone.

    Raises
    ------
    UsageError
        For an unknown policy.
    """
    check_policies(nan_policy, nan_pred)
    return Rules(
        needed_terms((), weighted=weighted),
        nan_target=nan_policy,
        nan_prediction=nan_pred,
        ignore=real_numbers("ignore_index", ignore_index),
    )


def checked_summary(chunk: Chunk, rules: Rules) -> Summary:
    """Return the exact sums over a chunk.

    Raises
    ------
    DataError
        If elements are missing, weights impossible, or no element is left.
    """
    state = LossState.of(chunk, rules)
    summary = state.summary()
    check_usable(state, summary, Where())
    return summary
