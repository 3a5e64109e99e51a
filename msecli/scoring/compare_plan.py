"""From a request to compare to a plan for each system; they share the sources of the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from msecli.errors import DataError, MsecliError, UsageError, Warned, meant, setting
from msecli.formats.base import Selection, Source
from msecli.pairing.lookup import find_all, split_names
from msecli.pairing.position import check_row_counts
from msecli.places import is_path
from msecli.scoring.compare_request import CompareRequest, Named
from msecli.scoring.model import Parameters
from msecli.scoring.opening import open_all, open_one
from msecli.scoring.plan import Plan, plan_of
from msecli.scoring.rows import advice_on_counts, selections_of
from msecli.tuples import NamedTuple

Failures = Mapping[str, MsecliError]
"""The errors of systems that cannot be scored, by their names."""


class SystemPlan(NamedTuple):
    """A system: its name, its plan, and the numbers of the plan's sources among those of all systems."""

    name: str
    plan: Plan
    files: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ComparePlan:
    """Everything decided before rows are read.

    Parameters
    ----------
    request : CompareRequest
    systems : tuple of SystemPlan
        Those that can be scored, as far as is known.
    sources : tuple of Source
        Of all systems, each once.
    reference : int
        The number of the reference among the systems.
    cluster : str, optional
        The column of the clusters, in the file of the targets.
    """

    request: CompareRequest
    systems: tuple[SystemPlan, ...]
    sources: tuple[Source, ...]
    reference: int
    cluster: str | None

    @property
    def target_file(self) -> int:
        """The number of the source of the targets."""
        first = self.systems[0]
        return first.files[first.plan.roles.target.file]

    def owners(self, source: int) -> list[str]:
        """Return the systems whose predictions are in a source, if nothing that all share is in it, too."""
        shared = {number for system in self.systems for number in system.files[1:]} | {self.target_file}
        return [] if source in shared else [system.name for system in self.systems if source in system.files]

    def selections(self) -> list[Selection]:
        """Return what to read from each source, for all systems."""
        found = [Selection() for _ in self.sources]
        for system in self.systems:
            for number, more in zip(system.files, selections_of(system.plan), strict=True):
                found[number] = Selection(*(_union(*pair) for pair in zip(found[number], more, strict=True)))
        if self.cluster is not None:
            numbers, labels = found[self.target_file]
            found[self.target_file] = Selection(numbers, _union(labels, (self.cluster,)))
        return found


def _union(names: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names, *more)))


class FailedError(Exception):
    """Some systems have failed; the others can be compared without them."""

    def __init__(self, failures: Failures) -> None:
        super().__init__()
        self.failures = failures


class Opened(NamedTuple):
    """The systems in the order given, the plans of those that can be scored, and what is wrong with the others."""

    names: tuple[str, ...]
    plans: dict[str, Plan]
    failures: dict[str, MsecliError]


def open_systems(request: CompareRequest) -> Opened:
    """Open all files, and decide for each system everything that does not depend on rows.

    Raises
    ------
    MsecliError
        If nothing can be compared because of what all systems share: the targets, the weights, the reference.
    """
    base, failures = request.base, dict[str, MsecliError]()
    names = [name for name in base.input_names if name != "predictions"]
    shared = open_all([getattr(base, name) for name in names], base.reading, names, alone=False) if names else ()
    sources: dict[str, Source] = {}
    for system in request.systems:
        try:
            sources[system.name] = _opened(system, request)
        except MsecliError as error:
            if len(request.systems) == 1:
                raise
            failures[system.name] = error
    systems = [system.name for system in request.systems]
    columns: dict[str, tuple[str, ...]] = dict.fromkeys(sources, request.pred)
    if request.by_column:
        (table,) = sources.values()
        systems = list(_columns(table, request.pred))
        sources = dict.fromkeys(systems, table)
        columns = {name: (name,) for name in systems}
    check_reference(request, systems)
    data = {system.name: system.data for system in request.systems}
    plans: dict[str, Plan] = {}
    for name, source in sources.items():
        try:
            plans[name] = _plan(request, data.get(name, base.predictions), source, columns[name], shared)
        except UsageError:
            raise
        except MsecliError as error:
            failures[name] = error
    return Opened(tuple(systems), plans, failures)


def _opened(system: Named, request: CompareRequest) -> Source:
    name = "predictions" if is_path(system.data) else system.name
    return open_one(system.data, request.base.reading, name)


def _columns(table: Source, pred: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a single file that are systems."""
    warnings: list[Warned] = []
    return find_all(table, split_names([table], tuple(pred)), warnings)


def check_reference(request: CompareRequest, systems: Sequence[str]) -> None:
    """Refuse a reference that is no system.

    Raises
    ------
    UsageError
    """
    if request.reference is not None and request.reference not in systems:
        known = ", ".join(systems)
        hint = meant(request.reference, systems)
        raise UsageError(f"`reference`: no system is named {request.reference!r}; there is {known}{hint}")


def _plan(request: CompareRequest, data: Any, source: Source, pred: tuple[str, ...], shared: Sequence[Source]) -> Plan:
    """Return the plan of one system.

    Raises
    ------
    DataError
        Also if the weights or the groups are columns of the predictions, as they are for all systems.
    """
    plan = plan_of(request.of_system(data, pred), (source, *shared), Parameters((), None, None))
    target = plan.roles.target.file
    places = [("weight", plan.roles.weight), *(("by", place) for place in plan.roles.by)]
    for name, place in places:
        if place is not None and place.file < target:
            raise DataError(
                f"`{name}`: the column {place.columns[0]!r} is in {source.path} and not in the file of the targets, "
                "but is for all systems"
            )
    known = [(each.path, each.rows) for each in plan.sources if each.rows is not None]
    if not request.base.on and len(plan.sources) > 1:
        check_row_counts(known, lambda: advice_on_counts(plan))
    return plan


def plan_comparison(request: CompareRequest, opened: Opened, failures: Failures) -> ComparePlan:
    """Return the plan of all systems that have not failed.

    Raises
    ------
    MsecliError
        If the reference has failed.
    FailedError
        If a system does not score as many elements of a row as the reference does.
    """
    reference = request.reference or opened.names[0]
    if reference in failures:
        raise _without_reference(reference, failures, opened.names)
    plans = {name: opened.plans[name] for name in opened.names if name not in failures}
    width = prod(plans[reference].item)
    other = {
        name: DataError(
            f"{plan.sources[0].path}: {prod(plan.item)} columns are scored, but {width} of the reference {reference!r}"
        )
        for name, plan in plans.items()
        if prod(plan.item) != width
    }
    if other:
        raise FailedError(other)
    sources: list[Source] = []
    systems = []
    for plan in plans.values():
        sources += [source for source in plan.sources[:1] if all(source is not each for each in sources)]
    for plan in plans.values():
        sources += [source for source in plan.sources[1:] if all(source is not each for each in sources)]
    numbers = {id(source): number for number, source in enumerate(sources)}
    for name, plan in plans.items():
        systems.append(SystemPlan(name, plan, tuple(numbers[id(source)] for source in plan.sources)))
    cluster = None
    if request.cluster is not None:
        table = plans[reference].sources[plans[reference].roles.target.file]
        cluster = _cluster(table, request.cluster)
    return ComparePlan(request, tuple(systems), tuple(sources), list(plans).index(reference), cluster)


def _cluster(table: Source, name: str) -> str:
    try:
        return find_all(table, (name,), [])[0]
    except DataError as error:
        raise DataError(f"`cluster`: {error.args[0]}") from error


def _without_reference(reference: str, failures: Failures, names: Sequence[str]) -> MsecliError:
    """Return the error of the reference, with another reference that can be chosen."""
    error = failures[reference]
    left = [name for name in names if name not in failures]
    if left:
        other = setting("reference", left[0], added=True)
        error.args = (f"{error.args[0]}\n{reference!r} is the reference; to compare with another, {other}",)
    return error
