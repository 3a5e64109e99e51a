"""Decide whether a state may become a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msecli.core.state import LossState, Summary
from msecli.core.terms import Flaw, flaw_named
from msecli.errors import DataError, Warned


class Where(NamedTuple):
    """The names of prediction, target, weights and baselines in errors; those of baselines by their sides."""

    prediction: str = "prediction"
    target: str = "target"
    weight: str = "weight"
    baselines: Mapping[str, str] | None = None

    def of(self, flaw: Flaw) -> str:
        """Return the name of the side that a flaw is on."""
        return {"prediction": self.prediction, "target": self.target, **(self.baselines or {})}[flaw.side]


def check_usable(state: LossState, summary: Summary, where: Where) -> None:
    """Refuse missing values that a policy forbids, impossible weights, and a loss over no elements.

    Raises
    ------
    DataError
        With all problems found, and the first row of each.
    """
    problems = [*_missing(state, summary, where), *_weights(state, summary, where), *_refused(state, where)]
    if not problems and summary.used == 0:
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in summary.counts.items() if count)
        problems.append(f"nothing left to score: {counts or 'there are no rows'}")
    if problems:
        raise DataError("\n".join(problems))


def warnings_of(state: LossState, where: Where) -> list[Warned]:
    """Return warnings about values for which some of the metrics are undefined."""
    found = [(name, flaw_named(name, state.rules.nan_prediction), count) for name, count in state.flaws.items()]
    return [
        Warned(
            name.partition(":")[0],
            where.of(flaw),
            f"values are {flaw.meaning}, the first in row {state.first_row[name] + 1}",
            count,
        )
        for name, flaw, count in found
        if count and name not in state.rules.refused
    ]


def _refused(state: LossState, where: Where) -> list[str]:
    found = [(name, flaw_named(name, state.rules.nan_prediction)) for name in state.rules.refused]
    return [
        f"{where.of(flaw)}: the value in row {state.first_row[name] + 1} is {flaw.meaning}"
        for name, flaw in found
        if state.flaws.get(name)
    ]


def first_infinite(state: LossState, where: Where) -> list[tuple[str, int]]:
    """Return the sides that hold infinite values, each with the number of the first such row, counted from 1."""
    sides = (("infinite_prediction", where.prediction), ("infinite_target", where.target))
    return [(name, state.first_row[kind] + 1) for kind, name in sides if kind in state.first_row]


def _missing(state: LossState, summary: Summary, where: Where) -> list[str]:
    sides = (
        ("nan_prediction", where.prediction, state.rules.nan_prediction, "nan_pred"),
        ("nan_target", where.target, state.rules.nan_target, "nan_target"),
    )
    return [
        f"{name}: {summary.counts[kind]} of {summary.counts['total']} values missing, the first in row "
        f"{state.first_row[kind] + 1}; to leave them out, use `{setting}=omit`"
        for kind, name, policy, setting in sides
        if policy == "raise" and summary.counts[kind]
    ]


def _weights(state: LossState, summary: Summary, where: Where) -> list[str]:
    if not state.weighted:
        return []
    if "weight" in state.first_row:
        row = state.first_row["weight"] + 1
        return [f"{where.weight}: the weight in row {row} is negative or not finite; weights are at least 0"]
    if summary.used and summary.sums["weight"].units == 0:
        return [f"{where.weight}: all weights are 0"]
    return []
