"""What to score, and how: checked before any file is touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from msecli.core.metrics import Metric, metric_named
from msecli.core.reduction import Reduction, reduction_named
from msecli.errors import UsageError
from msecli.sources.base import Reading

Policy = Literal["raise", "omit", "propagate"]
POLICIES = ("raise", "omit", "propagate")
UNMATCHED = ("error", "skip")


@dataclass(frozen=True, slots=True)
class Batching:
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


@dataclass(frozen=True, slots=True)
class Request:
    """What to score, and how.

    Parameters
    ----------
    prediction : str
    target : str, optional
        Without it the prediction's file holds both columns.
    prediction_columns, target_columns : tuple of str
        In pairs; chosen by name and type where left out.
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
        Whether to keep the gradient.
    jobs : int, optional
        Threads; the cores this process may use.
    """

    prediction: str
    target: str | None = None
    prediction_columns: tuple[str, ...] = ()
    target_columns: tuple[str, ...] = ()
    reading: Reading = field(default_factory=Reading)
    on: tuple[str, ...] = ()
    unmatched: str = "error"
    weight: str | None = None
    weight_file: str | None = None
    by: tuple[str, ...] = ()
    batching: Batching = field(default_factory=Batching)
    axes: tuple[int, ...] = ()
    reduction: str = "mean"
    metrics: tuple[str, ...] = ()
    ignore: tuple[float, ...] = ()
    nan_policy: Policy = "raise"
    nan_pred: Policy = "raise"
    gradient: bool = False
    jobs: int | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The files to read."""
        return tuple(path for path in (self.prediction, self.target, self.weight_file) if path is not None)

    @property
    def weighted(self) -> bool:
        """Whether there are weights."""
        return self.weight is not None or self.weight_file is not None


def check_request(request: Request) -> tuple[Reduction, tuple[Metric, ...]]:
    """Return the reduction and the metrics, having refused all that no data could make valid.

    Raises
    ------
    UsageError
    """
    check_policies(request.nan_policy, request.nan_pred)
    reduction = reduction_named(request.reduction)
    metrics = tuple(metric_named(name) for name in dict.fromkeys(request.metrics))
    for wrong, message in _conflicts(request):
        if wrong:
            raise UsageError(message)
    return reduction, metrics


def check_policies(nan_policy: str, nan_pred: str) -> None:
    """Refuse unknown policies for missing elements."""
    for name, policy in (("nan_policy", nan_policy), ("nan_pred", nan_pred)):
        if policy not in POLICIES:
            raise UsageError(f"{name}: {policy!r} is not one of {', '.join(POLICIES)}")


def _conflicts(request: Request) -> list[tuple[bool, str]]:
    """What is wrong by itself, each with the message that says so."""
    none, batching = request.reduction == "none", request.batching
    pairs = len(request.prediction_columns), len(request.target_columns)
    return [
        (
            0 not in pairs and pairs[0] != pairs[1],
            f"{pairs[0]} prediction columns and {pairs[1]} target columns: name them in pairs, -p and -t",
        ),
        (request.jobs is not None and request.jobs < 1, f"jobs: {request.jobs} is not a number of at least 1"),
        (
            request.inputs.count("-") > 1,
            "standard input can be given only once; write the others to files",
        ),
        (
            none and request.gradient,
            "reduction 'none' gives a vector, which has no gradient; use sum, mean or batchmean",
        ),
        (
            none and bool(request.by or request.axes or batching.size),
            "reduction 'none' keeps every element, so there is nothing to group; use sum, mean or batchmean",
        ),
        (
            bool(request.axes) and (request.gradient or bool(request.by) or batching.size is not None),
            "--axis gives an array of losses; it does not go with gradients, --by or --batch-size",
        ),
        (
            bool(request.axes) and request.reduction == "batchmean",
            "--axis goes with the reductions mean and sum; batchmean divides by rows, which an axis may have reduced",
        ),
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
