"""Where the records of delimited text end: quotes may hold line ends, so not every line end is one.

Quoting follows RFC 4180 as the Arrow parser reads it: a quote opens only at the start of a field, a doubled quote
inside is a literal one, and a quote anywhere else is a character like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from msecli.core.exact import IntArray

QUOTE = b'"'


@dataclass(frozen=True, slots=True)
class Dialect:
    """The bytes that structure delimited text.

    `terminator` is the last byte of a line end: a line feed, or a carriage return in files that have no line feeds.
    """

    delimiter: bytes = b","
    terminator: bytes = b"\n"
    comment: bytes | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """The complete records at the start of a buffer.

    Parameters
    ----------
    end : int
        Where the last complete record ends; 0 if none does.
    open_quote : int or None
        Where the quote was opened that the buffer ends inside of.
    quoted : bool
        Whether the buffer holds any quote at all.
    """

    end: int
    open_quote: int | None
    quoted: bool


def cut_records(buffer: bytes, dialect: Dialect) -> Cut:
    """Find the complete records of a buffer that starts at a record."""
    if QUOTE not in buffer:
        return Cut(buffer.rfind(dialect.terminator) + 1, None, quoted=False)
    opened, closed = quoted_spans(buffer, dialect)
    open_quote = int(opened[-1]) if len(opened) > len(closed) else None
    end = buffer.rfind(dialect.terminator, 0, open_quote)
    while end >= 0:
        before = int(np.searchsorted(opened, end)) - 1
        if before < 0 or (before < len(closed) and closed[before] < end):
            break
        end = buffer.rfind(dialect.terminator, 0, int(opened[before]))
    return Cut(end + 1, open_quote, quoted=True)


def quoted_spans(buffer: bytes, dialect: Dialect) -> tuple[IntArray, IntArray]:
    """Return where quotes open and where they close; one more opens than closes if the buffer ends inside quotes."""
    data = np.frombuffer(buffer, dtype=np.uint8)
    quotes = np.flatnonzero(data == QUOTE[0])
    opened, closed = quotes[::2], quotes[1::2]
    # Taken in turn, quotes open and close: true if each that opens is at the start of a field, or is the second of
    # a doubled quote, which closes and opens again.
    before = data[opened - 1]
    starts = (before == dialect.delimiter[0]) | (before == 0x0A) | (before == 0x0D) | (before == QUOTE[0])
    if len(opened) and opened[0] == 0:
        starts[0] = True
    if starts.all():
        return opened, closed
    return _spans_one_by_one(buffer, quotes, dialect)


def _spans_one_by_one(buffer: bytes, quotes: IntArray, dialect: Dialect) -> tuple[IntArray, IntArray]:
    opened: list[int] = []
    closed: list[int] = []
    field_ends = b"\n\r" + dialect.delimiter
    after_doubled = -1
    for at in quotes.tolist():
        if at == after_doubled:
            continue
        if len(opened) == len(closed):
            if at == 0 or buffer[at - 1] in field_ends:
                opened.append(at)
        elif buffer[at + 1 : at + 2] == QUOTE:
            after_doubled = at + 1
        else:
            closed.append(at)
    return np.array(opened, dtype=np.int64), np.array(closed, dtype=np.int64)


def lines(buffer: bytes, dialect: Dialect) -> Iterator[bytes]:
    """Yield the physical lines of a buffer, each with its line end."""
    start = 0
    while start < len(buffer):
        end = buffer.find(dialect.terminator, start) + 1 or len(buffer)
        yield buffer[start:end]
        start = end


def without_comments(buffer: bytes, dialect: Dialect) -> bytes:
    """Return the buffer, which starts at a record, without the lines that begin with the comment character.

    A line inside a quoted field is data whatever it begins with, and quotes in a comment open nothing.
    """
    if dialect.comment is None or dialect.comment not in buffer:
        return buffer
    kept: list[bytes] = []
    inside = False
    for line in lines(buffer, dialect):
        if not inside and line.startswith(dialect.comment):
            continue
        kept.append(line)
        if QUOTE in line:
            inside = _ends_inside(line, dialect, inside=inside)
    return b"".join(kept)


def _ends_inside(line: bytes, dialect: Dialect, *, inside: bool) -> bool:
    opened, closed = quoted_spans((QUOTE + b"x" if inside else b"") + line, dialect)
    return len(opened) > len(closed)
