"""The head of delimited text: its dialect, its column names and its first rows."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from msecli.errors import DataError, UsageError, setting, shown
from msecli.places.file import CHUNK_BYTES, InputFile
from msecli.text.encoding import check_text
from msecli.text.grammar import COMMENT_MARKS, Grammar
from msecli.text.reading import Reading
from msecli.text.records import Dialect, Record, count_lines, data_records, records

HEAD_BYTES = 65536
SAMPLE_ROWS = 100
LONGEST_HEAD = 64 << 20
OTHER_DELIMITERS = ";\t|,"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Head(NamedTuple):
    """The start of a file.

    Parameters
    ----------
    data : int
        The position of the first byte below the header.
    names : tuple of str
    dialect : Dialect
    first_rows : tuple of Record
        Up to `SAMPLE_ROWS` complete rows; empty only if the file has no rows, or the first one is too long.
    empty : bool
        Whether the file has no rows.
    """

    data: int
    names: tuple[str, ...]
    dialect: Dialect
    first_rows: tuple[Record, ...]
    empty: bool


def read_head(file: InputFile, reading: Reading, delimiter: str) -> Head:
    """Return the head of a file in UTF-8.

    Raises
    ------
    DataError
        If it is not text, or its first line cannot be a header.
    """
    comment = reading.comment.encode() if reading.comment else None
    dialect = Dialect(delimiter.encode(), comment)
    size = HEAD_BYTES
    while True:
        buffer = file.read(size, 0)
        if size == HEAD_BYTES:
            check_text(file.path, buffer, decoded=reading.encoding is not None)
        start = len(BYTE_ORDER_MARK) if buffer.startswith(BYTE_ORDER_MARK) else 0
        whole, longest = len(buffer) >= file.size, len(buffer) >= LONGEST_HEAD
        first = next((record for record in records(buffer[start:], dialect) if not record.blank), None)
        if whole or longest or (first is not None and start + first.end < len(buffer)):
            data, names = _header(file.path, start, first, reading)
            rows = _first_rows(buffer[data:], dialect, names, whole=whole)
            if whole or longest or rows:
                _check_names(file.path, names, rows, delimiter, reading)
                return Head(data, names, dialect, rows, empty=whole and not rows)
        size *= 4


def _header(path: str, start: int, first: Record | None, reading: Reading) -> tuple[int, tuple[str, ...]]:
    """Return the position of the data and the column names, given the first record that is not blank."""
    if first is None:
        raise DataError(f"{path}: the file holds nothing but blank lines and comments")
    if reading.header is False:
        return start, tuple(map(str, range(len(first.fields))))
    if first.open_quote:
        raise DataError(f"{path}, line {first.line + 1}: the quote opened in the header is never closed")
    try:
        return start + first.end, tuple(field.decode() for field in first.fields)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {first.line + 1}: byte 0x{error.object[error.start]:02X} in the column names is not UTF-8; "
            "use `encoding`, such as `encoding=latin-1`"
        ) from error


def _first_rows(text: bytes, dialect: Dialect, names: tuple[str, ...], *, whole: bool) -> tuple[Record, ...]:
    """Return the first rows, except one that the end of the text may have cut off."""
    if len(names) > 1:
        text = text.lstrip(b"\r\n")
    rows = islice(data_records(text, dialect, single=len(names) == 1), SAMPLE_ROWS)
    return tuple(row for row in rows if whole or row.end < len(text))


def _check_names(path: str, names: tuple[str, ...], rows: tuple[Record, ...], delimiter: str, reading: Reading) -> None:
    if reading.header is False:
        return
    grammar = Grammar(decimal=reading.decimal)
    if reading.header is None and all(grammar.is_number(name) for name in names):
        raise DataError(
            f"{path}: the first line holds only numbers ({shown(delimiter.join(names))}); "
            "use `header=False` if it is data, `header=True` if these are names"
        )
    mark = names[0].lstrip()[:1]
    if names[0].lstrip().startswith(COMMENT_MARKS) and rows and len(rows[0].fields) != len(names):
        raise DataError(f"{path}: the first line is {shown(names[0])}; if it is a comment, use `comment={mark}`")
    other = next((mark for mark in OTHER_DELIMITERS if mark != delimiter and mark in names[0]), None)
    if len(names) == 1 and other is not None:
        advice = setting("delimiter", other)
        raise DataError(f"{path}: one column found, {shown(names[0])}; is the delimiter {other!r}? use {advice}")


def line_number(file: InputFile, position: int) -> int:
    """Return the line number, from 1, of the byte at `position`."""
    count, start, last = 1, 0, b""
    while start < position:
        chunk = file.read(min(CHUNK_BYTES, position - start), start)
        # A line end of two characters may straddle two chunks.
        count += count_lines(last + chunk) - count_lines(last)
        start += len(chunk)
        last = chunk[-1:]
    return count


def check_reading(reading: Reading, delimiter: str) -> None:
    """Refuse marks that are not one ASCII character, and one mark for two purposes.

    Raises
    ------
    UsageError
    """
    marks = {"delimiter": reading.delimiter, "decimal": reading.decimal, "comment": reading.comment}
    for name, mark in marks.items():
        if mark is not None and (len(mark) != 1 or ord(mark) > 127 or mark in '"\r\n'):
            raise UsageError(f"`{name}` must be one ASCII character other than a quote or a line end, not {mark!r}")
    if reading.decimal == (reading.delimiter or delimiter):
        raise UsageError(
            f"`decimal` and `delimiter` cannot both be {reading.decimal!r}; "
            "name the delimiter of the file: `delimiter=CHAR`"
        )
