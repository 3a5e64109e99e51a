"""Delimited text, cut at record ends into pieces that are parsed in parallel."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from msecli.core.check import LAST_EXACT_INTEGER
from msecli.core.exact import FloatArray
from msecli.errors import DataError, UsageError
from msecli.sources.arrow import floats
from msecli.sources.base import Block, Column, Note, Part, Reading, Selection
from msecli.sources.cells import INTEGER, Grammar, count_inexact, first_problem, records, shown
from msecli.sources.encoding import check_text, decoded
from msecli.sources.file import InputFile
from msecli.sources.npy import ROUNDED
from msecli.sources.records import QUOTE, Cut, Dialect, cut_records, lines, without_comments

PIECE_BYTES = 2 << 20
"""Text parsed at once: large enough to make the cost of a call vanish, small enough for a few to fit in the cache."""
LONGEST_RECORD = 256 << 20
SAMPLE_BYTES = 65536
SAMPLE_ROWS = 100

MISSING = ("", "NA", "N/A", "null", "NULL")
"""Cells that mean "missing"; NaN, in any case, is a number that is missing too."""

OTHER_DELIMITERS = ";\t|,"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLANK_LINE = re.compile(rb"(?:^|\n|\r)\r?(?:\n|\r)")

OVERFLOWED = "numbers too large for float64 were read as infinite"
SKIPPED = "blank lines were skipped"


@dataclass(frozen=True, slots=True)
class Layout:
    """What every piece of the file has in common."""

    dialect: Dialect
    grammar: Grammar

    @property
    def single(self) -> bool:
        """Whether there is only one column, so that a blank line is an empty cell."""
        return len(self.grammar.names) == 1


class CsvSource:
    """A table of delimited text. See `msecli.sources.base.Source`."""

    def __init__(self, file: InputFile, reading: Reading, *, format: str = "csv", delimiter: str = ",") -> None:
        check_reading(reading, delimiter)
        self.path = file.path
        self.format = format
        self._original = file
        self._file = decoded(file, reading.encoding)
        self.item: tuple[int, ...] | None = None
        self.rows: int | None = None
        head = self._head(reading)
        self._start, names = _header(self.path, head, reading, reading.delimiter or delimiter)
        self._layout = Layout(
            _dialect(head, reading, reading.delimiter or delimiter),
            Grammar(names, reading.delimiter or delimiter, reading.decimal, (*MISSING, *reading.na_values)),
        )
        self._sample = self._read_sample(head)
        self.columns: tuple[Column, ...] | None = tuple(
            _column(name, [row[number] for row in self._sample]) for number, name in enumerate(names)
        )
        self.work = self._file.size
        self.notes: Sequence[Note] = ()

    def parts(self, selection: Selection) -> Iterator[Part]:
        """Yield pieces of whole records."""
        position, size = self._start, PIECE_BYTES
        while position < self._file.size:
            buffer = self._file.read(size, position)
            last = position + len(buffer) >= self._file.size
            cut = cut_records(buffer, self._layout.dialect)
            if cut.end == 0 or (last and cut.open_quote is not None):
                self._check_record(buffer, cut, position, last=last)
                if not last:
                    size *= 2
                    continue
            end = len(buffer) if last else cut.end
            piece = Piece(self._file, position)
            yield partial(_read_piece, piece, memoryview(buffer)[:end], self._layout, self._wanted(selection))
            position, size = position + end, PIECE_BYTES

    def verify(self) -> None:
        """Raise `DataError` if the file was changed meanwhile."""
        self._original.verify()

    def _wanted(self, selection: Selection) -> Wanted:
        names = self._layout.grammar.names
        labels = {name: names.index(name) for name in selection.labels}
        integers = {
            name
            for name, column in labels.items()
            if self._sample and all(_is_integer(row[column]) for row in self._sample)
        }
        return Wanted({name: names.index(name) for name in selection.numbers}, labels, frozenset(integers))

    def _check_record(self, buffer: bytes, cut: Cut, position: int, *, last: bool) -> None:
        """Refuse a quote that nothing closes, and a record too long to be one."""
        if not last and len(buffer) < LONGEST_RECORD:
            return
        if cut.open_quote is not None:
            line = _line(self._file, self._layout.dialect, position + cut.open_quote)
            raise DataError(f"{self.path}, line {line}: the quote opened here is never closed")
        if not last:
            line = _line(self._file, self._layout.dialect, position)
            raise DataError(
                f"{self.path}, line {line}: the line is longer than {LONGEST_RECORD >> 20} MiB; is this text?"
            )

    def _head(self, reading: Reading) -> bytes:
        """Return the start of the file, with at least the first line."""
        size = SAMPLE_BYTES
        head = self._file.read(size, 0)
        check_text(self.path, head, decoded=reading.encoding is not None)
        while len(head) < min(self._file.size, LONGEST_RECORD) and b"\n" not in head and b"\r" not in head:
            size *= 4
            head = self._file.read(size, 0)
        return head

    def _read_sample(self, head: bytes) -> list[list[str]]:
        names = self._layout.grammar.names
        body = head[self._start :]
        if len(head) < self._file.size:
            body = body[: cut_records(body, self._layout.dialect).end]
        text = without_comments(body, self._layout.dialect).decode(errors="replace")
        rows = (record.cells for record in records(text, self._layout.grammar))
        return [cells for cells, _ in zip(rows, range(SAMPLE_ROWS), strict=False) if len(cells) == len(names)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The positions of the columns to read as numbers and as labels, and which labels look like integers."""

    numbers: dict[str, int]
    labels: dict[str, int]
    integers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Piece:
    """Where a piece of text comes from."""

    file: InputFile
    position: int


def _dialect(head: bytes, reading: Reading, delimiter: str) -> Dialect:
    terminator = b"\r" if b"\r" in head and b"\n" not in head else b"\n"
    return Dialect(delimiter.encode(), terminator, reading.comment.encode() if reading.comment else None)


def _header(path: str, head: bytes, reading: Reading, delimiter: str) -> tuple[int, tuple[str, ...]]:
    """Return where the data begin, and the names of the columns."""
    dialect = _dialect(head, reading, delimiter)
    start = len(BYTE_ORDER_MARK) if head.startswith(BYTE_ORDER_MARK) else 0
    position = start
    for line in _header_lines(head[start:], dialect):
        following = position + len(line)
        comment = dialect.comment is not None and line.startswith(dialect.comment)
        if comment or not line.strip(b"\r\n"):
            position = following
            continue
        cells = next(csv.reader([line.decode(errors="replace").rstrip("\r\n")], delimiter=delimiter))
        if reading.header is False:
            return position, tuple(str(number) for number in range(len(cells)))
        _check_names(path, cells, reading, delimiter)
        return following, tuple(cells)
    raise DataError(f"{path}: the file holds nothing but blank lines")


def _header_lines(head: bytes, dialect: Dialect) -> Iterator[bytes]:
    """Yield lines, joined where a quoted name holds a line end."""
    joined = b""
    for line in lines(head, dialect):
        joined += line
        if joined.count(QUOTE) % 2 == 0:
            yield joined
            joined = b""
    if joined:
        yield joined


def _check_names(path: str, names: list[str], reading: Reading, delimiter: str) -> None:
    grammar = Grammar((), delimiter, reading.decimal, ())
    if reading.header is None and all(grammar.is_number(name) for name in names):
        raise DataError(
            f"{path}: the first line holds only numbers ({shown(delimiter.join(names))}); "
            "say --no-header if it is data, --header if these are names"
        )
    other = next((mark for mark in OTHER_DELIMITERS if mark != delimiter and mark in names[0]), None)
    if len(names) == 1 and other is not None:
        raise DataError(f"{path}: one column found, {shown(names[0])}; is the delimiter {other!r}? say --delimiter")


def _column(name: str, cells: list[str]) -> Column:
    """A column is numeric if most of the cells that are not missing are; one without any is taken as numeric."""
    grammar = Grammar((), ",", ".", MISSING)
    present = [cell for cell in cells if not grammar.is_missing(cell)]
    numbers = sum(_number_like(cell) for cell in present)
    numeric = 2 * numbers > len(present) or not present
    return Column(name, "number" if numeric else f"text such as {shown(present[0])}", numeric)


def _number_like(cell: str) -> bool:
    return any(Grammar((), ",", mark, ()).is_number(cell) for mark in ".,")


def _is_integer(cell: str) -> bool:
    return INTEGER.fullmatch(cell) is not None and str(int(cell)) == cell and abs(int(cell)) < 2**63


def _line(file: InputFile, dialect: Dialect, position: int) -> int:
    """Return the number, from 1, of the line that the byte at `position` belongs to."""
    count, start = 1, 0
    while start < position:
        chunk = file.read(min(PIECE_BYTES, position - start), start)
        count += chunk.count(dialect.terminator)
        start += len(chunk)
    return count


def _read_piece(piece: Piece, buffer: memoryview, layout: Layout, wanted: Wanted) -> Iterator[Block]:
    text = without_comments(bytes(buffer), layout.dialect) if layout.dialect.comment else buffer
    if not len(text):
        return
    try:
        table = _parse(text, layout, wanted, blank_rows=True)
        blank = 0
        if not layout.single and _may_skip(table) and BLANK_LINE.search(text):
            rows = table.num_rows
            table = _parse(text, layout, wanted, blank_rows=False)
            blank = rows - table.num_rows
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _explained(piece, bytes(buffer), layout, wanted, error) from error
    if table.num_rows == 0:
        return
    path = piece.file.path
    numbers: dict[str, FloatArray] = {}
    notes = [Note("blank_lines", path, SKIPPED, blank)] if blank else []
    for name, column in wanted.numbers.items():
        numbers[name], _ = floats(_whole(table.column(str(column))), path)
        notes += _inexact(numbers[name], text, layout, column, path)
    labels = {name: _whole(table.column(str(column))) for name, column in wanted.labels.items()}
    yield Block(table.num_rows, numbers, labels, tuple(notes), work=len(buffer))


def _parse(text: bytes | memoryview, layout: Layout, wanted: Wanted, *, blank_rows: bool) -> pa.Table:
    types = {str(column): pa.float64() for column in wanted.numbers.values()}
    for name, column in wanted.labels.items():
        types[str(column)] = pa.int64() if name in wanted.integers else pa.string()
    grammar = layout.grammar
    try:
        return pa_csv.read_csv(
            pa.BufferReader(pa.py_buffer(text)),
            pa_csv.ReadOptions(
                use_threads=False,
                # One block: nothing straddles a border, and a column is one array.
                block_size=len(text) + 1,
                column_names=[str(number) for number in range(len(grammar.names))],
            ),
            pa_csv.ParseOptions(
                delimiter=grammar.delimiter, newlines_in_values=True, ignore_empty_lines=not blank_rows
            ),
            pa_csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=list(grammar.missing),
                strings_can_be_null=True,
                decimal_point=grammar.decimal,
            ),
        )
    except pa.ArrowInvalid:
        if not wanted.integers:
            raise
        return _parse(text, layout, Wanted(wanted.numbers, wanted.labels, frozenset()), blank_rows=blank_rows)


def _may_skip(table: pa.Table) -> bool:
    return any(column.null_count for column in table.columns)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _inexact(values: FloatArray, text: bytes | memoryview, layout: Layout, column: int, path: str) -> list[Note]:
    """Return notes on cells that float64 cannot hold; only large values can be such, so only they are looked up."""
    if values.size == 0 or not np.fmax.reduce(np.abs(values)) >= LAST_EXACT_INTEGER:
        return []
    overflowed, rounded = count_inexact(bytes(text).decode(errors="replace"), layout.grammar, column)
    where = f"{path}, column {layout.grammar.names[column]!r}"
    notes = (
        Note("overflowed_numbers", where, OVERFLOWED, overflowed),
        Note("rounded_integers", where, ROUNDED, rounded),
    )
    return [note for note in notes if note.count]


def _explained(piece: Piece, buffer: bytes, layout: Layout, wanted: Wanted, error: Exception) -> DataError:
    """Return the error that says what is wrong where, found by reading the piece once more, cell by cell."""
    path = piece.file.path
    first_line = _line(piece.file, layout.dialect, piece.position)
    try:
        text = buffer.decode()
    except UnicodeDecodeError as failure:
        line = first_line + buffer.count(layout.dialect.terminator, 0, failure.start)
        return DataError(f"{path}, line {line}: byte 0x{buffer[failure.start]:02X} is not UTF-8; say --encoding")
    try:
        problem = first_problem(text, layout.grammar, tuple(wanted.numbers.values()))
    except csv.Error as failure:
        return DataError(f"{path}: cannot be read as delimited text near line {first_line} ({failure})")
    if problem is None:
        return DataError(f"{path}: cannot be read as delimited text near line {first_line} ({error})")
    line, description = problem
    return DataError(f"{path}, line {first_line + line}: {description}")


def open_tsv(file: InputFile, reading: Reading) -> CsvSource:
    """Open tab-separated text."""
    return CsvSource(file, reading, format="tsv", delimiter="\t")


def check_reading(reading: Reading, delimiter: str) -> None:
    """Refuse marks that are not one ASCII character, or that two options claim.

    Raises
    ------
    UsageError
    """
    marks = {"--delimiter": reading.delimiter, "--decimal": reading.decimal, "--comment": reading.comment}
    for option, mark in marks.items():
        if mark is not None and (len(mark) != 1 or ord(mark) > 127 or mark in '"\r\n'):
            raise UsageError(f"{option}: {mark!r} is not one ASCII character other than a quote or a line end")
    if reading.decimal == (reading.delimiter or delimiter):
        raise UsageError(
            f"--decimal and --delimiter cannot both be {reading.decimal!r}; "
            "which delimiter does the file use? say --delimiter"
        )
