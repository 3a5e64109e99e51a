"""The result of a self-test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msecli._version import __version__
from msecli.results.base import SCHEMA, Number, Report, Row, Section, jsonable, not_finite, number_text, plural
from msecli.tuples import NamedTuple


class Answer(NamedTuple):
    """What a kernel computed, beside the published number, and whether they agree in the published digits."""

    kernel: str
    data: str
    metric: str
    published: str
    found: float
    passed: bool
    origin: str


@dataclass(frozen=True, slots=True, repr=False)
class SelfTest(Report):
    """Known answers, and what this installation computes.

    Attributes
    ----------
    answers : tuple of Answer
    kernels : tuple of str
        The kernels of this installation.
    version : str
    """

    answers: tuple[Answer, ...]
    kernels: tuple[str, ...]
    version: str = __version__

    @property
    def passed(self) -> bool:
        """Whether every number agrees."""
        return all(answer.passed for answer in self.answers)

    def numbers(self) -> dict[str, Number]:
        """Return how many numbers agree, and how many do not."""
        agreeing = sum(answer.passed for answer in self.answers)
        return {"passed": agreeing, "failed": len(self.answers) - agreeing}

    def records(self, missing_label: str | None = None) -> list[dict[str, Any]]:
        """Return a row for each number."""
        return [answer._asdict() for answer in self.answers]

    def sections(self) -> list[Section]:
        """Return a table for each kernel and origin, and how many numbers agree."""
        found: dict[tuple[str, str], list[Row]] = {}
        for answer in self.answers:
            verdict, value = "passed" if answer.passed else "failed", number_text(answer.found)
            row = (verdict, answer.data, answer.metric, answer.published, value)
            found.setdefault((answer.kernel, answer.origin), []).append(row)
        count = len(self.answers)
        note: Row = (self.numbers()["passed"], " of ", count, f" {plural('number', count)} agree")
        return [
            *(
                Section((kernel, "data", "number", "published", "found"), rows, note=(origin,), kind="gate")
                for (kernel, origin), rows in found.items()
            ),
            Section(None, note=note),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the result in the shape of the JSON output; nan and infinities are None."""
        answers = [{**answer._asdict(), **not_finite({"found": answer.found})} for answer in self.answers]
        return dict(
            jsonable(
                {
                    "schema": SCHEMA,
                    "passed": self.passed,
                    "kernels": list(self.kernels),
                    "answers": answers,
                    "version": self.version,
                }
            )
        )
