"""Where the records of delimited text end: quotes may hold line ends, so not every line end is one.

Quoting follows RFC 4180 as the Arrow parser reads it: a quote opens only at the start of a field, a doubled quote
inside is a literal one, and a quote anywhere else is a character like any other. Text behind a closing quote, which
RFC 4180 does not allow, is refused: it is what an unclosed quote looks like at the next quoted field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from msecli.core.exact import BoolArray, IntArray

Bytes = NDArray[np.uint8]

QUOTE = b'"'
RETURN = b"\r"
LINE_FEED, CARRIAGE_RETURN = 0x0A, 0x0D
GUESSES = 8
"""How many cuts are tried, each before the last quote of the one before; where more are needed, guessing is no help."""


class Dialect(NamedTuple):
    """The bytes that structure delimited text.

    `terminator` is the last byte of a line end: a line feed, or a carriage return in files whose lines end in one.
    """

    delimiter: bytes = b","
    terminator: bytes = b"\n"
    comment: bytes | None = None


class Text(NamedTuple):
    """Complete lines of delimited text, less than 2 GiB, beginning at a record, without comments.

    Parameters
    ----------
    data : ndarray of uint8
    dialect : Dialect
    width : int
        The number of columns.
    quoted, returns : bool
        Whether there may be quotes, and carriage returns.
    """

    data: Bytes
    dialect: Dialect
    width: int
    quoted: bool
    returns: bool


class Cut(NamedTuple):
    """The complete records at the start of a buffer.

    Parameters
    ----------
    end : int
        Where the last complete record ends; 0 if none does.
    open_quote : int or None
        Where the quote was opened that the buffer ends inside of.
    stray_text : int or None
        Where the first text is that follows a closing quote.
    quoted : bool
        Whether the buffer holds any quote at all.
    """

    end: int
    open_quote: int | None = None
    stray_text: int | None = None
    quoted: bool = False


class Record(NamedTuple):
    """A record of delimited text.

    Parameters
    ----------
    line : int
        The number of its first line in the buffer, from 0.
    start, end : int
        Where it is in the buffer; its line end belongs to it.
    cells : tuple of bytes
        What its fields hold, without quotes.
    blank : bool
        Whether it is an empty line.
    open_quote : bool
        Whether the buffer ends inside of a quote of it.
    """

    line: int
    start: int
    end: int
    cells: tuple[bytes, ...]
    blank: bool
    open_quote: bool


def cut_records(buffer: bytes, dialect: Dialect) -> Cut:
    """Find the complete records of a buffer that starts at a record."""
    if QUOTE not in buffer:
        return Cut(buffer.rfind(dialect.terminator) + 1)
    if dialect.comment is not None and dialect.comment in buffer:
        return _cut_one_by_one(buffer, dialect)
    opened, closed = quoted_spans(buffer, dialect)
    open_quote = _first_of_doubled(opened, closed) if len(opened) > len(closed) else None
    end = buffer.rfind(dialect.terminator, 0, open_quote)
    while end >= 0:
        before = int(np.searchsorted(opened, end)) - 1
        if before < 0 or (before < len(closed) and closed[before] < end):
            break
        end = buffer.rfind(dialect.terminator, 0, int(opened[before]))
    return Cut(end + 1, open_quote, _stray_text(buffer, opened, closed, dialect), quoted=True)


def guess_cut(buffer: bytes, dialect: Dialect) -> tuple[int, bool]:
    """Return where the last complete record ends, and whether there are quotes in the records up to there.

    Only counts quotes, so it is right only if each of them opens or closes a field, or is one of a doubled one. 0 means
    that there is no complete record, or none that can be found this way.
    """
    end = buffer.rfind(dialect.terminator) + 1
    if QUOTE not in buffer:
        return end, False
    data = np.frombuffer(buffer, dtype=np.uint8)
    for _ in range(GUESSES):
        quotes = np.count_nonzero(data[:end] == QUOTE[0])
        if quotes % 2 == 0:
            return end, bool(quotes)
        end = buffer.rfind(dialect.terminator, 0, buffer.rfind(QUOTE, 0, end)) + 1
    return 0, True


def _cut_one_by_one(buffer: bytes, dialect: Dialect) -> Cut:
    """Cut where quotes may be in comments, in which they open nothing."""
    end = 0
    for record in records(buffer, dialect):
        if record.open_quote:
            return Cut(end, buffer.index(QUOTE, record.start), quoted=True)
        if buffer[record.end - 1 : record.end] == dialect.terminator:
            end = record.end
    return Cut(end, quoted=True)


def _first_of_doubled(opened: IntArray, closed: IntArray) -> int:
    """Return where the last quote really opened: behind doubled quotes, which close and open again, further ahead."""
    number = len(opened) - 1
    while number > 0 and closed[number - 1] == opened[number] - 1:
        number -= 1
    return int(opened[number])


def _stray_text(buffer: bytes, opened: IntArray, closed: IntArray, dialect: Dialect) -> int | None:
    following = closed + 1
    if len(following) and following[-1] == len(buffer):
        following = following[:-1]
    fits = field_marks(dialect.delimiter)[np.frombuffer(buffer, dtype=np.uint8)[following]]
    # A doubled quote closes, and opens again at once.
    reopened = opened[1 : len(following) + 1]
    fits[: len(reopened)] |= reopened == following[: len(reopened)]
    return None if fits.all() else int(following[np.argmin(fits)])


@lru_cache
def field_marks(delimiter: bytes) -> BoolArray:
    """Return which bytes end a field, and so come before the next."""
    marks = np.zeros(256, dtype=bool)
    marks[[delimiter[0], LINE_FEED, CARRIAGE_RETURN]] = True
    return marks


def quoted_spans(buffer: bytes, dialect: Dialect) -> tuple[IntArray, IntArray]:
    """Return where quotes open and where they close; one more opens than closes if the buffer ends inside quotes."""
    data = np.frombuffer(buffer, dtype=np.uint8)
    quotes = np.flatnonzero(data == QUOTE[0])
    opened, closed = quotes[::2], quotes[1::2]
    # Taken in turn, quotes open and close: true if each that opens is at the start of a field, or is the second of
    # a doubled quote, which closes and opens again.
    before = data[opened - 1]
    starts = field_marks(dialect.delimiter)[before] | (before == QUOTE[0])
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


@lru_cache
def _field_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    mark = re.escape(delimiter)
    return re.compile(
        rb'(?:"(?P<quoted>[^"]*(?:""[^"]*)*)(?P<closed>"|\Z))?'
        rb"(?P<plain>[^\r\n" + mark + rb"]*)(?P<end>" + mark + rb"|\r\n|\r|\n|\Z)"
    )


def records(buffer: bytes, dialect: Dialect) -> Iterator[Record]:
    """Yield the records of a buffer that starts at one, field by field, without comment lines: slow, and exact."""
    field, comment = _field_pattern(dialect.delimiter), dialect.comment
    position = line = 0
    while position < len(buffer):
        start = position
        if comment is not None and buffer.startswith(comment, position):
            position = _line_end(buffer, position)
        else:
            cells: list[bytes] = []
            while True:
                match = field.match(buffer, position)
                assert match is not None  # noqa: S101 - the pattern matches anything, even nothing
                cells.append((match["quoted"] or b"").replace(b'""', QUOTE) + match["plain"])
                position = match.end()
                if match["end"] != dialect.delimiter:
                    break
            blank = position - start == len(match["end"])
            yield Record(line, start, position, tuple(cells), blank, match["closed"] == b"")
        line += count_lines(buffer[start:position])


def _line_end(buffer: bytes, position: int) -> int:
    end = re.compile(rb"\r\n|\r|\n|\Z").search(buffer, position)
    return len(buffer) if end is None else end.end()


def count_lines(text: bytes) -> int:
    """Return the number of line ends in a text."""
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


def without_comments(buffer: bytes, dialect: Dialect) -> bytes:
    """Return the buffer, which starts at a record, without the lines that begin with the comment character.

    A line inside a quoted field is data whatever it begins with, and quotes in a comment open nothing.
    """
    if dialect.comment is None or dialect.comment not in buffer:
        return buffer
    if QUOTE not in buffer:
        return re.sub(rb"(?<![^\r\n])" + re.escape(dialect.comment) + rb"[^\r\n]*(?:\r\n|\r|\n|\Z)", b"", buffer)
    return b"".join(buffer[record.start : record.end] for record in records(buffer, dialect))
