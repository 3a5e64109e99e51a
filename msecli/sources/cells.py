"""What is wrong with a piece of delimited text: the slow, exact look that follows a failed fast one."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
SHOWN = 40
"""Characters of a cell or line that an error shows."""

HINTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[+-]?\d*,\d+"), "is it a decimal comma? say --decimal ,"),
    (re.compile(r"[+-]?\d{1,3}([,'_ ]\d{3})+(\.\d+)?"), "remove the thousands separators"),
    (re.compile(r"[+-]?\d[\d_]*(\.\d+)?"), "remove the underscores"),
    (re.compile(r"[+-]?[\d.,]+\s*%"), "a percentage: remove the % and divide by 100"),
    (re.compile(r"[$€£¥]\s*[\d.,]+|[\d.,]+\s*[$€£¥]"), "remove the currency sign"),
    (re.compile(r"[+-]?[\d.]+[dD][+-]?\d+"), "a Fortran exponent: write e instead of d"),
    (re.compile(r"0[xX][0-9a-fA-F]+"), "a hexadecimal number: write it in decimal"),
    (re.compile(r"true|false|yes|no", re.IGNORECASE), "a truth value: write 1 and 0"),
    (re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d{1,2}:\d{2}.*"), "a date or time is not a number"),
    (re.compile(r"(none|null|n/?a|nil|missing|unknown|[-.?*#]+).*", re.IGNORECASE), ""),
)


@dataclass(frozen=True, slots=True)
class Record:
    """A record of delimited text: its number and that of its first line in the piece, from 0, and its cells."""

    row: int
    line: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Grammar:
    """How cells are read as numbers: the column names, the delimiter, the decimal mark, what means missing."""

    names: tuple[str, ...]
    delimiter: str
    decimal: str
    missing: tuple[str, ...]

    def is_number(self, cell: str) -> bool:
        """Tell whether the cell is a number, an infinity or NaN."""
        return self.is_finite(cell) or NOT_FINITE.fullmatch(cell.strip()) is not None

    def is_finite(self, cell: str) -> bool:
        """Tell whether the cell is written in digits."""
        return NUMBER.fullmatch(self._point(cell)) is not None

    def is_missing(self, cell: str) -> bool:
        """Tell whether the cell is empty or one of the words for missing."""
        return cell in self.missing

    def value(self, cell: str) -> float:
        """Return the number in a cell that is one."""
        return float(self._point(cell))

    def _point(self, cell: str) -> str:
        return cell.strip().replace(self.decimal, ".") if self.decimal != "." else cell.strip()


def records(text: str, grammar: Grammar) -> Iterator[Record]:
    """Yield the records of a text that starts at one; blank lines are records only in a single column."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=grammar.delimiter)
    row = line = 0
    for cells in reader:
        if cells or len(grammar.names) == 1:
            yield Record(row, line, cells or [""])
            row += 1
        line = reader.line_num


def first_problem(text: str, grammar: Grammar, wanted: tuple[int, ...]) -> tuple[int, str] | None:
    """Return the line, from 0, and the description of the first record that cannot be read.

    Parameters
    ----------
    text : str
        Records without the header.
    grammar : Grammar
    wanted : tuple of int
        The columns that must hold numbers.
    """
    for record in records(text, grammar):
        problem = _record_problem(record, grammar, wanted)
        if problem:
            return record.line, problem
    return None


def _record_problem(record: Record, grammar: Grammar, wanted: tuple[int, ...]) -> str | None:
    expected, found = len(grammar.names), len(record.cells)
    if found != expected:
        return f"{expected} columns expected, {found} found{_width_hint(record.cells, expected)}"
    if tuple(cell.strip() for cell in record.cells) == tuple(name.strip() for name in grammar.names):
        return "this line repeats the header; are several files joined in one?"
    for column in wanted:
        cell = record.cells[column]
        if not grammar.is_missing(cell) and not grammar.is_number(cell):
            return f"column {grammar.names[column]!r}: {shown(cell)} is not a number{cell_hint(cell)}"
    return None


def _width_hint(cells: list[str], expected: int) -> str:
    if cells and cells[0].lstrip().startswith(("#", "%", "//")):
        return f": {shown(cells[0])}; if this is a comment, say --comment {cells[0].lstrip()[0]!r}"
    if len(cells) == expected + 1 and cells[-1] == "":
        return "; the line ends in a delimiter too many"
    return f": {shown(', '.join(cells))}"


def shown(text: str) -> str:
    """Return a text as an error shows it: quoted, and cut when long."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def cell_hint(cell: str) -> str:
    """Return what to do about a cell that is not a number, as the end of a sentence."""
    text = cell.strip()
    if not text:
        return f"; for cells of blanks that mean missing, say --na-values {cell!r}"
    strange = next((character for character in text if ord(character) > 127 or ord(character) < 32), None)
    if strange is not None and strange not in "€£¥":
        return f"; it holds the character U+{ord(strange):04X}"
    for pattern, hint in HINTS:
        if pattern.fullmatch(text):
            return f"; {hint}" if hint else f"; if it means missing, say --na-values {cell!r}"
    return f"; if it means missing, say --na-values {cell!r}" if len(text) <= SHOWN else ""


def count_inexact(text: str, grammar: Grammar, column: int) -> tuple[int, int]:
    """Return how many cells of a column are digits that overflow to infinity, and how many are rounded integers."""
    overflowed = rounded = 0
    for record in records(text, grammar):
        cell = record.cells[column]
        if not grammar.is_finite(cell):
            continue
        value = grammar.value(cell)
        if math.isinf(value):
            overflowed += 1
        elif INTEGER.fullmatch(cell.strip()) and int(value) != int(cell):
            rounded += 1
    return overflowed, rounded
