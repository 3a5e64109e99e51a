"""From a plan to a tally: score all rows, and merge their states."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Self

import numpy as np

from msecli.arrays import FloatArray, IntArray
from msecli.core.axes import losses_of_rows
from msecli.core.chunk import Chunk
from msecli.core.elementwise import element_gradient, element_losses, gradient_over
from msecli.core.partition import Batches, Partition
from msecli.core.wide import Wide
from msecli.engines import Engine
from msecli.errors import Warned
from msecli.pairing.chunks import chunk_of, groups_of
from msecli.pairing.position import Aligned
from msecli.pairing.roles import PREDICTION
from msecli.pairing.twins import Twin, joined_twins, twins_of
from msecli.results.values import Keys
from msecli.scoring.ledger import Ledger, Progress
from msecli.scoring.plan import Plan
from msecli.scoring.rows import PairedRows
from msecli.scoring.side_by_side import Keep, Sift
from msecli.scoring.studies import Studied, Study, studies_of
from msecli.scoring.values import Gradient, Sink
from msecli.tuples import NamedTuple


class Tally:
    """The states of some rows: as a whole, by group, or by batch, and of their studies; they merge exactly."""

    def __init__(
        self,
        whole: Partition | None = None,
        groups: Partition | None = None,
        batches: Partition | None = None,
        studies: Mapping[str, Study] | None = None,
    ) -> None:
        self.whole, self.groups, self.batches = whole, groups, batches
        self.studies = dict(studies or {})

    @property
    def pooled(self) -> Partition:
        """A partition that covers all rows."""
        partition = self.whole or self.groups or self.batches
        assert partition is not None  # noqa: S101 - every tally has one
        return partition

    def merge(self, other: Self, first_row: int = 0) -> None:
        """Add the tally of rows that are numbered from `first_row` on."""
        for mine, theirs in ((self.whole, other.whole), (self.groups, other.groups), (self.batches, other.batches)):
            if mine is not None and theirs is not None:
                mine.merge(theirs, first_row)
        for name, study in other.studies.items():
            self.studies[name].merge(study, first_row)


class Folded(NamedTuple):
    """The tally of all rows, the ledger, what the scored columns have in common, and the number of parts of values."""

    tally: Tally
    ledger: Ledger
    twins: tuple[Twin, ...] = ()
    parts: int = 0


class Outcome(NamedTuple):
    """The results of some rows: their tally, values of their elements by name, and keys; or the number of parts."""

    tally: Tally
    values: Mapping[str, FloatArray]
    gradient: FloatArray | Wide | None
    keys: Keys
    twins: tuple[Twin, ...]
    parts: int = 0

    def joined(self, later: Self) -> Self:
        """Return the outcome of these rows and later ones, of which no values are kept."""
        self.tally.merge(later.tally)
        return self._replace(twins=joined_twins(self.twins, later.twins), parts=self.parts + later.parts)


def fold(
    plan: Plan,
    engine: Engine,
    sinks: Mapping[str, Sink],
    gradient: Gradient | None,
    progress: Progress,
    *,
    keep: Keep[Outcome] | None = None,
) -> Folded:
    """Score all rows.

    Parameters
    ----------
    plan : Plan
    engine : Engine
    sinks : mapping of str to Sink
        Receive the values of elements: "losses", "predictions".
    gradient : Gradient, optional
        Receives the gradient.
    progress : callable
    keep : callable, optional
        Takes the values of elements where they are; none come here.

    Raises
    ------
    DataError
        If a file is damaged or changes while it is read, or the rows do not pair.
    ReadWriteError
        If a file cannot be read.
    """
    paired = PairedRows(plan, engine, progress, _sift(plan), once=not _counts(plan))
    batches = _batches(plan, paired)
    tally = empty_tally(plan)
    twins: tuple[Twin, ...] = ()
    parts = 0
    work = partial(score_rows, plan, batches)
    join = None if keep is None and (sinks or gradient is not None) else Outcome.joined
    for first_row, outcome in paired.each(work, numbered=plan.numbers_rows, join=join, keep=keep):
        tally.merge(outcome.tally, first_row)
        twins, parts = joined_twins(twins, outcome.twins), parts + outcome.parts
        for name, block in outcome.values.items():
            sinks[name].append(block, outcome.keys)
        if gradient is not None and outcome.gradient is not None:
            gradient.append(outcome.gradient, outcome.keys)
    return Folded(tally, paired.ledger, twins, parts)


def fold_gradient(plan: Plan, engine: Engine, divisor: int, progress: Progress, keep: Keep[Outcome]) -> int:
    """Divide the gradient of all rows where they are, in a pass of its own; return the number of its parts."""
    paired = PairedRows(plan, engine, progress, _sift(plan))
    batches = _batches(plan, paired)
    work = partial(_gradient_of_rows, plan, batches, divisor)
    found = paired.each(work, numbered=batches is not None, join=Outcome.joined, keep=keep)
    return sum(outcome.parts for _, outcome in found)


def _gradient_of_rows(plan: Plan, batches: Batches | None, divisor: int, rows: Aligned) -> Outcome:
    chunk, _ = _chunk_of(plan, batches, rows)
    return Outcome(Tally(), {}, gradient_over(chunk, plan.rules, divisor), _keys(rows, plan.roles.on), ())


def _chunk_of(plan: Plan, batches: Batches | None, rows: Aligned) -> tuple[Chunk, FloatArray | None]:
    """Return the chunk of aligned rows, and the inputs of a model."""
    chunk, inputs = chunk_of(rows, plan.roles, plan.model)
    if batches is not None:
        chunk = chunk._replace(dropped=batches.dropped(rows.first_row, rows.rows))
    return chunk, inputs


def _sift(plan: Plan) -> Sift | None:
    """Return what leaves only the rows that meet the condition, if there is one."""
    if plan.condition is None:
        return None
    from msecli.pairing.conditions import sifted

    return partial(sifted, plan.condition)


def score_rows(plan: Plan, batches: Batches | None, rows: Aligned) -> Outcome:
    """Score aligned rows, in whichever thread or process."""
    chunk, inputs = _chunk_of(plan, batches, rows)
    groups = _groups(plan, rows)
    tally = tally_of(
        plan,
        chunk,
        inputs,
        groups=groups,
        batches=None if batches is None else batches.of(rows.first_row, rows.rows),
        studies=studies_of(plan, Studied(plan, rows, chunk, groups)),
    )
    values = {name: _values(plan, chunk, name) for name in plan.kept_values if name in {"losses", "predictions"}}
    gradient = _gradient(plan, chunk) if plan.keeps_gradient else None
    keys = _keys(rows, plan.roles.on) if plan.kept_values else {}
    twins = () if plan.model is not None else twins_of(chunk.prediction, chunk.target, tables=plan.chosen_in_tables)
    return Outcome(tally, values, gradient, keys, twins)


def _keys(rows: Aligned, on: Sequence[str]) -> Keys:
    """Return the keys of rows for whoever writes their values."""
    if not on:
        return {}
    from msecli.arrow.columns import arrow_labels

    labels = rows.blocks[PREDICTION].labels
    return {name: arrow_labels(labels[name]) for name in on}


def _groups(plan: Plan, rows: Aligned) -> tuple[IntArray, Sequence[Hashable]] | None:
    """Return every row's group and the groups' keys, if there are groups."""
    groups = groups_of(rows, plan.roles) if plan.roles.by else None
    if plan.bins is None:
        return groups
    from msecli.pairing.bins import with_bins

    return with_bins(plan.bins, rows, groups)


def with_edges(plan: Plan, engine: Engine) -> Plan:
    """Return a plan that knows where its bins begin, by a first pass over the rows; they hold 8 bytes for each row."""
    if plan.bins is None:
        return plan
    paired = PairedRows(plan, engine, lambda _: None, _sift(plan))
    found = [values for _, values in paired.each(plan.bins.values, numbered=False)]
    bins = plan.bins.with_edges(np.concatenate(found) if found else np.empty(0))
    if bins.found in {0, bins.number}:
        return plan._replace(bins=bins)
    meaning = f"equal values leave {bins.found} of {bins.number} bins"
    warnings = (*plan.roles.warnings, Warned("fewer_bins", f"column {bins.name!r}", meaning))
    return plan._replace(bins=bins, roles=plan.roles._replace(warnings=warnings))


def tally_of(
    plan: Plan,
    chunk: Chunk,
    inputs: FloatArray | None = None,
    *,
    groups: tuple[IntArray, Sequence[Hashable]] | None = None,
    batches: tuple[IntArray, Sequence[Hashable]] | None = None,
    studies: Mapping[str, Study] | None = None,
) -> Tally:
    """Return the tally of a chunk.

    Parameters
    ----------
    plan : Plan
    chunk : Chunk
    inputs : ndarray of float64, shape (rows, inputs), optional
        The inputs of the model's predictions.
    groups, batches : (ndarray of int64, shape (rows,), sequence of hashable), optional
        The number of each row's group and the keys of the groups; likewise for batches.
    studies : mapping of str to Study
    """
    model = plan.model if plan.request.wants_parameter_gradients else None
    part = partial(Partition.of, rules=plan.rules, model=model, inputs=inputs)
    return Tally(
        whole=part(chunk) if _wants_whole(plan, groups is not None, batches is not None) else None,
        groups=None if groups is None else part(chunk, *groups),
        batches=None if batches is None else part(chunk, *batches),
        studies=studies,
    )


def _gradient(plan: Plan, chunk: Chunk) -> FloatArray | Wide:
    """Return the gradient, divided if its divisor is already known."""
    divisor = plan.known_divisor()
    return element_gradient(chunk, plan.rules) if divisor is None else gradient_over(chunk, plan.rules, divisor)


def _values(plan: Plan, chunk: Chunk, name: str) -> FloatArray:
    if name == "predictions":
        return chunk.prediction
    if plan.reduction.keeps_elements:
        return element_losses(chunk, plan.rules)
    return losses_of_rows(chunk, plan.rules.of_loss(), plan.kept, plan.reduction)


def _wants_whole(plan: Plan, by: bool, batched: bool) -> bool:  # noqa: FBT001 - two facts
    """Tell whether a tally needs the rows as a whole: batches do not have the differences of targets between them."""
    return not by and (not batched or plan.rules.season > 0)


def empty_tally(plan: Plan) -> Tally:
    """Return the tally of no rows."""

    def partition() -> Partition:
        model = plan.model if plan.request.wants_parameter_gradients else None
        return Partition(plan.rules, weighted=plan.request.weighted, model=model)

    by, batched = plan.request.grouped, plan.request.batch_size is not None
    return Tally(
        whole=partition() if _wants_whole(plan, by, batched) else None,
        groups=partition() if by else None,
        batches=partition() if batched else None,
        studies=studies_of(plan),
    )


def _counts(plan: Plan) -> bool:
    """Tell whether the rows have to be counted before they are cut into batches."""
    request = plan.request
    return request.batch_size is not None and (request.shuffle is not None or request.drop_last)


def _batches(plan: Plan, paired: PairedRows) -> Batches | None:
    request = plan.request
    if request.batch_size is None:
        return None
    rows = paired.count() if _counts(plan) else None
    batches = Batches(request.batch_size, rows, seed=request.shuffle, drop_last=request.drop_last)
    if rows is not None and batches.full_rows is not None:
        paired.ledger.dropped = rows - batches.full_rows
    return batches
