"""Pair the rows of all systems with those of the targets by key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from msecli.arrays import IntArray
from msecli.engines import Engine
from msecli.errors import DataError, MsecliError, UsageError
from msecli.pairing.keys import Held, Matched, aligned_rows, match, rows_per_block
from msecli.pairing.position import Aligned, Stream
from msecli.pairing.unpaired import SKIP
from msecli.scoring.buckets import Keyed, Link
from msecli.scoring.by_key import Found, each_by_key
from msecli.scoring.compare_plan import ComparePlan, FailedError, SystemPlan
from msecli.scoring.ledger import Ledger
from msecli.scoring.side_by_side import Join, streams
from msecli.tuples import NamedTuple

T = TypeVar("T")


def joined_rows(plan: ComparePlan, engine: Engine, ledger: Ledger, own: list[Ledger]) -> Iterator[Aligned]:
    """Read all files, match their rows by key, and yield those that all have, in the order of the targets.

    Parameters
    ----------
    plan : ComparePlan
    engine : Engine
    ledger : Ledger
        Of all sources.
    own : list of Ledger
        Of each system; they learn how its rows were matched.

    Raises
    ------
    FailedError
        If systems cannot be read, or do not match.
    MsecliError
        If the targets cannot be read.
    """
    read = streams(plan.sources, plan.selections(), engine, ledger)
    target = Held(read[plan.target_file], work=plan.sources[plan.target_file].work or 0)
    paired: dict[int, Paired] = {}

    def matched(system: SystemPlan) -> Matched:
        file = system.files[0]
        if file not in paired:
            paired[file] = _paired(plan, system, read[file], target)
        return paired[file].matched

    _note_matches(plan, own, matched)
    rows = np.flatnonzero(np.logical_and.reduce([each.place >= 0 for each in paired.values()]))
    _note_common(own, rows.size)
    # From here on only the labels of groups and clusters are needed.
    target.keep_labels(_labels_of_rows(plan))
    return _aligned(plan, target, paired, rows)


def each_joined(
    plan: ComparePlan, engine: Engine, ledger: Ledger, own: list[Ledger], work: Callable[[Aligned], T], *, join: Join[T]
) -> Iterator[T]:
    """Have the workers of a distributed engine match the rows as `joined_rows` does, and yield results of their work.

    Raises
    ------
    FailedError
        If systems do not match.
    MsecliError
        If a file cannot be read.
    """

    def judge(found: Found) -> None:
        _note_matches(plan, own, lambda system: found.matched(system.files[0], _advice(system)))
        _note_common(own, found.facts.rows)

    ordered = plan.request.needs_row_numbers or any(each.plan.rules.season for each in plan.systems)
    ordered = ordered or plan.request.chosen_test.ordered
    yield from each_by_key(keyed_of(plan), engine, ledger, work, judge, join=join, ordered=ordered)


def keyed_of(plan: ComparePlan) -> Keyed:
    """Return the sources of all systems, paired by key.

    Raises
    ------
    UsageError
        If not all systems have the same columns of the targets as keys.
    """
    links = {
        system.files[0]: Link(system.files[0], system.plan.roles.keys, system.plan.roles.checked)
        for system in plan.systems
    }
    if len({link.keys[1] for link in links.values()}) > 1:
        raise UsageError(
            f"the keys are not the same columns of {plan.sources[plan.target_file].path} for all systems; rename those "
            "of the systems, or use `engine=local`"
        )
    kept = tuple(_labels_of_rows(plan) if file == plan.target_file else () for file in range(len(plan.sources)))
    target, skip = plan.target_file, plan.request.base.unmatched == "skip"
    return Keyed(plan.sources, tuple(plan.selections()), tuple(links.values()), target, target, kept, skip)


def _note_matches(plan: ComparePlan, own: list[Ledger], matched: Callable[[SystemPlan], Matched]) -> None:
    """Tell each system how its rows are matched.

    Raises
    ------
    FailedError
        If they are not.
    """
    failed: dict[int, MsecliError] = {}
    for system, one in zip(plan.systems, own, strict=True):
        try:
            if system.files[0] not in failed:
                one.matched = matched(system)
                one.warnings.add(one.matched.warnings)
        except MsecliError as error:
            failed[system.files[0]] = error
    if failed:
        raise FailedError(
            {system.name: failed[system.files[0]] for system in plan.systems if system.files[0] in failed}
        )


def _note_common(own: list[Ledger], rows: int) -> None:
    """Tell each system how many of its rows other systems lack.

    Raises
    ------
    DataError
        If no row is left.
    """
    if not rows:
        raise DataError("no row is in all files, so there is nothing to compare")
    for one in own:
        assert one.matched is not None  # noqa: S101 - set before
        one.dropped = one.matched.rows - rows


def _labels_of_rows(plan: ComparePlan) -> tuple[str, ...]:
    """Return the columns of labels in the targets that are needed once rows are matched: of groups and clusters."""
    groups = [name for place in plan.systems[0].plan.roles.by for name in place.columns]
    return (*groups, *([plan.cluster] if plan.cluster else []))


def _advice(system: SystemPlan) -> str:
    """Return what to do about keys without a match: metrics of a series need every row."""
    return "" if system.plan.rules.season else SKIP


class Paired(NamedTuple):
    """The rows of a file of predictions, how they were matched, and for every target the row; -1 without one."""

    held: Held
    matched: Matched
    place: IntArray


def _paired(plan: ComparePlan, system: SystemPlan, stream: Stream, target: Held) -> Paired:
    roles = system.plan.roles
    ours, theirs = (dict(zip(roles.on, names, strict=True)) for names in roles.keys)
    held, named = Held(stream, ours, system.plan.sources[0].work or 0), target.naming(theirs)
    skip = plan.request.base.unmatched == "skip"
    matched = match(held, named, roles.on, skip_unmatched=skip, advice=_advice(system))
    for _ in aligned_rows(held, named, matched, roles.checked) if roles.checked else ():
        pass  # refuses groups that differ
    rows = np.flatnonzero(matched.position >= 0)
    place = np.full(target.rows, -1, dtype=np.int64)
    place[matched.position[rows]] = rows
    held.labels = {}
    return Paired(held, matched._replace(position=np.empty(0, dtype=np.int64)), place)


def _aligned(plan: ComparePlan, target: Held, paired: dict[int, Paired], rows: IntArray) -> Iterator[Aligned]:
    """Yield the rows that all files have, some at a time."""
    step = rows_per_block([target, *(each.held for each in paired.values())])
    for start in range(0, rows.size, step):
        chosen = rows[start : start + step]
        numbers = tuple(paired[file].place[chosen] if file in paired else chosen for file in range(len(plan.sources)))
        blocks = tuple(
            (paired[file].held if file in paired else target).take(numbers[file]) for file in range(len(plan.sources))
        )
        yield Aligned(start, blocks, numbers)
