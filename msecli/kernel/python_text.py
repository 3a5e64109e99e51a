"""The pure-Python kernel for delimited text.

Arrow's parser reads what it can; the rest, and short texts, are read record by record, which is slow and defines what
is right: `_by_record`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from msecli.kernel.interface import (
    Bytes,
    Dialect,
    Fault,
    Found,
    Kind,
    Problem,
    Scan,
    State,
    Texts,
    Wanted,
    check_request,
)

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST_BUFFER = 2**31 - 1
LAST_EXACT_INTEGER = 2**53
SHORT = 1 << 16
"""Up to this size, importing Arrow costs more than it saves."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE = re.compile(r"[+-]?(\d+)", re.ASCII)
NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE | re.ASCII)
INTEGER = re.compile(r"-?[1-9]\d{0,18}|0", re.ASCII)
BLANKS = " \t"
MARK = b"\xef\xbb\xbf"
"""The byte order mark."""

Value = float | int | str | None


class Refused(Exception):  # noqa: N818 - it is not an error yet
    """A record that cannot be read; `at` is where its record or field begins."""

    def __init__(self, problem: Problem, column: int, at: int) -> None:
        super().__init__(problem, column, at)
        self.problem, self.column, self.at = problem, column, at


class Cut(NamedTuple):
    """Records of a text: the rows, without what lies between them, and where they end."""

    text: bytes
    end: int
    blank: int
    blank_at_end: int
    comments: int


def scan(
    buffer: Bytes, dialect: Dialect, wanted: Sequence[Wanted], *, stop: int | None = None, last: bool = True
) -> Scan:
    """See `msecli.kernel.interface.Kernel`."""
    check_request(dialect, wanted)
    text = _checked(buffer)
    stop = len(text) if stop is None else stop
    if len(text) > SHORT:
        cut = _cut(text, dialect, stop, last=last)
        columns = _by_arrow(cut.text, dialect, wanted)
        if columns is not None:
            rows, found = columns
            rest = _by_record(text, dialect, wanted, cut.end, stop, last=last)
            fault = None if rest.fault is None else rest.fault._replace(row=rows)
            return Scan(rows, cut.end, tuple(found), cut.blank, cut.blank_at_end, cut.comments, fault)
    return _by_record(text, dialect, wanted, 0, stop, last=last)


def crossing(buffer: Bytes, dialect: Dialect) -> tuple[State, ...]:
    """See `msecli.kernel.interface.Kernel`."""
    text = _checked(buffer)
    states, position = list(State), 0
    # Readers that begin in different states soon agree, except that one may be within quotes and the other outside.
    while len(set(states)) > 2 and position < len(text):
        states = [_step(state, text[position], dialect) for state in states]
        position += 1
    after = {state: _crossed(state, text[position:], dialect) for state in set(states)}
    return tuple(after[state] for state in states)


def boundary(buffer: Bytes, dialect: Dialect, state: State, *, last: bool = True) -> int | None:
    """See `msecli.kernel.interface.Kernel`."""
    text = _checked(buffer)
    for position, byte in enumerate(text):
        if state == State.RECORD or (state == State.RETURN and byte != ord("\n")):
            return position
        state = _step(state, byte, dialect)
    return len(text) if state == State.RECORD or last else None


def _checked(buffer: Bytes) -> bytes:
    if len(buffer) > LARGEST_BUFFER:
        raise ValueError("the buffer is larger than 2 GiB")
    return bytes(buffer)


def _crossed(state: State, text: bytes, dialect: Dialect) -> State:
    quote, position = dialect.quote.encode(), 0
    if text and state not in (State.QUOTED, State.COMMENT) and _is_plain(text, dialect):
        return _step(State.PLAIN, text[-1], dialect)
    while position < len(text):
        if state == State.QUOTED:
            found = text.find(quote, position)
            if found < 0:
                return State.QUOTED
            position = found
        elif state == State.RECORD:
            end = _records(dialect, last=False).match(text, position).end()  # type: ignore[union-attr] # even nothing
            if end > position:
                position = end
                state = State.RETURN if text[end - 1 : end] == b"\r" else State.RECORD
                continue
        state = _step(state, text[position], dialect)
        position += 1
    return state


def _step(state: State, byte: int, dialect: Dialect) -> State:
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


def _is_plain(text: bytes, dialect: Dialect) -> bool:
    """Tell whether a text has no quotes and no comments, so that every line is a record."""
    return not any(mark is not None and mark.encode() in text for mark in (dialect.quote, dialect.comment))


@lru_cache
def _records(dialect: Dialect, *, last: bool) -> re.Pattern[bytes]:
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
def _between(dialect: Dialect, *, last: bool) -> re.Pattern[bytes]:
    """Return a pattern of a comment, or else of a blank line, that is whole."""
    end = rb"(?:\r\n?+|\n|\Z)" if last else rb"(?:\r\n|\r(?!\Z)|\n)"
    comment = rb"(?P<comment>%b[^\r\n]*+%b)" % (re.escape(dialect.comment.encode()), end) if dialect.comment else b""
    blank = rb"(?P<blank>(?!\Z)%b)" % end if dialect.width > 1 else b""
    return re.compile(b"|".join(filter(None, [comment, blank])) or rb"(?!)")


def _cut(text: bytes, dialect: Dialect, stop: int, *, last: bool) -> Cut:
    """Return the rows among the whole records that begin before `stop`, up to the first fault of quotes."""
    no_blanks = dialect.width == 1 or not (b"\n\n" in text or text.startswith(b"\n"))
    if no_blanks and b"\r" not in text and _is_plain(text, dialect):
        # Every line is a row.
        at = text.find(b"\n", stop - 1) if stop else -1
        end = at + 1 if at >= 0 or not stop else len(text) if last else text.rfind(b"\n") + 1
        return Cut(text[:end], end, 0, 0, 0)
    pieces: list[bytes] = []
    position = blank = blank_at_end = comments = 0
    while position < min(stop, len(text)):
        # Records that end before `stop`; then one, with what follows cut off, that ends after it.
        inside = _records(dialect, last=last and stop >= len(text)).match(text, position, stop)
        end = position if inside is None else inside.end()
        if end == position:
            border = boundary(text[position + 1 :], dialect, _step(State.RECORD, text[position], dialect), last=last)
            if border is None:
                break
            after = position + 1 + border
            whole = _records(dialect, last=True).match(text, position, after)
            end = position if whole is None else whole.end()
        if end > position:
            blank_at_end = 0
            # A comment between a carriage return and a line feed keeps two line ends apart; they must not merge.
            if pieces and pieces[-1][-1:] == b"\r" and text[position : position + 1] == b"\n":
                pieces[-1] = pieces[-1][:-1] + b"\n"
            pieces.append(text[position:end])
            position = end
            continue
        between = _between(dialect, last=last).match(text, position)
        if between is None:
            break
        comments += between.lastgroup == "comment"
        blank += between.lastgroup == "blank"
        blank_at_end += between.lastgroup == "blank"
        position = between.end()
    return Cut(b"".join(pieces), position, blank, blank_at_end, comments)


@lru_cache
def _field(dialect: Dialect) -> re.Pattern[bytes]:
    mark, quote = re.escape(dialect.delimiter.encode()), re.escape(dialect.quote.encode())
    return re.compile(
        rb"(?:%b(?P<quoted>[^%b]*+(?:%b%b[^%b]*+)*+)(?P<closed>%b|\Z))?+" % (*[quote] * 6,)
        + rb"(?P<plain>[^\r\n%b]*+)(?P<end>%b|\r\n|\r|\n|\Z)" % (mark, mark)
    )


def _by_record(text: bytes, dialect: Dialect, wanted: Sequence[Wanted], start: int, stop: int, *, last: bool) -> Scan:
    """Scan a text from `start` on, record by record."""
    rows: list[list[tuple[Value, int, int]]] = []
    position, blank, blank_at_end, comments = start, 0, 0, 0
    fault = None
    comment = None if dialect.comment is None else dialect.comment.encode()
    while position < min(stop, len(text)):
        begun = _step(State.RECORD, text[position], dialect)
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
        row += [_value(field, each, dialect, at) for each in wanted if each.column == column]
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


def _value(field: bytes, wanted: Wanted, dialect: Dialect, at: int) -> tuple[Value, int, int]:
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
    missed, overflowed, rounded = (
        (sum(each) for each in (absent.tolist(), *list(zip(*fields, strict=True))[1:])) if (fields) else (0, 0, 0)
    )
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


def _by_arrow(text: bytes, dialect: Dialect, wanted: Sequence[Wanted]) -> tuple[int, list[Found]] | None:
    """Return the rows of a text and its columns, or None if there may be a fault."""
    import pyarrow as pa

    if not text or not wanted or dialect.thousands is not None or not dialect.blanks:
        return None
    types = [pa.float64() if kind == Kind.NUMBER else pa.string() for _, kind, _ in wanted]
    try:
        arrays = _parsed(text, dialect, [column for column, _, _ in wanted], types)
        found = [_converted(array, each) for array, each in zip(arrays, wanted, strict=True)]
        for number, (each, column) in enumerate(zip(wanted, found, strict=True)):
            if each.kind == Kind.NUMBER:
                found[number] = _with_inexact(column, text, dialect, each)
    except (pa.ArrowException, UnicodeDecodeError, Refused):
        return None
    return len(arrays[0]), found


def _parsed(text: bytes, dialect: Dialect, columns: Sequence[int], types: Sequence[pa.DataType]) -> list[pa.Array]:
    """Return columns of a text as Arrow reads them; a text is parsed again for a column that is wanted twice."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    # Arrow drops a byte order mark from the start of any text; here it is data.
    source = pa.py_buffer(MARK + text if text.startswith(MARK) else text)
    arrays: dict[int, pa.Array] = {}
    left = list(range(len(columns)))
    while left:
        now = {columns[number]: number for number in reversed(left)}
        table = pa_csv.read_csv(
            pa.BufferReader(source),
            pa_csv.ReadOptions(
                use_threads=False,
                # A single block: no record straddles a border, and each column is one array.
                block_size=len(source) + 1,
                column_names=[str(column) for column in range(dialect.width)],
            ),
            pa_csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote,
                newlines_in_values=True,
                ignore_empty_lines=False,
            ),
            pa_csv.ConvertOptions(
                column_types={str(column): types[number] for column, number in now.items()},
                include_columns=[str(column) for column in now],
                null_values=list(dialect.missing),
                strings_can_be_null=True,
                decimal_point=dialect.decimal,
            ),
        )
        for number, column in zip(now.values(), table.columns, strict=True):
            arrays[number] = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        left = [number for number in left if number not in arrays]
    return [arrays[number] for number in range(len(columns))]


def _converted(array: pa.Array, wanted: Wanted) -> Found:
    """Return a column as it was wanted, or raise `Refused`."""
    import pyarrow as pa

    missed = array.null_count
    absent = None
    if missed and wanted.kind in (Kind.INTEGER, Kind.TEXT):
        absent = np.array(array.is_null().to_numpy(zero_copy_only=False))
    if wanted.kind == Kind.NUMBER:
        numbers = np.array(array.fill_null(np.nan).to_numpy()) if missed else np.array(array.to_numpy())
        if np.count_nonzero(np.isnan(numbers)) != missed:
            raise Refused("number", wanted.column, 0)  # Arrow also reads words such as nan(ind) as NaN
        return Found(numbers, None, missed, 0, 0)
    if wanted.kind == Kind.TRUTH:
        words = set(array.unique().to_pylist()) - {None}
        if words - set(wanted.words):
            raise Refused("truth", wanted.column, 0)  # or it has blanks around it
        numbers = np.array([np.nan if word is None else word == wanted.words[0] for word in array.to_pylist()])
        return Found(numbers.astype(np.float64), None, missed, 0, 0)
    array = array.fill_null("0" if wanted.kind == Kind.INTEGER else "") if missed else array
    if wanted.kind == Kind.INTEGER:
        integers = array.cast(pa.int64())
        if not integers.cast(pa.string()).equals(array):
            raise Refused("integer", wanted.column, 0)
        return Found(np.array(integers.to_numpy()), absent, missed, 0, 0)
    _, ends, data = array.buffers()
    bounds = np.frombuffer(ends, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    return Found(
        Texts(np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]], bounds - bounds[0]), absent, missed, 0, 0
    )


def _with_inexact(found: Found, text: bytes, dialect: Dialect, wanted: Wanted) -> Found:
    """Count the fields that float64 cannot hold; only large values can be such, and these are read again as text."""
    import pyarrow as pa

    assert isinstance(found.values, np.ndarray)  # noqa: S101 - it is a column of numbers
    rows = np.flatnonzero(np.abs(found.values) >= LAST_EXACT_INTEGER)
    if not rows.size:
        return found
    (fields,) = _parsed(text, dialect, [wanted.column], [pa.string()])
    flags = [_value(str(fields[row]).encode(), wanted, dialect, 0)[1:] for row in rows.tolist()]
    return found._replace(overflowed=sum(flag for flag, _ in flags), rounded=sum(flag for _, flag in flags))
