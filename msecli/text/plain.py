"""The fast path: numbers from plain delimited text, without parsing the other columns.

NumPy finds where fields end, and Arrow converts the wanted ones; Arrow's own parser would take apart every field of
every column. Text that is not plain is left to that parser.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from msecli.arrow.functions import cast, is_in
from msecli.core.exact import BoolArray, FloatArray, IntArray
from msecli.text.records import CARRIAGE_RETURN, LINE_FEED, QUOTE, Bytes, Dialect, Text, field_marks

Offsets = NDArray[np.int32]

NOT_PLAIN = b' \t"'
"""What Arrow's parser strips from around a number."""
SAMPLE, WORD = 4096, 8
"""Bytes that are sampled for the distance between marks; bytes searched at once where marks are far apart."""
EVERY_OTHER = 0b01010101
"""Eight bits of a validity bitmap: fields are valid, the gaps between them are null."""


def plain_numbers(text: Text, columns: Sequence[int], missing: Collection[str]) -> list[FloatArray] | None:
    """Return the numbers of some columns, or None if the text is not plain and Arrow's parser has to read it.

    In plain text all lines end alike and have `width` fields, and every wanted field is a number without blanks or
    quotes around it, or a word for missing.

    Parameters
    ----------
    text : Text
    columns : sequence of int
        The wanted columns, in ascending order.
    missing : collection of str
        The words that mean missing; none begins like a number.
    """
    lines = _lines(text)
    if lines is None:
        return None
    offsets = _offsets(lines, columns, _line_end(text, lines[:, -1]))
    if offsets is None:
        return None
    is_missing = _missing(text.data, offsets, missing)
    if is_missing is None:
        return None
    try:
        values = cast(_fields(text.data, offsets, is_missing), pa.float64())
    except pa.ArrowInvalid:
        return None
    found = np.frombuffer(values.buffers()[1], dtype=np.float64, count=len(values))[::2]
    numbers = np.ascontiguousarray(found.reshape(is_missing.shape).T)
    if is_missing.any():
        numbers[is_missing.T] = np.nan
    # Arrow also reads words such as nan(ind) as NaN; the slow path has to refuse them.
    return list(numbers) if np.count_nonzero(np.isnan(numbers)) == np.count_nonzero(is_missing) else None


def _lines(text: Text) -> IntArray | None:
    """Return where fields end, shape (lines, width), or None if a line has another number of fields."""
    data, delimiter = text.data, text.dialect.delimiter[0]
    if not data.size or data[-1] != LINE_FEED:
        return None
    marks = data == delimiter
    marks |= data == LINE_FEED
    if text.quoted:
        marks |= data == QUOTE[0]
    ends = _positions(marks)
    found = data.take(ends)
    line_feeds = found == LINE_FEED
    if text.quoted:
        quotes = found == QUOTE[0]
        if not _are_around_fields(data, ends.take(np.flatnonzero(quotes)), text.dialect):
            return None
        # A position is outside quotes if an even number of them precedes it.
        outside = ~np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(np.bool_)
        line_feeds &= outside
        ends = ends[outside & ~quotes]
    count = np.count_nonzero(line_feeds)
    if not count or data[-1] != LINE_FEED or len(ends) != count * text.width:
        return None
    lines = ends.reshape(count, text.width)
    # There are as many line feeds as lines and one ends each line, so there is none elsewhere.
    return lines if (data.take(lines[:, -1]) == LINE_FEED).all() else None


def _positions(marks: BoolArray) -> IntArray:
    """Return `numpy.flatnonzero(marks)`, in half the time if no eight bytes hold two marks."""
    if (np.diff(np.flatnonzero(marks[:SAMPLE])) < WORD).any():
        return np.flatnonzero(marks)
    whole = marks.size // WORD * WORD
    words = marks[:whole].view("<u8")
    ends = np.flatnonzero(words != 0)
    marked = words.take(ends)
    below = marked - np.uint64(1)
    if np.bitwise_and(marked, below, out=marked).any():
        return np.flatnonzero(marks)
    # A word with its mark at byte k is 2**(8 * k), and 2**(8 * k) - 1 has 8 * k bits set.
    ends *= WORD
    ends += np.bitwise_count(below) >> 3
    return np.concatenate([ends, np.flatnonzero(marks[whole:]) + whole])


def _are_around_fields(data: Bytes, quotes: IntArray, dialect: Dialect) -> bool:
    """Tell whether quotes begin and end fields in turn; a doubled quote counts as an end and a beginning."""
    marks = field_marks(dialect.delimiter).copy()
    marks[QUOTE[0]] = True
    opened, closed = quotes[::2], quotes[1::2]
    before, after = data.take(opened[opened > 0] - 1), data.take(closed[closed < len(data) - 1] + 1)
    return len(opened) == len(closed) and bool(marks.take(before).all() and marks.take(after).all())


def _line_end(text: Text, line_feeds: IntArray) -> int | None:
    """Return the length of every line end in bytes, or None if they differ."""
    returns = np.count_nonzero(text.data == CARRIAGE_RETURN) if text.returns else 0
    if not returns:
        return 1
    alike = returns == len(line_feeds) and (text.data.take(line_feeds - 1) == CARRIAGE_RETURN).all()
    return 2 if alike else None


def _offsets(lines: IntArray, columns: Sequence[int], line_end: int | None) -> Offsets | None:
    """Return where fields of some columns begin and end, shape (lines, columns, 2)."""
    if line_end is None:
        return None
    width = lines.shape[1]
    offsets = np.empty((len(lines), len(columns), 2), dtype=np.int32)
    for place, column in enumerate(columns):
        start, end = offsets[:, place].T
        if column > 0:
            start[:] = lines[:, column - 1]
        else:
            start[0], start[1:] = -1, lines[:-1, -1]
        start += 1
        end[:] = lines[:, column]
        if column == width - 1 and line_end > 1:
            end -= line_end - 1
    return offsets


def _missing(data: Bytes, offsets: Offsets, missing: Collection[str]) -> BoolArray | None:
    """Return which fields mean missing, or None if blanks or quotes surround some field."""
    first = data.take(offsets[:, :, 0])
    # Numbers begin with the bytes 43 (+), 45 (-), 46 (.), and 48 to 57 (the digits).
    shifted = first - np.uint8(43)
    is_word: BoolArray = (shifted > 14) | (shifted == 1) | (shifted == 4)
    if not is_word.any():
        return is_word
    if np.isin(first[is_word], np.frombuffer(NOT_PLAIN, dtype=np.uint8)).any():
        return None
    words = _fields(data, offsets[is_word][:, np.newaxis], np.zeros((np.count_nonzero(is_word), 1), dtype=bool))
    is_missing = is_word
    is_missing[is_word] = is_in(words, missing)[::2]
    return is_missing


def _fields(data: Bytes, offsets: Offsets, is_missing: BoolArray) -> pa.Array:
    """View the text as an Arrow string array that alternates fields and (null) gaps; missing fields are null.

    The strings of an Arrow array must be contiguous; with the gaps as elements, no byte is copied.
    """
    size = offsets.size - 1
    if is_missing.any():
        valid = np.zeros(size, dtype=np.bool_)
        valid[::2] = ~is_missing.reshape(-1)
        bitmap = np.packbits(valid, bitorder="little")
    else:
        bitmap = np.full((size + 7) // 8, EVERY_OTHER, dtype=np.uint8)
    return pa.Array.from_buffers(pa.string(), size, [pa.py_buffer(array) for array in (bitmap, offsets, data)])
