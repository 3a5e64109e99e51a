"""Delimited text in pure Python, record by record: slow, and the definition of what is right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from msecli.kernel.interface import Bytes, Dialect, Fault, Found, Kind, Problem, Scan, State, Texts, Wanted

LARGEST_BUFFER = 2**31 - 1
LAST_EXACT_INTEGER = 2**53

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE = re.compile(r"[+-]?(\d+)", re.ASCII)
NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE | re.ASCII)
INTEGER = re.compile(r"-?[1-9]\d{0,18}|0", re.ASCII)
BLANKS = " \t"

Value = float | int | str | None


class Refused(Exception):  # noqa: N818 - it is not an error yet
    """A record that cannot be read; `at` is where its record or field begins."""

    def __init__(self, problem: Problem, column: int, at: int) -> None:
        super().__init__(problem, column, at)
        self.problem, self.column, self.at = problem, column, at


def crossing(buffer: Bytes, dialect: Dialect) -> tuple[State, ...]:
    """See `msecli.kernel.interface.Kernel`."""
    text = checked(buffer)
    states, position = list(State), 0
    # Readers that begin in different states soon agree, except that one may be within quotes and the other outside.
    while len(set(states)) > 2 and position < len(text):
        states = [step(state, text[position], dialect) for state in states]
        position += 1
    after = {state: _crossed(state, text[position:], dialect) for state in set(states)}
    return tuple(after[state] for state in states)


def boundary(buffer: Bytes, dialect: Dialect, state: State, *, last: bool = True) -> int | None:
    """See `msecli.kernel.interface.Kernel`."""
    text = checked(buffer)
    for position, byte in enumerate(text):
        if state == State.RECORD or (state == State.RETURN and byte != ord("\n")):
            return position
        state = step(state, byte, dialect)
    return len(text) if state == State.RECORD or last else None


def checked(buffer: Bytes) -> bytes:
    """Return a buffer as bytes, unless it is too large for the native kernel."""
    if len(buffer) > LARGEST_BUFFER:
        raise ValueError("the buffer is larger than 2 GiB")
    return bytes(buffer)


def _crossed(state: State, text: bytes, dialect: Dialect) -> State:
    quote, position = dialect.quote.encode(), 0
    if text and state not in (State.QUOTED, State.COMMENT) and is_plain(text, dialect):
        return step(State.PLAIN, text[-1], dialect)
    while position < len(text):
        if state == State.QUOTED:
            found = text.find(quote, position)
            if found < 0:
                return State.QUOTED
            position = found
        elif state == State.RECORD:
            end = whole_records(dialect, last=False).match(text, position).end()  # type: ignore[union-attr] # even nothing
            if end > position:
                position = end
                state = State.RETURN if text[end - 1 : end] == b"\r" else State.RECORD
                continue
        state = step(state, text[position], dialect)
        position += 1
    return state


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
    # A carriage return that ends the buffer may be half a line end.
    end = rb"(?:\r\n?+|\n|\Z)" if last else rb"(?:\r\n|\r(?!\Z)|\n)"
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


def scan_by_record(
    text: bytes, dialect: Dialect, wanted: Sequence[Wanted], start: int, stop: int, *, last: bool
) -> Scan:
    """Scan a text from `start` on, record by record."""
    rows: list[list[tuple[Value, int, int]]] = []
    position, blank, blank_at_end, comments = start, 0, 0, 0
    fault = None
    comment = None if dialect.comment is None else dialect.comment.encode()
    while position < min(stop, len(text)):
        begun = step(State.RECORD, text[position], dialect)
        border = boundary(text[position + 1 :], dialect, begun, last=last)
        if border is None:
            break
        end = position + 1 + border
        if comment is not None and text.startswith(comment, position):
            comments += 1
        elif dialect.width > 1 and text[position : position + 1] in (b"\r", b"\n"):
            blank, blank_at_end = blank + 1, blank_at_end + 1
        else:
            try:
                rows.append(_taken(text, position, dialect, wanted))
            except Refused as refused:
                fault = Fault(refused.problem, len(rows), refused.column, refused.at)
                break
            blank_at_end = 0
        position = end
    found = tuple(_column(column.kind, [row[i] for row in rows]) for i, column in enumerate(wanted))
    return Scan(len(rows), position, found, blank, blank_at_end, comments, fault)


def _taken(text: bytes, start: int, dialect: Dialect, wanted: Sequence[Wanted]) -> list[tuple[Value, int, int]]:
    """Return the values of a record with their flags, taking one field after the other."""
    row: list[tuple[Value, int, int]] = []
    column = 0
    for field, at, more in _fields(text, start, dialect):
        row += [value_of(field, each, dialect, at) for each in wanted if each.column == column]
        column += 1
        if more and column == dialect.width:
            raise Refused("width", column, start)
    if column < dialect.width:
        raise Refused("width", column, start)
    return row


def _fields(text: bytes, start: int, dialect: Dialect) -> Iterator[tuple[bytes, int, bool]]:
    """Yield the fields of a record, where each begins, and whether a delimiter follows it."""
    quote, delimiter, position, column, more = dialect.quote.encode(), dialect.delimiter.encode(), start, 0, True
    while more:
        match = _field(dialect).match(text, position)
        assert match is not None  # noqa: S101 - the pattern matches anything, even nothing
        if match["closed"] == b"":
            raise Refused("open", column, position)
        if match["closed"] and match["plain"]:
            raise Refused("stray", column, position)
        more = match["end"] == delimiter
        field = match["plain"] if match["quoted"] is None else match["quoted"].replace(quote * 2, quote)
        yield field, position, more
        position = match.end()
        column += 1


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
    text = text.strip(BLANKS) if dialect.blanks else text
    if wanted.kind == Kind.TRUTH:
        if text not in wanted.words:
            raise Refused("truth", wanted.column, at)
        return float(text == wanted.words[0]), 0, 0
    plain = _plainly(text, dialect)
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


def _plainly(text: str, dialect: Dialect) -> str:
    """Return a number with a decimal point and without thousands marks, or something that is no number."""
    mark = dialect.thousands
    if mark is not None and mark in text:
        escaped = re.escape(mark)
        grouped = re.fullmatch(rf"([+-]?\d{{1,3}}(?:{escaped}\d{{3}})+)(?!\d)([^{escaped}]*)", text, re.ASCII)
        if grouped is None:
            return "?"
        text = grouped[1].replace(mark, "") + grouped[2]
    return text if dialect.decimal == "." else text.replace(".", "?").replace(dialect.decimal, ".")


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
