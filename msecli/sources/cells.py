"""What is wrong with a piece of delimited text: the slow, exact look that follows a failed fast one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from msecli.core.check import LAST_EXACT_INTEGER
from msecli.core.exact import BoolArray, FloatArray
from msecli.errors import SHOWN, shown
from msecli.sources.records import Dialect, Record, records

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
BLANKS = " \t"
"""What the Arrow parser allows around a number."""
SIGNS = "+-"
NAN = tuple(map("".join, product("nN", "aA", "nN")))
BEYOND_UINT64 = 2.0**64
COMMENT_MARKS = ("#", "%", "//")

HINTS = (
    (r"#\s.*", "if this is a comment, use --comment '#'"),
    (r"[+-]?\d*,\d+", "is it a decimal comma? say --decimal ,"),
    (r"[+-]?\d{1,3}([,'_ ]\d{3})+(\.\d+)?", "remove the thousands separators"),
    (r"[+-]?\d[\d_]*(\.\d+)?", "remove the underscores"),
    (r"[+-]?[\d.,]+\s*%", "a percentage: remove the % and divide by 100"),
    (r"[$€£¥]\s*[\d.,]+|[\d.,]+\s*[$€£¥]", "remove the currency sign"),
    (r"[+-]?[\d.]+[dD][+-]?\d+", "a Fortran exponent: write e instead of d"),
    (r"0[xX][0-9a-fA-F]+", "a hexadecimal number: write it in decimal"),
    (r"(?i:true|false|yes|no)", "a truth value: write 1 and 0"),
    (r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d{1,2}:\d{2}.*", "a date or time is not a number"),
    (r"(?i:(none|null|n/?a|nil|missing|unknown|[-.?*#]+).*)", ""),
)


class Grammar(NamedTuple):
    """How cells are read as numbers: the column names, the decimal mark, what means missing."""

    names: tuple[str, ...] = ()
    decimal: str = "."
    missing: tuple[str, ...] = ()

    def is_number(self, cell: str) -> bool:
        """Tell whether the cell is a number, an infinity or NaN."""
        return self.is_finite(cell) or NOT_FINITE.fullmatch(cell.strip(BLANKS)) is not None

    def is_finite(self, cell: str) -> bool:
        """Tell whether the cell is written in digits."""
        return NUMBER.fullmatch(self._point(cell)) is not None

    def is_missing(self, cell: str) -> bool:
        """Tell whether the cell is empty or one of the words for missing."""
        return cell in self.missing

    def _point(self, cell: str) -> str:
        """Return the cell with a decimal point; a point that is none makes it no number."""
        text = cell.strip(BLANKS)
        return text if self.decimal == "." else text.replace(".", "?").replace(self.decimal, ".")


def first_problem(
    buffer: bytes, dialect: Dialect, grammar: Grammar, numbers: Sequence[int], labels: Sequence[int]
) -> tuple[int, str] | None:
    """Return the line, from 0, and the description of the first record that cannot be read.

    Parameters
    ----------
    buffer : bytes
        Records without the header.
    dialect : Dialect
    grammar : Grammar
    numbers, labels : sequence of int
        The columns that must hold numbers, and those that must hold text.
    """
    for record in data_records(buffer, dialect, grammar):
        problem = _record_problem(record, grammar, numbers, labels)
        if problem:
            return record.line, problem
    return None


def data_records(buffer: bytes, dialect: Dialect, grammar: Grammar) -> Iterator[Record]:
    """Yield the records; blank lines are records only in a single column."""
    single = len(grammar.names) == 1
    return (record for record in records(buffer, dialect) if single or not record.blank)


def _record_problem(record: Record, grammar: Grammar, numbers: Sequence[int], labels: Sequence[int]) -> str | None:
    expected, found = len(grammar.names), len(record.cells)
    try:
        cells = {column: record.cells[column].decode() for column in (*numbers, *labels) if column < found}
    except UnicodeDecodeError as error:
        return f"byte 0x{error.object[error.start]:02X} is not UTF-8; use --encoding, for example --encoding latin-1"
    values = ((column, cells[column]) for column in numbers if column < found)
    bad = next(
        (column for column, cell in values if not grammar.is_missing(cell) and not grammar.is_number(cell)), None
    )
    if found == expected and bad is None:
        return None
    texts = [cell.decode(errors="replace") for cell in record.cells]
    if [text.strip() for text in texts] == [name.strip() for name in grammar.names]:
        return "this line repeats the header; are several files joined in one?"
    first = texts[0].lstrip()
    # In a single column a word such as #missing is as likely.
    likely = found != expected or (expected > 1 and bad == 0)
    if likely and first.startswith(COMMENT_MARKS) and not grammar.is_missing(texts[0]):
        return f"{shown(texts[0])}: if this is a comment, use --comment {first[0]!r}"
    if found != expected or bad is None:
        trailing = found == expected + 1 and texts[-1] == ""
        return f"{expected} columns expected, {found} found" + (
            "; the line ends in a delimiter too many" if trailing else f": {shown(', '.join(texts))}"
        )
    return f"column {grammar.names[bad]!r}: {shown(cells[bad])} is not a number{cell_hint(cells[bad])}"


def cell_hint(cell: str) -> str:
    """Return what to do about a cell that is not a number, as the end of a sentence."""
    text = cell.strip()
    if not text:
        return f"; for cells of blanks that mean missing, say --na-values {cell!r}"
    strange = next((character for character in text if ord(character) > 127 or ord(character) < 32), None)
    if strange is not None and strange not in "€£¥":
        return f"; it holds the character U+{ord(strange):04X}"
    for pattern, hint in HINTS:
        if re.fullmatch(pattern, text):
            return f"; {hint}" if hint else f"; if it means missing, say --na-values {cell!r}"
    return f"; if it means missing, say --na-values {cell!r}" if len(text) <= SHOWN else ""


def all_nan(cells: pa.Array, rows: BoolArray) -> bool:
    """Tell whether the cells of some rows, where they are not missing, say NaN and nothing else, as nan(ind) does."""
    from msecli.sources.arrow import validity
    from msecli.sources.kernels import is_in, take, trimmed

    return bool(is_in(trimmed(take(cells, np.flatnonzero(rows & validity(cells))), SIGNS + BLANKS), NAN).all())


def count_inexact(cells: pa.Array, values: FloatArray) -> tuple[int, int]:
    """Return how many of the values are infinite though written in digits, and how many are rounded integers.

    Parameters
    ----------
    cells : pyarrow.Array of strings, shape (rows,)
        What the values were read from.
    values : ndarray of float64, shape (rows,)
    """
    from decimal import Decimal

    from msecli.sources.kernels import all_characters, take, trimmed, unsigned_integers

    rows = np.flatnonzero(np.abs(values) >= LAST_EXACT_INTEGER)
    digits, sizes = trimmed(take(cells, rows), SIGNS + BLANKS), np.abs(values[rows])
    infinite = np.isinf(sizes)
    overflowed = infinite & ~all_characters("alpha", digits)
    whole = ~infinite & all_characters("decimal", digits)
    small, large = np.flatnonzero(whole & (sizes < BEYOND_UINT64)), np.flatnonzero(whole & (sizes >= BEYOND_UINT64))
    rounded = np.count_nonzero(unsigned_integers(take(digits, small)) != sizes[small].astype(np.uint64))
    # Decimal, because Python limits the digits of an int.
    texts = take(digits, large).to_pylist()
    rounded += sum(Decimal(text) != Decimal(size) for text, size in zip(texts, sizes[large].tolist(), strict=True))
    return int(np.count_nonzero(overflowed)), int(rounded)
