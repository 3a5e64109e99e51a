"""Text cut into ranges of bytes, each of which learns from the one before it where its first record begins.

One of delimited text cannot tell by itself: quoted fields may hold line ends, and comments and fields without quotes
may hold quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import count
from threading import Lock
from typing import TypeVar, overload

from msecli import kernel
from msecli.kernel.interface import Dialect
from msecli.places.base import InputFile
from msecli.text.trail import Parsed, Trail, line_ends, rows_are_lines
from msecli.tuples import NamedTuple

T = TypeVar("T")

MARGIN_BYTES, MARGIN_GROWTH = 1 << 14, 8
"""Bytes read beyond a range to complete its last record, and the growth of this margin if they do not suffice."""
LONGEST_RECORD = 256 << 20
LINE_END = re.compile(rb"\n")
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


class Ranges:
    """The ranges of a text. A record belongs to the range in which it begins.

    Who reads a range finds its end before the records are parsed, and so soon tells all threads where the next one
    begins. What no thread of this process has found yet is looked for, so a process that is given some of the ranges
    looks through those between them, too; `surveyed` spares it that.

    Parameters
    ----------
    file : InputFile
    dialect : Dialect, optional
        None where every line is a record.
    start : int
        Where the first range begins.
    size : int
        The bytes of a range; the last one may have fewer.
    begin : int, optional
        Where the first record at or behind `start` begins; by default there.

    Attributes
    ----------
    trail : Trail
        What is kept of the ranges that have been parsed.
    """

    def __init__(
        self, file: InputFile, dialect: Dialect | None, start: int, size: int, begin: int | None = None
    ) -> None:
        self._file, self._dialect, self._start, self._size = file, dialect, start, size
        self.trail = Trail(file, start)
        # Where the records of each range begin, as far as it is known; None behind a record that is too long.
        self._begins: list[int | None] = [start if begin is None else begin]
        self._lock = Lock()

    def __reduce__(self) -> tuple[Callable[..., Ranges], tuple[InputFile, Dialect | None, int, int, int | None]]:
        return _shared, (self._file, self._dialect, self._start, self._size, self._begins[0])

    def __len__(self) -> int:
        return len(range(self._start, self._file.size, self._size))

    def numbers(self, begin: int | None = None) -> Iterator[int]:
        """Yield the numbers of the ranges from that in which a record begins; by default of all.

        Those of a stream that is read once, until its end is seen, so that the last ones may be empty.
        """
        for number in count(0 if begin is None else (begin - self._start) // self._size):
            stream = self.trail.forgotten
            if (stream is None or stream.ended) and not self._file.reaches(self._start + number * self._size):
                return
            yield number

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
        """Say that the records of a range have been parsed, and that so many of them are rows."""
        if self.trail.forgotten is not None:
            lines, needed = line_ends(text), self._start + (number + 1) * self._size
            self.trail.parsed(number, Parsed(len(text), lines, needed, rows_are_lines(text, lines, rows)))

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
            found = self._border(text, place, last=last)
            if found is not None or margin >= LONGEST_RECORD:
                self._begins.append(None if found is None else begin + found)
                return
            margin = min(margin * MARGIN_GROWTH, LONGEST_RECORD)
            buffer = self._read(number, margin)

    def _border(self, text: memoryview, place: int, *, last: bool) -> int | None:
        """Return where the first record begins at or behind a place. See `msecli.kernel.interface.Kernel.border`."""
        if self._dialect is not None:
            return kernel.chosen().border(text, self._dialect, place, last=last)
        end = LINE_END.search(text, place - 1)
        return end.end() if end else len(text) if last else None


class OfRanges(Sequence[T]):
    """What is made of each range; of a stream all are known only when its end is seen.

    Parameters
    ----------
    ranges : Ranges
    make : callable
        From the number of a range.
    """

    def __init__(self, ranges: Ranges, make: Callable[[int], T]) -> None:
        self._ranges, self._make = ranges, make

    def __len__(self) -> int:
        return len(self._ranges)

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self._ranges.numbers())

    @overload
    def __getitem__(self, number: int) -> T: ...

    @overload
    def __getitem__(self, number: slice) -> list[T]: ...

    def __getitem__(self, number: int | slice) -> T | list[T]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        return self._make(number)


@lru_cache(FILES)
def _shared(file: InputFile, dialect: Dialect | None, start: int, size: int, begin: int | None) -> Ranges:
    """Return the ranges of a file that another process has sent, the same ones each time."""
    return Ranges(file, dialect, start, size, begin)
