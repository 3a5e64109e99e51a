"""The protocol of results, so that a renderer need not know which result it renders."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from msecli.results.gates import GateResult

SCHEMA = "msecli/1"

Number = float | int | None
"""None is a number that does not exist, such as the loss of an empty group."""


MISSING_LABEL = "(missing)"
"""What people read where a group has no label; a label of this text is in quotes."""


def marked(label: Any, missing: str | None = MISSING_LABEL) -> Any:
    """Return a label so that a missing one cannot be mistaken for another, nor for an empty one."""
    if missing is None or label not in (None, missing):
        return label
    return missing if label is None else f'"{label}"'


class Line(NamedTuple):
    """A line of plain text: its label, its numbers by name, and whether the label comes from the data."""

    label: str
    numbers: Mapping[str, Number]
    from_data: bool = False


Row = tuple[str | Number, ...]
"""Texts, counts and numbers: a row of a table, or the pieces of a sentence."""


class Section(NamedTuple):
    """A table for people, or with no rows only the sentence below it.

    Parameters
    ----------
    header : tuple of str, optional
    rows : sequence of Row
        Their leading texts are labels. "" is a number that a row does not have.
    totals : sequence of Row
        The last rows, over all others.
    note : Row
        A sentence below the table.
    headline : bool
        Whether the first number of the rows is the most important one of the result.
    kind : str
        What one of the rows is about.
    complete : str
        A format that holds all rows.
    typed : bool
        Whether the sentence holds a command, so that its line is not broken.
    """

    header: tuple[str, ...] | None
    rows: Sequence[Row] = ()
    totals: Sequence[Row] = ()
    note: Row = ()
    headline: bool = False
    kind: str = "row"
    complete: str = "csv"
    typed: bool = False


class Case(NamedTuple):
    """One score of a result, for formats that list what was scored and whether it passed.

    Attributes
    ----------
    name : str
        The name of the system or the run; for a single score, what it is of.
    numbers : mapping of str to float
    status : str
        "ok", "nan", "inf", "empty", or "error" if it could not be scored.
    error : str or None
        Why it could not be scored.
    gates : tuple of GateResult
    entries : tuple of (labels, numbers)
        Its groups, columns or batches.
    """

    name: str
    numbers: Mapping[str, Number]
    status: str = "ok"
    error: str | None = None
    gates: tuple[GateResult, ...] = ()
    entries: tuple[tuple[Mapping[str, Any], Mapping[str, Number]], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it was scored, and no gate failed."""
        return self.error is None and all(gate.passed for gate in self.gates)


class Report(ABC):
    """A result."""

    __slots__ = ()

    @abstractmethod
    def numbers(self) -> Mapping[str, Number]:
        """Return the main numbers by name."""

    @abstractmethod
    def records(self, missing_label: str | None = None) -> list[dict[str, Any]]:
        """Return the result as flat rows, all with the same keys, for tabular formats.

        Parameters
        ----------
        missing_label : str, optional
            What stands for a missing label of a group; a label of this text is then in quotes.
        """

    @abstractmethod
    def sections(self) -> list[Section]:
        """Return the tables for people, from top to bottom."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the result in the shape of the JSON output; nan and infinities are None."""

    def details(self) -> list[Section]:
        """Return those of the tables that hold what `records` do not."""
        return gate_sections(self)

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """The gates that were asked for, passed or failed."""
        return ()

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return all(gate.passed for gate in self.gates)

    def cases(self) -> list[Case]:
        """Return what was scored: one case, or one for each system or run."""
        numbers = self.numbers()
        *columns, files = [" ".join(names) for names in self.title] or [type(self).__name__]
        name = f"{files}: {columns[0]}" if columns and len(self.title[-1]) == 1 else files
        return [Case(name, numbers, status(next(iter(numbers.values()), 0)), gates=self.gates)]

    @property
    def title(self) -> tuple[tuple[str, ...], ...]:
        """The names of what the result is of, in groups: columns, files."""
        return ()

    @property
    def what(self) -> Row:
        """What the numbers are, and of how much."""
        return ()

    @property
    def footer(self) -> str | None:
        """A last line below the tables, such as the signature."""
        return None

    @property
    def short_footer(self) -> str | None:
        """The footer for terminals."""
        return self.footer

    footer_breaks: ClassVar[str] = "|"
    """Before what a terminal may break the footer; "" if nowhere."""

    def main_numbers(self) -> list[Number]:
        """Return the numbers that a bare array holds: all of them."""
        return list(self.numbers().values())

    def lines(self) -> list[Line]:
        """Return the lines of plain text; a single one is printed without its label."""
        return [Line(name, {"value": number}) for name, number in self.numbers().items()]

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
        title = " · ".join(filter(None, (*map(" ".join, self.title), _sentence(self.what))))
        return "".join(
            [
                f"<p>{_escaped_html(title)}</p>" if title else "",
                *map(_html_section, self.sections()),
                f"<p><code>{_escaped_html(self.footer)}</code></p>" if self.footer else "",
            ]
        )


def gate_sections(report: Report) -> list[Section]:
    """Return the table of a result's gates; none without gates."""
    if not report.gates:
        return []
    from msecli.results.gates import section_of

    return [section_of(report.gates)]


HTML_ROWS = 60
"""The rows of a table that a notebook shows, as many as pandas does."""


def _escaped_html(text: str) -> str:
    import html  # its table of entities is large, and only notebooks need it

    return html.escape(text)


SEEN = {"csv": "to_frame()", "json": "to_dict()"}
"""Where Python callers see all rows of a table, by the format that holds them."""


def _html_section(section: Section) -> str:
    def row(cells: Row, head: str, tag: str) -> str:
        first, *others = (_escaped_html(rounded(cell)) for cell in cells)
        return f"<tr><{head}>{first}</{head}>{''.join(f'<{tag}>{text}</{tag}>' for text in others)}</tr>"

    rows = [
        *([row(section.header, "th", "th")] if section.header else []),
        *(row(cells, "td", "td") for cells in section.rows[:HTML_ROWS]),
        *(row(cells, "th", "td") for cells in section.totals),
    ]
    more = len(section.rows) - HTML_ROWS
    notes = [
        _sentence(section.note),
        f"{more:,} more {plural(section.kind, more)}; see {SEEN[section.complete]}" if more > 0 else "",
    ]
    return (f"<table>{''.join(rows)}</table>" if rows else "") + "".join(
        f"<p>{_escaped_html(note)}</p>" for note in notes if note
    )


def _sentence(pieces: Row) -> str:
    return "".join(map(rounded, pieces))


def rounded(cell: str | Number, precision: int = 6) -> str:
    """Return a text, a count with its thousands marked, or a number rounded to significant digits."""
    if isinstance(cell, float):
        return f"{cell + 0.0:.{precision}g}"  # + 0.0: there is no -0 for people
    return f"{cell:,}" if isinstance(cell, int) else number_text(cell)


def plural(kind: str, count: int) -> str:
    """Return a noun for this many of it."""
    return kind if count == 1 else {"batch": "batches"}.get(kind, f"{kind}s")


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
