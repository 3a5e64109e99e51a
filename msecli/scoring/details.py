"""From a tally to what was asked besides the scores: the order of groups, the worst elements."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msecli.core.exact import ratio, units_of
from msecli.core.metrics import badness
from msecli.core.partition import Partition
from msecli.core.state import Summary
from msecli.errors import Warned
from msecli.pairing.labels import shown_keys, sort_key
from msecli.results.base import MISSING_LABEL, status
from msecli.results.score import Entry, Result
from msecli.results.values import Layout
from msecli.scoring.fold import Tally
from msecli.scoring.plan import Plan
from msecli.scoring.request import Request

if TYPE_CHECKING:
    from msecli.results.details import Interval, WorstElement

TOO_FEW = "too_few"
"""The status of an interval of fewer than two elements, or clusters."""


def only_listed(request: Request, result: Result) -> Result:
    """Return the result with the first groups alone, if only these are wanted."""
    if request.top is None:
        return result
    groups = result.groups[: request.top]
    return replace(result, groups=groups, not_listed=len(result.groups) - len(groups))


def ordered_groups(request: Request, groups: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the groups in the order asked for.

    A number that is none comes last in either order; groups with equal numbers stay in the order of their labels.
    """
    if request.sort is None and request.top is None:
        return tuple(groups)
    name = (request.sort or "loss").lower()
    best = {metric.name.lower(): metric.best for metric in request.chosen_metrics(weighted=request.weighted)}
    sign = 1 if request.reverse else -1

    def place(entry: Entry) -> tuple[bool, float]:
        numbers = {key.lower(): value for key, value in entry.numbers().items()} | {"used": entry.score.elements.used}
        value = numbers[name]
        if value is None or math.isnan(value):
            return True, 0.0
        return False, sign * badness(value, best.get(name, 0.0))

    return tuple(sorted(groups, key=place))


def worst_elements(plan: Plan, tally: Tally, summary: Summary) -> tuple[WorstElement, ...] | None:
    """Return the elements with the largest losses; None if they are not asked for."""
    if plan.request.worst is None:
        return None
    from msecli.core.worst import Worst
    from msecli.results.details import WorstElement

    worst = tally.studies["worst"]
    assert isinstance(worst, Worst)  # noqa: S101 - by its name
    names = Layout.of(plan.item, plan.column_names, plan.column_names[0] if plan.column_names else "").names
    total, elements = summary.sums["squared_error"], worst.elements()
    keys = _of_one_kind([element.labels.keys for element in elements])
    groups = group_labels(plan, tally)
    found = []
    for (row, place, prediction, target, loss, labels), key in zip(elements, keys, strict=True):
        share = None if total.special or not total.units else ratio(units_of(loss), total.units)
        found.append(
            WorstElement(
                row + 1,
                dict(zip(plan.roles.on, key, strict=True)) if key else None,
                groups.get(labels.group),
                names[place] or None,
                prediction,
                target,
                prediction - target,
                loss,
                share,
            )
        )
    return tuple(found)


def group_labels(plan: Plan, tally: Tally) -> Mapping[Hashable, dict[str, Any]]:
    """Return the labels of every group as they are shown, by its key."""
    if tally.groups is None:
        return {}
    return dict(zip(tally.groups.keys, (labels for _, labels in shown_labels(plan, tally.groups)), strict=True))


def shown_labels(plan: Plan, groups: Partition) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return how every group is sorted, and its labels as they are shown."""
    keys: list[Any] = list(groups.keys)
    shown = shown_keys(keys)
    orders = [sort_key(labels) for labels in shown]
    if plan.bins is not None and plan.bins.place is not None:
        texts = plan.bins.labels()
        shown = [(*labels, None if number is None else texts[number]) for *labels, number in shown]
    names = plan.group_names
    return [(order, dict(zip(names, labels, strict=True))) for order, labels in zip(orders, shown, strict=True)]


def _of_one_kind(keys: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return keys with one kind of label in each column: parts of a file may hold only numbers, others texts, too."""
    columns = [
        column if all(isinstance(label, int) for label in column) else [str(label) for label in column]
        for column in zip(*keys, strict=True)
    ]
    return list(zip(*columns, strict=True)) if columns else [()] * len(keys)


def intervals_of(plan: Plan, tally: Tally, summary: Summary) -> tuple[Interval | None, dict[Hashable, Interval]]:
    """Return the interval over all rows, and that of every group by its key; nothing if they are not asked for."""
    request, level = plan.request, plan.request.ci
    if level is None:
        return None, {}
    from msecli.core.uncertainty import Bounds, Clusters, Values
    from msecli.results.details import Interval

    study = tally.studies["interval"]
    assert isinstance(study, Values | Clusters)  # noqa: S101 - by its name
    method = _method(request)

    def interval(summary: Summary, bounds: Bounds) -> Interval:
        special = summary.sums["squared_error"].special
        if special or math.isnan(bounds.low):
            return Interval(None, None, level, method, status(special) if special else TOO_FEW)
        return Interval(bounds.low, bounds.high, level, method)

    groups = {} if tally.groups is None else tally.groups.summaries()
    whole, by_group = study.intervals(summary, groups)
    return interval(summary, whole), {key: interval(groups[key], bounds) for key, bounds in by_group.items()}


def _method(request: Request) -> str:
    """Return how an interval is found, in a few words."""
    first = "t" if request.bootstrap is None else f"bootstrap({request.bootstrap}, seed {request.seed or 0})"
    weighted = ["weighted"] if request.weighted else []
    return ", ".join([first, *weighted, *([] if request.cluster is None else [f"cluster({request.cluster})"])])


def warnings_of_intervals(plan: Plan, interval: Interval | None, groups: Sequence[Entry]) -> list[Warned]:
    """Return warnings of intervals that do not exist, and of what they take for granted."""
    if interval is None:
        return []
    unit = "cluster" if plan.request.cluster is not None else "element"
    found = []
    if interval.status == TOO_FEW:
        found.append(Warned("no_interval", "interval", f"there are fewer than two {unit}s, so that there is none"))
    few = [entry for entry in groups if entry.interval is not None and entry.interval.status == TOO_FEW]
    if few:
        first = ", ".join(MISSING_LABEL if label is None else repr(label) for label in few[0].labels.values())
        meaning = f"groups with fewer than two {unit}s have none, the first is {first}"
        found.append(Warned("no_interval", "interval", meaning, len(few)))
    if math.prod(plan.item) > 1 and plan.request.cluster is None and plan.request.bootstrap is None:
        meaning = (
            "the elements of a row are taken as independent of each other; the bootstrap draws whole rows, and a "
            "column of clusters can tell which rows depend on each other"
        )
        found.append(Warned("elements_taken_as_independent", "interval", meaning))
    return found
