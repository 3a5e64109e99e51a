"""What delimited text says, read character by character.

Quoting is that of RFC 4180: a quote opens at the start of a field only, a doubled one inside is a literal one, and the
closing one ends the field. A line ends in LF, CR or CRLF. Strict, and without comments, Python's csv module agrees.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from typing import NamedTuple

from tests.fuzz.text import Way

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
MISSING = ("", "NA", "N/A", "null", "NULL")
LINE_END = re.compile(r"\r\n|\r|\n|\Z")


class BadLinesError(Exception):
    """A record cannot be read, which can be seen from its first line on, and at the latest at its last."""

    def __init__(self, first: int, last: int, reason: str) -> None:
        super().__init__(f"lines {first} to {last}: {reason}")
        self.first, self.last, self.reason = first, last, reason
        self.later: list[BadLinesError] = []

    def names(self, line: int) -> bool:
        """Tell whether this is the line, or one of the lines, of the record."""
        return self.first <= line <= self.last


class Record(NamedTuple):
    """The first line of a record, from 1, the line at which it ends, and its fields; a blank line has none."""

    first: int
    last: int
    fields: list[str]


class Table(NamedTuple):
    """Columns of a file, and what warnings count.

    `inexact` is how many numbers are too large, and how many integers had to be rounded; `blank`, how many lines are
    blank above the last row, and in all.
    """

    numbers: dict[str, list[float]]
    labels: dict[str, list[str | None]]
    inexact: list[int]
    blank: list[int]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter((self.numbers | self.labels).values())))


def records(text: str, way: Way) -> Iterator[Record]:
    """Yield the records."""
    position, line = 0, 1
    while position < len(text):
        if way.comment and text.startswith(way.comment, position):
            position, line = _next_line(text, position), line + 1
            continue
        first, fields = line, list[str]()
        while True:
            if text.startswith('"', position):
                field, position, line = _quoted(text, position, first, line)
                if position < len(text) and text[position] not in way.delimiter + "\r\n":
                    raise BadLinesError(first, line, "text behind a closing quote")
            else:
                start = position
                while position < len(text) and text[position] not in way.delimiter + "\r\n":
                    position += 1
                field = text[start:position]
            fields.append(field)
            if not text.startswith(way.delimiter, position):
                break
            position += 1
        start, position = position, _next_line(text, position)
        blank = fields == [""] and (start == 0 or text[start - 1] in "\r\n")
        yield Record(first, line, [] if blank else fields)
        line += 1


def _next_line(text: str, position: int) -> int:
    found = LINE_END.search(text, position)
    assert found is not None
    return found.end()


def _quoted(text: str, position: int, first: int, line: int) -> tuple[str, int, int]:
    """Return a quoted field, where it ends, and the line there."""
    field, start = "", position + 1
    while True:
        end = text.find('"', start)
        if end < 0:
            raise BadLinesError(first, line, "a quote is never closed")
        field += text[start:end]
        if not text.startswith('"', end + 1):
            return field, end + 1, line + len(re.findall(r"\r\n|\r|\n", field))
        field, start = field + '"', end + 2


def read(content: bytes, way: Way, numbers: list[str], labels: list[str]) -> Table:
    """Return columns of a file.

    Raises
    ------
    BadLinesError
        For the first record that cannot be read, with the later ones, up to the first that has no end.
    """
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    rows, bad = records(text, way), list[BadLinesError]()
    above = list(_until_fields(rows))
    names = above[-1].fields if above else []
    if way.header is False:
        rows, names = chain(above, rows), list(map(str, range(len(names))))
    table = Table({name: [] for name in numbers}, {name: [] for name in labels}, [0, 0], [0, 0])
    while names:
        try:
            record = next(rows, None)
            if record is None:
                break
            _take(table, record, names, way)
        except BadLinesError as error:
            bad.append(error)
    if bad:
        bad[0].later = bad[1:]
        raise bad[0]
    return table


def _until_fields(rows: Iterator[Record]) -> Iterator[Record]:
    for record in rows:
        yield record
        if record.fields:
            return


def _take(table: Table, record: Record, names: list[str], way: Way) -> None:
    if not record.fields and len(names) > 1:
        table.blank[1] += 1
        return
    table.blank[0] = table.blank[1]
    fields = record.fields or [""]
    if len(fields) != len(names):
        raise BadLinesError(record.first, record.last, f"{len(fields)} fields, not {len(names)}")
    for name, values in table.numbers.items():
        values.append(_number(fields[names.index(name)], way, record, table))
    for name, texts in table.labels.items():
        label = fields[names.index(name)]
        if any("\udc80" <= character <= "\udcff" for character in label):
            raise BadLinesError(record.first, record.last, "not UTF-8")
        texts.append(None if label in (*MISSING, *way.na_values) else label)


def _ungrouped(text: str, mark: str) -> str:
    """Return a number without its marks between thousands, if they stand where they should."""
    sign, body = (text[:1], text[1:]) if text[:1] in ("+", "-") else ("", text)
    size = next((n for n, character in enumerate(body) if character not in f"0123456789{mark}"), len(body))
    first, *groups = body[:size].split(mark)
    grouped = groups and 1 <= len(first) <= 3 and not first.startswith("0") and all(len(g) == 3 for g in groups)
    return sign + first + "".join(groups) + body[size:] if grouped else text


def _number(field: str, way: Way, record: Record, table: Table) -> float:
    if field in (*MISSING, *way.na_values):
        return math.nan
    text = _ungrouped(field.strip(" \t"), way.thousands) if way.thousands else field.strip(" \t")
    if way.decimal != ".":
        text = text.replace(".", "?").replace(way.decimal, ".")
    if not NUMBER.fullmatch(text) and not NOT_FINITE.fullmatch(text):
        raise BadLinesError(record.first, record.last, f"{field!r} is not a number")
    value = float(text)
    table.inexact[0] += math.isinf(value) and NOT_FINITE.fullmatch(text) is None
    table.inexact[1] += math.isfinite(value) and INTEGER.fullmatch(text) is not None and Decimal(text) != Decimal(value)
    return value
