"""The loss as one trains with it: a module with a backward pass, linear models, penalties, norms, mini-batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from msecli.arrays import aligned, as_array, computing
from msecli.core.check import check_shapes
from msecli.core.elementwise import element_gradient, element_losses
from msecli.core.exact import FloatArray
from msecli.core.linear import LinearModel, ParameterSums
from msecli.core.norm import norm_of
from msecli.core.parameters import whole_number
from msecli.core.penalty import Penalties, check_factors, penalties_of, penalty_gradient
from msecli.core.reduction import legacy_reduction, reduction_named
from msecli.core.state import Policy
from msecli.errors import DataError, UsageError
from msecli.functional import checked_summary, chunk_from, refuse_none, rules_from


class MSELoss:
    """The mean squared error as a module, after ``torch.nn.MSELoss``.

    Parameters
    ----------
    reduction : {"mean", "sum", "batchmean", "none"}
    weight : array_like, shape (n,) or that of the prediction, optional
    ignore_index : float or iterable of float
    nan_policy, nan_pred : {"raise", "omit", "propagate"}
    size_average, reduce : bool, optional
        Deprecated, as in PyTorch.

    Raises
    ------
    UsageError
        For an unknown reduction or policy.

    Examples
    --------
    >>> loss = MSELoss(reduction="sum")
    >>> loss([1.0, 4.0], [1.0, 2.0])
    4.0
    >>> loss.backward()
    (array([0., 4.]), array([ 0., -4.]))
    """

    def __init__(
        self,
        *,
        reduction: str = "mean",
        weight: Any = None,
        ignore_index: float | Iterable[float] = (),
        nan_policy: Policy = "raise",
        nan_pred: Policy = "raise",
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> None:
        self._reduction = reduction_named(legacy_reduction(size_average, reduce) or reduction)
        self._weight = weight
        self._rules = rules_from(ignore_index, nan_policy, nan_pred, weighted=weight is not None)
        self._gradient: FloatArray | None = None

    @property
    def reduction(self) -> str:
        """The name of the reduction."""
        return self._reduction.name

    def __call__(self, pred: Any, target: Any) -> float | FloatArray:
        """Return the loss of predictions against targets, as `mse_loss` does, and keep what `backward` needs."""
        self._gradient = None
        with computing():
            chunk = chunk_from(pred, target, self._weight)
            summary = checked_summary(chunk, self._rules)
            if self.reduction == "none":
                return element_losses(chunk, self._rules)
            divisor = self._reduction.divisor(summary)
            self._gradient = element_gradient(chunk, self._rules).over(divisor)
            return summary.sums["squared_error"].over(divisor)

    def backward(self) -> tuple[FloatArray, FloatArray]:
        """Return the gradients of the last loss with respect to the prediction and to the target.

        Returns
        -------
        d_pred, d_target : ndarray of float64, in the shape of the prediction
            The second is the negative of the first.

        Raises
        ------
        UsageError
            Before the first loss, after a call that raised, and for reduction "none", whose result has no gradient but
            a Jacobian.
        """
        refuse_none(self._reduction)
        if self._gradient is None:
            raise UsageError("there is no loss yet to go back from: call the module on a prediction and a target first")
        return self._gradient.copy(), 0.0 - self._gradient


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
    grad_coef : ndarray of float64, in the shape of coef
    grad_intercept : ndarray of float64, shape (outputs,), or None without an intercept
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
    nan_policy: Policy = "raise",
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
    weight, ignore_index, nan_policy, nan_pred
        As for `mse_loss`; a missing input makes a missing prediction.
    l1, l2 : float
        Factors of the sum of the parameters' absolute values, and of that of their squares.
    regularize_intercept : bool
        Whether the penalties are on the intercept, too.
    align : bool
        Pair the rows of pandas objects by their labels; without it different labels are an error.

    Returns
    -------
    LinearResult

    Raises
    ------
    DataError
        If the shapes do not fit, and as `mse_loss`.
    UsageError
        For reduction "none", and as `mse_loss`.

    References
    ----------
    The shapes are those of ``torch.nn.Linear``. At 0 the derivative of the absolute value is taken as 0.

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
        rules = rules_from(ignore_index, nan_policy, nan_pred, weighted=weight is not None)
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
        arrays = [as_array(array, "params") for array in (params if _is_ragged(params) else [params])]
        return penalties_of(arrays, l1, l2).added_to(0.0)


def _is_ragged(params: Any) -> bool:
    return isinstance(params, list | tuple) and any(map(_is_array_like, params))


def _is_array_like(value: Any) -> bool:
    return getattr(value, "ndim", 0) > 0 or (not hasattr(value, "ndim") and hasattr(value, "__len__"))


def norm(values: Any, ord: float = 2) -> float:
    """Return a vector norm of all values together, whatever their shape.

    Parameters
    ----------
    values : array_like
    ord : float
        At least 1, or infinity. The sums of orders 1 and 2 are exact, and the result is rounded once, without over-
        or underflow on the way.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If a value is missing or not a real number.
    UsageError
        If the order is less than 1.

    Examples
    --------
    >>> norm([3.0, 4.0]), norm([3.0, 4.0], ord=1), norm([1e200, 1e200])
    (5.0, 7.0, 1.414213562373095e+200)
    """
    if not ord >= 1:
        raise UsageError(f"order {ord:g}: the order of a norm is a number of at least 1, or inf")
    with computing():
        array = as_array(values, "values")
        if np.isnan(array).any():
            raise DataError(f"value {int(np.isnan(array).reshape(-1).argmax()) + 1} of {array.size} is missing")
        return norm_of(array, float(ord))


def iter_batches(
    pred: Any,
    target: Any,
    batch_size: int,
    *,
    shuffle: bool = False,
    seed: int | None = None,
    drop_last: bool = False,
    align: bool = False,
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield mini-batches of predictions and targets.

    Parameters
    ----------
    pred, target : array_like, shape (n, ...)
    batch_size : int
        Rows in a batch; the last one may have fewer.
    shuffle : bool
        Cut the batches from a permutation of the rows.
    seed : int, optional
        Of the permutation; the same one for the same seed, as `msecli compute --shuffle` has it.
    drop_last : bool
        Leave out a last batch that is not full.
    align : bool
        Pair pandas objects by their labels.

    Yields
    ------
    pred, target : ndarray of float64, shape (batch, ...)

    Raises
    ------
    DataError
        If the shapes or labels differ.
    UsageError
        If the batch size is less than 1.

    Examples
    --------
    >>> for p, t in iter_batches([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], 2):
    ...     print(p, t)
    [1. 2.] [1. 1.]
    [3.] [1.]
    """
    batch_size = whole_number("batch_size", batch_size)
    if batch_size < 1:
        raise UsageError(f"batch_size: {batch_size} is not at least 1")
    pred, target = aligned(pred, target, align=align)
    prediction, truth = as_array(pred, "prediction"), as_array(target, "target")
    check_shapes(prediction.shape, truth.shape)
    truth = truth.reshape(prediction.shape)
    rows = len(prediction)
    order = np.random.default_rng(seed).permutation(rows) if shuffle else np.arange(rows)
    return _batches(prediction, truth, order, batch_size, rows - rows % batch_size if drop_last else rows)


def _batches(
    prediction: FloatArray, target: FloatArray, order: Any, size: int, end: int
) -> Iterator[tuple[FloatArray, FloatArray]]:
    for start in range(0, end, size):
        rows = order[start : min(start + size, end)]
        yield prediction[rows], target[rows]
