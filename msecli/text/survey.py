"""Delimited text surveyed before it is read: where the records of its ranges begin, and how many rows these hold.

It is for machines that each read some of the ranges. Each guesses where its first record begins, and then it is seen
whether the guess was right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Self

from msecli import kernel
from msecli.errors import DataError
from msecli.kernel.interface import Dialect
from msecli.places.base import InputFile
from msecli.places.compressed import decompressed
from msecli.text.ranges import Ranges, Records
from msecli.text.trail import Trail
from msecli.tuples import NamedTuple


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
    compressed : bool
        Whether the file is; then all of it is surveyed.
    """

    file: InputFile
    dialect: Dialect
    start: int
    size: int
    ranges: int
    begin: int | None = None
    compressed: bool = False


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

    @property
    def trail(self) -> Trail:
        """A trail that keeps nothing."""
        return Trail(self.file, 0)


def stretches(file: InputFile, dialect: Dialect, start: int, size: int, ranges: int) -> list[Stretch]:
    """Cut a text, whose first record begins at `start`, into stretches of so many ranges of `size` bytes."""
    cut = [Stretch(file, dialect, each, size, ranges) for each in range(start, file.size, ranges * size)]
    return [cut[0]._replace(begin=start), *cut[1:]]


class Counted(NamedTuple):
    """What a pass over the text has found: where the records of each part begin and what its first row is.

    `cuts` ends with the number of rows, `end` is where the last part ends; None if it holds a fault.
    """

    begins: Sequence[int]
    cuts: Sequence[int]
    end: int | None

    @classmethod
    def of(cls, found: Iterable[Survey]) -> Self:
        """Return what has been found in all stretches of a text."""
        begins, cuts, end = list[int](), [0], None
        for each in found:
            begins += each.begins
            cuts += accumulate(each.rows, initial=cuts.pop())
            end = each.end
        return cls(begins, cuts, end)


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
    if stretch.compressed:
        yield _survey_of_all(stretch)
        return
    file, dialect, start, size, count, begin, _ = stretch
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


def _survey_of_all(stretch: Stretch) -> Survey:
    """Count the rows of a compressed text, as of one range, as far as they can be read."""
    rows, end = 0, stretch.begin
    try:
        ranges = Ranges(decompressed(stretch.file), stretch.dialect, stretch.start, stretch.size)
        ranges.trail.once()
        for number in ranges.numbers():
            records = ranges.read(number)
            found = kernel.chosen().scan(records.text, stretch.dialect, ())
            rows, end = rows + found.rows, records.begin + len(records.text)
            if found.fault is not None or not records.whole:
                end = None
                break
            ranges.parsed(number, records.text, found.rows)
    except DataError:  # whoever reads the rows up to there finds it again
        end = None
    return Survey((stretch.start,), (rows,), end)


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
