"""The head of delimited text: its dialect, its column names and its first rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from msecli.errors import DataError, UsageError, setting, shown
from msecli.places.base import InputFile
from msecli.text.encoding import DialectError, check_text
from msecli.text.grammar import COMMENT_MARKS, MISSING, Grammar
from msecli.text.reading import Reading
from msecli.text.records import Dialect, Record, data_records, records
from msecli.tuples import NamedTuple

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
    header : bool
        Whether the first line holds the names.
    """

    data: int
    names: tuple[str, ...]
    dialect: Dialect
    first_rows: tuple[Record, ...]
    empty: bool
    header: bool = True


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
        whole, longest = not file.reaches(len(buffer)), len(buffer) >= LONGEST_HEAD
        if whole or longest or _holds_a_record(buffer.removeprefix(BYTE_ORDER_MARK), dialect):
            head = head_of(file.path, buffer, dialect, reading, whole=whole)
            if whole or longest or head.first_rows:
                _check_names(file.path, head, reading)
                return head
        size *= 4


def _holds_a_record(text: bytes, dialect: Dialect) -> bool:
    """Tell whether a record that is not blank ends before the text does."""
    return any(not record.blank and record.end < len(text) for record in records(text, dialect))


def head_of(path: str, buffer: bytes, dialect: Dialect, reading: Reading, *, whole: bool) -> Head:
    """Return the head of a file from its first bytes.

    Raises
    ------
    DataError
        If its first line cannot be decoded.
    """
    start = len(BYTE_ORDER_MARK) if buffer.startswith(BYTE_ORDER_MARK) else 0
    first = next((record for record in records(buffer[start:], dialect) if not record.blank), None)
    if first is None:
        raise DataError(f"{path}: the file holds nothing but blank lines and comments")
    numbered = tuple(map(str, range(len(first.fields))))
    if reading.header is False:
        return _with_rows(buffer, start, numbered, dialect, whole=whole, header=False)
    head = _with_rows(buffer, start + first.end, _names(path, first), dialect, whole=whole)
    grammar = grammar_of(reading)
    numbers = reading.header is None and all(map(grammar.is_finite, head.names))
    if numbers and is_row(head.names, [*map(fields_of, head.first_rows)], grammar):
        return _with_rows(buffer, start, numbered, dialect, whole=whole, header=False)
    return head


def grammar_of(reading: Reading, names: tuple[str, ...] = ()) -> Grammar:
    """Return how the fields are written."""
    return Grammar(names, reading.decimal, (*MISSING, *reading.na_values), reading.thousands or "")


def _names(path: str, first: Record) -> tuple[str, ...]:
    if first.open_quote:
        raise DataError(f"{path}, line {first.line + 1}: the quote opened in the header is never closed")
    try:
        return tuple(field.decode() for field in first.fields)
    except UnicodeDecodeError as error:
        raise DialectError(
            f"{path}, line {first.line + 1}: byte 0x{error.object[error.start]:02X} in the column names is not UTF-8",
            "use `encoding`, such as `encoding=cp1252`",
        ) from error


def _with_rows(
    buffer: bytes, data: int, names: tuple[str, ...], dialect: Dialect, *, whole: bool, header: bool = True
) -> Head:
    """Return the head with the first rows, except one that the end of the buffer may have cut off."""
    text = buffer[data:]
    if len(names) > 1:
        text = text.lstrip(b"\r\n")
    found = islice(data_records(text, dialect, single=len(names) == 1), SAMPLE_ROWS)
    rows = tuple(found if whole else (row for row in found if row.end < len(text)))
    return Head(data, names, dialect, rows, empty=whole and not rows, header=header)


def fields_of(row: Record) -> tuple[str, ...]:
    """Return the fields of a row as text; bytes that are not UTF-8 are replaced."""
    return tuple(field.decode(errors="replace") for field in row.fields)


def are_counted(names: Sequence[str]) -> bool:
    """Tell whether names are 0, 1, … as pandas calls columns without names; a lone 0 only beside an empty name."""
    numbers = [name for name in names if name]
    return len(names) > 1 and bool(numbers) and numbers == [*map(str, range(len(numbers)))]


def is_row(fields: Sequence[str], rows: Sequence[Sequence[str]], grammar: Grammar) -> bool:
    """Tell whether a line is a row like those below it: integers over integers, decimals over decimals, none twice."""
    kinds = [grammar.kind(field) for field in fields]
    if not rows or len(set(fields)) < len(fields) or not set(kinds) <= {"integer", "decimal"} or are_counted(fields):
        return False
    if any(len(row) != len(fields) for row in rows):
        return False
    below = zip(*(map(grammar.kind, row) for row in rows), strict=True)
    return all({kind} == set(column) - {""} for kind, column in zip(kinds, below, strict=True))


def _check_first_row(path: str, head: Head, reading: Reading) -> None:
    """Refuse a first row of words above numbers: it is a header."""
    grammar = grammar_of(reading)
    first, *below = [[*map(grammar.kind, fields_of(row))] for row in head.first_rows[:2]] or [[]]
    if below and set(first) == {"text"} and {"integer", "decimal"}.intersection(below[0]):
        line = shown(head.dialect.delimiter.decode().join(fields_of(head.first_rows[0])))
        raise DataError(f"{path}: the first line is {line}, above numbers; if these are names, use `header=True`")


def _check_names(path: str, head: Head, reading: Reading) -> None:
    """Refuse a header that is none, as far as can be told."""
    if not head.header:
        _check_first_row(path, head, reading)
        return
    names, rows, delimiter = head.names, head.first_rows, head.dialect.delimiter.decode()
    if reading.header is None and all(map(grammar_of(reading).is_number, names)):
        raise DataError(
            f"{path}: the first line holds only numbers ({shown(delimiter.join(names))}); "
            "use `header=False` if it is data, `header=True` if these are names"
        )
    mark = names[0].lstrip()[:1]
    if names[0].lstrip().startswith(COMMENT_MARKS) and rows and len(rows[0].fields) != len(names):
        raise DialectError(
            f"{path}: the first line is {shown(names[0])}", f"if it is a comment, use {setting('comment', mark)}"
        )
    other = next((mark for mark in OTHER_DELIMITERS if mark != delimiter and mark in names[0]), None)
    if len(names) == 1 and other is not None:
        raise DialectError(f"{path}: one column found, {shown(names[0])}", f"is the delimiter {other!r}?")


def check_reading(reading: Reading, delimiter: str) -> None:
    """Refuse marks that are not one ASCII character, and one mark for two purposes.

    A mark that is also the delimiter must stand in quotes. For the decimal mark that is rare, so the delimiter has to
    be named, too.

    Raises
    ------
    UsageError
    """
    marked = {"delimiter": reading.delimiter, "decimal": reading.decimal, "comment": reading.comment}
    for name, mark in marked.items():
        if mark is not None and (len(mark) != 1 or ord(mark) > 127 or mark in '"\r\n'):
            raise UsageError(f"`{name}` must be one ASCII character other than a quote or a line end, not {mark!r}")
    thousands = reading.thousands
    if thousands is not None and (len(thousands) != 1 or thousands.isalnum() or thousands in '"\r\n+-'):
        raise UsageError(f"`thousands` must be one mark, such as a point, a comma or a blank, not {thousands!r}")
    if reading.decimal == reading.thousands:
        raise UsageError(f"`decimal` and `thousands` cannot both be {reading.decimal!r}; name both of them")
    if reading.decimal == delimiter and reading.delimiter is None:
        raise UsageError(
            f"`decimal` and `delimiter` cannot both be {reading.decimal!r}; "
            "name the delimiter of the file: `delimiter=CHAR`"
        )
