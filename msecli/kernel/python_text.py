"""Delimited text in pure Python: Arrow's parser reads what it can, and the rest is read record by record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from msecli.arrays import BoolArray
from msecli.kernel.interface import Bytes, Dialect, Found, Kind, Scan, Texts, Wanted, check_request
from msecli.kernel.python_records import (
    LAST_EXACT_INTEGER,
    LINE_END,
    Refused,
    checked,
    is_plain,
    scan_by_record,
    value_of,
    whole_records,
)
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

SHORT = 1 << 16
"""Up to this size, importing Arrow costs more than it saves."""

MARK = b"\xef\xbb\xbf"
"""The byte order mark."""


class Cut(NamedTuple):
    """The rows of a text, without what lies between them, and where they end: at the first fault of quotes."""

    text: bytes
    end: int
    blank: int


def scan(buffer: Bytes, dialect: Dialect, wanted: Sequence[Wanted]) -> Scan:
    """See `msecli.kernel.interface.Kernel`."""
    check_request(dialect, wanted)
    text = checked(buffer)
    if len(text) > SHORT:
        cut = _cut(text, dialect)
        columns = _by_arrow(cut.text, dialect, wanted)
        if columns is not None:
            rows, found = columns
            rest = scan_by_record(text, dialect, wanted, cut.end)
            fault = None if rest.fault is None else rest.fault._replace(row=rows)
            return Scan(rows, tuple(found), cut.blank, fault)
    return scan_by_record(text, dialect, wanted)


@lru_cache
def _between(dialect: Dialect) -> re.Pattern[bytes]:
    """Return a pattern of a comment, or else of a blank line."""
    end = LINE_END[True].pattern
    comment = rb"%b[^\r\n]*+(?:%b|\Z)" % (re.escape(dialect.comment.encode()), end) if dialect.comment else b""
    blank = rb"(?P<blank>%b)" % end if dialect.width > 1 else b""
    return re.compile(b"|".join(filter(None, [comment, blank])) or rb"(?!)")


def _cut(text: bytes, dialect: Dialect) -> Cut:
    """Return the rows up to the first fault of quotes."""
    no_blanks = dialect.width == 1 or not (b"\n\n" in text or text.startswith(b"\n"))
    if no_blanks and b"\r" not in text and is_plain(text, dialect):
        return Cut(text, len(text), 0)
    pieces: list[bytes] = []
    position = blank = 0
    while position < len(text):
        match = whole_records(dialect, last=True).match(text, position)
        if match is not None and match.end() > position:
            # A comment between a carriage return and a line feed keeps two line ends apart; they must not merge.
            if pieces and pieces[-1][-1:] == b"\r" and text[position : position + 1] == b"\n":
                pieces[-1] = pieces[-1][:-1] + b"\n"
            pieces.append(match[0])
        else:
            match = _between(dialect).match(text, position)
            if match is None:
                break
            blank += match.lastgroup == "blank"
        position = match.end()
    return Cut(b"".join(pieces), position, blank)


def _by_arrow(text: bytes, dialect: Dialect, wanted: Sequence[Wanted]) -> tuple[int, list[Found]] | None:
    """Return the rows of a text and its columns, or None if there may be a fault."""
    import pyarrow as pa

    if not text or not wanted:
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
    absent = _copied(array.is_null().cast(pa.uint8()), np.bool_) if missed else None
    present = array.drop_null() if missed else array
    if wanted.kind == Kind.NUMBER:
        numbers = _spread(_copied(present, np.float64), absent, np.nan)
        if np.count_nonzero(np.isnan(numbers)) != missed:
            raise Refused("number", wanted.column, 0)  # Arrow also reads words such as nan(ind) as NaN
        return Found(numbers, None, missed, 0, 0)
    if wanted.kind == Kind.TRUTH:
        words = set(array.unique().to_pylist()) - {None}
        if words - set(wanted.words):
            raise Refused("truth", wanted.column, 0)  # or it has blanks around it
        numbers = np.array([np.nan if word is None else word == wanted.words[0] for word in array.to_pylist()])
        return Found(numbers.astype(np.float64), None, missed, 0, 0)
    if wanted.kind == Kind.INTEGER:
        integers = present.cast(pa.int64())
        if not integers.cast(pa.string()).equals(present):
            raise Refused("integer", wanted.column, 0)
        return Found(_spread(_copied(integers, np.int64), absent, 0), absent, missed, 0, 0)
    _, ends, data = present.buffers()
    bounds = np.frombuffer(ends, dtype=np.int32)[present.offset : present.offset + len(present) + 1]
    read = np.frombuffer(data or b"", dtype=np.uint8)[bounds[0] : bounds[-1]]
    lengths = _spread(np.diff(bounds, prepend=bounds[:1]), absent if absent is None else np.append(False, absent), 0)
    return Found(Texts(read, np.cumsum(lengths, dtype=np.int32)), absent, missed, 0, 0)


# `to_numpy`, `fill_null` and whatever else takes or makes a scalar imports pandas, if that is installed, which takes
# longer than most runs and keeps 50 MB.


def _copied(array: pa.Array, kind: type[Number]) -> NDArray[Number]:
    """Return the values of an array without nulls."""
    start = array.offset * np.dtype(kind).itemsize
    return np.frombuffer(array.buffers()[1] or b"", dtype=kind, count=len(array), offset=start).copy()


def _spread(values: NDArray[Number], absent: BoolArray | None, missing: float) -> NDArray[Number]:
    """Return values with those that are absent among them."""
    if absent is None:
        return values
    spread = np.full(len(absent), missing, dtype=values.dtype)
    spread[~absent] = values
    return spread


def _with_inexact(found: Found, text: bytes, dialect: Dialect, wanted: Wanted) -> Found:
    """Count the fields that float64 cannot hold; only large values can be such, and these are read again as text."""
    import pyarrow as pa

    assert isinstance(found.values, np.ndarray)  # noqa: S101 - it is a column of numbers
    rows = np.flatnonzero(np.abs(found.values) >= LAST_EXACT_INTEGER)
    if not rows.size:
        return found
    (fields,) = _parsed(text, dialect, [wanted.column], [pa.string()])
    flags = [value_of(str(fields[row]).encode(), wanted, dialect, 0)[1:] for row in rows.tolist()]
    return found._replace(overflowed=sum(flag for flag, _ in flags), rounded=sum(flag for _, flag in flags))
