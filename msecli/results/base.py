"""The protocol of results, so that a renderer need not know which result it renders."""

from __future__ import annotations

import html
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "msecli/1"

Number = float | int | None
"""None is a number that does not exist, such as the loss of an empty group."""


class Line(NamedTuple):
    """A line of plain text: its label, its numbers, and whether the label comes from the data."""

    label: str
    numbers: tuple[Number, ...]
    from_data: bool = False


class Section(NamedTuple):
    """A table for people: optional column names, and rows of texts, counts and numbers.

    `headline` marks the section whose first number is the most important one.
    """

    header: tuple[str, ...] | None
    rows: Sequence[tuple[str | Number, ...]]
    headline: bool = False


class Report(ABC):
    """A result."""

    __slots__ = ()

    @abstractmethod
    def numbers(self) -> Mapping[str, Number]:
        """Return the main numbers by name."""

    @abstractmethod
    def records(self) -> list[dict[str, Any]]:
        """Return the result as flat rows, all with the same keys, for tabular formats."""

    @abstractmethod
    def sections(self) -> list[Section]:
        """Return the tables for people, from top to bottom."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the result in the shape of the JSON output; nan and infinities are None."""

    @property
    def footer(self) -> str | None:
        """A last line below the tables, such as the signature."""
        return None

    def main_numbers(self) -> list[Number]:
        """Return the numbers that a bare array holds: all of them."""
        return list(self.numbers().values())

    def lines(self) -> list[Line]:
        """Return the lines of plain text; a single one is printed without its label."""
        return [Line(name, (number,)) for name, number in self.numbers().items()]

    def to_frame(self) -> pd.DataFrame:
        """Return `records` as a DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.records())

    def __float__(self) -> float:
        return number(next(iter(self.numbers().values())))

    def __str__(self) -> str:
        return ", ".join(f"{name} {number_text(value)}" for name, value in self.numbers().items())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def _repr_html_(self) -> str:
        return "".join(_html_table(section) for section in self.sections()) + (
            f"<p><code>{html.escape(self.footer)}</code></p>" if self.footer else ""
        )


def _html_table(section: Section) -> str:
    def row(tag: str, cells: Iterable[str | Number]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(_rounded(cell))}</{tag}>" for cell in cells) + "</tr>"

    head = row("th", section.header) if section.header else ""
    return f"<table>{head}{''.join(row('td', cells) for cells in section.rows)}</table>"


def _rounded(cell: str | Number) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else number_text(cell, "")


def number(value: Number) -> float:
    """Return a number as float; None becomes nan."""
    return math.nan if value is None else float(value)


def number_text(value: str | Number, missing: str = "nan") -> str:
    """Return the shortest digits that read back to the same float64; None becomes `missing`."""
    if value is None:
        return missing
    return repr(value) if isinstance(value, float) else str(value)


def status(value: Number) -> str:
    """Return "ok", "nan" or "inf"."""
    if value is None or math.isfinite(value):
        return "ok"
    return "nan" if math.isnan(value) else "inf"


def not_finite(values: Mapping[str, Number]) -> dict[str, dict[str, str]]:
    """Return the entry for numbers that JSON cannot hold: their names with "nan", "inf" or "-inf"; or nothing."""
    words = {name: repr(value) for name, value in values.items() if value is not None and not math.isfinite(value)}
    return {"not_finite": words} if words else {}


def finite(value: Any) -> Any:
    """Return a value, or None for nan and infinities, which not every format can hold."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def jsonable(value: Any) -> Any:
    """Return a document for JSON, with None for nan and infinities."""
    if isinstance(value, Mapping):
        return {name: jsonable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(each) for each in value]
    return finite(value)
