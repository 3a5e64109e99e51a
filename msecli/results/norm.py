"""The norms of a vector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from msecli import kernel
from msecli._version import __version__
from msecli.errors import Warned
from msecli.results.base import SCHEMA, Number, Report, Row, Section, jsonable, not_finite, number_text, plural, status
from msecli.results.score import Input, title_of


@dataclass(frozen=True, slots=True, repr=False)
class NormResult(Report):
    """The norms of a vector.

    Attributes
    ----------
    norms : mapping of str to float
        By order, "1", "2", "inf" or a number.
    elements : int
        The length of the vector.
    inputs : tuple of Input
    warnings : tuple of Warned
    version : str
    """

    norms: Mapping[str, float]
    elements: int
    inputs: tuple[Input, ...]
    warnings: tuple[Warned, ...] = ()
    version: str = __version__

    def numbers(self) -> dict[str, Number]:
        """Return the norms by order."""
        return dict(self.norms)

    def records(self, missing_label: str | None = None) -> list[dict[str, Any]]:
        """Return a row for each order."""
        return [{"order": order, "norm": value} for order, value in self.norms.items()]

    @property
    def title(self) -> tuple[tuple[str, ...], ...]:
        """The columns and the files."""
        return title_of([item.columns for item in self.inputs], [item.shown for item in self.inputs], "minus")

    @property
    def what(self) -> Row:
        """The length of the vector."""
        return self.elements, f" {plural('element', self.elements)}"

    def __str__(self) -> str:
        return ", ".join(f"{order}-norm {number_text(value)}" for order, value in self.norms.items())

    def sections(self) -> list[Section]:
        """Return one table."""
        return [Section(("order", "norm"), list(self.norms.items()))]

    def to_dict(self) -> dict[str, Any]:
        """Return the result in the shape of the JSON output; nan and infinities are None."""
        worst = next((status(value) for value in self.norms.values() if not math.isfinite(value)), "ok")
        return dict(
            jsonable(
                {
                    "schema": SCHEMA,
                    "norms": self.norms,
                    "status": worst,
                    **not_finite(self.norms),
                    "elements": self.elements,
                    "inputs": [item._asdict() for item in self.inputs],
                    "warnings": [asdict(warning) for warning in self.warnings],
                    "version": self.version,
                    "kernel": kernel.name(),
                }
            )
        )
