"""Files to states and values: opens the files, reads and pairs their rows, and has every chunk scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import prod
from typing import NamedTuple

from msecli.core.axes import kept_axes, losses_of_items
from msecli.core.exact import FloatArray, IntArray
from msecli.core.linear import LinearModel
from msecli.core.metrics import needed_terms
from msecli.core.partition import Batches, Partition
from msecli.core.penalty import penalty_gradient
from msecli.core.processor import arithmetic
from msecli.core.state import Rules, Summary
from msecli.core.verdict import Where, check_usable
from msecli.core.wide import Wide
from msecli.engines.local import LocalEngine
from msecli.errors import Problems
from msecli.jobs.notes import Notes
from msecli.jobs.report import Ledger, Report, make_result
from msecli.jobs.request import Checked, Request, check_request
from msecli.jobs.work import Nudge, Output, Task, work
from msecli.outputs.base import Values, item_names
from msecli.result import Result
from msecli.sources import open_source
from msecli.sources.base import Block, Note, Selection, Source
from msecli.sources.file import check_streams
from msecli.sources.pairing import Aligned, Stream, align_positions, check_row_counts
from msecli.sources.roles import PREDICTION, Roles, Wishes, assign_roles, check_items, item_shape
from msecli.sources.whole import read_array

Progress = Callable[[float], None]
"""Called with the part of the work that is done, from 0 to 1."""


class Scored(NamedTuple):
    """A result, with the values that were asked for.

    Parameters
    ----------
    result : Result
    losses : Values, optional
        The losses of elements, or along axes.
    values : mapping of str to Values
        "grad" and "grad_target" with respect to the prediction and the target; of a model "predictions",
        "grad_coef" and "grad_intercept"; of penalized parameters "grad_params 0", ….
    """

    result: Result
    losses: Values | None
    values: Mapping[str, Values]


class Parameters(NamedTuple):
    """What was read before the data: the model, and the arrays that penalties are on."""

    model: LinearModel | None
    penalized: tuple[FloatArray, ...]


def run(request: Request, progress: Progress | None = None) -> Scored:
    """Score as requested.

    Raises
    ------
    UsageError
        If the request contradicts itself.
    DataError
        If the files are damaged, do not pair, or hold nothing to score.
    ReadWriteError
        If a file cannot be read.
    """
    checked = check_request(request)
    with arithmetic() as warning:
        job = _scored_job(request, checked, read_parameters(request), progress)
        if warning:
            job.notes.add([Note(*warning)])
        return job.scored()


def exact_sums(request: Request, parameters: Parameters, nudge: Nudge | None = None) -> Summary:
    """Return the exact sums that the loss is made of, for these parameters, with one prediction nudged.

    Raises
    ------
    MsecliError
        As `run`.
    """
    with arithmetic():
        return _scored_job(request, check_request(request), parameters, None, nudge).summary()


def _scored_job(
    request: Request, checked: Checked, parameters: Parameters, progress: Progress | None, nudge: Nudge | None = None
) -> _Job:
    sources = _open(request)
    inputs = None if parameters.model is None else request.prediction_columns
    wishes = Wishes(request.prediction_columns, request.target_columns, request.weight, request.on, request.by, inputs)
    roles = assign_roles(sources, wishes, weight_file=request.weight_file is not None)
    check_items(sources, roles, parameters.model)
    job = _Job(request, checked, sources, roles, parameters)
    job.nudge = nudge
    with LocalEngine(request.jobs) as engine:
        job.run(engine, progress or (lambda _: None))
    for source in sources:
        source.verify()
    return job


def read_parameters(request: Request) -> Parameters:
    """Read the model and the penalized arrays; the problems of all these files are reported together."""
    problems = Problems()
    arrays: dict[str, FloatArray] = {}
    files = request.model
    for path in (*request.penalty.params, *(() if files is None else (files.coef, files.intercept))):
        if path is not None:
            with problems.collect():
                arrays[path] = read_array(path, request.reading)
    problems.raise_found()
    penalized = [arrays[path] for path in request.penalty.params]
    if files is None:
        return Parameters(None, tuple(penalized))
    model = LinearModel(arrays[files.coef], None if files.intercept is None else arrays[files.intercept])
    penalized.append(model.coef)
    if files.regularize_intercept and model.intercept is not None:
        penalized.append(model.intercept)
    return Parameters(model, tuple(penalized))


def _open(request: Request) -> tuple[Source, ...]:
    """Open the files; the problems of all of them are reported together."""
    check_streams(request.files)
    problems = Problems()
    opened: list[Source] = []
    for path in request.inputs:
        with problems.collect():
            opened.append(open_source(path, request.reading))
    problems.raise_found()
    return tuple(opened)


class _Job:
    """One scoring: the open sources, the parts their columns play, and what has come of them so far."""

    def __init__(
        self, request: Request, checked: Checked, sources: tuple[Source, ...], roles: Roles, parameters: Parameters
    ) -> None:
        self.request = request
        self.reduction = checked.reduction
        self.metrics = checked.metrics
        self.sources = sources
        self.roles = roles
        self.parameters = parameters
        self.model = parameters.model
        self.item = item_shape(sources[PREDICTION], roles.prediction) if self.model is None else self.model.item
        self.kept = kept_axes(request.axes, 1 + len(self.item)) if request.axes else ()
        self.rules = self._rules()
        self.whole, self.by_group, self.by_batch = (self._partition() for _ in range(3))
        self.losses = self._values("loss") if self._keeps_rows else None
        self.gradient = self._values("grad") if request.gradient else None
        self.predictions = self._values("prediction") if self._wants("predictions") else None
        self.nudge: Nudge | None = None
        self.ledger = Ledger()
        self.notes = Notes((*roles.notes, *(note for source in sources for note in source.notes)))

    def run(self, engine: LocalEngine, progress: Progress) -> None:
        """Read and score everything."""
        rows = self._aligned(engine, progress)
        task = Task(
            self.roles,
            self.rules,
            self.reduction,
            losses=self.reduction.name == "none",
            gradient=self.gradient is not None,
            predictions=self.predictions is not None,
            row_axes=self.kept if self.kept[:1] == (0,) else None,
            batches=self._batches(engine),
            model=self.model,
            parameters=self._keeps_parameters,
            nudge=self.nudge,
            keyed=bool(self.request.on) and (self._keeps_rows or self.request.gradient or self._wants("predictions")),
        )
        for output in engine.run(partial(work, aligned, task) for aligned in rows):
            self._take(output)

    def scored(self) -> Scored:
        """Return the result and the values."""
        batched = self.request.batching.size is not None
        partition, summary = self._pooled(), self.summary()
        divisor = self.reduction.divisor(summary)
        if self.kept and self.kept[0] != 0 and not self._columns_are_named:
            self.losses = Values.of(losses_of_items(partition.state, self.item, self.kept, self.reduction), "loss")
        gradients = None if partition.parameters is None else partition.parameters.gradients(divisor)
        report = Report(
            self.request,
            self.reduction,
            self.metrics,
            self.sources,
            self.roles,
            self.ledger,
            self.notes.warned(),
            columns=partition.state.columns() if self._columns_are_named else None,
            groups=self.by_group if self.roles.by else None,
            batches=self.by_batch if batched else None,
            penalized=self.parameters.penalized,
            gradients=gradients,
        )
        return Scored(make_result(report, summary), self.losses, self._kept_values(divisor, gradients))

    def summary(self) -> Summary:
        """Return the exact sums over all rows.

        Raises
        ------
        DataError
            If elements are missing, weights impossible, or no element is left.
        """
        state = self._pooled().state
        summary = state.summary()
        check_usable(state, summary, self._where())
        return summary

    def _pooled(self) -> Partition:
        """Return the partition that the sums over all rows are taken from."""
        batched = self.request.batching.size is not None
        return self.by_group if self.roles.by else self.by_batch if batched else self.whole

    def _kept_values(self, divisor: int, gradients: tuple[FloatArray, FloatArray] | None) -> dict[str, Values]:
        kept: dict[str, Values] = {}
        if self.gradient is not None:
            self.gradient.finish = partial(_quotients, divisor=divisor)
            kept |= {"grad": self.gradient, "grad_target": self.gradient.negated()}
        if self.predictions is not None:
            kept["predictions"] = self.predictions
        if gradients is not None and self.model is not None:
            coef, intercept = self._regularized(gradients)
            names = self.roles.prediction if coef.ndim > 1 else ()
            kept |= {"grad_coef": Values.of(coef, "grad", names), "grad_intercept": Values.of(intercept, "grad")}
        for number, array in enumerate(self.parameters.penalized[: len(self.request.penalty.params)]):
            penalty = self.request.penalty
            kept[f"grad_params {number}"] = Values.of(penalty_gradient(array, penalty.l1, penalty.l2), "grad")
        return kept

    def _regularized(self, gradients: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Return the gradients of the objective: those of the loss plus those of the penalties."""
        coef, intercept = gradients
        penalty, model, files = self.request.penalty, self.model, self.request.model
        if model is None or files is None or not self.request.penalized:
            return gradients
        coef = coef + penalty_gradient(model.coef, penalty.l1, penalty.l2)
        if files.regularize_intercept and model.intercept is not None:
            intercept = intercept + penalty_gradient(model.intercept.reshape(-1), penalty.l1, penalty.l2)
        return coef, intercept

    def _wants(self, what: str) -> bool:
        return self.request.model is not None and bool(getattr(self.request.model, what))

    @property
    def _keeps_parameters(self) -> bool:
        return self._wants("gradients") or self._wants("gradient_norms")

    def _partition(self) -> Partition:
        model = self.model if self._keeps_parameters else None
        return Partition(self.rules, weighted=self.request.weighted, model=model)

    @property
    def _keeps_rows(self) -> bool:
        """Whether there is a loss, or several, for every row."""
        return self.reduction.name == "none" or self.kept[:1] == (0,)

    @property
    def _columns_are_named(self) -> bool:
        """Whether the axes that are left are the columns of a table or a 2-D array."""
        return self.kept == (1,) and len(self.item) == 1

    def _rules(self) -> Rules:
        by_column = any(metric.by_column for metric in self.metrics) or (bool(self.kept) and self.kept[0] != 0)
        return Rules(
            needed_terms(self.metrics, weighted=self.request.weighted),
            largest=any(metric.largest for metric in self.metrics),
            columns=prod(self.item) if by_column else 1,
            nan_target=self.request.nan_policy,
            nan_prediction=self.request.nan_pred,
            ignore=self.request.ignore,
        )

    def _values(self, single: str) -> Values:
        item = tuple(self.item[axis - 1] for axis in self.kept[1:]) if self.kept else self.item
        columns = self.roles.prediction if self.model is None else self.roles.target
        return Values(item, item_names(item, columns, single))

    def _aligned(self, engine: LocalEngine, progress: Progress) -> Iterator[Aligned]:
        done = _Done(self.sources, progress)
        streams = [
            Stream(source.path, self._blocks(engine, number, self.roles.selection(number), done))
            for number, source in enumerate(self.sources)
        ]
        self.ledger.streams = streams
        if self.request.on:
            return self._joined(streams)
        known = [(source.path, source.rows) for source in self.sources]
        check_row_counts([(path, rows) for path, rows in known if rows is not None])
        return align_positions(streams, self.roles.index)

    def _joined(self, streams: list[Stream]) -> Iterator[Aligned]:
        """Read both files, match their rows by key, and return these side by side."""
        from msecli.sources.keys import Held, aligned_rows, match

        prediction, target = (
            Held(stream, dict(zip(self.roles.on, names, strict=True)))
            for stream, names in zip(streams, self.roles.key_columns, strict=True)
        )
        matched = match(prediction, target, self.roles.on, skip_unmatched=self.request.unmatched == "skip")
        self.ledger.matched = matched
        self.notes.add(matched.notes)
        return aligned_rows(prediction, target, matched, self.roles.index)

    def _blocks(self, engine: LocalEngine, number: int, selection: Selection, done: _Done) -> Iterator[Block]:
        for block in self.notes.of(engine.run(self.sources[number].parts(selection))):
            done.add(number, block.work)
            yield block

    def _batches(self, engine: LocalEngine) -> Batches | None:
        batching = self.request.batching
        if batching.size is None:
            return None
        rows = None
        if batching.seed is not None or batching.drop_last:
            rows = self._count_rows(engine)
        batches = Batches(batching.size, rows, seed=batching.seed, drop_last=batching.drop_last)
        if rows is not None and batches.full_rows is not None:
            self.ledger.dropped = rows - batches.full_rows
        return batches

    def _count_rows(self, engine: LocalEngine) -> int:
        """Return the number of paired rows, before they are scored."""
        if self.ledger.matched is not None:
            return self.ledger.matched.rows
        known = self.sources[PREDICTION].rows
        if known is not None:
            return known
        parts = self.sources[PREDICTION].parts(self.roles.selection(PREDICTION))
        return sum(block.rows for block in engine.run(parts))

    def _take(self, output: Output) -> None:
        parts = ((self.whole, output.whole), (self.by_group, output.by_group), (self.by_batch, output.by_batch))
        for partition, part in parts:
            if part is not None:
                partition.merge(part.state, part.keys, part.parameters)
        keys = None
        if output.aligned is not None:
            keys = {name: output.aligned.blocks[PREDICTION].labels[name] for name in self.roles.on}
        for values, block in ((self.losses, output.losses), (self.predictions, output.predictions)):
            if values is not None and block is not None:
                values.append(block, keys)
        if self.gradient is not None and output.gradient is not None:
            self.gradient.append(output.gradient.values, keys, output.gradient.exponent)

    def _where(self) -> Where:
        sides = ((PREDICTION, self.roles.prediction), (self.roles.target_file, self.roles.target))
        prediction, target = (_named(self.sources[file].path, columns) for file, columns in sides)
        if self.roles.weight is None:
            return Where(prediction, target)
        weights = _named(self.sources[self.roles.weight[0]].path, self.roles.weight_columns)
        return Where(prediction, target, weights)


class _Done:
    """How much of all sources together has been read."""

    def __init__(self, sources: tuple[Source, ...], progress: Progress) -> None:
        self._work = [source.work for source in sources]
        self._done = [0] * len(sources)
        self._progress = progress

    def add(self, number: int, work: int) -> None:
        self._done[number] += work
        self._progress(sum(done / work for done, work in zip(self._done, self._work, strict=True)) / len(self._work))


def _quotients(values: FloatArray, exponent: IntArray | None, *, divisor: int) -> FloatArray:
    with arithmetic():
        return Wide(values, exponent).over(divisor)


def _named(path: str, columns: tuple[str, ...]) -> str:
    if not columns:
        return path
    return f"{path}, column{'s' if len(columns) > 1 else ''} {', '.join(map(repr, columns))}"
