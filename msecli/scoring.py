"""Files to states and values: opens the files, reads and pairs their rows, and has every chunk scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from msecli.core.axes import kept_axes, losses_of_items, losses_of_rows
from msecli.core.elementwise import element_gradient, element_losses
from msecli.core.exact import ONE, FloatArray, ratio
from msecli.core.metrics import Metric, needed_terms
from msecli.core.partition import Batches, Partition, state_of_groups
from msecli.core.reduction import Reduction
from msecli.core.state import LossState, Rules
from msecli.core.verdict import Where, check_usable
from msecli.engines.local import LocalEngine
from msecli.errors import Problems
from msecli.outputs.base import Values, item_names
from msecli.report import Ledger, Report, make_result
from msecli.request import Request, check_request
from msecli.result import Result
from msecli.sources import open_source
from msecli.sources.base import Block, Note, Selection, Source
from msecli.sources.keys import Held, aligned_rows, match
from msecli.sources.labels import GroupKey
from msecli.sources.pairing import Aligned, Stream, align_positions, check_row_counts
from msecli.sources.roles import (
    PREDICTION,
    Roles,
    Wishes,
    assign_roles,
    check_items,
    chunk_of,
    groups_of,
    item_shape,
)

Progress = Callable[[float], None]
"""Called with the part of the work that is done, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A result, with the values that were asked for: losses of elements or along axes, and the gradient."""

    result: Result
    losses: Values | None
    gradient: Values | None


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
    reduction, metrics = check_request(request)
    sources = _open(request)
    wishes = Wishes(request.prediction_columns, request.target_columns, request.weight, request.on, request.by)
    roles = assign_roles(sources, wishes, weight_file=request.weight_file is not None)
    check_items(sources, roles)
    job = _Job(request, reduction, metrics, sources, roles)
    with LocalEngine(request.jobs) as engine:
        job.run(engine, progress or (lambda _: None))
    for source in sources:
        source.verify()
    return job.scored()


def _open(request: Request) -> tuple[Source, ...]:
    """Open the files; the problems of all of them are reported together."""
    problems = Problems()
    opened: list[Source] = []
    for path in request.inputs:
        with problems.collect():
            opened.append(open_source(path, request.reading))
    problems.raise_found()
    return tuple(opened)


@dataclass(frozen=True, slots=True)
class _Task:
    """What to make of every chunk: sent along to the thread that does it."""

    roles: Roles
    rules: Rules
    losses: bool
    gradient: bool
    row_axes: tuple[int, ...] | None
    reduction: Reduction
    batches: Batches | None
    keyed: bool


@dataclass(frozen=True, slots=True)
class _Output:
    """What one chunk leaves behind."""

    whole: LossState | None
    by_group: tuple[LossState, list[GroupKey]] | None
    by_batch: tuple[LossState, list[int]] | None
    losses: FloatArray | None
    gradient: FloatArray | None
    aligned: Aligned | None


def _work(aligned: Aligned, task: _Task) -> Iterator[_Output]:
    chunk = chunk_of(aligned, task.roles)
    batches, by_batch, by_group = task.batches, None, None
    if batches is not None:
        chunk = replace(chunk, dropped=batches.dropped(aligned.first_row, aligned.rows))
        codes, numbers = batches.of(aligned.first_row, aligned.rows)
        by_batch = state_of_groups(chunk, codes, len(numbers), task.rules), numbers.tolist()
    if task.roles.by:
        codes, keys = groups_of(aligned, task.roles)
        by_group = state_of_groups(chunk, codes, len(keys), task.rules), keys
    losses = element_losses(chunk, task.rules) if task.losses else None
    if task.row_axes is not None:
        losses = losses_of_rows(chunk, replace(task.rules, columns=1), task.row_axes, task.reduction)
    yield _Output(
        LossState.of(chunk, task.rules) if by_batch is by_group is None else None,
        by_group,
        by_batch,
        losses,
        element_gradient(chunk, task.rules) if task.gradient else None,
        aligned if task.keyed else None,
    )


class _Job:
    """One scoring: the open sources, the parts their columns play, and what has come of them so far."""

    def __init__(
        self,
        request: Request,
        reduction: Reduction,
        metrics: tuple[Metric, ...],
        sources: tuple[Source, ...],
        roles: Roles,
    ) -> None:
        self.request = request
        self.reduction = reduction
        self.metrics = metrics
        self.sources = sources
        self.roles = roles
        self.item = item_shape(sources[PREDICTION], roles.prediction)
        self.kept = kept_axes(request.axes, 1 + len(self.item)) if request.axes else ()
        self.rules = self._rules()
        self.whole = LossState(self.rules, weighted=request.weighted)
        self.by_group = Partition(self.rules, weighted=request.weighted)
        self.by_batch = Partition(self.rules, weighted=request.weighted)
        self.losses = self._values("loss") if self._keeps_rows else None
        self.gradient = self._values("grad") if request.gradient else None
        self.ledger = Ledger()
        self.notes: dict[tuple[str, str], Note] = {}
        for note in (*roles.notes, *(note for source in sources for note in source.notes)):
            self._note(note)

    def run(self, engine: LocalEngine, progress: Progress) -> None:
        """Read and score everything."""
        rows = self._aligned(engine, progress)
        task = _Task(
            self.roles,
            self.rules,
            self.reduction.name == "none",
            self.request.gradient,
            self.kept if self.kept[:1] == (0,) else None,
            self.reduction,
            self._batches(engine),
            bool(self.request.on) and (self._keeps_rows or self.request.gradient),
        )
        for output in engine.run(partial(_work, aligned, task) for aligned in rows):
            self._take(output)

    def scored(self) -> Scored:
        """Return the result and the values."""
        state = (
            self.by_group.state if self.roles.by else self.by_batch.state if self.request.batching.size else self.whole
        )
        summary = state.summary()
        check_usable(state, summary, self._where())
        if self.gradient is not None:
            self.gradient.divisor = ratio(self.reduction.divisor(summary), ONE)
        if self.kept and self.kept[0] != 0 and not self._columns_are_named:
            self.losses = Values.of(losses_of_items(state, self.item, self.kept, self.reduction))
        report = Report(
            self.request,
            self.reduction,
            self.metrics,
            self.sources,
            self.roles,
            self.ledger,
            tuple(self.notes.values()),
            columns=state.columns() if self._columns_are_named else None,
            groups=self.by_group.summaries() if self.roles.by else None,
            batches=self.by_batch.summaries() if self.request.batching.size else None,
        )
        return Scored(make_result(report, summary), self.losses, self.gradient)

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
            columns=int(np.prod(self.item)) if by_column else 1,
            nan_target=self.request.nan_policy,
            nan_prediction=self.request.nan_pred,
            ignore=self.request.ignore,
        )

    def _values(self, single: str) -> Values:
        item = tuple(self.item[axis - 1] for axis in self.kept[1:]) if self.kept else self.item
        return Values(item, item_names(item, self.roles.prediction, single))

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
        prediction, target = (Held(stream) for stream in streams)
        matched = match(prediction, target, self.roles.on, skip_unmatched=self.request.unmatched == "skip")
        self.ledger.matched = matched
        for note in matched.notes:
            self._note(note)
        return aligned_rows(prediction, target, matched, self.roles.index)

    def _blocks(self, engine: LocalEngine, number: int, selection: Selection, done: _Done) -> Iterator[Block]:
        for block in engine.run(self.sources[number].parts(selection)):
            for note in block.notes:
                self._note(note)
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

    def _take(self, output: _Output) -> None:
        if output.whole is not None:
            self.whole.merge(output.whole)
        if output.by_group is not None:
            self.by_group.merge(*output.by_group)
        if output.by_batch is not None:
            self.by_batch.merge(*output.by_batch)
        keys = (
            None if output.aligned is None else {name: output.aligned.blocks[0].labels[name] for name in self.roles.on}
        )
        if self.losses is not None and output.losses is not None:
            self.losses.append(output.losses, keys)
        if self.gradient is not None and output.gradient is not None:
            self.gradient.append(output.gradient, keys)

    def _where(self) -> Where:
        sides = ((PREDICTION, self.roles.prediction), (self.roles.target_file, self.roles.target))
        prediction, target = (_named(self.sources[file].path, columns) for file, columns in sides)
        if self.roles.weight is None:
            return Where(prediction, target)
        file, column = self.roles.weight
        return Where(prediction, target, _named(self.sources[file].path, (column,) if column else ()))

    def _note(self, note: Note) -> None:
        """Remember a note, adding up those that say the same."""
        key = (note.code, note.where)
        seen = self.notes.get(key)
        self.notes[key] = note if seen is None else replace(note, count=note.count + seen.count)


class _Done:
    """How much of all sources together has been read."""

    def __init__(self, sources: tuple[Source, ...], progress: Progress) -> None:
        self._work = [source.work for source in sources]
        self._done = [0] * len(sources)
        self._progress = progress

    def add(self, number: int, work: int) -> None:
        self._done[number] += work
        self._progress(sum(done / work for done, work in zip(self._done, self._work, strict=True)) / len(self._work))


def _named(path: str, columns: tuple[str, ...]) -> str:
    if not columns:
        return path
    return f"{path}, column{'s' if len(columns) > 1 else ''} {', '.join(map(repr, columns))}"
