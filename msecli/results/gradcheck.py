"""The result of a gradient check."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from msecli import kernel
from msecli._version import __version__
from msecli.errors import Warned
from msecli.results.base import SCHEMA, Number, Report, Section, jsonable, status
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from msecli.results.gates import GateResult


class Check(NamedTuple):
    """A coordinate: its name, both derivatives, and their relative difference."""

    coordinate: str
    analytic: float
    numeric: float
    relative_error: float


@dataclass(frozen=True, slots=True, repr=False)
class GradCheck(Report):
    """The gradient compared with central differences.

    Attributes
    ----------
    checks : tuple of Check
    tolerance : float
        The largest relative error that passes.
    warnings : tuple of Warned
    version : str
    """

    checks: tuple[Check, ...]
    tolerance: float
    warnings: tuple[Warned, ...] = ()
    version: str = __version__

    @property
    def max_relative_error(self) -> float:
        """The largest relative error; nan if any is nan."""
        errors = [check.relative_error for check in self.checks]
        return math.nan if any(map(math.isnan, errors)) else max(errors)

    @property
    def passed(self) -> bool:
        """Whether no relative error exceeds the tolerance."""
        return self.max_relative_error <= self.tolerance

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """The check as a gate."""
        from msecli.results.gates import Gate

        name, limit = next(iter(self.numbers())), float(self.tolerance)
        return (Gate(f"{name} > {limit!r}", name, ">", limit).judged(self.max_relative_error),)

    @property
    def verdict(self) -> str:
        """Whether the check passed, in a word."""
        return "passed" if self.passed else "failed"

    def __str__(self) -> str:
        return f"{self.verdict}, max relative error {self.max_relative_error!r}, tolerance {self.tolerance!r}"

    def numbers(self) -> dict[str, Number]:
        """Return the largest relative error."""
        return {"max_relative_error": self.max_relative_error}

    def records(self, missing_label: str | None = None) -> list[dict[str, Any]]:
        """Return a row for each coordinate."""
        return [check._asdict() for check in self.checks]

    def sections(self) -> list[Section]:
        """Return the coordinates, and the verdict."""
        return [
            Section(("coordinate", "analytic", "numeric", "relative error"), list(self.checks), kind="coordinate"),
            Section(
                None,
                [
                    ("max relative error", self.max_relative_error),
                    ("tolerance", float(self.tolerance)),
                    ("verdict", self.verdict),
                ],
                headline=True,
            ),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the result in the shape of the JSON output; nan and infinities are None."""
        return dict(
            jsonable(
                {
                    "schema": SCHEMA,
                    "max_relative_error": self.max_relative_error,
                    "tolerance": self.tolerance,
                    "passed": self.passed,
                    "status": status(self.max_relative_error),
                    "checks": self.records(),
                    "warnings": [asdict(warning) for warning in self.warnings],
                    "version": self.version,
                    "kernel": kernel.name(),
                }
            )
        )
