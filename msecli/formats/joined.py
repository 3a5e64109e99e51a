"""The rows of several files, one file after the other, as one source."""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, count, islice
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from msecli.errors import DataError, Problems, Warned
from msecli.formats.base import Block, Column, Countable, FileCount, LabelArray, Part, Selection, Source, read_once
from msecli.places import listed
from msecli.places.ahead import ahead
from msecli.places.several import OneOfMany, Reopened
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from msecli.arrays import FloatArray
    from msecli.places.listing import Listing
    from msecli.text.survey import Counted, Stretch, Surveyor

FILE_BITS = 48
"""Where a row begins is told by the number of the file, and the byte in it below these bits."""

MOST_SHOWN = 3
"""Problems of single files that an error shows."""

RELEASES = 100
"""Sources to let go of before their memory is collected."""

_let_go = count(1)

Value = int | str | None


class Member(Reopened[Source]):
    """One of the files, of which only what is asked of all is held; its source is opened again to be read.

    Parameters
    ----------
    source : Source
    file : OneOfMany
        The file, which refuses to be opened once it has changed.
    values : mapping of str to int, str or None
        The columns that are not in the file, but in the names of its folders.
    reopen : callable
        From the file to its source.
    held : bool
        Whether the source stays open because it is small.
    compressed : bool
        Whether the file is.
    """

    def __init__(
        self,
        source: Source,
        file: OneOfMany,
        values: Mapping[str, Value],
        reopen: Callable[[OneOfMany], Source],
        *,
        held: bool,
        compressed: bool = False,
    ) -> None:
        self.path, self.format, self.item = source.path, source.format, source.item
        self.rows, self.work, self.divisible = source.rows, source.work, source.divisible
        self.countable = isinstance(source, Countable)
        self.values, self._file, self._reopen = values, file, reopen
        cuts = source.cuts()
        self.cuts = None if cuts is None else tuple(cuts)
        self.streamed = cuts is None and compressed
        self._counted: Counted | None = None
        if cuts is None:
            source.parts(Selection())  # raises an error of text without rows
        self._small = source if held else None

    def open(self) -> Source:
        """Return the source, opened again."""
        source = self._reopen(self._file)
        if self._counted is not None:
            _text_of(source).take(self._counted)
        return source

    def stretches(self) -> Sequence[Stretch]:
        """Return the pieces of a text whose rows would be counted apart."""
        return _text_of(self.get()).stretches()

    def take(self, counted: Counted) -> None:
        """Take what has been counted of a text."""
        self._counted, self.cuts = counted, tuple(counted.cuts)
        _text_of(self.get()).take(counted)
        self.rows = None if counted.end is None else counted.cuts[-1]

    def get(self) -> Source:
        """Return the source."""
        return super().get() if self._small is None else self._small

    def let_go(self) -> None:
        """Hold the source no longer."""
        super().let_go()
        # Metadata of Parquet that were read by are in a cycle with their schema, which only a collection frees, and the
        # command collects seldom.
        if next(_let_go) % RELEASES == 0:
            gc.collect()

    def parts(self, selection: Selection, rows: range | None) -> Sequence[Part]:
        """Return the parts of the file; if its source is not held, each opens it again, or one reads it all."""
        if self._small is not None:
            return self._small.parts(selection, rows)
        if self.cuts is None or rows is not None:
            return [LatePart(self, selection, rows)]
        return [LatePart(self, selection, None, number) for number in range(len(self.cuts) - 1)]

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        (self._file if self._small is None else self._small).verify()


class Text(Protocol):
    """A file of text whose rows can be counted with those of others."""

    def stretches(self) -> Sequence[Stretch]:
        """Return the pieces whose rows would be counted apart."""
        ...

    def take(self, counted: Counted) -> None:
        """Take what has been counted."""
        ...


def _text_of(source: Source) -> Text:
    """Return the source of a member that is `countable`."""
    return cast("Text", source)


class LatePart(NamedTuple):
    """A part of a file whose source is opened to read it; without a number all parts, or those that hold some rows.

    See `msecli.formats.base.Part`.
    """

    member: Member
    selection: Selection
    rows: range | None
    number: int | None = None

    def read(self) -> Iterator[Block]:
        """Open the source, and read the part."""
        if self.number is not None:
            yield from self.member.get().parts(self.selection)[self.number].read()
            return
        source = self.member.open()
        read_once([source])
        for part in source.parts(self.selection, self.rows):
            yield from part.read()


class Joined(NamedTuple):
    """What holds for all files.

    Parameters
    ----------
    columns : tuple of Column, or None
    unlike : mapping of str to sequence of str
        By columns why they cannot be read as numbers from all files.
    warnings : tuple of Warned
    """

    columns: tuple[Column, ...] | None
    unlike: Mapping[str, Sequence[str]]
    warnings: tuple[Warned, ...]


class JoinedSource:
    """The rows of several files, one file after the other. See `msecli.formats.base.Source`.

    Parameters
    ----------
    path : str
        What messages call all of them.
    members : sequence of Member
    joined : Joined
    file_count : FileCount
    listings : sequence of (str, Listing)
        Folders and patterns, and what they named when they were opened.
    """

    def __init__(
        self,
        path: str,
        members: Sequence[Member],
        joined: Joined,
        file_count: FileCount,
        listings: Sequence[tuple[str, Listing]],
    ) -> None:
        self.path, self.format, self.item = path, members[0].format, members[0].item
        self.columns, self._unlike = joined.columns, joined.unlike
        self._own_columns = tuple(column.name for column in self.columns or () if not column.outside)
        self.warnings: Sequence[Warned] = joined.warnings
        self.file_count = file_count
        self._members, self._listings = members, listings
        self.work = sum(member.work or 0 for member in members)
        self.divisible = all(member.divisible for member in members)
        self.rows: int | None = None
        self._firsts: Sequence[int] | None = None
        self._number()

    def _number(self) -> None:
        """Number the rows of all files, as far as they are known."""
        counts = [member.rows if member.cuts is None else member.cuts[-1] for member in self._members]
        known = [count for count in counts if count is not None]
        self._firsts = list(accumulate(known, initial=0)) if len(known) == len(counts) else None
        if self._firsts is not None and all(member.rows is not None for member in self._members):
            self.rows = self._firsts[-1]

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[JoinedPart]:
        """Return the parts of all files in order.

        Raises
        ------
        DataError
            If a column that is to be read as numbers holds none in some files.
        """
        problems = Problems()
        for message in (message for name in selection.numbers for message in self._unlike.get(name, ())):
            problems.add(DataError(message))
        problems.raise_found(MOST_SHOWN)
        own = self._own(selection)
        return [
            JoinedPart(part, selection, self._members[number].values, number, (self._members[number].path, self.path))
            for number, inside in self._touched(rows)
            for part in self._members[number].parts(own, inside)
        ]

    def _own(self, selection: Selection) -> Selection:
        """Return what to read of the files; something, so that their rows are counted."""
        outside = self._members[0].values
        numbers, labels = (tuple(name for name in names if name not in outside) for names in selection)
        nothing = not numbers and not labels and self.item is None
        return Selection((), self._own_columns[:1]) if nothing else Selection(numbers, labels)

    def _touched(self, rows: range | None) -> Iterator[tuple[int, range | None]]:
        """Yield the numbers of the files that hold some of these rows, each with its share of them."""
        if rows is None or self._firsts is None:
            yield from ((number, None) for number in range(len(self._members)))
            return
        for number in range(self._file_of(rows.start), self._file_of(rows.stop - 1) + 1):
            start, stop = self._firsts[number : number + 2]
            yield number, range(max(rows.start, start) - start, min(rows.stop, stop) - start)

    def _file_of(self, row: int) -> int:
        """Return the number of the file of a row."""
        return min(bisect_right(self._firsts or (), row), len(self._members)) - 1

    def cuts(self) -> Sequence[int] | None:
        """Return the first row of each part, followed by the number of rows; None if these are unknown."""
        known = [member.cuts for member in self._members if member.cuts is not None]
        if self._firsts is None or len(known) < len(self._members):
            return None
        cuts = [first + cut for first, cuts in zip(self._firsts, known, strict=False) for cut in cuts[:-1]]
        return [*cuts, self._firsts[-1]]

    def line(self, row: int, begin: int | None = None) -> str | None:
        """Return the file of a row, and where it is in it; None if that is unknown."""
        if begin is not None:
            member, begin = self._members[begin >> FILE_BITS], begin % (1 << FILE_BITS)
        elif self._firsts is not None:
            number = self._file_of(row)
            member, row = self._members[number], row - self._firsts[number]
        else:
            return None
        line = member.get().line(row, begin)
        if line is None:
            return None if begin is not None else f"{member.path}, row {row + 1}"
        return f"{member.path}, line {line}"

    def see(self) -> None:
        """Raise an error if the first file or the last one is not there, or has changed since it was opened."""
        for member in (self._members[0], self._members[-1]):
            member.verify()

    def verify(self) -> None:
        """Raise `DataError` if a file has changed since it was opened, or if there are others by now."""
        for verified in ahead([member.path for member in self._members], (member.verify for member in self._members)):
            verified()
        for path, listing in self._listings:
            if listed(path) != listing:
                raise DataError(
                    f"{path}: files were added or removed while the others were read; run again once all are complete"
                )


class JoinedText(JoinedSource):
    """The rows of several files of text. See `JoinedSource`, and `msecli.formats.base.Countable`."""

    @property
    def streamed(self) -> bool:
        """Whether a file can be read only from its beginning."""
        return any(member.streamed for member in self._members)

    def stretches(self) -> Sequence[Stretch]:
        """Return the pieces whose rows would be counted apart; none if they have been counted."""
        return [stretch for member in self._members if member.cuts is None for stretch in member.stretches()]

    def count(self, run: Surveyor) -> None:
        """Count the rows of all files, in one pass over their text."""
        from msecli.text.survey import Counted, surveyed

        by_member = [(member, member.stretches()) for member in self._members if member.cuts is None]
        if not by_member:
            return
        found = surveyed([stretch for _, stretches in by_member for stretch in stretches], run)
        for member, stretches in by_member:
            counted = Counted.of(islice(found, len(stretches)))
            member.take(counted)
            if counted.end is None:  # nothing is known of the files behind it
                self._members = self._members[: self._members.index(member) + 1]
                break
        self._number()


class JoinedPart(NamedTuple):
    """Rows of one of the files. See `msecli.formats.base.Part`.

    Parameters
    ----------
    part : Part
    selection : Selection
    values : mapping
        The columns in the names of the folders.
    number : int
        That of the file.
    paths : tuple of str
        What warnings call the file, and all of them.
    """

    part: Part
    selection: Selection
    values: Mapping[str, Value]
    number: int
    paths: tuple[str, str]

    def read(self) -> Iterator[Block]:
        """Yield the blocks of the file, with the columns in the names of its folders."""
        for block in self.part.read():
            yield block._replace(
                numbers=self._numbers(block) if self.values else block.numbers,
                labels=self._labels(block) if self.values else block.labels,
                warnings=tuple(map(self._of_all, block.warnings)),
                begin=None if block.begin is None else (self.number << FILE_BITS) + block.begin,
            )

    def _numbers(self, block: Block) -> dict[str | None, FloatArray]:
        selected = self.selection.numbers
        if not selected:
            return dict(block.numbers)
        return {
            name: _repeated_number(self.values[name], block.rows) if name in self.values else block.numbers[name]
            for name in selected
        }

    def _labels(self, block: Block) -> dict[str, LabelArray]:
        return {
            name: _repeated_label(self.values[name], block.rows) if name in self.values else block.labels[name]
            for name in self.selection.labels
        }

    def _of_all(self, warning: Warned) -> Warned:
        """Return the same warning of all files, which are counted together."""
        file, together = self.paths
        where = warning.where
        return Warned(
            warning.code,
            together + where.removeprefix(file) if where.startswith(file) else where,
            warning.meaning,
            warning.count,
        )


def _repeated_number(value: Value, rows: int) -> FloatArray:
    return np.full(rows, np.nan if value is None else float(value))


def _repeated_label(value: Value, rows: int) -> LabelArray:
    if isinstance(value, int):
        return np.full(rows, value, np.int64)
    from msecli.arrow.functions import strings

    word = b"" if value is None else value.encode(errors="surrogateescape")
    ends = np.arange(0, (rows + 1) * len(word), len(word), dtype=np.int32) if word else np.zeros(rows + 1, np.int32)
    missing = np.ones(rows, np.bool_) if value is None else None
    return strings(np.frombuffer(word * rows, np.uint8), ends, missing)
