"""The result of a comparison: every system with its score and its difference from the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from msecli import kernel
from msecli.errors import Warned
from msecli.results.base import (
    SCHEMA,
    Case,
    Line,
    Number,
    Report,
    Row,
    Section,
    jsonable,
    marked,
    not_finite,
    plural,
    rounded,
)
from msecli.results.gates import GateResult
from msecli.results.score import Entry, Result, short_signature
from msecli.tuples import NamedTuple

FAILED = "failed"
"""What tables say in place of the loss of a system that could not be scored."""
ERROR = "error"
"""The status of such a system."""

USED = "elements_used"
SHOWN = {"p_adjusted": "p adjusted", USED: "used"}
"""Names of numbers as tables have them."""


class Difference(NamedTuple):
    """The difference between the loss of a system and that of the reference; below 0 the system is better.

    Attributes
    ----------
    value : float
        Rounded once.
    low, high : float or None
        The bounds of its confidence interval; None if the test gives none.
    p, p_adjusted : float or None
        The p-value of no difference, and that adjusted for the number of systems; None without a test.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None

    def numbers(self) -> dict[str, Number]:
        """Return the numbers that there are."""
        found = {"difference": self.value, **self._asdict()}
        del found["value"]
        return {name: value for name, value in found.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the difference in the shape of the JSON output."""
        return {**self._asdict(), **not_finite(self._asdict())}


class System(NamedTuple):
    """A system, and how it compares with the reference.

    Attributes
    ----------
    name : str
    result : Result or None
        What `score` returns for it; None if it could not be scored.
    difference : Difference or None
        None for the reference, and for a system that could not be scored.
    won, tied : float or None
        The share of elements with a loss below the reference's, and of those with the same.
    error : str or None
        Why it could not be scored.
    """

    name: str
    result: Result | None = None
    difference: Difference | None = None
    won: float | None = None
    tied: float | None = None
    error: str | None = None

    @property
    def loss(self) -> float | None:
        """The loss; None if it could not be scored."""
        return None if self.result is None else self.result.loss

    @property
    def status(self) -> str:
        """Whether the loss is a number: "ok", "nan" or "inf"; "error" if it could not be scored."""
        return ERROR if self.result is None else self.result.status

    @property
    def groups(self) -> tuple[Entry, ...]:
        """The scores of groups, if requested."""
        return () if self.result is None else self.result.groups

    def numbers(self) -> dict[str, Number]:
        """Return the loss, the metrics, the numbers of the difference, the share won, and the elements used."""
        if self.result is None:
            return {}
        found: dict[str, Number] = {**self.result.score.numbers()}
        if self.difference is not None:
            found |= self.difference.numbers()
        if self.won is not None:
            found["won"] = self.won
        return {**found, USED: self.result.elements.used}

    def to_dict(self) -> dict[str, Any]:
        """Return the system in the shape of the JSON output."""
        score: dict[str, Any] = dict.fromkeys(("loss", "status", "metrics", "denominator", "rows", "elements"))
        score |= {"status": ERROR, "metrics": {}} if self.result is None else self.result.score.to_dict()
        return {
            "system": self.name,
            **score,
            **({"groups": [entry.to_dict() for entry in self.groups]} if self.groups else {}),
            "difference": None if self.difference is None else self.difference.to_dict(),
            "won": self.won,
            "tied": self.tied,
            "inputs": [] if self.result is None else [item._asdict() for item in self.result.inputs],
            "error": self.error,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Report):
    """Several systems, scored on the same elements, and their differences from one of them.

    Attributes
    ----------
    systems : tuple of System
        ``comparison["name"]`` is the system of that name.
    reference : str
        The name of the system that the others are compared with.
    method : str
        How the differences were tested, as a sentence.
    settings : mapping
    signature : str
        Two comparisons are alike if their signatures agree up to `used`.
    version : str
    warnings : tuple of Warned
    gates : tuple of GateResult
    exit_code : int
        That of the worst error of a system: 4 if one could not be read, 3 if its data are bad, else 0.
    """

    systems: tuple[System, ...]
    reference: str
    method: str
    settings: Mapping[str, Any]
    signature: str
    version: str
    warnings: tuple[Warned, ...] = ()
    gates: tuple[GateResult, ...] = ()
    exit_code: int = field(default=0)

    def __getitem__(self, name: str) -> System:
        return next(system for system in self.systems if system.name == name)

    @property
    def _scored(self) -> list[System]:
        return [system for system in self.systems if system.result is not None]

    @property
    def _base(self) -> Result:
        result = self[self.reference].result
        assert result is not None  # noqa: S101 - without its reference there is no comparison
        return result

    @property
    def title(self) -> tuple[tuple[str, ...], ...]:
        """How many systems there are, and the columns and the file of the target."""
        count = len(self.systems)
        target = next(item for item in self._base.inputs if item.role == "target")
        return ((f"{count} {plural('system', count)} vs", *target.columns[:1], target.shown),)

    @property
    def what(self) -> Row:
        """The reduction, and what it divides by."""
        return self._base.what

    @property
    def footer(self) -> str:
        """The signature."""
        return self.signature

    @property
    def short_footer(self) -> str:
        """The signature without the fields that say what is usual."""
        return short_signature(self.signature)

    def numbers(self) -> dict[str, Number]:
        """Return the losses by the names of their systems."""
        return {system.name: system.loss for system in self.systems}

    def cases(self) -> list[Case]:
        """Return a case for each system."""
        return [
            Case(
                system.name,
                system.numbers(),
                system.status,
                system.error,
                tuple(gate for gate in self.gates if gate.scope and gate.scope.get("system") == system.name),
                tuple((entry.labels, entry.numbers()) for entry in system.groups),
            )
            for system in self.systems
        ]

    def lines(self) -> list[Line]:
        """Return a line for every system, each followed by those of its groups."""
        lines = []
        for system in self.systems:
            # The reference lacks the last ones, so that all lines have their numbers in the same fields.
            numbers = {name: value for name, value in system.numbers().items() if name != USED}
            lines.append(Line(system.name, numbers, from_data=True))
            for entry in system.groups:
                label = ",".join([system.name, *(str(marked(label)) for label in entry.labels.values())])
                lines.append(Line(label, entry.numbers(), from_data=True))
        return lines

    @property
    def _names(self) -> list[str]:
        """The names of all numbers that systems have, in order."""
        names = dict.fromkeys(name for system in self._scored for name in system.numbers() if name != USED)
        return [*names, USED]

    def records(self, missing_label: str | None = None) -> list[dict[str, Any]]:
        """Return one row for each system, and one for each of its groups."""
        labels = list(
            dict.fromkeys(name for system in self._scored for entry in system.groups for name in entry.labels)
        )
        base = self._base
        shared: dict[str, Any] = {"reduction": base.reduction, "reference": self.reference}
        found = []
        for system in self.systems:
            head: dict[str, Any] = {"system": system.name, **dict.fromkeys(map(_label, labels))}
            tail = {**shared, "error": system.error, "signature": self.signature}
            rows = None if system.result is None else system.result.rows.used
            denominator = None if system.result is None else system.result.denominator
            numbers: dict[str, Any] = dict.fromkeys(self._names) | dict(system.numbers())
            found.append(
                head | {"status": system.status, **numbers, "tied": system.tied, "denominator": denominator,
                        "rows_used": rows, **tail}
            )  # fmt: skip
            for entry in system.groups:
                own = {_label(name): marked(label, missing_label) for name, label in entry.labels.items()}
                more: dict[str, Any] = {USED: entry.score.elements.used, "denominator": entry.score.denominator}
                more |= {"status": entry.score.status, "rows_used": entry.score.rows.used}
                found.append(dict.fromkeys(found[0]) | head | own | entry.numbers() | more | tail)
        return found

    def sections(self) -> list[Section]:
        """Return the systems, their losses by group, and what was compared."""
        names = self._names
        rows: list[Row] = []
        for system in self.systems:
            numbers = dict(system.numbers())
            cells: list[str | Number] = [numbers.get(name, "") for name in names]
            rows.append((system.name, *([FAILED, *cells[1:]] if system.result is None else cells)))
        header = ("system", *(SHOWN.get(name, name.replace("_", " ")) for name in names))
        for name, counts in self._lacking().items():
            header = (*header, name)
            rows = [(*row, count) for row, count in zip(rows, counts, strict=True)]
        sections = [Section(header, rows, note=(self.method,) if self.method else (), kind="system")]
        if any(system.groups for system in self.systems):
            sections.append(self._group_section())
        base = self._base
        used = Section(None, note=(base.rows.used, " of ", base.rows.target, " rows used, the same for all systems"))
        return [*sections, used]

    def _lacking(self) -> dict[str, list[int | str]]:
        """Return how many elements and keys every system lacks, where some do."""
        found: dict[str, list[int | str]] = {"missing": [], "unmatched": []}
        for system in self.systems:
            score = None if system.result is None else system.result.score
            found["missing"].append("" if score is None else score.elements.nan_prediction)
            found["unmatched"].append("" if score is None else score.rows.unmatched_target)
        return {name: counts for name, counts in found.items() if any(counts)}

    def _group_section(self) -> Section:
        """Return the losses of every system by group."""
        scored = self._scored
        labels = scored[0].groups[0].labels
        losses = [{tuple(entry.labels.values()): entry.score.loss for entry in system.groups} for system in scored]
        rows = [
            (*(str(marked(label)) for label in entry.labels.values()),
             *(by_group.get(tuple(entry.labels.values())) for by_group in losses))
            for entry in scored[0].groups
        ]  # fmt: skip
        return Section((*labels, *(system.name for system in scored)), rows, kind="group")

    def to_dict(self) -> dict[str, Any]:
        """Return the result in the shape of the JSON output; nan and infinities are None."""
        base = self._base
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "systems": [system.to_dict() for system in self.systems],
            "reference": self.reference,
            "reduction": base.reduction,
            "denominator_name": base.denominator_name,
            **({"gates": [gate.to_dict() for gate in self.gates]} if self.gates else {}),
            "settings": dict(self.settings),
            "signature": self.signature,
            "warnings": [asdict(warning) for warning in self.warnings],
            "version": self.version,
            "kernel": kernel.name(),
        }
        return dict(jsonable(document))

    def __str__(self) -> str:
        return ", ".join(
            f"{system.name} {FAILED if system.result is None else rounded(system.loss)}" for system in self.systems
        )

    def __repr__(self) -> str:
        return f"<Comparison: {self}\n {self.signature}>"


def _label(name: str) -> str:
    """Return how records call the column of a group's labels."""
    return f"{name} (label)" if name in RESERVED else name


RESERVED = frozenset({
    "system", "status", "loss", "difference", "low", "high", "p", "p_adjusted", "won", "tied", USED,
    "rows_used", "denominator", "reduction", "reference", "error", "signature",
})  # fmt: skip
"""What records call everything else."""
