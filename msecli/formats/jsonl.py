"""JSON Lines: a record on each line, cut into parts of a megabyte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from msecli.errors import DataError, Warned, shown
from msecli.formats.base import Block, Column, Selection
from msecli.formats.records import (
    BLANKS,
    HEAD_BYTES,
    LONGEST_HEAD,
    SAMPLE_RECORDS,
    BadRecordError,
    Fields,
    Wanted,
    check_records,
    check_start,
    not_utf8,
    record_at,
)
from msecli.formats.values import UnreadableValueError
from msecli.places.base import InputFile
from msecli.places.stream import ForgottenError, expected_size
from msecli.text.encoding import decoded
from msecli.text.ranges import LONGEST_RECORD, OfRanges, Ranges
from msecli.text.reading import Reading
from msecli.text.trail import line_number
from msecli.tuples import NamedTuple

PART_BYTES = 1 << 20
"""Text read at once: large enough that a call of Arrow costs little, small enough for one in each of many threads."""

SPREAD = "; a record has to be on one line: write it so, as jq -c . does, or an array of records, [{…}, {…}]"


class JsonLinesSource:
    """A table of records. See `msecli.formats.base.Source`."""

    format = "jsonl"
    divisible = False

    def __init__(self, file: InputFile, reading: Reading) -> None:
        self.path = file.path
        self._original = file
        self._file = decoded(file, reading.encoding)
        self._start, records = _head(self._file, reading)
        check_records(file.path, records)
        self.columns: tuple[Column, ...] | None
        self.columns, self._fields = Fields.of(records, reading)
        self.item: tuple[int, ...] | None = None
        self.rows: int | None = None
        self._ranges = Ranges(self._file, None, self._start, PART_BYTES)
        self.warnings: Sequence[Warned] = ()

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[JsonLinesPart]:
        """Return parts of `PART_BYTES`."""
        names = (*selection.numbers, *selection.labels)
        wanted = Wanted(self.path, selection, {name: self._fields[name] for name in names})
        return OfRanges(self._ranges, partial(JsonLinesPart, self._file, wanted, self._ranges))

    @property
    def work(self) -> int | None:
        """The bytes of text; of a stream as many as are expected, None if that cannot be told."""
        return expected_size(self._file)

    def once(self) -> None:
        """From now on the parts are read once, in order."""
        self._ranges.trail.once()

    def cuts(self) -> None:
        """Return None: rows are counted only as they are read."""

    def line(self, row: int, begin: int | None = None) -> int | None:
        """Return the line on which a row begins, counted from the one at a byte."""
        begin = self._start if begin is None else begin
        try:
            return self._line(row, begin)
        except ForgottenError:
            return self._ranges.trail.line_of_row(begin, row)

    def _line(self, row: int, begin: int) -> int | None:
        for number in self._ranges.numbers(begin):
            at, text, _ = self._ranges.read(number)
            places = _places(bytes(text))
            if row < len(places):
                return self._ranges.trail.line(at + places[row])
            row -= len(places)
        return None

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        self._original.verify()


def _head(file: InputFile, reading: Reading) -> tuple[int, list[dict[str, Any]]]:
    """Return where the text begins, and its first records."""
    size = HEAD_BYTES
    while True:
        buffer = file.read(size, 0)
        start = check_start(file, buffer, reading)
        whole = len(buffer) < size or not file.reaches(size)
        end = len(buffer) if whole or size >= LONGEST_HEAD else buffer.rfind(b"\n") + 1
        if whole or len(_places(buffer[start:end])) >= SAMPLE_RECORDS or size >= LONGEST_HEAD:
            try:
                return start, list(records_of(file, start, buffer[start:end], partial(line_number, file)))
            except DataError:
                _check_document(file.path, buffer[start:])
                raise
        size *= 4


def _check_document(path: str, text: bytes) -> None:
    """Refuse a text over several lines that is one object of columns."""
    with suppress(UnicodeDecodeError, BadRecordError):
        record, _ = record_at(text.decode().strip())
        check_records(path, [record])


def _lines(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a text, each with the byte at which it begins."""
    at = 0
    for line in text.split(b"\n"):
        yield at, line
        at += len(line) + 1


def _places(text: bytes) -> list[int]:
    """Return where the lines of a text begin that are not blank."""
    return [at for at, line in _lines(text) if line.strip(BLANKS)]


def records_of(file: InputFile, begin: int, text: bytes, line_at: Callable[[int], int]) -> Iterator[dict[str, Any]]:
    """Yield the records of whole lines that begin at a byte of the file, whose lines are numbered by their places.

    Raises
    ------
    DataError
        If a line holds no record, or more than one.
    """
    for at, line in _lines(text):
        if line.strip(BLANKS):
            yield _record(file, begin + at, line, line_at)


def _record(file: InputFile, position: int, line: bytes, line_at: Callable[[int], int]) -> dict[str, Any]:
    try:
        text = line.decode().strip()
        record, end = record_at(text)
    except UnicodeDecodeError as error:
        raise not_utf8(f"{file.path}, line {line_at(position)}", error) from error
    except BadRecordError as error:
        spread = SPREAD if error.at >= len(text) and file.reaches(position + len(line)) else ""
        raise DataError(f"{file.path}, line {line_at(position)}: {error.reason}{spread}") from error
    if end < len(text):
        found = f"line {line_at(position)}: {shown(text[end:])} follows the record"
        raise DataError(f"{file.path}, {found}; write one on each line")
    return record


class JsonLinesPart(NamedTuple):
    """The lines that begin in a range of bytes. See `msecli.formats.base.Part`."""

    file: InputFile
    wanted: Wanted
    ranges: Ranges
    number: int

    def read(self) -> Iterator[Block]:
        """Yield the one block.

        Raises
        ------
        DataError
            If a line is longer than `LONGEST_RECORD`.
        """
        begin, found, whole = self.ranges.read(self.number)
        if not whole:
            line = self.ranges.trail.line(begin + bytes(found[:PART_BYTES]).rfind(b"\n") + 1)
            raise DataError(f"{self.file.path}, line {line}: the line is longer than {LONGEST_RECORD >> 20} MiB")
        text = bytes(found)
        del found  # one copy is enough
        block = self._block(begin, text)._replace(work=len(text), begin=begin)
        self.ranges.parsed(self.number, memoryview(text), block.rows)
        yield block

    def _block(self, begin: int, text: bytes) -> Block:
        # Where every line begins with a brace, there are as many records as lines, if Arrow finds so many.
        if text.startswith(b"{"):
            block = self.wanted.fast(text, text.count(b"\n{") + 1)
            if block is not None:
                return block
        line_at = self.ranges.trail.line
        try:
            return self.wanted.exact(list(records_of(self.file, begin, text, line_at)))
        except UnreadableValueError as error:
            line = line_at(begin + _places(text)[error.row])
            raise DataError(f"{self.file.path}, line {line}, {error.reason}") from error
