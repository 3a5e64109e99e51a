"""JSON Lines: a record on each line, cut into parts of a few megabytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

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
from msecli.text.encoding import decoded
from msecli.text.ranges import LONGEST_RECORD, line_number
from msecli.text.reading import Reading

PART_BYTES = 4 << 20
"""Text read at once: large enough that a call of Arrow costs little."""
MARGIN_BYTES = 1 << 14
"""Bytes read at once to complete the last record of a part."""

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
        self.work = self._file.size
        self.warnings: Sequence[Warned] = ()

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[JsonLinesPart]:
        """Return parts of `PART_BYTES`."""
        names = (*selection.numbers, *selection.labels)
        wanted = Wanted(self.path, selection, {name: self._fields[name] for name in names})
        return Parts(self._file, wanted, self._start, PART_BYTES)

    def cuts(self) -> None:
        """Return None: rows are counted only as they are read."""

    def line(self, row: int, begin: int | None = None) -> int | None:
        """Return the line on which a row begins, counted from the one at a byte."""
        position = self._start if begin is None else begin
        while True:
            begin, text = lines_of(self._file, position, PART_BYTES, first=True)
            for at, line in _lines(text):
                if line.strip(BLANKS):
                    if row == 0:
                        return line_number(self._file, begin + at)
                    row -= 1
            position += len(text)
            if not text:
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
        lines = [(at, line) for at, line in _lines(buffer[start:end]) if line.strip(BLANKS)]
        if whole or len(lines) >= SAMPLE_RECORDS or size >= LONGEST_HEAD:
            try:
                return start, list(records_of(file, start, buffer[start:end]))
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


def records_of(file: InputFile, begin: int, text: bytes) -> Iterator[dict[str, Any]]:
    """Yield the records of whole lines that begin at a byte of the file.

    Raises
    ------
    DataError
        If a line holds no record, or more than one.
    """
    for at, line in _lines(text):
        if line.strip(BLANKS):
            yield _record(file, begin + at, line)


def _record(file: InputFile, position: int, line: bytes) -> dict[str, Any]:
    try:
        text = line.decode().strip()
        record, end = record_at(text)
    except UnicodeDecodeError as error:
        raise not_utf8(f"{file.path}, line {line_number(file, position)}", error) from error
    except BadRecordError as error:
        spread = SPREAD if error.at >= len(text) and file.reaches(position + len(line)) else ""
        raise DataError(f"{file.path}, line {line_number(file, position)}: {error.reason}{spread}") from error
    if end < len(text):
        found = f"line {line_number(file, position)}: {shown(text[end:])} follows the record"
        raise DataError(f"{file.path}, {found}; write one on each line")
    return record


class Parts(Sequence["JsonLinesPart"]):
    """The parts of a file, as many as it turns out to have bytes for."""

    def __init__(self, file: InputFile, wanted: Wanted, start: int, size: int) -> None:
        self._file, self._wanted, self._start, self._size = file, wanted, start, size

    def __getitem__(self, number: Any) -> Any:
        begin = self._start + number * self._size
        if number and not self._file.reaches(begin):
            raise IndexError(number)
        return JsonLinesPart(self._file, self._wanted, begin, self._size, first=number == 0)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class JsonLinesPart(NamedTuple):
    """The lines behind the line ends in a range of bytes; the first part also has the first line.

    See `msecli.formats.base.Part`.
    """

    file: InputFile
    wanted: Wanted
    start: int
    size: int
    first: bool

    def read(self) -> Iterator[Block]:
        """Yield the one block."""
        begin, text = lines_of(self.file, self.start, self.size, first=self.first)
        yield self._block(begin, text)._replace(work=len(text), begin=begin)

    def _block(self, begin: int, text: bytes) -> Block:
        # Where every line begins with a brace, there are as many records as lines, if Arrow finds so many.
        if text.startswith(b"{"):
            block = self.wanted.fast(text, text.count(b"\n{") + 1)
            if block is not None:
                return block
        places = [at for at, line in _lines(text) if line.strip(BLANKS)]
        try:
            return self.wanted.exact(list(records_of(self.file, begin, text)))
        except UnreadableValueError as error:
            line = line_number(self.file, begin + places[error.row])
            raise DataError(f"{self.file.path}, line {line}, {error.reason}") from error


def lines_of(file: InputFile, start: int, size: int, *, first: bool) -> tuple[int, bytes]:
    """Return the lines behind the line ends in a range of bytes, and where they begin; `first`, also that before.

    Raises
    ------
    DataError
        If one is longer than `LONGEST_RECORD`.
    """
    buffer = file.read(size, start)
    skipped = 0 if first else buffer.find(b"\n") + 1
    if not (first or skipped):
        return start + len(buffer), b""
    pieces, position = [buffer[skipped:]], start + len(buffer)
    while file.reaches(position):
        more = file.read(MARGIN_BYTES, position)
        end = more.find(b"\n") + 1
        pieces.append(more[:end] if end else more)
        position += len(more)
        if end:
            break
        if position - start > LONGEST_RECORD:
            line = line_number(file, start + skipped)
            raise DataError(f"{file.path}, line {line} or below: a line is longer than {LONGEST_RECORD >> 20} MiB")
    return start + skipped, b"".join(pieces)
