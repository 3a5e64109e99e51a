"""Numbers out of delimited text, without parsing what is around them.

NumPy finds where the fields end, and Arrow converts the wanted ones. Arrow's own parser takes every field of every
column apart first. Text that is not plain enough to be cut this way is left to it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from msecli.core.exact import BoolArray, FloatArray, IntArray
from msecli.sources.kernels import cast, is_in
from msecli.sources.records import CARRIAGE_RETURN, LINE_FEED, QUOTE, Bytes, Dialect, Text, field_marks

Offsets = NDArray[np.int32]

NOT_PLAIN = b' \t"'
"""What Arrow's parser takes away from around a number."""
SAMPLE, WORD = 4096, 8
"""Bytes that show how far marks are apart, and bytes looked at as one where they are far."""
EVERY_OTHER = 0b01010101
"""Eight bits of the bitmap that says that fields are there, and the gaps between them are not."""


class OddQuotesError(Exception):
    """There is a quote that neither begins nor ends a field, nor is one of a doubled one; or one is never closed."""


def plain_numbers(text: Text, columns: Sequence[int], missing: Collection[str]) -> list[FloatArray] | None:
    """Return the numbers of some columns, or None if the text is not plain: then Arrow's parser has to read it.

    In plain text all lines end alike and have `width` fields, and the wanted fields are numbers without blanks or
    quotes around them, or say that they are missing.

    Parameters
    ----------
    text : Text
    columns : sequence of int
        Which, in ascending order.
    missing : collection of str
        The words that mean missing, none of which begins like a number.

    Raises
    ------
    OddQuotesError
        If there are such quotes, so that nobody knows whether the text ends inside of one.
    """
    lines = _lines(text)
    if lines is None:
        return None
    offsets = _offsets(lines, columns, _line_end(text, lines[:, -1]))
    if offsets is None:
        return None
    gone = _missing(text.data, offsets, missing)
    if gone is None:
        return None
    try:
        values = cast(_cells(text.data, offsets, gone), pa.float64())
    except pa.ArrowInvalid:
        return None
    fields = np.frombuffer(values.buffers()[1], dtype=np.float64, count=len(values))[::2]
    numbers = np.ascontiguousarray(fields.reshape(gone.shape).T)
    if gone.any():
        numbers[gone.T] = np.nan
    # What else is read as NaN may not be one, as nan(ind) is not.
    return list(numbers) if np.count_nonzero(np.isnan(numbers)) == np.count_nonzero(gone) else None


def _lines(text: Text) -> IntArray | None:
    """Return where the fields end, a row for each line, or None if not all lines have as many."""
    data, delimiter = text.data, text.dialect.delimiter[0]
    if not data.size or (data[-1] != LINE_FEED and not text.quoted):
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
        _check_quotes(data, ends.take(np.flatnonzero(quotes)), text.dialect)
        # Outside of quotes an even number of them has gone before.
        outside = ~np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(np.bool_)
        line_feeds &= outside
        ends = ends[outside & ~quotes]
    count = np.count_nonzero(line_feeds)
    if not count or data[-1] != LINE_FEED or len(ends) != count * text.width:
        return None
    lines = ends.reshape(count, text.width)
    # As many line feeds as lines, and one at the end of each: so there is none elsewhere.
    return lines if (data.take(lines[:, -1]) == LINE_FEED).all() else None


def _positions(marks: BoolArray) -> IntArray:
    """Return where marks are: `numpy.flatnonzero`, in half the time if no two are among the same eight bytes."""
    if (np.diff(np.flatnonzero(marks[:SAMPLE])) < WORD).any():
        return np.flatnonzero(marks)
    whole = marks.size // WORD * WORD
    words = marks[:whole].view("<u8")
    ends = np.flatnonzero(words != 0)
    marked = words.take(ends)
    below = marked - np.uint64(1)
    if np.bitwise_and(marked, below, out=marked).any():
        return np.flatnonzero(marks)
    # A mark at byte k makes the word 2**(8 * k), and one less has 8 * k bits.
    ends *= WORD
    ends += np.bitwise_count(below) >> 3
    return np.concatenate([ends, np.flatnonzero(marks[whole:]) + whole])


def _check_quotes(data: Bytes, quotes: IntArray, dialect: Dialect) -> None:
    """Raise `OddQuotesError` unless quotes begin and end fields in turn; a doubled one ends a field and goes on."""
    marks = field_marks(dialect.delimiter).copy()
    marks[QUOTE[0]] = True
    opened, closed = quotes[::2], quotes[1::2]
    before, after = data.take(opened[opened > 0] - 1), data.take(closed[closed < len(data) - 1] + 1)
    if len(opened) != len(closed) or not (marks.take(before).all() and marks.take(after).all()):
        raise OddQuotesError


def _line_end(text: Text, line_feeds: IntArray) -> int | None:
    """Return how many bytes all lines end in, or None if they do not end alike."""
    returns = np.count_nonzero(text.data == CARRIAGE_RETURN) if text.returns else 0
    if not returns:
        return 1
    alike = returns == len(line_feeds) and (text.data.take(line_feeds - 1) == CARRIAGE_RETURN).all()
    return 2 if alike else None


def _offsets(lines: IntArray, columns: Sequence[int], line_end: int | None) -> Offsets | None:
    """Return where the fields of some columns begin and end, shape (lines, columns, 2)."""
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
    """Return which fields say that they are missing, or None if there are blanks or quotes around some."""
    first = data.take(offsets[:, :, 0])
    # Numbers begin with the bytes 43 (+), 45 (-), 46 (.), and 48 to 57 (the digits).
    shifted = first - np.uint8(43)
    odd: BoolArray = (shifted > 14) | (shifted == 1) | (shifted == 4)
    if not odd.any():
        return odd
    if np.isin(first[odd], np.frombuffer(NOT_PLAIN, dtype=np.uint8)).any():
        return None
    words = _cells(data, offsets[odd][:, np.newaxis], np.zeros((np.count_nonzero(odd), 1), dtype=bool))
    odd[odd] = is_in(words, missing)[::2]
    return odd


def _cells(data: Bytes, offsets: Offsets, gone: BoolArray) -> pa.Array:
    """Return fields, with the gap up to the next field between two of them, which is null as fields gone are.

    So the text stays where it is: the strings of an Arrow array lie one right after the other.
    """
    size = offsets.size - 1
    if gone.any():
        there = np.zeros(size, dtype=np.bool_)
        there[::2] = ~gone.reshape(-1)
        bitmap = np.packbits(there, bitorder="little")
    else:
        bitmap = np.full((size + 7) // 8, EVERY_OTHER, dtype=np.uint8)
    return pa.Array.from_buffers(pa.string(), size, [pa.py_buffer(array) for array in (bitmap, offsets, data)])
