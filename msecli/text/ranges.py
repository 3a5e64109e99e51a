"""Delimited text cut into ranges of bytes, each of which learns from the one before it where its first record begins.

A range cannot tell by itself: quoted fields may hold line ends, and comments and fields without quotes may hold quotes.
A survey, for machines that each read some of the ranges, guesses it and then sees whether the guess was right.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import count
from operator import itemgetter
from threading import Lock
from typing import NamedTuple

import numpy as np

from msecli import kernel
from msecli.kernel.interface import Dialect
from msecli.places.base import InputFile
from msecli.places.file import CHUNK_BYTES
from msecli.places.stream import StreamFile
from msecli.text.records import count_lines

MARGIN_BYTES, MARGIN_GROWTH = 1 << 14, 8
"""Bytes read beyond a range to complete its last record, and the growth of this margin if they do not suffice."""
LONGEST_RECORD = 256 << 20
FILES = 8
"""Files of which a process keeps in mind what it has learnt for the ranges that other processes send it."""


class Records(NamedTuple):
    """The records of a range.

    Parameters
    ----------
    begin : int
        Where the text begins in the file.
    text : memoryview
    whole : bool
        Whether the last record is whole; not if it is longer than `LONGEST_RECORD`.
    """

    begin: int
    text: memoryview
    whole: bool = True


class Passed(NamedTuple):
    """A range of a stream that has been parsed, or the next one.

    Parameters
    ----------
    begin : int
        Where its first record begins.
    line : int
        The line, from 1, of that record.
    rows_are_lines : bool
        Whether each of its lines is a row.
    """

    begin: int
    line: int
    rows_are_lines: bool = False


class Ranges:
    """The ranges of a text. A record belongs to the range in which it begins.

    Who reads a range finds its end before the records are parsed, and so soon tells all threads where the next one
    begins. What no thread of this process has found yet is looked for, so a process that is given some of the ranges
    looks through those between them, too; `surveyed` spares it that.

    Of a stream that is read once, what has been parsed is forgotten; only the line numbers of its ranges are kept.

    Parameters
    ----------
    file : InputFile
    dialect : Dialect
    start : int
        Where the first range begins.
    size : int
        The bytes of a range; the last one may have fewer.
    begin : int, optional
        Where the first record at or behind `start` begins; by default there.
    """

    def __init__(self, file: InputFile, dialect: Dialect, start: int, size: int, begin: int | None = None) -> None:
        self._file, self._dialect, self._start, self._size = file, dialect, start, size
        self._stream = file if isinstance(file, StreamFile) else None
        # Where the records of each range begin, as far as it is known; None behind a record that is too long.
        self._begins: list[int | None] = [start if begin is None else begin]
        # Of a stream that is forgotten: the ranges that have been parsed, those in order and those ahead of them.
        self._passed: list[Passed] = []
        self._ahead: dict[int, tuple[int, bool]] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[Callable[..., Ranges], tuple[InputFile, Dialect, int, int, int | None]]:
        return _shared, (self._file, self._dialect, self._start, self._size, self._begins[0])

    def stretches(self, ranges: int) -> list[Stretch]:
        """Cut the text into stretches of so many ranges; of the first one it is known where it begins."""
        starts = range(self._start, self._file.size, ranges * self._size)
        cut = [Stretch(self._file, self._dialect, start, self._size, ranges) for start in starts]
        return [cut[0]._replace(begin=self._begins[0]), *cut[1:]]

    def __len__(self) -> int:
        return len(range(self._start, self._file.size, self._size))

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of the ranges; of a stream until its end is seen, so that the last ones may be empty."""
        stream = self._forgotten
        if stream is None:
            yield from range(len(self))
            return
        for number in count():
            if stream.ended and not stream.reaches(self._start + number * self._size):
                return
            yield number

    def once(self) -> None:
        """From now on every range is read once, so that a stream need not be kept."""
        if self._stream is not None:
            self._stream.once()

    def read(self, number: int) -> Records:
        """Return the records that begin in a range."""
        start, buffer = self._start + number * self._size, self._read(number, MARGIN_BYTES)
        with self._lock:
            for before in range(len(self._begins) - 1, number):
                self._learn(before, self._read(before, MARGIN_BYTES))
            if len(self._begins) == number + 1:
                self._learn(number, buffer)
            begin, end = self._begins[number : number + 2]
        if begin is None:
            return Records(start, memoryview(b""))
        if end is None:
            return Records(begin, memoryview(self._read(number, LONGEST_RECORD))[begin - start :], whole=False)
        if end > start + len(buffer):
            buffer = self._file.read(end - start, start)
        return Records(begin, memoryview(buffer)[begin - start : end - start])

    def parsed(self, number: int, text: memoryview, rows: int) -> None:
        """Say that the records of a range have been parsed, and that so many of them are rows.

        Of a stream that is read once, the ranges before the first that has not been parsed are then forgotten.
        """
        stream = self._forgotten
        if stream is None:
            return
        lines = _count_lines(text)
        alike = _rows_are_lines(text, lines, rows)
        with self._lock:
            if not self._passed:
                self._passed.append(Passed(self._start, line_number(self._file, self._start)))
            self._ahead[number] = lines, alike
            while (found := self._ahead.pop(len(self._passed) - 1, None)) is not None:
                last, begin = self._passed[-1], self._begins[len(self._passed)]
                self._passed[-1] = last._replace(rows_are_lines=found[1])
                self._passed.append(Passed(last.begin if begin is None else begin, last.line + found[0]))
            stream.forget(self._start + (len(self._passed) - 1) * self._size)

    def line(self, position: int) -> int:
        """Return the line number, from 1, of the byte at `position`, which has not been forgotten."""
        with self._lock:  # so that nothing is forgotten meanwhile
            passed = self._range_at(position) or Passed(0, 1)
            return line_number(self._file, position, passed.begin, passed.line)

    def line_of_row(self, begin: int, row: int) -> int | None:
        """Return the line of a row, counted from the first one of a range that is forgotten; None if it is unknown."""
        with self._lock:
            passed = self._range_at(begin)
        if passed is None or passed.begin != begin or not passed.rows_are_lines:
            return None
        return passed.line + row

    @property
    def _forgotten(self) -> StreamFile | None:
        """The file, if it is forgotten as it is read."""
        return self._stream if self._stream is not None and self._stream.forgets else None

    def _range_at(self, position: int) -> Passed | None:
        """Return the last range that begins at or before a position, as far as ranges have been parsed."""
        found = bisect_right(self._passed, position, key=itemgetter(0))
        return self._passed[found - 1] if found else None

    def _read(self, number: int, margin: int) -> bytes:
        return self._file.read(self._size + margin, self._start + number * self._size)

    def _learn(self, number: int, buffer: bytes) -> None:
        """Find where the range after the last known one begins."""
        begin, start, margin = self._begins[number], self._start + number * self._size, MARGIN_BYTES
        if begin is None or begin >= start + min(self._size, len(buffer)):
            self._begins.append(begin)
            return
        while True:
            last = not self._file.reaches(start + len(buffer))
            text, place = memoryview(buffer)[begin - start :], start + self._size - begin
            found = kernel.chosen().border(text, self._dialect, place, last=last)
            if found is not None or margin >= LONGEST_RECORD:
                self._begins.append(None if found is None else begin + found)
                return
            margin = min(margin * MARGIN_GROWTH, LONGEST_RECORD)
            buffer = self._read(number, margin)


def line_number(file: InputFile, position: int, start: int = 0, line: int = 1) -> int:
    """Return the line number of the byte at `position`; that at `start` is the first of this line."""
    last = b""
    while start < position:
        chunk = file.read(min(CHUNK_BYTES, position - start), start)
        # A line end of two characters may straddle two chunks.
        line += count_lines(last + chunk) - count_lines(last)
        start += len(chunk)
        last = chunk[-1:]
    return line


def _rows_are_lines(text: memoryview, lines: int, rows: int) -> bool:
    """Tell whether each line is a row, of a text with so many line ends; blank lines may follow the last row."""
    if not bytes(text[-1:]).endswith((b"\r", b"\n")):
        return rows == lines + bool(text)
    return rows == lines or rows == _count_lines(memoryview(bytes(text).rstrip(b"\r\n"))) + 1


def _count_lines(text: memoryview) -> int:
    """Count the line ends in a text; faster than `count_lines`."""
    read = np.frombuffer(text, dtype=np.uint8)
    returns = read == ord("\r")
    feeds = read == ord("\n")
    both = np.count_nonzero(returns[:-1] & feeds[1:]) if returns.any() else 0
    return int(np.count_nonzero(feeds) + np.count_nonzero(returns) - both)


@lru_cache(FILES)
def _shared(file: InputFile, dialect: Dialect, start: int, size: int, begin: int | None) -> Ranges:
    """Return the ranges of a file that another process has sent, the same ones each time."""
    return Ranges(file, dialect, start, size, begin)


class Stretch(NamedTuple):
    """Successive ranges of a text, to be surveyed together.

    Parameters
    ----------
    file : InputFile
    dialect : Dialect
    start : int
        Where the first range begins.
    size : int
        The bytes of a range.
    ranges : int
        How many there are, or up to the end of the text.
    begin : int, optional
        Where the first record at or behind `start` begins, if it is known.
    """

    file: InputFile
    dialect: Dialect
    start: int
    size: int
    ranges: int
    begin: int | None = None


class Survey(NamedTuple):
    """What is in the ranges of a stretch.

    Parameters
    ----------
    begins : tuple of int
        Where the records of each range begin.
    rows : tuple of int
        How many rows each range holds.
    end : int, optional
        Where the records of the next stretch begin; None if the last range surveyed holds a fault, behind which nothing
        is known.
    """

    begins: tuple[int, ...]
    rows: tuple[int, ...]
    end: int | None


class Known(NamedTuple):
    """A range of which a survey has found where its records begin and end; reads as the only one of `Ranges`."""

    file: InputFile
    begin: int
    end: int

    def read(self, number: int) -> Records:
        """Return the records."""
        return Records(self.begin, memoryview(self.file.read(self.end - self.begin, self.begin)))

    def parsed(self, number: int, text: memoryview, rows: int) -> None:
        """Do nothing: nothing is forgotten."""

    def line(self, position: int) -> int:
        """Return the line number, from 1, of the byte at `position`."""
        return line_number(self.file, position)


Surveyor = Callable[[Callable[[Stretch], Iterator[Survey]], Sequence[Stretch]], Iterator[Survey]]
"""Yields what a function yields for each stretch, in order, wherever it calls it."""


def surveyed(stretches: Sequence[Stretch], run: Surveyor) -> Iterator[Survey]:
    """Yield the survey of each stretch of one text, or of several one after the other, up to the first fault.

    All are surveyed at once, each as if no quotes were open where it begins. That is so if the one before it ends
    where it begins; otherwise it is surveyed again.
    """
    begin = None
    for stretch, guessed in zip(stretches, run(survey, stretches), strict=True):
        begin = begin if stretch.begin is None else stretch.begin
        found = guessed
        if found.begins[:1] != (begin,):
            (found,) = run(survey, [stretch._replace(begin=begin)])
        yield found
        if found.end is None:
            return
        begin = found.end


def survey(stretch: Stretch) -> Iterator[Survey]:
    """Find where the records of each range begin, and count its rows; where no record is seen to begin, of none."""
    file, dialect, start, size, count, begin = stretch
    begin = _guessed(stretch) if begin is None else begin
    begins, rows, end = list[int](), list[int](), begin
    ranges = Ranges(file, dialect, start, size, begin)
    for number in range(min(count, len(ranges))) if begin is not None else ():
        records = ranges.read(number)
        found = kernel.chosen().scan(records.text, dialect, ())
        begins.append(records.begin)
        rows.append(found.rows)
        end = records.begin + len(records.text)
        if found.fault is not None or not records.whole:
            end = None
            break
    yield Survey(tuple(begins), tuple(rows), end)


def _guessed(stretch: Stretch) -> int | None:
    """Return where the first record begins if no quotes are open before the stretch; None if not soon."""
    before = stretch.start - 1
    found = kernel.chosen().border(
        stretch.file.read(stretch.size, before),
        stretch.dialect,
        1,
        last=before + stretch.size >= stretch.file.size,
    )
    return None if found is None else before + found
