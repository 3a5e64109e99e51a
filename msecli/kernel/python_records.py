"""Delimited text in pure Python, record by record: slow, and the definition of what is right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

import numpy as np

from msecli.kernel.interface import Bytes, Dialect, Fault, Found, Kind, Problem, Scan, Texts, Wanted

LARGEST_BUFFER = 2**31 - 1
LAST_EXACT_INTEGER = 2**53

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE = re.compile(r"[+-]?(\d+)", re.ASCII)
NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE | re.ASCII)
INTEGER = re.compile(r"-?[1-9]\d{0,18}|0", re.ASCII)
BLANKS = " \t"
# A carriage return that ends the buffer may be half a line end.
LINE_END = {True: re.compile(rb"\r\n?+|\n"), False: re.compile(rb"\r\n|\r(?!\Z)|\n")}

Value = float | int | str | None


class Refused(Exception):  # noqa: N818 - it is not an error yet
    """A record that cannot be read; `at` is where its record or field begins."""

    def __init__(self, problem: Problem, column: int, at: int) -> None:
        super().__init__(problem, column, at)
        self.problem, self.column, self.at = problem, column, at


class State(Enum):
    """Where a reader is between two bytes.

    `RETURN` is a `RECORD` after a carriage return, whose line feed may follow; `QUOTE` comes after a quote within
    quotes, which closes them or is the first of two.
    """

    RECORD, RETURN, FIELD, PLAIN, QUOTED, QUOTE, COMMENT = range(7)


def border(buffer: Bytes, dialect: Dialect, place: int, *, last: bool = True) -> int | None:
    """See `msecli.kernel.interface.Kernel`."""
    text = checked(buffer)
    place = min(place, len(text))
    if place > 0 and is_plain(text, dialect):
        end = LINE_END[last].search(text, place - 1)
        return end.end() if end else len(text) if last else None
    position, state = 0, State.RECORD
    while True:
        if state == State.RECORD and position < place:
            records = whole_records(dialect, last=False).match(text, position, place)
            position = position if records is None else records.end()
        behind = text[position : position + 1]
        if position >= place and (state == State.RECORD or (state == State.RETURN and behind not in (b"\n", b""))):
            return position
        if not behind:
            return position if last else None
        state = step(state, text[position], dialect)
        position += 1


def checked(buffer: Bytes) -> bytes:
    """Return a buffer as bytes, unless it is too large for the native kernel."""
    if len(buffer) > LARGEST_BUFFER:
        raise ValueError("the buffer is larger than 2 GiB")
    return bytes(buffer)


def step(state: State, byte: int, dialect: Dialect) -> State:
    """Return the state after a byte."""
    character, begins = chr(byte), state in (State.RECORD, State.RETURN)
    if state == State.QUOTED:
        return State.QUOTE if character == dialect.quote else State.QUOTED
    if state == State.RETURN and character == "\n":
        return State.RECORD
    if state == State.COMMENT and character not in "\r\n":
        return State.COMMENT
    if begins and character == dialect.comment:
        return State.COMMENT
    if character == dialect.quote and state not in (State.PLAIN, State.COMMENT):
        return State.QUOTED
    ends = {"\n": State.RECORD, "\r": State.RETURN, dialect.delimiter: State.FIELD}
    return ends.get(character, State.PLAIN)


def is_plain(text: bytes, dialect: Dialect) -> bool:
    """Tell whether a text has no quotes and no comments, so that every line is a record."""
    return not any(mark is not None and mark.encode() in text for mark in (dialect.quote, dialect.comment))


@lru_cache
def whole_records(dialect: Dialect, *, last: bool) -> re.Pattern[bytes]:
    """Return a pattern of whole records without faults of quotes, comments and, among several columns, blank lines."""
    mark, quote = re.escape(dialect.delimiter.encode()), re.escape(dialect.quote.encode())
    quoted = rb"%b[^%b]*+(?:%b%b[^%b]*+)*+%b(?=[%b\r\n]|\Z)" % (*[quote] * 6, mark)
    field = rb"(?>%b|(?!%b)[^%b\r\n]*+)" % (quoted, quote, mark)
    end = b"(?:%b%b)" % (LINE_END[last].pattern, rb"|\Z" if last else b"")
    comment = b"" if dialect.comment is None else rb"(?!%b)" % re.escape(dialect.comment.encode())
    blank = b"" if dialect.width == 1 else rb"(?![\r\n])"
    return re.compile(rb"(?>(?!\Z)%b%b(?>%b%b)*+%b%b)*+" % (comment, blank, field, mark, field, end))


@lru_cache
def _field(dialect: Dialect) -> re.Pattern[bytes]:
    mark, quote = re.escape(dialect.delimiter.encode()), re.escape(dialect.quote.encode())
    return re.compile(
        rb"(?:%b(?P<quoted>[^%b]*+(?:%b%b[^%b]*+)*+)(?P<closed>%b|\Z))?+" % (*[quote] * 6,)
        + rb"(?P<plain>[^\r\n%b]*+)(?P<end>%b|\r\n|\r|\n|\Z)" % (mark, mark)
    )


def scan_by_record(text: bytes, dialect: Dialect, wanted: Sequence[Wanted], start: int = 0) -> Scan:
    """Scan a text from `start` on, record by record."""
    rows: list[list[tuple[Value, int, int]]] = []
    position, blank = start, 0
    fault = None
    comment = None if dialect.comment is None else dialect.comment.encode()
    while position < len(text):
        if comment is not None and text.startswith(comment, position):
            end = LINE_END[True].search(text, position)
            position = len(text) if end is None else end.end()
        elif dialect.width > 1 and (end := LINE_END[True].match(text, position)):
            blank += 1
            position = end.end()
        else:
            try:
                row, position = _taken(text, position, dialect, wanted)
            except Refused as refused:
                fault = Fault(refused.problem, len(rows), refused.column, position, refused.at)
                break
            rows.append(row)
    found = tuple(_column(column.kind, [row[i] for row in rows]) for i, column in enumerate(wanted))
    return Scan(len(rows), found, blank, fault)


def _taken(
    text: bytes, start: int, dialect: Dialect, wanted: Sequence[Wanted]
) -> tuple[list[tuple[Value, int, int]], int]:
    """Return the values of a record with their flags, taking one field after the other, and where the record ends."""
    quote, delimiter, pattern = dialect.quote.encode(), dialect.delimiter.encode(), _field(dialect)
    row: list[tuple[Value, int, int]] = []
    position, column, more = start, 0, True
    while more:
        if column == dialect.width:
            raise Refused("width", column, start)
        match = pattern.match(text, position)
        assert match is not None  # noqa: S101 - the pattern matches anything, even nothing
        quoted, closed, plain, end = match.groups()
        if closed == b"":
            raise Refused("open", column, position)
        if closed and plain:
            raise Refused("stray", column, position)
        more = end == delimiter
        for each in wanted:
            if each.column == column:
                field = plain if quoted is None else quoted.replace(quote * 2, quote)
                row.append(value_of(field, each, dialect, position))
        position = match.end()
        column += 1
    if column < dialect.width:
        raise Refused("width", column, start)
    return row, position


def value_of(field: bytes, wanted: Wanted, dialect: Dialect, at: int) -> tuple[Value, int, int]:
    """Return the value of a field, whether it overflowed, and whether it was rounded."""
    if field in _missing(dialect):
        return None, 0, 0
    if wanted.kind == Kind.TEXT:
        try:
            return field.decode(), 0, 0
        except UnicodeDecodeError as error:
            raise Refused("text", wanted.column, at) from error
    text = field.decode(errors="replace")
    if wanted.kind == Kind.INTEGER:
        if INTEGER.fullmatch(text) is None or not -(2**63) <= int(text) < 2**63:
            raise Refused("integer", wanted.column, at)
        return int(text), 0, 0
    text = text.strip(BLANKS)
    if wanted.kind == Kind.TRUTH:
        if text not in wanted.words:
            raise Refused("truth", wanted.column, at)
        return float(text == wanted.words[0]), 0, 0
    plain = text if dialect.decimal == "." else text.replace(".", "?").replace(dialect.decimal, ".")
    if NUMBER.fullmatch(plain):
        value = float(plain)
        return value, *_inexact(plain, value)
    if NOT_FINITE.fullmatch(text):
        value = float(text)
        return None if np.isnan(value) else value, 0, 0
    raise Refused("number", wanted.column, at)


@lru_cache
def _missing(dialect: Dialect) -> frozenset[bytes]:
    return frozenset(word.encode() for word in dialect.missing)


def _inexact(text: str, value: float) -> tuple[int, int]:
    """Return whether a number became infinite, and whether it is an integer beyond 2**53 that was rounded."""
    whole = WHOLE.fullmatch(text)
    if np.isinf(value):
        return 1, 0
    if whole is None or abs(value) < LAST_EXACT_INTEGER:
        return 0, 0
    # As text, because Python limits the digits of an int.
    return 0, int(whole[1].lstrip("0") != str(int(abs(value))))


def _column(kind: Kind, fields: list[tuple[Value, int, int]]) -> Found:
    """Return values with their flags as a column."""
    values = [value for value, _, _ in fields]
    absent = np.array([value is None for value in values], dtype=np.bool_)
    missed = int(absent.sum())
    overflowed, rounded = sum(flag for _, flag, _ in fields), sum(flag for _, _, flag in fields)
    found: Any
    if kind == Kind.TEXT:
        encoded = [b"" if value is None else str(value).encode() for value in values]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
        found = Texts(np.frombuffer(b"".join(encoded), dtype=np.uint8), ends)
    elif kind == Kind.INTEGER:
        found = np.array([0 if value is None else value for value in values], dtype=np.int64)
    else:
        found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    labels = kind in (Kind.INTEGER, Kind.TEXT)
    return Found(found, absent if labels and missed else None, missed, overflowed, rounded)
