"""Score all systems in one pass over the targets, and sum up their differences from the reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod
from typing import Self

import numpy as np

from msecli.arrays import BoolArray, FloatArray, IntArray
from msecli.core.chunk import Chunk
from msecli.core.elementwise import losses_and_used
from msecli.core.evidence import Differences, Sample
from msecli.core.workspace import scratch
from msecli.engines import Engine
from msecli.errors import DataError, MsecliError
from msecli.formats.base import Source, read_once
from msecli.pairing.chunks import chunk_of, groups_of
from msecli.pairing.labels import GroupKey, group_codes
from msecli.pairing.position import (
    Aligned,
    Compared,
    CountsError,
    Read,
    check_row_counts,
    compared,
    joined_compared,
)
from msecli.pairing.roles import Roles
from msecli.pairing.twins import Twin, joined_twins, twins_of
from msecli.scoring.compare_plan import ComparePlan, FailedError, SystemPlan
from msecli.scoring.fold import Folded, Tally, empty_tally, tally_of
from msecli.scoring.ledger import Ledger, Progress
from msecli.scoring.rows import advice_on_counts, first_rows_checked
from msecli.scoring.side_by_side import SideBySide, one_result
from msecli.tuples import NamedTuple

WINDOW = 1 << 16
"""Rows of all files that are worked on together; of wide rows, so many elements."""


class Scored(NamedTuple):
    """What some rows of a system leave behind."""

    tally: Tally
    twins: tuple[Twin, ...]
    compared: tuple[Compared, ...]
    differences: Differences | None

    def joined(self, later: Self) -> Self:
        """Return what these rows and later ones leave behind."""
        self.tally.merge(later.tally)
        if self.differences is not None and later.differences is not None:
            self.differences.merge(later.differences)
        return self._replace(
            twins=joined_twins(self.twins, later.twins), compared=joined_compared(self.compared, later.compared)
        )


class SystemFold(NamedTuple):
    """What all rows of a system leave behind: as of a score of its own, and its differences from the reference."""

    folded: Folded
    differences: Differences | None


class JointLedger(Ledger):
    """Counts what is read, also in the ledger of every system that reads it."""

    def __init__(self, plan: ComparePlan, progress: Progress) -> None:
        super().__init__(plan.sources, (), progress)
        self.ledgers = [Ledger(system.plan.sources, system.plan.roles.warnings) for system in plan.systems]
        self._readers: list[list[tuple[Ledger, int]]] = [[] for _ in plan.sources]
        for system, ledger in zip(plan.systems, self.ledgers, strict=True):
            for own, number in enumerate(system.files):
                self._readers[number].append((ledger, own))

    def count(self, source: int, read: Read, *, tell: bool = True) -> None:
        """Count what was read from a source."""
        super().count(source, read, tell=tell)
        for ledger, own in self._readers[source]:
            ledger.count(own, read)


def fold_systems(plan: ComparePlan, engine: Engine, progress: Progress) -> list[SystemFold]:
    """Score all rows of all systems.

    Raises
    ------
    FailedError
        If systems cannot be read or paired.
    MsecliError
        If the targets or weights cannot be read.
    """
    ledger = JointLedger(plan, progress)
    if plan.request.fail_fast:  # otherwise the files of the others are read again where a system fails
        read_once(plan.sources)
    if failures := _known_counts(plan):
        raise FailedError(failures)
    try:
        results = _results(plan, engine, ledger)
        folds = _merged(plan, ledger, results)
        for number, source in enumerate(plan.sources):
            _verify(number, source)
    except CountsError as error:
        raise _other_counts(plan, ledger) or error from error
    except MsecliError as error:
        names = [] if error.source is None else plan.owners(error.source)
        if not names:
            raise
        raise FailedError(dict.fromkeys(names, error)) from error
    return folds


def _results(plan: ComparePlan, engine: Engine, ledger: JointLedger) -> Iterator[tuple[int, list[Scored]]]:
    work = partial(score_systems, plan)
    if plan.request.base.on:
        from msecli.scoring.compare_keys import each_joined, joined_rows

        if engine.distributed:
            return ((0, each) for each in each_joined(plan, engine, ledger, ledger.ledgers, work, join=_joined))
        rows = joined_rows(plan, engine, ledger, ledger.ledgers)
        return ((0, each) for each in engine.run(partial(one_result, work), rows))
    _check_first_rows(plan, ledger)
    window = max(1, WINDOW // prod(plan.systems[0].plan.item))
    sought = SideBySide(plan.sources, plan.selections(), window=window if len(plan.sources) > 1 else 0)
    return sought.each(work, engine, ledger, numbered=plan.request.needs_row_numbers, join=_joined)


def _joined(scored: list[Scored], later: list[Scored]) -> list[Scored]:
    """Return what some rows and later ones leave behind, system by system."""
    return list(map(Scored.joined, scored, later))


def _verify(number: int, source: Source) -> None:
    try:
        source.verify()
    except MsecliError as error:
        error.source = number
        raise


def _check_first_rows(plan: ComparePlan, ledger: JointLedger) -> None:
    failures: dict[str, MsecliError] = {}
    for system, own in zip(plan.systems, ledger.ledgers, strict=True):
        if len(system.files) > 1:
            try:
                own.check = first_rows_checked(system.plan, own)
            except DataError as error:
                failures[system.name] = error
    if failures:
        raise FailedError(failures)


def _known_counts(plan: ComparePlan) -> dict[str, MsecliError]:
    """Return which systems have other numbers of rows than the targets, as far as these are known by now."""
    if plan.request.base.on:
        return {}
    return _differing(plan, [[source.rows for source in system.plan.sources[:2]] for system in plan.systems])


def _other_counts(plan: ComparePlan, ledger: JointLedger) -> FailedError | None:
    """Return which systems have other numbers of rows than the targets; None if none has."""
    failures = _differing(plan, [own.rows[:2] for own in ledger.ledgers])
    return FailedError(failures) if failures else None


def _differing(plan: ComparePlan, counts: Sequence[Sequence[int | None]]) -> dict[str, MsecliError]:
    """Return which systems have other numbers of rows than the targets, given those of both, if they are known."""
    failures: dict[str, MsecliError] = {}
    for system, rows in zip(plan.systems, counts, strict=True):
        found = zip(system.plan.sources, rows, strict=False)
        known = [(source.path, count) for source, count in found if count is not None]
        try:
            check_row_counts(known, partial(advice_on_counts, system.plan))
        except DataError as error:
            failures[system.name] = error
    return failures


def _merged(plan: ComparePlan, ledger: JointLedger, results: Iterator[tuple[int, list[Scored]]]) -> list[SystemFold]:
    """Merge what all rows leave behind, in their order.

    Raises
    ------
    FailedError
        If rows at the same position do not belong together.
    """
    folds = [
        SystemFold(Folded(empty_tally(system.plan), own), _no_differences(plan, number))
        for number, (system, own) in enumerate(zip(plan.systems, ledger.ledgers, strict=True))
    ]
    for first_row, scored in results:
        failures: dict[str, MsecliError] = {}
        for number, (system, each) in enumerate(zip(plan.systems, scored, strict=True)):
            folded, differences = folds[number]
            try:
                folded.ledger.check.add(system.plan.roles.checked, each.compared)
            except DataError as error:
                failures[system.name] = error
                continue
            folded.tally.merge(each.tally, first_row)
            if differences is not None and each.differences is not None:
                differences.merge(each.differences)
            folds[number] = SystemFold(folded._replace(twins=joined_twins(folded.twins, each.twins)), differences)
        if failures:
            raise FailedError(failures)
    return folds


def _no_differences(plan: ComparePlan, number: int) -> Differences | None:
    """Return what no rows leave behind; None for the reference, which differs from nothing."""
    if number == plan.reference:
        return None
    request = plan.request
    clusters = request.cluster is not None
    return Differences(request.chosen_test, request.settings, weighted=request.base.weighted, clusters=clusters)


def score_systems(plan: ComparePlan, rows: Aligned) -> list[Scored]:
    """Score aligned rows of all systems, in whichever thread or process."""
    views = [_view(rows, system) for system in plan.systems]
    chunks = _excluded(plan, [chunk_of(*pair)[0] for pair in _with_roles(plan, views)])
    first = plan.systems[0].plan.roles
    groups = groups_of(views[0], first) if first.by else None
    clusters = None
    if plan.cluster is not None:
        clusters = group_codes([rows.blocks[plan.target_file].labels[plan.cluster]])
    base = chunks[plan.reference]
    reference = _losses(plan, base, plan.reference, np.empty(base.prediction.shape))
    found = []
    for number, (system, view, chunk) in enumerate(zip(plan.systems, views, chunks, strict=True)):
        differences = _no_differences(plan, number)
        if differences is not None:
            differences.add(
                _sample(
                    chunk,
                    _losses(plan, chunk, number, scratch("losses", chunk.prediction.shape, np.float64)),
                    reference,
                    clusters,
                )
            )
        keyed = rows.row_numbers is not None
        found.append(
            Scored(
                tally_of(system.plan, chunk, groups=groups),
                twins_of(chunk.prediction, chunk.target, tables=system.plan.chosen_in_tables),
                () if keyed else compared(view, system.plan.roles.checked if len(system.files) > 1 else ()),
                differences,
            )
        )
    return found


def _view(rows: Aligned, system: SystemPlan) -> Aligned:
    """Return the rows of the files of one system, as if there were no others."""
    numbers = None if rows.row_numbers is None else tuple(rows.row_numbers[file] for file in system.files)
    return Aligned(rows.first_row, tuple(rows.blocks[file] for file in system.files), numbers)


def _with_roles(plan: ComparePlan, views: Sequence[Aligned]) -> Iterator[tuple[Aligned, Roles]]:
    return zip(views, (system.plan.roles for system in plan.systems), strict=True)


def _excluded(plan: ComparePlan, chunks: list[Chunk]) -> list[Chunk]:
    """Return the chunks without the elements that one of the systems lacks, if these are to be left out."""
    if plan.request.base.nan_pred != "omit":
        return chunks
    lacking = np.zeros(chunks[0].prediction.size, dtype=bool)
    for chunk in chunks:
        lacking |= np.isnan(chunk.prediction).reshape(-1)
    if not lacking.any():
        return chunks
    return [chunk._replace(excluded=lacking.reshape(chunk.prediction.shape)) for chunk in chunks]


Losses = tuple[FloatArray, BoolArray | None]
"""The losses of elements, and which of them are used; None if all are."""


def _losses(plan: ComparePlan, chunk: Chunk, number: int, out: FloatArray) -> Losses:
    values, used = losses_and_used(chunk, plan.systems[number].plan.rules, out)
    return values.reshape(-1), None if used is None else used.reshape(-1)


def _sample(
    chunk: Chunk, losses: Losses, reference: Losses, clusters: tuple[IntArray, list[GroupKey]] | None
) -> Sample:
    """Return the losses of the elements that both systems use."""
    ours, theirs = losses[0], reference[0]
    width = ours.size // chunk.rows
    weight = chunk.element_weight()
    weight = None if weight is None else weight.reshape(-1)
    rows = None if width == 1 else np.repeat(np.arange(chunk.rows), width)
    found = None if clusters is None else (np.repeat(clusters[0], width), clusters[1])
    masks = [used for used in (losses[1], reference[1]) if used is not None]
    if masks:
        used = np.logical_and.reduce(masks)
        rows = np.flatnonzero(used) if rows is None else rows[used]
        ours, theirs, weight = ours[used], theirs[used], None if weight is None else weight[used]
        found = None if found is None else (found[0][used], found[1])
    return Sample(ours, theirs, weight, first_row=chunk.first_row, rows=rows, clusters=found)
