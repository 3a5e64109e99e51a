"""Functions on arrays in memory: the loss and its gradient, linear models, penalties and norms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, overload

import numpy as np

from msecli.arrays import FloatArray
from msecli.core.check import check_shapes
from msecli.core.chunk import Chunk
from msecli.core.elementwise import element_losses, gradient_over, plain_gradient
from msecli.core.linear import LinearModel, ParameterSums
from msecli.core.metrics import needed_terms
from msecli.core.norm import norm_of
from msecli.core.parameters import real_numbers
from msecli.core.penalty import Penalties, check_factors, penalties_of, penalty_gradient
from msecli.core.reduction import Reduction, Used, legacy_reduction, reduction_named
from msecli.core.state import LossState, Policy, Rules, Summary, check_policies, plain_summary
from msecli.core.verdict import Where, check_usable
from msecli.errors import DataError, UsageError
from msecli.formats.arrays import aligned, as_array, computing


@overload
def mse_loss(
    pred: Any,
    target: Any,
    *,
    reduction: Literal["mean", "sum", "batchmean"] = "mean",
    weight: Any = None,
    ignore_index: float | Iterable[float] = (),
    nan_target: Policy = "raise",
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
    nan_target: Policy = "raise",
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
    nan_target: Policy = "raise",
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
    nan_target: Policy = "raise",
    nan_pred: Policy = "raise",
    align: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
) -> float | FloatArray:
    """Return the exactly summed squared error of predictions against targets.

    Parameters
    ----------
    pred, target : array_like, shape (n, ...)
        Both of the same shape; only (n,) and (n, 1) count as equal. Converted to float64 before subtracting.
    reduction : {"mean", "sum", "batchmean", "none"}
        "batchmean" divides by the number of rows, "none" returns the loss of every element.
    weight : array_like, shape (n,) or the shape of `pred`, optional
        Finite and non-negative; the mean is divided by the sum of the weights.
    ignore_index : float or iterable of float
        Leave out elements whose target equals one of these; NaN matches NaN.
    nan_target, nan_pred : {"raise", "omit", "propagate"}
        What to do about missing targets and about missing predictions (NaN, null, masked).
    align : bool
        Pair pandas objects by their labels; otherwise different labels are an error.
    size_average, reduce : bool, optional
        Deprecated: as in PyTorch, ``reduce=False`` is "none", else ``size_average=False`` is "sum", else "mean".

    Returns
    -------
    float, or ndarray of float64 in the shape of `pred` for "none"
        In the array, unused elements are NaN.

    Raises
    ------
    DataError
        If shapes differ, values are not real numbers, values are missing, or no element is left.
    UsageError
        For an unknown reduction or policy.

    References
    ----------
    The error is squared, not halved, as in ``torch.nn.MSELoss``. Dividing by the sum of the weights follows
    ``torch.nn.functional.mse_loss(weight=)`` and scikit-learn's ``sample_weight``.

    Examples
    --------
    >>> mse_loss([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0])
    0.375
    >>> mse_loss([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0], reduction="none")
    array([0.25, 0.25, 0.  , 1.  ])
    """
    chosen = reduction_named(legacy_reduction(size_average, reduce) or reduction)
    rules = rules_from(ignore_index, nan_target, nan_pred, weighted=weight is not None)
    with computing():
        chunk = chunk_from(pred, target, weight, align=align)
        summary = checked_summary(chunk, rules)
        return element_losses(chunk, rules) if chosen.keeps_elements else chosen.loss(summary)


def mse_loss_grad(
    pred: Any,
    target: Any,
    *,
    reduction: str = "mean",
    weight: Any = None,
    ignore_index: float | Iterable[float] = (),
    nan_target: Policy = "raise",
    nan_pred: Policy = "raise",
    align: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
) -> FloatArray:
    """Return the gradient of `mse_loss` with respect to the prediction; the target's is its negative.

    Parameters
    ----------
    pred, target, weight, ignore_index, nan_target, nan_pred, align, size_average, reduce
        As for `mse_loss`.
    reduction : {"mean", "sum", "batchmean"}

    Returns
    -------
    ndarray of float64, in the shape of `pred`
        2 * w * (pred - target) over the reduction's denominator, without over- or underflow on the way; exactly 0 for
        unused elements.

    Raises
    ------
    DataError, UsageError
        As for `mse_loss`; also for reduction "none", whose result is a vector without a gradient.

    Examples
    --------
    >>> mse_loss_grad([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0])
    array([-0.25,  0.25,  0.  ,  0.5 ])
    """
    chosen = reduction_named(legacy_reduction(size_average, reduce) or reduction)
    refuse_none(chosen)
    rules = rules_from(ignore_index, nan_target, nan_pred, weighted=weight is not None)
    with computing():
        chunk = chunk_from(pred, target, weight, align=align)
        if weight is None and chunk.prediction.size:
            # If all elements count, their number is known without a look at them.
            divisor = chosen.divisor(Used(chunk.prediction.size, chunk.rows))
            values = plain_gradient(chunk, rules, divisor, _in_threads)
            if values is not None:
                return values
        return gradient_over(chunk, rules, chosen.divisor(checked_summary(chunk, rules)))


def _in_threads(work: Callable[[int], bool], items: Sequence[int]) -> Iterable[bool]:
    """Call a function for every item, in as many threads as there are cores; they compute with this one's settings."""
    if len(items) < 2:
        return map(work, items)
    from msecli.engines import engine_named

    with engine_named("local").start(None) as engine:
        return list(engine.run(lambda item: iter([work(item)]), items))


@dataclass(frozen=True, slots=True)
class LinearResult:
    """The loss of a linear model, the penalties on its parameters, and the gradients of both together.

    Attributes
    ----------
    loss : float
    penalties : Penalties
        `l1` and `l2`.
    objective : float
        The loss plus the penalties.
    grad_coef : ndarray of float64, in the shape of `coef`
        The gradient of the objective with respect to the coefficients.
    grad_intercept : ndarray of float64, shape (outputs,), or None without an intercept
        The gradient of the objective with respect to the intercept.
    """

    loss: float
    penalties: Penalties
    objective: float
    grad_coef: FloatArray
    grad_intercept: FloatArray | None


def linear_loss(
    inputs: Any,
    target: Any,
    coef: Any,
    intercept: Any = None,
    *,
    reduction: str = "mean",
    weight: Any = None,
    ignore_index: float | Iterable[float] = (),
    nan_target: Policy = "raise",
    nan_pred: Policy = "raise",
    l1: float = 0.0,
    l2: float = 0.0,
    regularize_intercept: bool = False,
    align: bool = False,
) -> LinearResult:
    """Return the loss of a linear model's predictions, and the gradients of its parameters.

    Parameters
    ----------
    inputs : array_like, shape (n, inputs) or (n,)
    target : array_like, shape (n, outputs) or (n,)
    coef : array_like, shape (outputs, inputs) or (inputs,)
    intercept : array_like, shape (outputs,), optional
        The prediction is ``inputs @ coef.T + intercept``.
    reduction : {"mean", "sum", "batchmean"}
    weight, ignore_index, nan_target, nan_pred
        As for `mse_loss`; a missing input makes the prediction missing.
    l1, l2 : float
        The factors of the sum of the parameters' absolute values, and of the sum of their squares.
    regularize_intercept : bool
        Also penalize the intercept.
    align : bool
        Pair the rows of pandas objects by their labels; otherwise different labels are an error.

    Returns
    -------
    LinearResult

    Raises
    ------
    DataError
        If the shapes do not fit, and as for `mse_loss`.
    UsageError
        For reduction "none", and as for `mse_loss`.

    References
    ----------
    The shapes follow ``torch.nn.Linear``. At 0 the derivative of the absolute value is taken as 0.

    Examples
    --------
    >>> result = linear_loss([[1.0]], [1.0], [2.0])
    >>> result.loss, result.grad_coef
    (1.0, array([2.]))
    """
    check_factors(l1, l2)
    chosen = reduction_named(reduction)
    refuse_none(chosen)
    with computing():
        target, weight = (aligned(inputs, other, align=align, columns=False)[1] for other in (target, weight))
        x = as_array(inputs, "inputs")
        x = x.reshape(-1, 1) if x.ndim == 1 else x
        model = LinearModel(
            as_array(coef, "coef"), None if intercept is None else np.atleast_1d(as_array(intercept, "intercept"))
        )
        if x.ndim != 2 or x.shape[1] != model.inputs:
            raise DataError(f"the inputs have shape {x.shape}; the coefficients need {model.inputs} columns")
        rules = rules_from(ignore_index, nan_target, nan_pred, weighted=weight is not None)
        chunk = chunk_from(model.predict(x), target, weight)
        summary = checked_summary(chunk, rules)
        divisor = chosen.divisor(summary)
        grad_coef, grad_intercept = ParameterSums.of(chunk, x, rules, model).gradients(divisor)
        penalized = [model.coef]
        if regularize_intercept and model.intercept is not None:
            penalized.append(model.intercept)
            grad_intercept = grad_intercept + penalty_gradient(model.intercept.reshape(-1), l1, l2)
        penalties = penalties_of(penalized, l1, l2)
        loss = summary.sums["squared_error"].over(divisor)
        return LinearResult(
            loss,
            penalties,
            penalties.added_to(loss),
            grad_coef + penalty_gradient(model.coef, l1, l2),
            None if model.intercept is None else grad_intercept,
        )


def penalty(params: Any, *, l1: float = 0.0, l2: float = 0.0) -> float:
    """Return l1 times the sum of the absolute values plus l2 times the sum of the squares, both sums exact.

    Parameters
    ----------
    params : array_like, or list of array_like with different shapes
    l1, l2 : float

    Returns
    -------
    float

    Raises
    ------
    DataError
        If a parameter is missing or not a real number.
    UsageError
        If a factor is negative or not finite.

    Examples
    --------
    >>> penalty([1.0, -2.0], l1=0.5, l2=0.25)
    2.75
    """
    check_factors(l1, l2)
    with computing():
        several = isinstance(params, list | tuple) and any(map(_is_array_like, params))
        arrays = [as_array(array, "params") for array in (params if several else [params])]
        return penalties_of(arrays, l1, l2).added_to(0.0)


def _is_array_like(value: Any) -> bool:
    return getattr(value, "ndim", 0) > 0 or (not hasattr(value, "ndim") and hasattr(value, "__len__"))


def vector_norm(values: Any, ord: float = 2) -> float:
    """Return a vector norm of all values together, whatever their shape.

    Parameters
    ----------
    values : array_like
    ord : float
        At least 1, or infinity. For orders 1 and 2 the sum is exact and the norm is rounded once, without over- or
        underflow on the way.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If a value is missing or not a real number.
    UsageError
        If the order is less than 1.

    References
    ----------
    The norms agree with ``torch.linalg.vector_norm``.

    Examples
    --------
    >>> vector_norm([3.0, 4.0]), vector_norm([3.0, 4.0], ord=1), vector_norm([1e200, 1e200])
    (5.0, 7.0, 1.414213562373095e+200)
    """
    if not ord >= 1:
        raise UsageError(f"order {ord:g}: the order of a norm is a number of at least 1, or inf")
    with computing():
        array = as_array(values, "values")
        if np.isnan(array).any():
            raise DataError(f"value {int(np.isnan(array).reshape(-1).argmax()) + 1} of {array.size} is missing")
        return norm_of(array, float(ord))


def refuse_none(reduction: Reduction) -> None:
    """Refuse a reduction whose result is a vector, which has no gradient."""
    if reduction.keeps_elements:
        raise UsageError(
            f"reduction {reduction.name!r} gives a vector, which has no gradient; use 'sum', 'mean' or 'batchmean'"
        )


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
            f"the weights have shape {weights.shape}; it must be the shape of the prediction, {prediction.shape}, "
            f"or one per row, {prediction.shape[:1]}"
        )
    return Chunk(prediction, truth.reshape(prediction.shape), weight=weights)


def rules_from(ignore_index: float | Iterable[float], nan_target: Policy, nan_pred: Policy, *, weighted: bool) -> Rules:
    """Return the rules for the loss alone.

    Raises
    ------
    UsageError
        For an unknown policy.
    """
    check_policies(nan_target, nan_pred)
    return _rules(real_numbers("ignore_index", ignore_index), nan_target, nan_pred, weighted=weighted)


@lru_cache
def _rules(ignore: tuple[float, ...], nan_target: Policy, nan_pred: Policy, *, weighted: bool) -> Rules:
    return Rules(needed_terms((), weighted=weighted), nan_target=nan_target, nan_prediction=nan_pred, ignore=ignore)


def checked_summary(chunk: Chunk, rules: Rules) -> Summary:
    """Return the exact sums over a chunk.

    Raises
    ------
    DataError
        If values are missing, weights impossible, or no element is left.
    """
    plain = plain_summary(chunk, rules)
    if plain is not None:
        return plain
    state = LossState.of(chunk, rules)
    summary = state.summary()
    check_usable(state, summary, Where())
    return summary
