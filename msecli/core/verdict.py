"""Decide whether a state may become a result."""

from __future__ import annotations

from typing import NamedTuple

from msecli.core.state import LossState, Summary
from msecli.core.terms import FLAWS, Flaw
from msecli.errors import DataError, Warned


class Where(NamedTuple):
    """The names of prediction, target and weights in errors."""

    prediction: str = "prediction"
    target: str = "target"
    weight: str = "weight"

    def of(self, flaw: Flaw) -> str:
        """Return the name of the side that a flaw is on."""
        return self.prediction if flaw.side == "prediction" else self.target


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
    return [
        Warned(
            name,
            where.of(FLAWS[name]),
            f"values are {FLAWS[name].meaning}, the first in row {state.first_row[name] + 1}",
            count,
        )
        for name, count in state.flaws.items()
        if count and name not in state.rules.refused
    ]


def _refused(state: LossState, where: Where) -> list[str]:
    return [
        f"{where.of(FLAWS[name])}: the value in row {state.first_row[name] + 1} is {FLAWS[name].meaning}"
        for name in state.rules.refused
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
