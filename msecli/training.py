"""The loss in training loops: a module with a backward pass, an accumulator, and mini-batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from msecli._version import __version__
from msecli.arrays import FloatArray
from msecli.core.check import check_shapes
from msecli.core.elementwise import element_losses, gradient_over
from msecli.core.parameters import whole_number
from msecli.core.reduction import legacy_reduction, reduction_named
from msecli.core.state import LossState, Policy
from msecli.core.verdict import Where, check_usable, warnings_of
from msecli.errors import DataError, UsageError
from msecli.formats.arrays import aligned, as_array, computing
from msecli.functional import checked_summary, chunk_from, refuse_none, rules_from
from msecli.results.score import Result, Rows
from msecli.scoring.finish import denominator_name, infinite_values, score_of, settings_of, signature_of
from msecli.scoring.plan import rules_of
from msecli.scoring.request import Request


class MSELoss:
    """The mean squared error as a module, after ``torch.nn.MSELoss``.

    Parameters
    ----------
    reduction : {"mean", "sum", "batchmean", "none"}
        "batchmean" divides by the number of rows, "none" returns the loss of every element.
    weight : array_like, shape (n,) or the shape of the prediction, optional
        Finite and non-negative; the mean is divided by the sum of the weights.
    ignore_index : float or iterable of float
        Leave out elements whose target equals one of these; NaN matches NaN.
    nan_target, nan_pred : {"raise", "omit", "propagate"}
        What to do about missing targets and about missing predictions.
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
        nan_target: Policy = "raise",
        nan_pred: Policy = "raise",
        size_average: bool | None = None,
        reduce: bool | None = None,
    ) -> None:
        self._reduction = reduction_named(legacy_reduction(size_average, reduce) or reduction)
        self._weight = weight
        self._rules = rules_from(ignore_index, nan_target, nan_pred, weighted=weight is not None)
        self._gradient: FloatArray | None = None

    def __repr__(self) -> str:
        rules = self._rules
        given = {
            "reduction": (self.reduction, "mean"),
            "weight": (None if self._weight is None else ..., None),
            "ignore_index": (rules.ignore, ()),
            "nan_target": (rules.nan_target, "raise"),
            "nan_pred": (rules.nan_prediction, "raise"),
        }
        return _called("MSELoss", given)

    @property
    def reduction(self) -> str:
        """The name of the reduction."""
        return self._reduction.name

    def __call__(self, pred: Any, target: Any) -> float | FloatArray:
        """Return the loss, like `mse_loss`, and keep what `backward` needs."""
        self._gradient = None
        with computing():
            chunk = chunk_from(pred, target, self._weight)
            summary = checked_summary(chunk, self._rules)
            if self._reduction.keeps_elements:
                return element_losses(chunk, self._rules)
            self._gradient = gradient_over(chunk, self._rules, self._reduction.divisor(summary))
            return self._reduction.loss(summary)

    def backward(self) -> tuple[FloatArray, FloatArray]:
        """Return the gradients of the last loss with respect to the prediction and to the target.

        Returns
        -------
        d_pred, d_target : ndarray of float64, in the shape of the prediction
            The second is the negative of the first.

        Raises
        ------
        UsageError
            Before the first loss, after a call that raised, and for reduction "none", whose result is a vector without
            a gradient.
        """
        refuse_none(self._reduction)
        if self._gradient is None:
            raise UsageError("backward() was called before a loss was computed")
        return self._gradient.copy(), 0.0 - self._gradient


class Accumulator:
    """Accumulates the loss and metrics of batches exactly, whatever their sizes and their order.

    Parameters
    ----------
    metrics : str or several
        Names of metrics to compute besides the loss, one by one or separated by commas; "all" for those that need
        nothing but their names.
    peak : float, optional
        The largest value that there can be, for the metric "psnr".
    reduction : {"mean", "sum", "batchmean"}
    nan_target, nan_pred : {"raise", "omit", "propagate"}
        What to do about missing targets and about missing predictions.
    ignore_index : float or iterable of float
        Leave out elements whose target equals one of these; NaN matches NaN.

    Raises
    ------
    UsageError
        For unknown names, and for reduction "none", which keeps every element.

    Examples
    --------
    >>> score = Accumulator(metrics="rmse")
    >>> score.update([1.0, 4.0], [1.0, 2.0])
    >>> score.update([3.0], [0.0])
    >>> score.result().loss
    4.333333333333333
    """

    def __init__(
        self,
        metrics: str | Iterable[str] = (),
        reduction: str = "mean",
        *,
        peak: float | None = None,
        nan_target: Policy = "raise",
        nan_pred: Policy = "raise",
        ignore_index: float | Iterable[float] = (),
    ) -> None:
        self._request = Request.of(
            predictions=(),
            metrics=metrics,
            peak=peak,
            reduction=reduction,
            nan_target=nan_target,
            nan_pred=nan_pred,
            ignore_index=ignore_index,
        )
        if self._request.chosen_reduction.keeps_elements:
            raise UsageError(f"reduction {reduction!r} keeps every element, so there is nothing to accumulate")
        for metric in self._request.chosen_metrics(weighted=False):
            if metric.season:
                raise UsageError(f"metric {metric.name!r} depends on the order of the rows, which batches do not keep")
            if metric.baseline is not None:
                raise UsageError(f"metric {metric.name!r} compares with a column, which batches of arrays do not have")
        self._item: tuple[int, ...] = ()
        self._state: LossState | None = None

    def __repr__(self) -> str:
        request = self._request
        given = {
            "metrics": (request.metrics, ()),
            "reduction": (request.reduction, "mean"),
            "peak": (request.peak, None),
            "nan_target": (request.nan_target, "raise"),
            "nan_pred": (request.nan_pred, "raise"),
            "ignore_index": (request.ignore_index, ()),
        }
        return _called("Accumulator", given)

    def update(self, prediction: Any, target: Any, weight: Any = None) -> None:
        """Add a batch.

        Parameters
        ----------
        prediction, target : array_like, shape (n, ...)
            Both of the same shape, which only in n may differ from the other batches'.
        weight : array_like, shape (n,) or the shape of `prediction`, optional
            Either all batches have weights, or none has.

        Raises
        ------
        DataError
            If shapes differ, or values are not real numbers. The batch is then not added.
        UsageError
            If some batches have weights and others have none, or a metric has no weighted form.
        """
        with computing():
            chunk = chunk_from(prediction, target, weight)
            item, weighted = chunk.prediction.shape[1:], weight is not None
            state = LossState.of(chunk, rules_of(self._request, item, (), weighted=weighted))
            self._take(state, item)

    def merge(self, other: Self) -> None:
        """Add all batches of another accumulator, for example from another process.

        Raises
        ------
        UsageError
            If the accumulators have different settings.
        """
        if other._request != self._request:
            raise UsageError("the accumulators do not compute the same thing, so they cannot be merged")
        if other._state is not None:
            self._take(other._state, other._item)

    def _take(self, state: LossState, item: tuple[int, ...]) -> None:
        if self._state is None:
            self._state, self._item = LossState(state.rules, weighted=state.weighted), item
        if item != self._item:
            raise DataError(f"rows of shape {item} cannot follow rows of shape {self._item}")
        if state.weighted != self._state.weighted:
            raise UsageError("either all batches have weights, or none has")
        self._state.merge(state, first_row=self._state.rows)

    def result(self) -> Result:
        """Return the result of all batches so far.

        Raises
        ------
        DataError
            If values are missing, weights impossible, or no element is left.
        """
        if self._state is None:
            raise DataError("nothing left to score: there are no rows")
        with computing():
            summary = self._state.summary()
            check_usable(self._state, summary, Where())
            reduction = self._request.chosen_reduction
            metrics = self._request.chosen_metrics(weighted=summary.weighted)
            rows = Rows(summary.rows, summary.rows, summary.rows, 0, 0, 0, summary.rows_used)
            return Result(
                score=score_of(reduction, metrics, summary, rows),
                reduction=reduction.name,
                denominator_name=denominator_name(reduction, weighted=summary.weighted),
                inputs=(),
                settings=settings_of(self._request, weighted=summary.weighted),
                signature=signature_of(self._request, "array" if summary.weighted else "none", summary),
                version=__version__,
                warnings=(*infinite_values(self._state, summary, Where()), *warnings_of(self._state, Where())),
            )


def _called(name: str, given: Mapping[str, tuple[Any, Any]]) -> str:
    """Return the call that makes an object, from the values and defaults of its parameters; `...` is any value."""
    told = [
        f"{key}={'...' if value is ... else repr(value)}" for key, (value, usual) in given.items() if value != usual
    ]
    return f"{name}({', '.join(told)})"


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
        The number of rows in a batch; the last one may have fewer.
    shuffle : bool
        Shuffle the rows before they are cut into batches.
    seed : int, optional
        The seed of the shuffle; it gives the same batches as `msecli compute --shuffle`.
    drop_last : bool
        Leave out the last batch if it is not full.
    align : bool
        Pair pandas objects by their labels; otherwise different labels are an error.

    Yields
    ------
    pred, target : ndarray of float64, shape (batch, ...)
        Copies of the rows.

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
