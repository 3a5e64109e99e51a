"""Requests: what to score and how, checked before any file is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

from msecli.core.metrics import Metric, Options, metrics_named
from msecli.core.parameters import (
    data,
    flag,
    names,
    optional,
    real_number,
    real_numbers,
    rows,
    several,
    text,
    whole_number,
    whole_numbers,
    words,
)
from msecli.core.reduction import Reduction, reduction_named
from msecli.core.state import Policy, check_policies
from msecli.engines import Workers
from msecli.errors import UsageError, many, not_one_of, setting
from msecli.places import paths_of
from msecli.results.gates import Gate
from msecli.scoring.decision import SORTED_BY, check_decision
from msecli.scoring.elsewhere import check_engine
from msecli.scoring.gates import Increase, check_gates, gated_names, taken_gate, taken_increase, taken_share
from msecli.text.reading import ALL_AS_FILES_SAY, Readings

UNMATCHED = ("error", "skip")
KEPT = ("grad", "grad_target", "grad_params", "predictions")


TAKEN_AS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("predictions", "targets", "weight_file", "vector", "subtracted"), rows),
    **dict.fromkeys(("coef", "intercept"), data),
    **dict.fromkeys(("pred", "target", "on", "by", "columns"), names),
    **dict.fromkeys(
        ("batch_size", "shuffle", "jobs", "season", "worst", "top", "bootstrap", "seed"), optional(whole_number)
    ),
    **dict.fromkeys(("row_check", "drop_last", "regularize_intercept", "grad_norm", "explain", "reverse"), flag),
    **dict.fromkeys(("reduction", "unmatched", "engine", "nan_target", "nan_pred"), text),
    **dict.fromkeys(("ignore_index", "orders"), real_numbers),
    **dict.fromkeys(("l1", "l2"), real_number),
    **dict.fromkeys(("weight", "sort", "cluster", "where", "by_bins"), optional(text)),
    "scheduler": optional(text),
    **dict.fromkeys(("scheduler_file", "resume"), optional(data)),
    "local": optional(whole_number),
    "worker_timeout": real_number,
    "ci": optional(real_number),
    "peak": optional(real_number),
    "axis": whole_numbers,
    "metrics": words,
    "params": several(data),
    "fail_if": several(taken_gate),
    "min_coverage": optional(taken_share),
    "baseline": optional(data),
    "baseline_metric": text,
    "max_increase": optional(taken_increase),
    "keep": lambda name, value: frozenset(words(name, value)),
    "reading": Readings.taken,
}
"""The conversion of each parameter, given its name (for messages) and its value."""


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Request:
    """What to score, and how.

    Parameters
    ----------
    predictions, targets : str, tuple of str, or data in memory
        Paths, tables or arrays; a folder, a pattern or several paths are several files, one after the other. Without
        targets, `predictions` holds both columns.
    pred, target : tuple of str
        The columns to score, in pairs; by default chosen by name and type. With a model, `pred` names its inputs.
    reading : Readings
        How to read files that do not describe themselves.
    on : tuple of str
        The key columns to pair rows by; by default rows are paired by position.
    unmatched : {"error", "skip"}
        What to do about rows whose key has no match.
    row_check : bool
        Whether rows paired by position must agree in the columns that both files have, besides the scored ones.
    weight : str, optional
        The column of the weights.
    weight_file : str, tuple of str, or data in memory, optional
        The weights, one for each row, or in the shape of the data.
    by : tuple of str
        Group the rows by the labels in these columns.
    by_bins : str, optional
        Group the rows by the quantiles of a column, as "age:10".
    where : str, optional
        Score only the rows that meet this condition, such as ``h <= 4 and region == 'north'``.
    batch_size : int, optional
        The number of rows in a mini-batch; None for no batches.
    shuffle : int, optional
        Shuffle the rows with this seed before they are cut into batches.
    drop_last : bool
        Leave out the last batch if it is not full.
    axis : tuple of int
        The axes to reduce over; none for all.
    reduction : str
    metrics : tuple of str
    peak : float, optional
        The largest value that there can be, for the metric "psnr".
    season : int, optional
        How many rows apart the targets are whose differences scale the metric "mase"; by default 1.
    ignore_index : tuple of float
    nan_target, nan_pred : {"raise", "omit", "propagate"}
    coef, intercept : str or data in memory, optional
        The parameters of a linear model, shape (outputs, inputs) or (inputs,), and (outputs,). With `coef` the model
        makes the predictions, and `predictions` holds its inputs.
    l1, l2 : float
        The factors of the penalties: of the sum of the parameters' absolute values, and of the sum of their squares.
    params : tuple of str or data in memory
        Parameters to penalize, besides the coefficients of a model.
    regularize_intercept : bool
        Also penalize the intercept.
    grad_norm : bool
        Compute the norm of the gradient of the model's parameters, also for each batch.
    ci : float, optional
        The level of a confidence interval of the mean loss, such as 0.95.
    cluster : str, optional
        The column whose labels tell which rows are dependent on each other.
    bootstrap : int, optional
        Find the interval by this many resamples, not by Student's t.
    seed : int, optional
        The seed of the bootstrap; by default 0.
    explain : bool
        Tell what the loss is made of: bias and variance, its worst elements, the formulas in use.
    worst : int, optional
        How many of the elements with the largest losses to list.
    sort : str, optional
        List the groups by this metric, by "loss", or by "used", the number of used elements: the worst, or the largest,
        first.
    reverse : bool
        List the groups in the opposite order.
    top : int, optional
        How many groups to list, by their loss unless `sort` says otherwise.
    keep : frozenset of str
        The values to keep besides the losses: "grad" and "grad_target", the gradients with respect to prediction and
        target; "grad_params", the gradient with respect to the model's parameters; "predictions".
    fail_if : tuple of Gate
        The conditions under which the result does not pass.
    min_coverage : Gate, optional
        The condition on the share of the target's elements that are used.
    baseline : str or an earlier result, optional
        What `baseline_metric`, by default the loss, is compared with: it may be larger by `max_increase`.
    engine : str
        A name in the `ENGINES` table.
    jobs : int, optional
        How many parts to fold at once; by default the engine decides.
    scheduler, scheduler_file : str, optional
        The address of the scheduler of a distributed engine, or a file with it.
    local : int, optional
        How many workers to start on this machine instead.
    worker_timeout : float
        How many seconds to wait for a scheduler, and for a worker.
    resume : str, optional
        The journal in which a distributed engine keeps what it has found, and from which it resumes.

    Raises
    ------
    UsageError
        If a value is impossible, or two contradict each other.
    """

    predictions: Any
    targets: Any = None
    pred: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    reading: Readings = ALL_AS_FILES_SAY
    on: tuple[str, ...] = ()
    unmatched: str = "error"
    row_check: bool = True
    weight: str | None = None
    weight_file: Any = None
    by: tuple[str, ...] = ()
    by_bins: str | None = None
    where: str | None = None
    batch_size: int | None = None
    shuffle: int | None = None
    drop_last: bool = False
    axis: tuple[int, ...] = ()
    reduction: str = "mean"
    metrics: tuple[str, ...] = ()
    peak: float | None = None
    season: int | None = None
    ignore_index: tuple[float, ...] = ()
    nan_target: Policy = "raise"
    nan_pred: Policy = "raise"
    coef: Any = None
    intercept: Any = None
    l1: float = 0.0
    l2: float = 0.0
    params: tuple[Any, ...] = ()
    regularize_intercept: bool = False
    grad_norm: bool = False
    ci: float | None = None
    cluster: str | None = None
    bootstrap: int | None = None
    seed: int | None = None
    explain: bool = False
    worst: int | None = None
    sort: str | None = None
    reverse: bool = False
    top: int | None = None
    keep: frozenset[str] = frozenset()
    fail_if: tuple[Gate, ...] = ()
    min_coverage: Gate | None = None
    baseline: Any = None
    baseline_metric: str = "loss"
    max_increase: Increase | None = None
    engine: str = "local"
    jobs: int | None = None
    scheduler: str | None = None
    scheduler_file: str | None = None
    local: int | None = None
    worker_timeout: float = 30.0
    resume: str | None = None

    def __init__(self, **parameters: Any) -> None:
        # By hand, as is the comparison: those of fifty parameters take a fiftieth of a short run to compile.
        names = [each.name for each in fields(self)]
        if "predictions" not in parameters or not parameters.keys() <= set(names):
            raise TypeError(f"a request of {', '.join(names)} was made with {', '.join(parameters)}")
        self.__dict__.update({name: getattr(self, name) for name in names[1:]} | parameters)
        self._check()

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, Request) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it may hold data in memory

    @classmethod
    def of(cls, **parameters: Any) -> Self:
        """Return a request from parameters as Python callers write them: one name or several, numbers of any type.

        Raises
        ------
        UsageError
            Also if a parameter is of the wrong kind.
        """
        return cls(**{name: TAKEN_AS[name](name, value) for name, value in parameters.items()})

    def _check(self) -> None:
        check_policies(self.nan_target, self.nan_pred)
        if self.l1 or self.l2:
            from msecli.core.penalty import check_factors

            check_factors(self.l1, self.l2)
        check_gates(self)
        _check_metrics(self)
        self.reading.check((*self.input_names, *self.parameter_names))
        unknown = sorted(self.keep.difference(KEPT))
        _refuse(bool(unknown), f"`keep`: {', '.join(unknown)} is not one of {', '.join(KEPT)}")
        _check_files(self)
        _check_rows(self)
        _check_loss(self, self.chosen_reduction)
        check_decision(self)
        check_engine(self)

    @property
    def workers(self) -> Workers:
        """Where the workers of a distributed engine are."""
        return Workers(self.scheduler, self.scheduler_file, self.local, self.worker_timeout)

    @property
    def chosen_reduction(self) -> Reduction:
        """The reduction, from its table."""
        return reduction_named(self.reduction)

    def chosen_metrics(self, *, weighted: bool) -> tuple[Metric, ...]:
        """Return the metrics from their tables, without duplicates, those that only gates need included.

        Raises
        ------
        UsageError
            If one has no meaning with weights, and there are weights.
        """
        names = (*self.metrics, *self._sorted_by(), *gated_names(self))
        return metrics_named(names, Options(self.peak, self.season), weighted=weighted)

    def asked_metrics(self, *, weighted: bool) -> tuple[Metric, ...]:
        """Return the metrics that the result shows."""
        names = (*self.metrics, *self._sorted_by())
        return metrics_named(names, Options(self.peak, self.season), weighted=weighted)

    def _sorted_by(self) -> tuple[str, ...]:
        """Return the metric that groups are listed by, if it is one."""
        return () if self.sort is None or self.sort.lower() in SORTED_BY else (self.sort,)

    @property
    def grouped(self) -> bool:
        """Whether groups of rows are scored."""
        return bool(self.by) or self.by_bins is not None

    @property
    def baselines(self) -> tuple[str, ...]:
        """The columns that metrics compare with."""
        metrics = self.chosen_metrics(weighted=self.weighted)
        return tuple(metric.baseline for metric in metrics if metric.baseline is not None)

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The sources of rows: predictions, targets, weights."""
        return tuple(getattr(self, name) for name in self.input_names)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The parameters that the inputs come from."""
        names = ("predictions", "targets", "weight_file")
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The parameters that hold those of a model, or others to penalize."""
        given = {"coef": self.coef is not None, "intercept": self.intercept is not None, "params": bool(self.params)}
        return tuple(name for name, is_given in given.items() if is_given)

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all files to read: of rows, of parameters, of the baseline."""
        data = (*self.inputs, *self.params, self.coef, self.intercept, self.baseline)
        return paths_of(data)

    @property
    def linear(self) -> bool:
        """Whether a linear model makes the predictions."""
        return self.coef is not None

    @property
    def penalized(self) -> bool:
        """Whether there is an objective besides the loss."""
        return bool(self.params or self.l1 or self.l2)

    @property
    def weighted(self) -> bool:
        """Whether there are weights."""
        return self.weight is not None or self.weight_file is not None

    @property
    def wants_parameter_gradients(self) -> bool:
        """Whether the derivatives with respect to the model's parameters are needed."""
        return self.linear and (self.grad_norm or "grad_params" in self.keep)


def _refuse(wrong: bool, message: str) -> None:  # noqa: FBT001 - a condition, not a mode
    if wrong:
        raise UsageError(message)


def _check_files(request: Request) -> None:
    _refuse(request.predictions is None, "`predictions`: None is neither a path nor a table nor an array")
    pred, target = len(request.pred), len(request.target)
    lists = any("," in name for name in (*request.pred, *request.target))
    _refuse(
        not request.linear and pred > 0 < target and pred != target and not lists,
        f"{many(pred, 'prediction column')} and {many(target, 'target column')} do not make pairs; "
        f"score them one by one, as with {setting('pred', request.pred[0])} {setting('target', request.target[0])}"
        if pred and target
        else "",
    )
    _refuse(request.jobs is not None and request.jobs < 1, f"`jobs`: {request.jobs} is not a number of at least 1")
    _refuse(request.files.count("-") > 1, "standard input can be given only once; write the others to files")
    _refuse(
        bool(request.l1 or request.l2) and not request.params and not request.linear,
        "`l1` and `l2` are factors of penalties on parameters; name these with `params=FILE`",
    )
    _refuse(request.intercept is not None and not request.linear, "`intercept` requires `coef`")


def _check_metrics(request: Request) -> None:
    metrics = request.chosen_metrics(weighted=request.weighted)
    chosen = {metric.name for metric in metrics}
    for option, name in (("peak", "psnr"), ("season", "mase")):
        unused = getattr(request, option) is not None and name not in chosen
        _refuse(unused, f"`{option}` is for the metric {name!r}, which is not requested")
    broken = {
        "`unmatched=skip`": request.unmatched == "skip",
        "`nan_target=omit`": request.nan_target == "omit",
        "`nan_pred=omit`": request.nan_pred == "omit",
        "`ignore_index`": bool(request.ignore_index),
        "`shuffle`": request.shuffle is not None,
        "`where`": request.where is not None,
    }
    for metric in metrics:
        settings = [setting for setting, given in broken.items() if given and metric.season]
        _refuse(
            bool(settings),
            f"metric {metric.name!r} needs every row, in order; it does not go with {' and '.join(settings)}",
        )


def _check_rows(request: Request) -> None:
    _refuse(
        bool(request.on) and request.targets is None,
        "`on` pairs the rows of two files; with one file they are paired already",
    )
    if request.unmatched not in UNMATCHED:  # looking for the word that was meant costs time
        raise UsageError(f"`unmatched`: {not_one_of(request.unmatched, UNMATCHED)}")
    _refuse(
        request.unmatched == "skip" and not request.on,
        "`unmatched=skip` requires `on`; by position every row has a partner",
    )
    _refuse(
        request.weight is not None and request.weight_file is not None,
        "`weight` and `weight_file` both name the weights; choose one",
    )
    _refuse(
        request.weight_file is not None and bool(request.on),
        "a weight file has no keys, so it does not go with `on`; put the weights in a column: `weight=COLUMN`",
    )
    _refuse(
        request.batch_size is not None and request.batch_size < 1,
        f"`batch_size`: {request.batch_size} is not at least 1",
    )
    _refuse(
        request.batch_size is None and (request.shuffle is not None or request.drop_last),
        "`shuffle` and `drop_last` require `batch_size`",
    )
    _refuse(request.shuffle is not None and request.shuffle < 0, f"`shuffle`: the seed {request.shuffle} is negative")


def _check_loss(request: Request, reduction: Reduction) -> None:
    grouped = request.grouped or request.batch_size is not None
    gradients = bool(request.keep & {"grad", "grad_target"}) or request.wants_parameter_gradients
    none = reduction.keeps_elements
    _refuse(
        none and gradients,
        f"reduction {reduction.name!r} gives a vector, which has no gradient; use sum, mean or batchmean",
    )
    _refuse(
        none and (grouped or bool(request.axis)),
        f"reduction {reduction.name!r} keeps every element, so there is nothing to group; use sum, mean or batchmean",
    )
    _refuse(
        none and request.penalized,
        f"an objective is a loss plus penalties; reduction {reduction.name!r} gives no single loss",
    )
    _refuse(
        bool(request.axis) and (gradients or grouped),
        "`axis` gives an array of losses; it does not go with gradients, `by` or `batch_size`",
    )
    _refuse(
        bool(request.axis) and reduction.unit == "rows",
        f"`axis` does not go with {reduction.name}, which divides by rows: an axis may have reduced them",
    )
