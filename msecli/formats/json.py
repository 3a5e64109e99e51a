"""A JSON array of records, read from its beginning to its end, a few megabytes at a time."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from msecli.errors import DataError, Warned, numbered, shown
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
from msecli.text.foreign import HOW_TO_WRITE
from msecli.text.reading import Reading
from msecli.text.trail import Parsed, Trail, line_ends
from msecli.tuples import NamedTuple

CHUNK_BYTES = 2 << 20
"""Text read at once."""
GROWTH = 4
"""Growth of what is read at once where it holds no whole record."""
LONGEST = 64 << 20
"""Where so much text holds no whole record, what was found in it is the error."""

BETWEEN = re.compile(rb"\}\s*,\s*\{")
"""What is between two records; a text or a list in a record may hold the same."""
SPACE = re.compile(r"[ \t\r\n]*")


class JsonSource:
    """A table of records in an array. See `msecli.formats.base.Source`."""

    format = "json"
    divisible = False

    def __init__(self, file: InputFile, reading: Reading) -> None:
        self.path = file.path
        self._original = file
        self._file = decoded(file, reading.encoding)
        records: list[dict[str, Any]] = []
        array, size = self._opened(reading), HEAD_BYTES
        while not array.closed and len(records) < SAMPLE_RECORDS and size <= LONGEST_HEAD:
            records += array.read(size).records
            size *= GROWTH
        check_records(file.path, records)
        self.columns: tuple[Column, ...] | None
        self.columns, self._fields = Fields.of(records, reading)
        self.item: tuple[int, ...] | None = None
        self.rows: int | None = None
        self.warnings: Sequence[Warned] = ()

    def _opened(self, reading: Reading) -> Array:
        """Return the array at the start of the file, whose bracket is the first thing in it."""
        head = self._file.read(HEAD_BYTES, 0)
        start = check_start(self._file, head, reading)
        text = head[start:]
        rest = text.lstrip(BLANKS).removeprefix(b"[")
        if not text.lstrip(BLANKS).startswith(b"["):
            found = shown(text.strip(BLANKS)[:80].decode(errors="replace"))
            raise DataError(
                f"{self.path}: an array of records, [{{…}}, {{…}}], is expected, {found} found; {HOW_TO_WRITE}"
            )
        self._start = start + len(text) - len(rest.lstrip(BLANKS) or rest)
        self._trail = Trail(self._file, self._start)
        return Array(self._file, self._trail, self._start)

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[JsonPart]:
        """Return one part: only who has read an array up to a record can tell that it is one."""
        names = (*selection.numbers, *selection.labels)
        wanted = Wanted(self.path, selection, {name: self._fields[name] for name in names})
        return [JsonPart(self._file, wanted, self._trail, self._start)]

    @property
    def work(self) -> int | None:
        """The bytes of text; of a stream as many as are expected, None if that cannot be told."""
        return expected_size(self._file)

    def once(self) -> None:
        """From now on the part is read once."""
        self._trail.once()

    def cuts(self) -> None:
        """Return None: rows are counted only as they are read."""

    def line(self, row: int, begin: int | None = None) -> int | None:
        """Return the line on which a row begins, counted from the one at a byte."""
        begin = self._start if begin is None else begin
        try:
            return self._line(row, begin)
        except ForgottenError:
            return self._trail.line_of_row(begin, row)

    def _line(self, row: int, begin: int) -> int | None:
        array = Array(self._file, self._trail, begin)
        while not array.closed:
            piece = array.read(CHUNK_BYTES)
            if row < len(piece.records):
                return self._trail.line(piece.begin + piece.byte(row))
            row -= len(piece.records)
        return None

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        self._original.verify()


class Piece(NamedTuple):
    """Records of an array that follow each other.

    Parameters
    ----------
    begin : int
        The byte at which the text begins.
    text : str
    starts : list of int
        The characters of it at which the records begin.
    records : list of dict
    """

    begin: int
    text: str
    starts: list[int]
    records: list[dict[str, Any]]

    def byte(self, number: int) -> int:
        """Return the byte of the text at which a record begins."""
        return len(self.text[: self.starts[number]].encode())


class Array:
    """An array that is read from a record on; all before it have been read.

    Attributes
    ----------
    position : int
        The byte at which what was not read yet begins.
    row : int
        The number of records before it.
    closed : bool
        Whether the end of the array was read.
    """

    def __init__(self, file: InputFile, trail: Trail, position: int) -> None:
        self._file, self._trail, self.position = file, trail, position
        self._buffer, self._last = b"", False
        # The text of the records that were read last, and whether line ends are known to be between them.
        self._text, self._apart = memoryview(b""), False
        self.row, self.closed = 0, False

    def block(self, wanted: Wanted) -> Block:
        """Return the block of the next records.

        Raises
        ------
        DataError
        """
        self._fill(CHUNK_BYTES)
        begin = self.position
        block = self._fast(wanted)
        if block is None:
            piece = self.read(CHUNK_BYTES)
            try:
                block = wanted.exact(piece.records)
            except UnreadableValueError as error:
                place = self._place(self.row - len(piece.records) + error.row, begin + piece.byte(error.row))
                raise DataError(f"{place}, {error.reason}") from error
        return block._replace(begin=begin, work=self.position - begin)

    def parsed(self, rows: int) -> Parsed:
        """Return what is kept of the last block, of so many rows."""
        lines, records = line_ends(self._text), bytes(self._text).rstrip(BLANKS + b",]")
        alone = self._apart and line_ends(memoryview(records)) == rows - 1
        return Parsed(len(self._text), lines, self.position, alone)

    def _fast(self, wanted: Wanted) -> Block | None:
        """Return the block that Arrow finds in what is in the buffer, if it is as it is usually written.

        Between records a line end replaces the comma. In a text Arrow allows no line end, and in a list a comma has
        to be there: if Arrow finds that many records, they were cut where they end.
        """
        found = BETWEEN.search(self._buffer)
        between = b"},{" if found is None else found[0]
        end = len(self._buffer) if self._last else self._buffer.rfind(between) + 1
        body = self._buffer[:end].strip(BLANKS)
        if self._last and not body.endswith(b"]"):
            return None
        body = body.removesuffix(b"]").rstrip(BLANKS) if self._last else body
        rows = body.count(between) + 1
        block = wanted.fast(body.replace(between, b"}\n{"), rows) if body.startswith(b"{") else None
        if block is not None:
            self._take_records(end if self._last else end + len(between) - 2, rows, apart=b"\n" in between or rows == 1)
            self.closed = self._last
        return block

    def read(self, size: int) -> Piece:
        """Return the next records, one or more, unless the array has none.

        Raises
        ------
        DataError
        """
        while True:
            self._fill(size)
            text = self._decoded()
            starts, records, end, error = self._records(text)
            size *= GROWTH
            if error is None or starts:
                break
            if self._last or size > LONGEST:
                place = self._place(self.row, self.position + len(text[: _blank(text, end)].encode()))
                raise DataError(f"{place}: {error.reason}") from error
        piece = Piece(self.position, text, starts, records)
        self._take_records(len(text[:end].encode()), len(records))
        if self.closed:
            self._check_end()
        return piece

    def _records(self, text: str) -> tuple[list[int], list[dict[str, Any]], int, BadRecordError | None]:
        """Return the records at the start of a text, their starts, where what follows them begins, and its error."""
        starts: list[int] = []
        records: list[dict[str, Any]] = []
        end = 0
        while True:
            start = _blank(text, end)
            if not (starts or self.row) and text[start : start + 1] == "]":
                self.closed = True
                return starts, records, start + 1, None
            try:
                record, after = record_at(text, start)
            except BadRecordError as error:
                return starts, records, end, error
            after = _blank(text, after)
            mark = text[after : after + 1]
            if mark not in {",", "]"}:
                wrong = f"a comma or ] is expected before {shown(text[after:])}" if mark else "] is missing at the end"
                return starts, records, end, BadRecordError(after, wrong)
            starts.append(start)
            records.append(record)
            # Where only blanks are left, the rest of a line end may follow them.
            begin = _blank(text, after + 1)
            end = begin if begin < len(text) else after + 1
            if mark == "]":
                self.closed = True
                return starts, records, end, None

    def _fill(self, size: int) -> None:
        """Have so many bytes in the buffer, or all there are."""
        while not self._last and len(self._buffer) < size:
            more = self._file.read(size - len(self._buffer), self.position + len(self._buffer))
            self._buffer += more
            self._last = not more or not self._file.reaches(self.position + len(self._buffer))

    def _decoded(self) -> str:
        try:
            return codecs.getincrementaldecoder("utf-8")().decode(self._buffer, self._last)
        except UnicodeDecodeError as error:
            line = self._trail.line(self.position + error.start)
            raise not_utf8(f"{self._file.path}, line {line}", error) from error

    def _take_records(self, size: int, rows: int, *, apart: bool = False) -> None:
        self._text, self._apart = memoryview(self._buffer)[:size], apart
        self._take(size, rows)

    def _take(self, size: int, rows: int) -> None:
        self._buffer = self._buffer[size:]
        self.position += size
        self.row += rows

    def _check_end(self) -> None:
        """Refuse what follows the array."""
        while True:
            rest = self._buffer.lstrip(BLANKS)
            if rest:
                line = self._trail.line(self.position + len(self._buffer) - len(rest))
                found = shown(rest[:80].decode(errors="replace"))
                raise DataError(f"{self._file.path}, line {line}: {found} follows the end of the array; one is read")
            self._take(len(self._buffer), 0)
            if self._last:
                return
            self._fill(CHUNK_BYTES)

    def _place(self, row: int, position: int) -> str:
        return f"{self._file.path}, {numbered(row, lines=[self._trail.line(position)])}"


def _blank(text: str, start: int) -> int:
    """Return where blanks that begin at a character end."""
    found = SPACE.match(text, start)
    return start if found is None else found.end()


class JsonPart(NamedTuple):
    """The whole array. See `msecli.formats.base.Part`."""

    file: InputFile
    wanted: Wanted
    trail: Trail
    start: int

    def read(self) -> Iterator[Block]:
        """Yield blocks of about `CHUNK_BYTES`."""
        array = Array(self.file, self.trail, self.start)
        for number in count():
            block = array.block(self.wanted)
            if self.trail.forgotten is not None:
                self.trail.parsed(number, array.parsed(block.rows))
            # The bracket that opens the array is work, too.
            yield block if number else block._replace(work=block.work + self.start)
            if array.closed:
                return
