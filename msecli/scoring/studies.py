"""What else is asked of the rows, besides their sums: each study is one class, whose states merge like these."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from msecli.arrays import FloatArray, IntArray
from msecli.core.chunk import Chunk
from msecli.core.elementwise import element_losses
from msecli.pairing.chunks import clusters_of
from msecli.pairing.position import Aligned
from msecli.pairing.roles import PREDICTION
from msecli.scoring.plan import Plan
from msecli.tuples import NamedTuple


class Study(Protocol):
    """The state of a study."""

    def merge(self, other: Any, first_row: int = 0) -> None:
        """Add the state of other rows, which are numbered from `first_row` on."""
        ...


class Studied:
    """Rows to study: as they were paired, as a chunk, and the number of each one's group with the groups' keys."""

    def __init__(
        self, plan: Plan, rows: Aligned, chunk: Chunk, groups: tuple[IntArray, Sequence[Hashable]] | None
    ) -> None:
        self.plan, self.rows, self.chunk, self.groups = plan, rows, chunk, groups

    @cached_property
    def losses(self) -> FloatArray:
        """The losses in the shape of the prediction, nan where an element is not used."""
        return element_losses(self.chunk, self.plan.rules)


class RowLabels(NamedTuple):
    """The labels of a row: those of its keys, and the key of its group."""

    keys: tuple[Any, ...] = ()
    group: Hashable = None


def _worst(plan: Plan, studied: Studied | None) -> Study | None:
    count = plan.request.worst
    if count is None:
        return None
    from msecli.core.worst import Worst

    if studied is None:
        return Worst(count)
    from msecli.pairing.labels import label_at

    rows, groups = studied.rows, studied.groups
    held = [rows.blocks[PREDICTION].labels[name] for name in plan.roles.on]

    def labels(chosen: IntArray) -> list[RowLabels]:
        keys = [[label_at(column, row) for row in chosen.tolist()] for column in held]
        by_row = list(zip(*keys, strict=True)) if keys else [()] * len(chosen)
        if groups is None:
            return [RowLabels(key) for key in by_row]
        return [RowLabels(key, groups[1][code]) for key, code in zip(by_row, groups[0][chosen].tolist(), strict=True)]

    numbers = None if rows.row_numbers is None else rows.row_numbers[PREDICTION]
    return Worst.of(studied.chunk, studied.losses, count, numbers=numbers, labels=labels)


def _interval(plan: Plan, studied: Studied | None) -> Study | None:
    request = plan.request
    if request.ci is None:
        return None
    from msecli.core.uncertainty import Clusters, Method, Values

    method, cluster = Method(request.ci, request.bootstrap, request.seed or 0), plan.roles.cluster
    if studied is None:
        if cluster is not None:
            return Clusters(method, weighted=request.weighted, rules=plan.rules)
        return Values(method, weighted=request.weighted, grouped=request.grouped)
    if cluster is not None:
        clusters = clusters_of(studied.rows, cluster)
        return Clusters.of(method, studied.chunk, plan.rules, clusters, studied.groups)
    return Values.of(method, studied.chunk, studied.losses, studied.groups)


def _explain(plan: Plan, studied: Studied | None) -> Study | None:
    if not plan.request.explain:
        return None
    from msecli.core.concentration import Concentration

    return Concentration() if studied is None else Concentration.of(studied.losses)


STUDIES: dict[str, Callable[[Plan, Studied | None], Study | None]] = {
    "explain": _explain,
    "interval": _interval,
    "worst": _worst,
}
"""From a plan and rows to the state of a study; of no rows without them, None if it is not asked for."""


def studies_of(plan: Plan, studied: Studied | None = None) -> Mapping[str, Study]:
    """Return the states of all studies that are asked for, of these rows or of none."""
    found = {name: study(plan, studied) for name, study in STUDIES.items()}
    return {name: state for name, state in found.items() if state is not None}
