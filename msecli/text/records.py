"""The records of delimited text: quoted fields may hold line ends, so a line end does not always end a record.

Quoting follows RFC 4180, as the kernels read it: a quote opens only at the start of a field, a doubled quote
inside is a literal quote, and a quote anywhere else is an ordinary character. Text after a closing quote, which
RFC 4180 does not allow, is refused: it is the usual sign of an unclosed quote further up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from msecli.tuples import NamedTuple

QUOTE, RETURN, LINE_FEED = b'"', b"\r", b"\n"


class Dialect(NamedTuple):
    """The bytes that separate fields and mark comments."""

    delimiter: bytes = b","
    comment: bytes | None = None


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


@lru_cache
def _field_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    mark = re.escape(delimiter)
    return re.compile(
        rb'(?:"(?P<quoted>[^"]*(?:""[^"]*)*)(?P<closed>"|\Z))?'
        rb"(?P<plain>[^\r\n" + mark + rb"]*)(?P<end>" + mark + rb"|\r\n|\r|\n|\Z)"
    )


def records(buffer: bytes, dialect: Dialect) -> Iterator[Record]:
    """Return the records of a buffer that begins with one, without comments; slow and exact."""
    if QUOTE not in buffer and RETURN not in buffer and dialect.comment is None:
        return _lines(buffer, dialect.delimiter)
    return _fields(buffer, dialect)


def _fields(buffer: bytes, dialect: Dialect) -> Iterator[Record]:
    """Yield the records of a buffer, read field by field."""
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


def _lines(buffer: bytes, delimiter: bytes) -> Iterator[Record]:
    """Yield the records of a buffer in which each is a line: most files begin like this, and many are small."""
    position = line = 0
    while position < len(buffer):
        end = buffer.find(LINE_FEED, position)
        text = buffer[position:] if end < 0 else buffer[position:end]
        after = len(buffer) if end < 0 else end + 1
        yield Record(line, position, after, tuple(text.split(delimiter)), not text, open_quote=False)
        position, line = after, line + 1


def data_records(buffer: bytes, dialect: Dialect, *, single: bool) -> Iterator[Record]:
    """Return the records that are rows: a blank line is a row only in a single column."""
    found = records(buffer, dialect)
    return found if single else (record for record in found if not record.blank)


def _line_end(buffer: bytes, position: int) -> int:
    end = re.compile(rb"\r\n|\r|\n|\Z").search(buffer, position)
    return len(buffer) if end is None else end.end()


def count_lines(text: bytes) -> int:
    """Count the line ends in a text."""
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")
