"""The records of delimited text: quoted fields may hold line ends, so a line end does not always end a record.

Quoting follows RFC 4180 as Arrow's parser reads it: a quote opens only at the start of a field, a doubled quote
inside is a literal quote, and a quote anywhere else is an ordinary character. Text after a closing quote, which
RFC 4180 does not allow, is refused: it is the usual sign of an unclosed quote further up.
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


class Dialect(NamedTuple):
    """The bytes that separate fields and mark comments."""

    delimiter: bytes = b","
    comment: bytes | None = None


class Text(NamedTuple):
    """Complete records of delimited text, below 2 GiB, without comments.

    Parameters
    ----------
    data : ndarray of uint8
    dialect : Dialect
    width : int
        The number of columns.
    quoted, returns : bool
        Whether quotes and carriage returns may occur.
    """

    data: Bytes
    dialect: Dialect
    width: int
    quoted: bool
    returns: bool


class Quotes(NamedTuple):
    """The positions of opening and closing quotes in a buffer of records; the last one may stay open."""

    opened: IntArray
    closed: IntArray

    @property
    def unclosed(self) -> int | None:
        """The position of the quote that never closes, if there is one."""
        number = len(self.opened) - 1
        if len(self.closed) > number:
            return None
        # A doubled quote counts as closing and opening again, so the field may have begun further up.
        while number > 0 and self.closed[number - 1] == self.opened[number] - 1:
            number -= 1
        return int(self.opened[number])

    def end_after(self, position: int) -> int | None:
        """Return where the quotes around `position` close: None if there are none, 0 if they never close."""
        number = int(np.searchsorted(self.opened, position)) - 1
        if number < 0 or (number < len(self.closed) and self.closed[number] < position):
            return None
        return int(self.closed[number]) if number < len(self.closed) else 0


class Record(NamedTuple):
    """A record of delimited text.

    Parameters
    ----------
    line : int
        The number of its first line in the buffer, from 0.
    start, end : int
        Its position in the buffer, line end included.
    fields : tuple of bytes
        The fields without their quotes.
    blank : bool
        Whether it is an empty line.
    open_quote : bool
        Whether the buffer ends inside a quoted field of the record.
    """

    line: int
    start: int
    end: int
    fields: tuple[bytes, ...]
    blank: bool
    open_quote: bool


def line_end(buffer: bytes, position: int, *, last: bool) -> int | None:
    """Return the end of the first line that ends after `position`; None if the buffer is too short.

    Parameters
    ----------
    buffer : bytes
    position : int
    last : bool
        Whether the buffer reaches the end of the text. Otherwise a final carriage return may be half a line end.
    """
    feed = buffer.find(b"\n", position)
    returned = buffer.find(RETURN, position, len(buffer) if feed < 0 else feed)
    if returned < 0 or returned == feed - 1:
        return None if feed < 0 else feed + 1
    return None if returned == len(buffer) - 1 and not last else returned + 1


def record_end(buffer: bytes, position: int, quotes: Quotes, *, last: bool) -> int | None:
    """Return the end of the first record that ends after `position`; None if the buffer is too short.

    The buffer begins with a record; see `line_end` for `last`.
    """
    while (end := line_end(buffer, position, last=last)) is not None:
        closed = quotes.end_after(end - 1)
        if closed is None:
            return end
        if not closed:
            return None
        position = closed + 1
    return None


def likely_record_end(buffer: bytes, dialect: Dialect, *, last: bool) -> int | None:
    """Return the end of the first record in a buffer that starts anywhere, even within quotes, if it can be told.

    Quotes come in turns: taken as opening ones, either those in odd places or those in even places follow the end of a
    field more often, and the others come before one.
    """
    data = np.frombuffer(buffer, dtype=np.uint8)
    places = np.flatnonzero(data == QUOTE[0])
    first, second = places[::2], places[1::2]
    outside, inside = Quotes(first, second), Quotes(second, first[1:])
    marks = field_marks(dialect.delimiter)
    fits = [_around_fields(data, quotes, marks) for quotes in (outside, Quotes(second, first))]
    if fits[0] >= fits[1]:
        return record_end(buffer, 0, outside, last=last)
    return record_end(buffer, int(places[0]) + 1, inside, last=last)


def _around_fields(data: Bytes, quotes: Quotes, marks: BoolArray) -> int:
    """Return how many quotes that open or close have the end of a field beside them."""
    before = data[quotes.opened[quotes.opened > 0] - 1]
    after = data[quotes.closed[quotes.closed < len(data) - 1] + 1]
    return int(np.count_nonzero(marks[before]) + np.count_nonzero(marks[after]))


def stray_text(buffer: bytes, quotes: Quotes, dialect: Dialect) -> int | None:
    """Return the position of the first text that follows a closing quote."""
    opened, closed = quotes
    following = closed + 1
    if len(following) and following[-1] == len(buffer):
        following = following[:-1]
    fits = field_marks(dialect.delimiter)[np.frombuffer(buffer, dtype=np.uint8)[following]]
    # A doubled quote closes and reopens at once.
    reopened = opened[1 : len(following) + 1]
    fits[: len(reopened)] |= reopened == following[: len(reopened)]
    return None if fits.all() else int(following[np.argmin(fits)])


@lru_cache
def field_marks(delimiter: bytes) -> BoolArray:
    """Return a table of the 256 bytes: which of them end a field."""
    marks = np.zeros(256, dtype=bool)
    marks[[delimiter[0], LINE_FEED, CARRIAGE_RETURN]] = True
    return marks


def quotes_of(buffer: bytes, dialect: Dialect) -> Quotes:
    """Return the quotes in a buffer that begins with a record, except those in comments."""
    data = np.frombuffer(buffer, dtype=np.uint8)
    quotes = np.flatnonzero(data == QUOTE[0])
    comments = _comments(buffer, dialect)
    if comments:
        starts, ends = np.array(comments).T
        # The first entry stands for "no earlier comment".
        quotes = quotes[np.concatenate([[0], ends])[np.searchsorted(starts, quotes)] <= quotes]
    opened, closed = quotes[::2], quotes[1::2]
    # Quotes open and close in turn if every opening one begins a field or is the second half of a doubled quote.
    before = data[opened - 1]
    starts = field_marks(dialect.delimiter)[before] | (before == QUOTE[0])
    if len(opened) and opened[0] == 0:
        starts[0] = True
    if starts.all():
        return Quotes(opened, closed)
    return _one_by_one(buffer, quotes, dialect)


def _one_by_one(buffer: bytes, quotes: IntArray, dialect: Dialect) -> Quotes:
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
    return Quotes(np.array(opened, dtype=np.int64), np.array(closed, dtype=np.int64))


@lru_cache
def _field_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    mark = re.escape(delimiter)
    return re.compile(
        rb'(?:"(?P<quoted>[^"]*(?:""[^"]*)*)(?P<closed>"|\Z))?'
        rb"(?P<plain>[^\r\n" + mark + rb"]*)(?P<end>" + mark + rb"|\r\n|\r|\n|\Z)"
    )


def records(buffer: bytes, dialect: Dialect) -> Iterator[Record]:
    """Yield the records of a buffer that begins with one, without comments; slow and exact."""
    field, comment = _field_pattern(dialect.delimiter), dialect.comment
    position = line = 0
    while position < len(buffer):
        start = position
        if comment is not None and buffer.startswith(comment, position):
            position = _line_end(buffer, position)
        else:
            fields: list[bytes] = []
            while True:
                match = field.match(buffer, position)
                assert match is not None  # noqa: S101 - the pattern matches anything, even nothing
                fields.append((match["quoted"] or b"").replace(b'""', QUOTE) + match["plain"])
                position = match.end()
                if match["end"] != dialect.delimiter:
                    break
            blank = position - start == len(match["end"])
            yield Record(line, start, position, tuple(fields), blank, match["closed"] == b"")
        line += count_lines(buffer[start:position])


def data_records(buffer: bytes, dialect: Dialect, *, single: bool) -> Iterator[Record]:
    """Yield the records that are rows: a blank line is a row only in a single column."""
    return (record for record in records(buffer, dialect) if single or not record.blank)


def _line_end(buffer: bytes, position: int) -> int:
    end = re.compile(rb"\r\n|\r|\n|\Z").search(buffer, position)
    return len(buffer) if end is None else end.end()


def count_lines(text: bytes) -> int:
    """Count the line ends in a text."""
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


def count_blank_lines(text: bytes | memoryview, dialect: Dialect) -> int:
    """Count the blank lines outside quotes in a text that begins with a record."""
    data = np.frombuffer(text, dtype=np.uint8)
    feeds, returns = data == LINE_FEED, data == CARRIAGE_RETURN
    ends = feeds | returns
    blank = ends.copy()
    # A line end right after another one is a blank line, except the line feed after a carriage return.
    blank[1:] &= ends[:-1]
    blank[1:] &= ~(feeds[1:] & returns[:-1])
    places = np.flatnonzero(blank)
    if not places.size:
        return 0
    opened, closed = quotes_of(bytes(text), dialect)
    return int(np.count_nonzero(np.searchsorted(opened, places) == np.searchsorted(closed, places)))


def without_comments(buffer: bytes, dialect: Dialect) -> bytes:
    """Return a buffer that begins with a record, without its comment lines.

    A line inside a quoted field is data whatever it begins with, and a quote inside a comment opens nothing.
    """
    kept, position = [], 0
    for start, end in _comments(buffer, dialect):
        # A comment between a carriage return and a line feed keeps two line ends apart; they must not merge.
        apart = buffer[start - 1 : start] == RETURN and buffer[end : end + 1] == b"\n"
        kept += [buffer[position : start - 1], b"\n"] if apart else [buffer[position:start]]
        position = end
    return b"".join([*kept, buffer[position:]]) if kept else buffer


def _comments(buffer: bytes, dialect: Dialect) -> list[tuple[int, int]]:
    """Return where comments begin and end in a buffer that begins with a record; adjacent lines are one comment."""
    mark = dialect.comment
    if mark is None or mark not in buffer:
        return []
    found = _quotes_and_comments(dialect.delimiter, mark).finditer(buffer)
    return [match.span() for match in found if buffer.startswith(mark, match.start())]


@lru_cache
def _quotes_and_comments(delimiter: bytes, comment: bytes) -> re.Pattern[bytes]:
    """Return a pattern that matches quoted fields and comments, searched from the start of a record.

    Each alternative begins with its literal character and looks back from there, so the search can skip ahead to it.
    """
    mark, before = re.escape(comment), rb"[^\r\n" + re.escape(delimiter) + rb"]"
    rest = rb"[^\r\n]*(?:\r\n|\r|\n|\Z)"
    commented = mark + rb"(?<![^\r\n]" + mark + rb")" + rest + rb"(?:" + mark + rest + rb")*"
    return re.compile(rb'"(?<!' + before + rb'")[^"]*(?:""[^"]*)*(?:"|\Z)|' + commented)
