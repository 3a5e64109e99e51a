"""The head of delimited text: what structures it, and the names of its columns."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from msecli.errors import DataError, UsageError, shown
from msecli.sources.base import Reading
from msecli.sources.cells import COMMENT_MARKS, Grammar
from msecli.sources.encoding import check_text
from msecli.sources.file import CHUNK_BYTES, InputFile
from msecli.sources.records import Dialect, Record, count_lines, records

HEAD_BYTES = 65536
LONGEST_HEAD = 64 << 20
OTHER_DELIMITERS = ";\t|,"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Head(NamedTuple):
    """The start of a file.

    Parameters
    ----------
    buffer : bytes
        From the first byte of the file.
    data : int
        Where the data begin.
    names : tuple of str
    dialect : Dialect
    whole : bool
        Whether the buffer is the whole file.
    """

    buffer: bytes
    data: int
    names: tuple[str, ...]
    dialect: Dialect
    whole: bool


def read_head(file: InputFile, reading: Reading, delimiter: str) -> Head:
    """Return the head of a file in UTF-8.

    Raises
    ------
    DataError
        If it is not text, or its first line cannot be a header.
    """
    size = HEAD_BYTES
    while True:
        buffer = file.read(size, 0)
        if size == HEAD_BYTES:
            check_text(file.path, buffer, decoded=reading.encoding is not None)
        whole = len(buffer) >= file.size
        dialect, first = _first_record(buffer, reading, delimiter)
        if whole or len(buffer) >= LONGEST_HEAD or (first is not None and first.end < len(buffer)):
            return _head(file.path, buffer, dialect, first, reading, whole=whole)
        size *= 4


def _start(buffer: bytes) -> int:
    return len(BYTE_ORDER_MARK) if buffer.startswith(BYTE_ORDER_MARK) else 0


def _first_record(buffer: bytes, reading: Reading, delimiter: str) -> tuple[Dialect, Record | None]:
    """Return what structures the text, and its first record that is not blank."""
    text = buffer[_start(buffer) :]
    comment = reading.comment.encode() if reading.comment else None
    dialect = Dialect(delimiter.encode(), comment=comment)
    first = next((record for record in records(text, dialect) if not record.blank), None)
    if first is not None and text[first.start : first.end].endswith(b"\r"):
        dialect = Dialect(delimiter.encode(), b"\r", comment)
    return dialect, first


def _head(path: str, buffer: bytes, dialect: Dialect, first: Record | None, reading: Reading, *, whole: bool) -> Head:
    if first is None:
        raise DataError(f"{path}: the file holds nothing but blank lines and comments")
    start = _start(buffer)
    if reading.header is False:
        return Head(buffer, start, tuple(map(str, range(len(first.cells)))), dialect, whole)
    if first.open_quote:
        raise DataError(f"{path}, line {first.line + 1}: the quote opened in the header is never closed")
    try:
        names = tuple(cell.decode() for cell in first.cells)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {first.line + 1}: byte 0x{error.object[error.start]:02X} in the column names is not UTF-8; "
            "say --encoding, for example --encoding latin-1"
        ) from error
    head = Head(buffer, start + first.end, names, dialect, whole)
    _check_names(path, head, reading)
    return head


def _check_names(path: str, head: Head, reading: Reading) -> None:
    names, delimiter = head.names, head.dialect.delimiter.decode()
    grammar = Grammar(decimal=reading.decimal)
    if reading.header is None and all(grammar.is_number(name) for name in names):
        raise DataError(
            f"{path}: the first line holds only numbers ({shown(delimiter.join(names))}); "
            "say --no-header if it is data, --header if these are names"
        )
    below = next(islice(records(head.buffer[head.data :], head.dialect), 1), None)
    mark = names[0].lstrip()[:1]
    if names[0].lstrip().startswith(COMMENT_MARKS) and below is not None and len(below.cells) != len(names):
        raise DataError(f"{path}: the first line is {shown(names[0])}; if it is a comment, say --comment {mark!r}")
    other = next((mark for mark in OTHER_DELIMITERS if mark != delimiter and mark in names[0]), None)
    if len(names) == 1 and other is not None:
        raise DataError(f"{path}: one column found, {shown(names[0])}; is the delimiter {other!r}? say --delimiter")


def line_number(file: InputFile, position: int) -> int:
    """Return the number, from 1, of the line that the byte at `position` belongs to."""
    count, start, last = 1, 0, b""
    while start < position:
        chunk = file.read(min(CHUNK_BYTES, position - start), start)
        # A line end of two characters may lie across the border of two chunks.
        count += count_lines(last + chunk) - count_lines(last)
        start += len(chunk)
        last = chunk[-1:]
    return count


def check_reading(reading: Reading, delimiter: str) -> None:
    """Refuse marks that are not one ASCII character, or that two options claim.

    Raises
    ------
    UsageError
    """
    marks = {"--delimiter": reading.delimiter, "--decimal": reading.decimal, "--comment": reading.comment}
    for option, mark in marks.items():
        if mark is not None and (len(mark) != 1 or ord(mark) > 127 or mark in '"\r\n'):
            raise UsageError(f"{option}: {mark!r} is not one ASCII character other than a quote or a line end")
    if reading.decimal == (reading.delimiter or delimiter):
        raise UsageError(
            f"--decimal and --delimiter cannot both be {reading.decimal!r}; "
            "which delimiter does the file use? say --delimiter"
        )
