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
    """The bytes that structure delimited text."""

    delimiter: bytes = b","
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
        return Cut(_last_line(buffer, len(buffer)))
    opened, closed = quoted_spans(buffer, dialect)
    open_quote = _first_of_doubled(opened, closed) if len(opened) > len(closed) else None
    end = _last_line(buffer, len(buffer) if open_quote is None else open_quote)
    while end > 0:
        before = int(np.searchsorted(opened, end)) - 1
        if before < 0 or (before < len(closed) and closed[before] < end):
            break
        end = _last_line(buffer, int(opened[before]))
    return Cut(end, open_quote, _stray_text(buffer, opened, closed, dialect), quoted=True)


def _last_line(buffer: bytes, stop: int) -> int:
    """Return where the last line ends that ends at or before `stop`; 0 if none does.

    A carriage return at the end of the buffer ends none: the line feed that belongs to it may follow.
    """
    end = buffer.rfind(b"\n", 0, stop) + 1
    return max(end, buffer.rfind(RETURN, end, min(stop, len(buffer) - 1)) + 1)


def guess_cut(buffer: bytes) -> tuple[int, bool]:
    """Return where the last complete record ends, and whether there are quotes in the records up to there.

    Only counts quotes, so it is right only if each of them opens or closes a field, or is one of a doubled one. 0 means
    that there is no complete record, or none that can be found this way.
    """
    end = _last_line(buffer, len(buffer))
    if QUOTE not in buffer:
        return end, False
    data = np.frombuffer(buffer, dtype=np.uint8)
    for _ in range(GUESSES):
        quotes = np.count_nonzero(data[:end] == QUOTE[0])
        if quotes % 2 == 0:
            return end, bool(quotes)
        end = _last_line(buffer, buffer.rfind(QUOTE, 0, end))
    return 0, True


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
    """Return where quotes open and where they close; one more opens than closes if the buffer ends inside quotes.

    Quotes in comments are left out.
    """
    data = np.frombuffer(buffer, dtype=np.uint8)
    quotes = np.flatnonzero(data == QUOTE[0])
    comments = _comments(buffer, dialect)
    if comments:
        starts, ends = np.array(comments).T
        # The first entry stands for "no comment before".
        quotes = quotes[np.concatenate([[0], ends])[np.searchsorted(starts, quotes)] <= quotes]
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


def count_blank_lines(text: bytes | memoryview, dialect: Dialect) -> int:
    """Return the number of blank lines outside quotes in a text that starts at a record."""
    data = np.frombuffer(text, dtype=np.uint8)
    feeds, returns = data == LINE_FEED, data == CARRIAGE_RETURN
    ends = feeds | returns
    blank = ends.copy()
    # A line end is a blank line behind another one, unless it is the line feed of a carriage return.
    blank[1:] &= ends[:-1]
    blank[1:] &= ~(feeds[1:] & returns[:-1])
    places = np.flatnonzero(blank)
    if not places.size:
        return 0
    opened, closed = quoted_spans(bytes(text), dialect)
    return int(np.count_nonzero(np.searchsorted(opened, places) == np.searchsorted(closed, places)))


def without_comments(buffer: bytes, dialect: Dialect) -> bytes:
    """Return the buffer, which starts at a record, without the lines that begin with the comment character.

    A line inside a quoted field is data whatever it begins with, and quotes in a comment open nothing.
    """
    kept, position = [], 0
    for start, end in _comments(buffer, dialect):
        # A carriage return and a line feed that a comment keeps apart are two line ends, and must not become one.
        apart = buffer[start - 1 : start] == RETURN and buffer[end : end + 1] == b"\n"
        kept += [buffer[position : start - 1], b"\n"] if apart else [buffer[position:start]]
        position = end
    return b"".join([*kept, buffer[position:]]) if kept else buffer


def _comments(buffer: bytes, dialect: Dialect) -> list[tuple[int, int]]:
    """Return where comments begin and end in a buffer that starts at a record; lines one after another are one."""
    mark = dialect.comment
    if mark is None or mark not in buffer:
        return []
    found = _quotes_and_comments(dialect.delimiter, mark).finditer(buffer)
    return [match.span() for match in found if buffer.startswith(mark, match.start())]


@lru_cache
def _quotes_and_comments(delimiter: bytes, comment: bytes) -> re.Pattern[bytes]:
    """Return what finds, from the start of a record on, all that is quoted, and all that is commented out.

    Each alternative begins with its character and looks back from there, so that the search can leap to it.
    """
    mark, before = re.escape(comment), rb"[^\r\n" + re.escape(delimiter) + rb"]"
    rest = rb"[^\r\n]*(?:\r\n|\r|\n|\Z)"
    commented = mark + rb"(?<![^\r\n]" + mark + rb")" + rest + rb"(?:" + mark + rest + rb")*"
    return re.compile(rb'"(?<!' + before + rb'")[^"]*(?:""[^"]*)*(?:"|\Z)|' + commented)
