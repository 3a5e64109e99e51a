"""Decide whether a state may become a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msecli.core.state import LossState, Summary
from msecli.core.terms import Flaw, flaw_named
from msecli.errors import DataError, Warned, many, numbered
from msecli.tuples import NamedTuple


class Where(NamedTuple):
    """The names of prediction, target, weights and baselines in messages, and what they call a row of one of them.

    Baselines have their names, and all have rows, by their sides.
    """

    prediction: str = "prediction"
    target: str = "target"
    weight: str = "weight"
    baselines: Mapping[str, str] = {}
    place: Callable[[str, int], str] = lambda _, row: numbered(row)

    def of(self, flaw: Flaw) -> str:
        """Return the name of the side that a flaw is on."""
        return {"prediction": self.prediction, "target": self.target, **self.baselines}[flaw.side]


def check_usable(state: LossState, summary: Summary, where: Where) -> None:
    """Refuse missing values that a policy forbids, impossible weights, and a loss over no elements.

    Raises
    ------
    DataError
        With all problems found, and the first row of each.
    """
    problems = [*_missing(state, summary, where), *_weights(state, summary, where), *_refused(state, where)]
    if not problems and summary.used == 0:
        problems.append(f"nothing left to score: {_lost(summary)}")
    if problems:
        raise DataError("\n".join(problems))


LOST = {
    "ignored": ("element", "ignored"),
    "nan_prediction": ("prediction", "missing"),
    "nan_target": ("target", "missing"),
}
"""Why elements are not used, by the ledger's counts."""


def _lost(summary: Summary) -> str:
    """Return what became of the elements when none is used."""
    total, counts = summary.counts["total"], {kind: summary.counts[kind] for kind in LOST if summary.counts[kind]}
    if not counts:
        return "there are no rows"
    told = []
    for kind, count in counts.items():
        noun, lost = LOST[kind]
        told.append(f"{'all ' if count == total > 1 else ''}{many(count, noun)} {'is' if count == 1 else 'are'} {lost}")
    return f"{'' if len(counts) == 1 else f'of {total} elements, '}{' and '.join(told)}"


def warnings_of(state: LossState, where: Where) -> list[Warned]:
    """Return warnings about values for which some of the metrics are undefined."""
    found = [(name, flaw_named(name, state.rules.nan_prediction), count) for name, count in state.flaws.items()]
    return [
        Warned(
            name.partition(":")[0],
            where.of(flaw),
            f"values are {flaw.meaning}, the first in {where.place(flaw.side, state.first_row[name])}",
            count,
        )
        for name, flaw, count in found
        if count and name not in state.rules.refused
    ]


def _refused(state: LossState, where: Where) -> list[str]:
    found = [(name, flaw_named(name, state.rules.nan_prediction)) for name in state.rules.refused]
    return [
        f"{where.of(flaw)}: the value in {where.place(flaw.side, state.first_row[name])} is {flaw.meaning}"
        for name, flaw in found
        if state.flaws.get(name)
    ]


def first_infinite(state: LossState, where: Where) -> list[tuple[str, str]]:
    """Return the sides that hold infinite values, each with the first such row."""
    sides = (("prediction", where.prediction), ("target", where.target))
    first = ((side, name, state.first_row.get(f"infinite_{side}")) for side, name in sides)
    return [(name, where.place(side, row)) for side, name, row in first if row is not None]


def _missing(state: LossState, summary: Summary, where: Where) -> list[str]:
    sides = (
        ("prediction", where.prediction, state.rules.nan_prediction, "nan_pred"),
        ("target", where.target, state.rules.nan_target, "nan_target"),
    )
    # Metrics of a series need every row.
    advice = "" if state.rules.season else "; to leave them out, use `{}=omit`"
    return [
        f"{name}: {missing} of {summary.counts['total']} values missing, the first in "
        f"{where.place(side, state.first_row[f'nan_{side}'])}{advice.format(setting)}"
        for side, name, policy, setting in sides
        if policy == "raise" and (missing := summary.counts[f"nan_{side}"])
    ]


def _weights(state: LossState, summary: Summary, where: Where) -> list[str]:
    if not state.weighted:
        return []
    if "weight" in state.first_row:
        row = where.place("weight", state.first_row["weight"])
        return [f"{where.weight}: the weight in {row} is negative, infinite or missing; weights are at least 0"]
    if summary.used and summary.sums["weight"].units == 0:
        return [f"{where.weight}: all weights are 0"]
    return []
