"""Pair the rows of all systems with those of the targets by key."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from msecli.arrays import IntArray
from msecli.engines import Engine
from msecli.errors import DataError, MsecliError
from msecli.pairing.keys import Held, Matched, aligned_rows, match, rows_per_block
from msecli.pairing.position import Aligned, Stream
from msecli.pairing.unpaired import SKIP
from msecli.scoring.compare_plan import ComparePlan, FailedError, SystemPlan
from msecli.scoring.ledger import Ledger
from msecli.scoring.side_by_side import streams
from msecli.tuples import NamedTuple


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
    failures: dict[str, MsecliError] = {}
    for system, one in zip(plan.systems, own, strict=True):
        file = system.files[0]
        try:
            if file not in paired:
                paired[file] = _paired(plan, system, read[file], target)
        except MsecliError as error:
            failures[system.name] = error
            continue
        one.matched = paired[file].matched
        one.warnings.add(one.matched.warnings)
    if failures:
        raise FailedError(failures)
    rows = np.flatnonzero(np.logical_and.reduce([each.place >= 0 for each in paired.values()]))
    if not rows.size:
        raise DataError("no row is in all files, so there is nothing to compare")
    for one in own:
        assert one.matched is not None  # noqa: S101 - set above
        one.dropped = one.matched.rows - rows.size
    # From here on only the labels of groups and clusters are needed.
    kept = [name for place in plan.systems[0].plan.roles.by for name in place.columns]
    target.labels = {name: target.labels[name] for name in [*kept, *([plan.cluster] if plan.cluster else [])]}
    return _aligned(plan, target, paired, rows)


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
    advice = "" if system.plan.rules.season else SKIP  # metrics of a series need every row
    matched = match(held, named, roles.on, skip_unmatched=skip, advice=advice)
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
