"""What to score, and how: checked before any file is touched."""

from __future__ import annotations

from typing import NamedTuple

from msecli.core.metrics import Metric, metric_named
from msecli.core.parameters import whole_number
from msecli.core.penalty import check_factors
from msecli.core.reduction import REDUCTIONS, Reduction, reduction_named
from msecli.core.state import Policy, check_policies
from msecli.errors import UsageError
from msecli.sources.base import Reading

UNMATCHED = ("error", "skip")


class Batching(NamedTuple):
    """Mini-batches of rows.

    Parameters
    ----------
    size : int, optional
        Rows in a batch; None for no batches.
    seed : int, optional
        Shuffle the rows by a permutation seeded with this; None for their own order.
    drop_last : bool
        Leave out a last batch that is not full.
    """

    size: int | None = None
    seed: int | None = None
    drop_last: bool = False


class ModelFiles(NamedTuple):
    """A linear model that makes the predictions, and what is wanted of it.

    Parameters
    ----------
    coef : str
        The file of its coefficients, shape (outputs, inputs) or (inputs,).
    intercept : str, optional
        The file of its intercept, shape (outputs,).
    gradients : bool
        Whether to keep the gradients with respect to both.
    gradient_norms : bool
        Whether to give the norm of the gradient, for each batch where there are any.
    predictions : bool
        Whether to keep the predictions.
    regularize_intercept : bool
        Whether the penalties are on the intercept, too.
    """

    coef: str
    intercept: str | None = None
    gradients: bool = False
    gradient_norms: bool = False
    predictions: bool = False
    regularize_intercept: bool = False


class PenaltyRequest(NamedTuple):
    """Penalties to add to the loss.

    Parameters
    ----------
    l1, l2 : float
        The factors of the sum of the parameters' absolute values, and of that of their squares.
    params : tuple of str
        Files of parameters; a model's own are added to them.
    """

    l1: float = 0.0
    l2: float = 0.0
    params: tuple[str, ...] = ()


class Request(NamedTuple):
    """What to score, and how.

    Parameters
    ----------
    prediction : str
    target : str, optional
        Without it the prediction's file holds both columns.
    prediction_columns, target_columns : tuple of str
        In pairs; chosen by name and type where left out. Where a model makes the predictions, those of the
        prediction are its inputs.
    reading : Reading
    on : tuple of str
        Key columns by which rows are paired; without any they are paired by position.
    unmatched : {"error", "skip"}
        What rows without a partner are.
    weight : str, optional
        The column of the weights.
    weight_file : str, optional
        The file of the weights.
    by : tuple of str
        Columns whose labels divide the rows into groups.
    batching : Batching
    axes : tuple of int
        The axes to reduce over; none for all.
    reduction : str
    metrics : tuple of str
    ignore : tuple of float
    nan_policy, nan_pred : {"raise", "omit", "propagate"}
    gradient : bool
        Whether to keep the gradient with respect to the prediction.
    model : ModelFiles, optional
        The model that makes the predictions of inputs, which are then in the file of the prediction.
    penalty : PenaltyRequest
    jobs : int, optional
        Threads; the cores this process may use.
    """

    prediction: str
    target: str | None = None
    prediction_columns: tuple[str, ...] = ()
    target_columns: tuple[str, ...] = ()
    reading: Reading = Reading()
    on: tuple[str, ...] = ()
    unmatched: str = "error"
    weight: str | None = None
    weight_file: str | None = None
    by: tuple[str, ...] = ()
    batching: Batching = Batching()
    axes: tuple[int, ...] = ()
    reduction: str = "mean"
    metrics: tuple[str, ...] = ()
    ignore: tuple[float, ...] = ()
    nan_policy: Policy = "raise"
    nan_pred: Policy = "raise"
    gradient: bool = False
    model: ModelFiles | None = None
    penalty: PenaltyRequest = PenaltyRequest()
    jobs: int | None = None

    @property
    def penalized(self) -> bool:
        """Whether there is an objective besides the loss."""
        return bool(self.penalty.params or self.penalty.l1 or self.penalty.l2)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The files to read."""
        return tuple(path for path in (self.prediction, self.target, self.weight_file) if path is not None)

    @property
    def files(self) -> tuple[str, ...]:
        """All files to read: the inputs, and those of parameters."""
        model = () if self.model is None else (self.model.coef, self.model.intercept)
        return (*self.inputs, *self.penalty.params, *(path for path in model if path is not None))

    @property
    def weighted(self) -> bool:
        """Whether there are weights."""
        return self.weight is not None or self.weight_file is not None


class Checked(NamedTuple):
    """The members of the tables that a request names."""

    reduction: Reduction
    metrics: tuple[Metric, ...]


def check_request(request: Request) -> Checked:
    """Return the reduction and the metrics, having refused all that no data could make valid.

    Raises
    ------
    UsageError
    """
    _check_integers(request)
    check_policies(request.nan_policy, request.nan_pred)
    reduction = reduction_named(request.reduction)
    metrics = tuple(metric_named(name) for name in dict.fromkeys(request.metrics))
    check_factors(request.penalty.l1, request.penalty.l2)
    for wrong, message in _conflicts(request):
        if wrong:
            raise UsageError(message)
    return Checked(reduction, metrics)


def _check_integers(request: Request) -> None:
    batching = request.batching
    integers = (("jobs", request.jobs), ("batch size", batching.size), ("shuffle", batching.seed))
    for name, value in (*integers, *(("axis", axis) for axis in request.axes)):
        if value is not None:
            whole_number(name, value)


Conflict = tuple[bool, str]
"""Whether something is wrong by itself, and the message that says so."""


def _conflicts(request: Request) -> list[Conflict]:
    return [*_file_conflicts(request), *_row_conflicts(request), *_loss_conflicts(request)]


def _file_conflicts(request: Request) -> list[Conflict]:
    pairs = len(request.prediction_columns), len(request.target_columns)
    return [
        (
            request.model is None and 0 not in pairs and pairs[0] != pairs[1],
            f"{pairs[0]} prediction columns and {pairs[1]} target columns: name them in pairs, -p and -t",
        ),
        (request.jobs is not None and request.jobs < 1, f"jobs: {request.jobs} is not a number of at least 1"),
        (
            request.files.count("-") > 1,
            "standard input can be given only once; write the others to files",
        ),
        (
            bool(request.penalty.l1 or request.penalty.l2) and not request.penalty.params and request.model is None,
            "--l1 and --l2 are factors of penalties on parameters; name these: --params FILE",
        ),
    ]


def _row_conflicts(request: Request) -> list[Conflict]:
    batching = request.batching
    return [
        (
            bool(request.on) and request.target is None,
            "--on pairs the rows of two files; with one file they are paired already",
        ),
        (request.unmatched not in UNMATCHED, f"unmatched: {request.unmatched!r} is not one of {', '.join(UNMATCHED)}"),
        (
            request.unmatched == "skip" and not request.on,
            "--unmatched skip goes with --on; by position every row has a partner",
        ),
        (
            request.weight is not None and request.weight_file is not None,
            "--weight and --weight-file both name the weights; choose one",
        ),
        (
            request.weight_file is not None and bool(request.on),
            "a weight file has no keys, so it does not go with --on; put the weights in a column: --weight COLUMN",
        ),
        (batching.size is not None and batching.size < 1, f"batch size: {batching.size} is not at least 1"),
        (
            batching.size is None and (batching.seed is not None or batching.drop_last),
            "--shuffle and --drop-last go with --batch-size",
        ),
        (batching.seed is not None and batching.seed < 0, f"shuffle: the seed {batching.seed} is negative"),
    ]


def _loss_conflicts(request: Request) -> list[Conflict]:
    named = request.reduction
    none = named == "none"
    by_rows = [reduction.name for reduction in REDUCTIONS.values() if reduction.unit == "rows"]
    grouped = bool(request.by) or request.batching.size is not None
    parameters = request.model is not None and (request.model.gradients or request.model.gradient_norms)
    return [
        (
            none and (request.gradient or parameters),
            "reduction 'none' gives a vector, which has no gradient; use sum, mean or batchmean",
        ),
        (
            none and (grouped or bool(request.axes)),
            "reduction 'none' keeps every element, so there is nothing to group; use sum, mean or batchmean",
        ),
        (none and request.penalized, "an objective is a loss plus penalties; reduction 'none' gives no single loss"),
        (
            bool(request.axes) and (request.gradient or parameters or grouped),
            "--axis gives an array of losses; it does not go with gradients, --by or --batch-size",
        ),
        (
            bool(request.axes) and named in by_rows,
            f"--axis goes with the reductions mean and sum; {named} divides by rows, which an axis may have reduced",
        ),
    ]
