"""Gates: conditions on the numbers of a result under which it must not pass."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msecli.errors import UsageError, meant, visible
from msecli.results.base import Number, Row, Section, marked, not_finite, number_text
from msecli.tuples import NamedTuple

RELATIONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
"""What a gate compares with: it fails if the value stands in this relation to the limit."""

ANY = "any"
"""The scope of every group, column and batch."""

COVERAGE = "coverage"
"""The share of elements that were used, of all that the target has."""

QUOTED = r'"(?:[^"\\]|\\.)*"'
CONDITION = r"(?s)(.*?[^<>=!\s])\s*(>=|<=|>|<)\s*([^<>=]+)"
SUBJECT = rf'(?s)((?:{QUOTED}|[^"\[])+?)\s*(?:\[((?:{QUOTED}|[^"\]])*)\])?'
SCOPED = rf"(?s)\s*({QUOTED}|[^\",=]+?)\s*=\s*({QUOTED}|[^\",]*?)\s*(?:,|\Z)"
"""The condition: a subject, a relation and a limit. The subject: a metric, and perhaps a scope. A label in a scope.

All are compiled when they are first used: most runs have no gates.
"""

NUMBER = r"(?ai)[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"

FAILURES_SHOWN = 20
"""Failed gates that people are shown; there may be one for each of very many groups."""

SEE_ALL = "use --format json or -o FILE.json"

EXAMPLE = "rmse > 0.31"
SCOPED_EXAMPLE = "rmse[region=EU] > 0.31"


class Gate(NamedTuple):
    """A condition under which a result fails.

    Attributes
    ----------
    text : str
        As it was given.
    metric : str
    relation : str
        One of ">", ">=", "<", "<=".
    limit : float
    scope : tuple of (name, label)
        Which groups, columns or batches it is for; without one, for all rows together.
    every : bool
        Whether it is for each of them.
    """

    text: str
    metric: str
    relation: str
    limit: float
    scope: tuple[tuple[str, str], ...] = ()
    every: bool = False

    @property
    def scoped(self) -> bool:
        """Whether it is for groups, columns or batches."""
        return self.every or bool(self.scope)

    def selects(self, labels: Mapping[str, Any]) -> bool:
        """Tell whether it is for what has these labels."""
        names = {name.casefold(): label for name, label in labels.items()}
        return self.every or all(
            name.casefold() in names and same_label(names[name.casefold()], text) for name, text in self.scope
        )

    def judged(self, value: Number, scope: Mapping[str, Any] | None = None, note: str = "") -> GateResult:
        """Return whether a value passes; one that is no finite number never does."""
        passed = value is not None and math.isfinite(value) and not RELATIONS[self.relation](value, self.limit)
        return GateResult(self.text, self.metric, scope, value, self.limit, passed, self.relation, note)


class GateResult(NamedTuple):
    """Whether a gate was passed.

    Attributes
    ----------
    gate : str
        As it was given.
    metric : str
    scope : mapping or None
        The labels of the group, the column or the batch; None for all rows together.
    value : float or None
        None where there is none: of an empty group, or one that is missing.
    limit : float
    passed : bool
    relation : str
        The gate fails if the value stands in this relation to the limit.
    note : str
        Why there is no value, or where the limit comes from.
    """

    gate: str
    metric: str
    scope: Mapping[str, Any] | None
    value: Number
    limit: float
    passed: bool
    relation: str = ">"
    note: str = ""

    @property
    def subject(self) -> str:
        """The metric, with its scope."""
        if self.scope is None:
            return self.metric
        return f"{self.metric}[{','.join(f'{name}={marked(label)}' for name, label in self.scope.items())}]"

    @property
    def condition(self) -> str:
        """What it fails for, with the scope it was judged for."""
        return self.gate if self.scope is None else f"{self.subject} {self._beyond}"

    @property
    def _beyond(self) -> str:
        return f"{self.relation} {number_text(self.limit).removesuffix('.0')}"

    @property
    def finding(self) -> str:
        """What was found: `rmse 0.34 > 0.31`."""
        if self.value is None or not math.isfinite(self.value):
            why = self.note if self.value is None else f"is {number_text(self.value)}"
            return visible(f"{self.subject} {why}; the gate is {self.gate}")
        more = f" ({self.note})" if self.note else ""
        return visible(f"{self.subject} {number_text(self.value)} {self._beyond}{more}")

    @property
    def message(self) -> str:
        """The line for standard error: `gate failed: rmse 0.34 > 0.31`."""
        return f"gate failed: {self.finding}"

    def to_dict(self) -> dict[str, Any]:
        """Return it in the shape of the JSON output."""
        found = self._asdict()
        del found["relation"], found["note"]
        scope = None if self.scope is None else dict(self.scope)
        return {**found, "scope": scope, **not_finite({"value": self.value})}


Numbered = tuple[Mapping[str, Any], Mapping[str, Number]]
"""The labels of a group, a column or a batch, and its numbers."""


def judge(gates: Iterable[Gate], numbers: Mapping[str, Number], entries: Sequence[Numbered] = ()) -> list[GateResult]:
    """Return the result of every gate: one for all rows together, or for each group, column or batch of its scope.

    Parameters
    ----------
    gates : iterable of Gate
    numbers : mapping of str to float
        Over all rows.
    entries : sequence of (labels, numbers)
    """
    found: list[GateResult] = []
    for gate in gates:
        if not gate.scoped:
            found.append(gate.judged(numbers[gate.metric]))
            continue
        chosen = [(labels, numbers) for labels, numbers in entries if gate.selects(labels)]
        for labels, each in chosen:
            value = each.get(gate.metric)
            found.append(gate.judged(value, labels, "has nothing to score" if value is None else ""))
        if not chosen:
            found.append(gate.judged(None, dict(gate.scope) or None, f"is missing{_near(gate, entries)}"))
    return found


def _near(gate: Gate, entries: Sequence[Numbered]) -> str:
    """Return which label was probably meant, for a gate whose scope is missing."""
    for name, text in gate.scope:
        texts = [
            str(marked(label))
            for labels, _ in entries
            for each, label in labels.items()
            if each.casefold() == name.casefold()
        ]
        if text not in texts and (near := meant(text, texts)):
            return near
    return ""


def section_of(gates: Sequence[GateResult]) -> Section:
    """Return the table of gates: those that failed, and those that all of their scope passed."""
    failed = [gate for gate in gates if not gate.passed]
    texts = {gate.gate for gate in failed}
    passed: dict[str, list[GateResult]] = {}
    for gate in gates:
        if gate.gate not in texts:
            passed.setdefault(gate.gate, []).append(gate)
    rows: list[Row] = [
        ("failed", gate.condition, "none" if gate.value is None else gate.value) for gate in failed[:FAILURES_SHOWN]
    ]
    rows += [("passed", text, found[0].value if len(found) == 1 else "") for text, found in passed.items()]
    more = len(failed) - FAILURES_SHOWN
    note: Row = (more, " more failed; ", SEE_ALL) if more > 0 else ()
    return Section(("gate", "condition", "value"), rows, note=note, kind="gate")


def named(name: str, text: str) -> str:
    """Return how messages name a parameter with what was given for it."""
    return f"`{name}`: {text.replace('`', '')!r}"


def gate_named(text: str, name: str = "fail_if") -> Gate:
    """Return the gate of a condition such as "rmse > 0.31" or "rmse[region=EU] > 0.31".

    Raises
    ------
    UsageError
        If it is no condition; the message says where.

    Examples
    --------
    >>> gate = gate_named('mae[region="New York",year=2024] >= 1e-3')
    >>> gate.metric, gate.scope, gate.relation, gate.limit
    ('mae', (('region', 'New York'), ('year', '2024')), '>=', 0.001)
    """

    def refuse(problem: str, example: str = EXAMPLE) -> UsageError:
        return UsageError(f"{named(name, text)}: {problem}; write it like {example!r}")

    condition = re.fullmatch(CONDITION, text.strip())
    if condition is None:
        raise refuse(_missing(text))
    subject, relation, limit = condition.groups()
    limit = limit.strip()
    if re.fullmatch(NUMBER, limit) is None or not math.isfinite(float(limit)):
        raise refuse(f"{limit!r} after {relation!r} is not a finite number{_hint(limit)}")
    parsed = re.fullmatch(SUBJECT, subject.strip())
    if parsed is None:
        raise refuse(f"{subject!r} before {relation!r} is neither a metric nor a metric with a scope", SCOPED_EXAMPLE)
    gate = Gate(text, _unquoted(parsed[1]), relation, float(limit))
    if parsed[2] is None:
        return gate
    if parsed[2].strip().casefold() == ANY:
        return gate._replace(every=True)
    try:
        return gate._replace(scope=_scope(parsed[2]))
    except ValueError as error:
        raise refuse(str(error), SCOPED_EXAMPLE) from error


def _scope(text: str) -> tuple[tuple[str, str], ...]:
    """Return the labels in brackets, by name.

    Raises
    ------
    ValueError
        If there are none, or something else.
    """
    labels, end = dict[str, tuple[str, str]](), 0
    while end < len(text) or not labels:
        found = re.match(SCOPED, text[end:])
        if found is None:
            rest = text[end:].strip()
            raise ValueError(
                f"{rest!r} in the brackets is not NAME=LABEL, nor {ANY!r}" if rest else "no label is in []"
            )
        name, label = map(_unquoted, found.groups())
        if name.casefold() in labels:
            raise ValueError(f"{name!r} stands twice in the brackets; repeat the option instead")
        labels[name.casefold()] = name, label
        end += found.end()
    return tuple(labels.values())


def _missing(text: str) -> str:
    """Return what a text lacks that is no condition."""
    if not text.strip():
        return "there is no condition"
    relations = " ".join(RELATIONS)
    if re.match(r"\s*[<>]", text):
        return "there is no metric in front"
    if re.search(r"[<>]=?\s*$", text):
        return "there is no number at the end"
    if "=" in text.replace(">=", "").replace("<=", ""):
        return f"equality is no gate, only {relations} are"
    return f"none of {relations} is in it"


def _hint(limit: str) -> str:
    """Return what was probably meant by a limit that is no number."""
    if re.fullmatch(NUMBER, limit.removesuffix("%").strip()):
        return f" ({limit} is {float(limit.removesuffix('%')) / 100:g})"
    if re.fullmatch(r"[+-]?(inf(inity)?|nan)", limit, re.IGNORECASE):
        return " (values that are not finite fail every gate)"
    return ""


def _unquoted(text: str) -> str:
    """Return a name or a label without quotes, which are those of JSON."""
    import json

    def content(quoted: re.Match[str]) -> str:
        try:
            return str(json.loads(quoted[0], strict=False))
        except json.JSONDecodeError:
            return quoted[0][1:-1]

    return re.sub(QUOTED, content, text.strip(), flags=re.DOTALL)


def same_label(label: Any, text: str) -> bool:
    """Tell whether a label is what somebody wrote; numbers are compared by value.

    Examples
    --------
    >>> same_label(3.0, "3"), same_label(None, "(missing)"), same_label("EU", "eu"), same_label("007", "7")
    (True, True, False, False)
    """
    if str(marked(label)) == text:
        return True
    if isinstance(label, bool) or not isinstance(label, int | float) or re.fullmatch(NUMBER, text) is None:
        return False
    return float(text) == label
