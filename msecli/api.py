"""Files to a result: opens, pairs, scores, and writes values per element where asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from os import PathLike, fspath

import numpy as np

from msecli._version import __version__
from msecli.core.check import same_item_shape
from msecli.core.chunk import Chunk
from msecli.core.elementwise import element_gradient, element_losses
from msecli.core.exact import ONE, FloatArray, ratio
from msecli.core.metrics import Metric, metric_named, needed_terms
from msecli.core.reduction import Reduction, reduction_named
from msecli.core.state import LossState, Policy, Rules, Summary
from msecli.core.verdict import Where, check_usable
from msecli.engines.local import LocalEngine
from msecli.errors import DataError, Problems, UsageError
from msecli.functional import check_policies, mse_loss, mse_loss_grad
from msecli.outputs.base import Values, item_names
from msecli.outputs.files import Staging, check_outputs
from msecli.result import Elements, Input, Result, Rows, Warned
from msecli.sources import open_source
from msecli.sources.base import Block, Note, Reading, Selection, Source
from msecli.sources.columns import Choice, choose_columns, selections
from msecli.sources.pairing import Side, check_row_counts, pair_columns, pair_positions

PathName = str | PathLike[str]

Progress = Callable[[float], None]
"""Called with the part of the work that is done, from 0 to 1."""


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
        return (self.prediction,) if self.target is None else (self.prediction, self.target)


@dataclass(frozen=True, slots=True)
class Scored:
    """A result, with the values per element that were asked for."""

    result: Result
    losses: Values | None
    gradient: Values | None


def score(
    prediction: PathName,
    target: PathName | None = None,
    *,
    reduction: str = "mean",
    pred_columns: str | tuple[str, ...] = (),
    target_columns: str | tuple[str, ...] = (),
    metrics: str | tuple[str, ...] = (),
    ignore_index: float | tuple[float, ...] = (),
    nan_policy: Policy = "raise",
    nan_pred: Policy = "raise",
    reading: Reading | None = None,
    jobs: int | None = None,
) -> Result:
    """Score a prediction file against a target file.

    Parameters
    ----------
    prediction : str or path-like
        A CSV, TSV, Parquet or NPY file; "-" is standard input.
    target : str or path-like, optional
        Without it `prediction` holds both columns.
    reduction : {"mean", "sum", "batchmean", "none"}
    pred_columns, target_columns : str or tuple of str
        The columns to score, in pairs; chosen by name and type where left out.
    metrics : str or tuple of str
        Names of the metrics to compute besides the loss.
    ignore_index : float or tuple of float
        Elements whose target equals one of these are left out; NaN matches NaN.
    nan_policy, nan_pred : {"raise", "omit", "propagate"}
        What a missing target and a missing prediction mean.
    reading : Reading, optional
        How to read files that do not say it themselves.
    jobs : int, optional
        Threads; the cores this process may use. The result has the same bits for any number.

    Returns
    -------
    Result
        With the loss of every element in `values` for reduction "none".

    Raises
    ------
    UsageError
        For an unknown reduction, metric or policy.
    DataError
        If the files are damaged, do not pair, or hold nothing to score.
    ReadWriteError
        If a file cannot be read.

    Examples
    --------
    >>> result = score("sample_data/diabetes_ridge.csv", "sample_data/diabetes_target.csv", metrics="rmse")
    >>> result.loss, result.elements.used
    (3006.503469511205, 442)
    """
    request = Request(
        fspath(prediction),
        None if target is None else fspath(target),
        _tuple(pred_columns),
        _tuple(target_columns),
        reading or Reading(),
        reduction,
        _tuple(metrics),
        ignore_index if isinstance(ignore_index, tuple) else (ignore_index,),
        nan_policy,
        nan_pred,
        jobs=jobs,
    )
    scored = run(request)
    if scored.losses is None:
        return scored.result
    return _with_values(scored.result, scored.losses)


def _tuple(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _with_values(result: Result, losses: Values) -> Result:
    from dataclasses import replace

    return replace(result, values=losses.array())


def run(request: Request, progress: Progress | None = None) -> Scored:
    """Score as requested.

    Raises
    ------
    MsecliError
        As `score`.
    """
    plan = _plan(request)
    sources, choice = _open(request)
    job = _Job(request, plan, sources, choice)
    job.check_shapes()
    with LocalEngine(request.jobs) as engine:
        state, losses, gradient = job.run(engine, progress or (lambda _: None))
    for source in sources:
        source.verify()
    summary = state.summary()
    check_usable(state, summary, job.where())
    if gradient is not None:
        gradient.divisor = ratio(plan.reduction.divisor(summary), ONE)
    return Scored(job.result(summary), losses, gradient)


@dataclass(frozen=True, slots=True)
class _Plan:
    reduction: Reduction
    metrics: tuple[Metric, ...]
    rules: Rules


def _plan(request: Request) -> _Plan:
    """Check what can be checked without looking at a file."""
    check_policies(request.nan_policy, request.nan_pred)
    reduction = reduction_named(request.reduction)
    if reduction.name == "none" and request.gradient:
        raise UsageError("reduction 'none' gives a vector, which has no gradient; use sum, mean or batchmean")
    both = len(request.prediction_columns), len(request.target_columns)
    if all(both) and both[0] != both[1]:
        raise UsageError(f"{both[0]} prediction columns and {both[1]} target columns: name them in pairs, -p and -t")
    if request.jobs is not None and request.jobs < 1:
        raise UsageError(f"jobs: {request.jobs} is not a number of at least 1")
    if request.prediction == request.target == "-":
        raise UsageError("standard input can be given only once; write one of the two to a file")
    metrics = tuple(metric_named(name) for name in dict.fromkeys(request.metrics))
    rules = Rules(
        needed_terms(metrics, weighted=False),
        largest=any(metric.largest for metric in metrics),
        nan_target=request.nan_policy,
        nan_prediction=request.nan_pred,
        ignore=request.ignore,
    )
    return _Plan(reduction, metrics, rules)


def _open(request: Request) -> tuple[tuple[Source, ...], Choice]:
    """Open the files and choose the columns; the problems of both files are reported together."""
    problems = Problems()
    opened: list[Source] = []
    for path in request.inputs:
        with problems.collect():
            opened.append(open_source(path, request.reading))
    problems.raise_found()
    sources = tuple(opened)
    named = (request.prediction_columns, request.target_columns)
    return sources, choose_columns(sources[0], sources[1] if len(sources) > 1 else None, named)


@dataclass(frozen=True, slots=True)
class _Output:
    """What one chunk leaves behind."""

    state: LossState
    losses: FloatArray | None
    gradient: FloatArray | None


def _work(chunk: Chunk, rules: Rules, *, losses: bool, gradient: bool) -> Iterator[_Output]:
    yield _Output(
        LossState.of(chunk, rules),
        element_losses(chunk, rules) if losses else None,
        element_gradient(chunk, rules) if gradient else None,
    )


class _Job:
    """One scoring: the open sources, what to read of them, and what to do with the rows."""

    def __init__(self, request: Request, plan: _Plan, sources: tuple[Source, ...], choice: Choice) -> None:
        self.request = request
        self.plan = plan
        self.sources = sources
        self.choice = choice
        self.sides = (Side(sources[0].path, choice.prediction), Side(sources[-1].path, choice.target))
        self.items = (_item(sources[0], choice.prediction), _item(sources[-1], choice.target))
        width = int(np.prod(self.items[0]))
        by_column = any(metric.by_column for metric in plan.metrics)
        self.rules = plan.rules if not by_column else _by_column(plan.rules, width)
        self.notes: dict[tuple[str, str], Note] = {}
        for note in (*choice.notes, *(note for source in sources for note in source.notes)):
            self.note(note)

    def check_shapes(self) -> None:
        """Refuse files whose rows, or whose numbers of rows, are known not to pair."""
        rows = [source.rows for source in self.sources]
        if rows[0] is not None and rows[-1] is not None:
            check_row_counts(*self.sides, rows[0], rows[-1])
        if not same_item_shape(*self.items):
            raise DataError(
                f"the shapes differ: {self.sides[0].path} has rows of shape {self.items[0]}, "
                f"{self.sides[1].path} of shape {self.items[1]}; they must be equal, nothing is broadcast"
            )

    def run(self, engine: LocalEngine, progress: Progress) -> tuple[LossState, Values | None, Values | None]:
        """Read and score everything."""
        none = self.plan.reduction.name == "none"
        losses = Values(self.items[0], self._names("loss")) if none else None
        gradient = Values(self.items[0], self._names("grad")) if self.request.gradient else None
        state = LossState(self.rules)
        work = (
            partial(_work, chunk, self.rules, losses=none, gradient=self.request.gradient)
            for chunk in self._chunks(engine, progress)
        )
        for output in engine.run(work):
            state.merge(output.state)
            if losses is not None and output.losses is not None:
                losses.append(output.losses)
            if gradient is not None and output.gradient is not None:
                gradient.append(output.gradient)
        return state, losses, gradient

    def result(self, summary: Summary) -> Result:
        """Return the frozen result."""
        reduction = self.plan.reduction
        loss = None if reduction.name == "none" else summary.sums["squared_error"].over(reduction.divisor(summary))
        return Result(
            loss=loss,
            reduction=reduction.name,
            metrics={metric.name: metric.value(summary) for metric in self.plan.metrics},
            denominator=_count(reduction.divisor(summary)) if reduction.unit else None,
            denominator_name=reduction.unit,
            rows=self._rows(summary),
            elements=Elements(**summary.counts),
            inputs=self._inputs(),
            settings=self._settings(),
            signature=self._signature(summary),
            version=__version__,
            warnings=tuple(Warned(note.code, note.where, note.meaning, note.count) for note in self.notes.values()),
        )

    def where(self) -> Where:
        """Return how errors name the two sides."""
        return Where(*(_named(side) for side in self.sides))

    def note(self, note: Note) -> None:
        """Remember a note, adding up those that say the same."""
        key = (note.code, note.where)
        seen = self.notes.get(key)
        self.notes[key] = note if seen is None else Note(note.code, note.where, note.meaning, note.count + seen.count)

    def _chunks(self, engine: LocalEngine, progress: Progress) -> Iterator[Chunk]:
        chosen = selections(self.choice, two_files=len(self.sources) > 1)
        done = _Done(self.sources, progress)
        streams = [self._blocks(engine, number, selection, done) for number, selection in enumerate(chosen)]
        if len(streams) == 1:
            return pair_columns(streams[0], *self.sides)
        return pair_positions(streams[0], streams[1], *self.sides)

    def _blocks(self, engine: LocalEngine, number: int, selection: Selection, done: _Done) -> Iterator[Block]:
        for block in engine.run(self.sources[number].parts(selection)):
            for note in block.notes:
                self.note(note)
            done.add(number, block.work)
            yield block

    def _names(self, single: str) -> tuple[str, ...]:
        return item_names(self.items[0], self.choice.prediction, single)

    def _rows(self, summary: Summary) -> Rows:
        rows = self.sides[0].rows
        return Rows(rows, self.sides[1].rows, rows, 0, 0, 0, summary.rows_used)

    def _inputs(self) -> tuple[Input, ...]:
        both = (("prediction", self.sources[0], self.sides[0]), ("target", self.sources[-1], self.sides[1]))
        return tuple(Input(role, source.path, source.format, side.columns) for role, source, side in both)

    def _settings(self) -> dict[str, object]:
        request = self.request
        return {
            "reduction": request.reduction,
            "metrics": list(dict.fromkeys(request.metrics)),
            "nan_policy": request.nan_policy,
            "nan_pred": request.nan_pred,
            "ignore_index": ["nan" if math.isnan(value) else value for value in request.ignore],
            "pairing": "position",
        }

    def _signature(self, summary: Summary) -> str:
        request = self.request
        ignore = [f"ignore:{','.join(map(repr, request.ignore))}"] if request.ignore else []
        fields = [
            "mse",
            f"reduction:{request.reduction}",
            "weights:none",
            f"nan:{request.nan_policy}",
            f"nan_pred:{request.nan_pred}",
            *ignore,
            "pairing:position",
            f"used:{summary.used}/{summary.counts['total']}",
            "acc:exact",
            f"msecli:{__version__}",
        ]
        return "|".join(fields)


class _Done:
    """How much of all sources together has been read."""

    def __init__(self, sources: tuple[Source, ...], progress: Progress) -> None:
        self._work = [source.work for source in sources]
        self._done = [0] * len(sources)
        self._progress = progress

    def add(self, number: int, work: int) -> None:
        self._done[number] += work
        self._progress(sum(done / work for done, work in zip(self._done, self._work, strict=True)) / len(self._work))


def _count(units: int) -> float:
    """Return a number given in units of 2**-1074, as an int where it is one."""
    return units // ONE if units % ONE == 0 else ratio(units, ONE)


def _item(source: Source, columns: tuple[str, ...]) -> tuple[int, ...]:
    if not columns:
        return source.item or ()
    return () if len(columns) == 1 else (len(columns),)


def _by_column(rules: Rules, width: int) -> Rules:
    from dataclasses import replace

    return replace(rules, columns=width)


def _named(side: Side) -> str:
    if not side.columns:
        return side.path
    return f"{side.path}, column{'s' if len(side.columns) > 1 else ''} {', '.join(map(repr, side.columns))}"


__all__ = [
    "Progress",
    "Reading",
    "Request",
    "Result",
    "Scored",
    "Staging",
    "check_outputs",
    "mse_loss",
    "mse_loss_grad",
    "run",
    "score",
]
