"""Delimited text, cut at record ends into pieces that are parsed in parallel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from msecli.core.check import LAST_EXACT_INTEGER
from msecli.engines.local import Instead
from msecli.errors import DataError, shown
from msecli.sources.arrow import floats, labels
from msecli.sources.base import Block, Column, Note, Part, Reading, Selection
from msecli.sources.cells import Grammar, all_nan, count_inexact, first_problem
from msecli.sources.encoding import decoded
from msecli.sources.file import InputFile
from msecli.sources.head import BYTE_ORDER_MARK, Head, check_reading, line_number, read_head
from msecli.sources.npy import ROUNDED
from msecli.sources.records import (
    QUOTE,
    RETURN,
    Cut,
    Dialect,
    Text,
    count_blank_lines,
    cut_records,
    guess_cut,
    records,
    without_comments,
)

PIECE_BYTES = 2 << 20
"""Text parsed at once: large enough to make the cost of a call vanish, small enough for a few to fit in the cache."""
LONGEST_RECORD = 256 << 20
SHORT_FILE = 1 << 20
"""Up to this many bytes, loading what reads without a parser takes longer than parsing."""

NUMBER_STARTS = tuple("+-.0123456789")

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "NaT")
"""Cells that mean "missing"; NaN however it is written, such as -NAN, is a number that is missing too."""

WHOLE = re.compile(r"-?[1-9]\d{0,17}|0", re.ASCII)

OVERFLOWED = "numbers too large for float64 were read as infinite"
SKIPPED = "blank lines were skipped"


class Layout(NamedTuple):
    """What every piece of the file has in common."""

    dialect: Dialect
    grammar: Grammar

    @property
    def single(self) -> bool:
        """Whether there is only one column, so that a blank line is an empty cell."""
        return len(self.grammar.names) == 1

    @property
    def plain(self) -> bool:
        """Whether numbers are written as usual, there are no comments, and no number means missing."""
        usual = self.grammar.decimal == "." and self.dialect.comment is None
        return usual and not any(word.startswith(NUMBER_STARTS) for word in self.grammar.missing)


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
        head = read_head(self._file, reading, reading.delimiter or delimiter)
        self._start = head.data
        self._layout = Layout(head.dialect, Grammar(head.names, reading.decimal, (*MISSING, *reading.na_values)))
        self._sample = _sample(head)
        self._empty = head.empty
        self.columns: tuple[Column, ...] | None = tuple(
            _column(name, [row[number] for row in self._sample]) for number, name in enumerate(head.names)
        )
        self.work = self._file.size
        self.notes: Sequence[Note] = ()

    def parts(self, selection: Selection) -> Iterator[Part]:
        """Yield pieces of whole records.

        Raises
        ------
        DataError
            If there are none, or one cannot end.
        """
        if self._empty:
            raise DataError(f"{self.path}: there are no rows below the header")
        wanted = self._wanted(selection)
        plain = self._layout.plain and not wanted.labels and self._file.size > SHORT_FILE
        return self._guessed_pieces(wanted) if plain else self._pieces(wanted, self._start)

    def _guessed_pieces(self, wanted: Wanted) -> Iterator[Part]:
        """Yield pieces cut where records end if all quotes are around fields, which is found out when they are read."""
        position, dialect, width = self._start, self._layout.dialect, len(self._layout.grammar.names)
        while position < self._file.size:
            buffer = self._file.read(PIECE_BYTES, position)
            if position + len(buffer) >= self._file.size:
                end, quoted = len(buffer), QUOTE in buffer
            else:
                end, quoted = guess_cut(buffer)
            if end == 0:
                yield from self._pieces(wanted, position)
                return
            data = np.frombuffer(buffer, dtype=np.uint8, count=end)
            text = Text(data, dialect, width, quoted=quoted, returns=RETURN in buffer)
            yield partial(self._read_plain, Piece(self._file, position), text, wanted)
            position += end

    def _read_plain(self, piece: Piece, text: Text, wanted: Wanted) -> Iterator[Block]:
        """Yield the numbers of a piece, which is read without a parser if it can be.

        Raises
        ------
        Instead
            If the piece and all behind it may have been cut in the midst of a record.
        """
        # Loaded only here: see SHORT_FILE.
        from msecli.sources.fields import OddQuotesError, plain_numbers

        columns = sorted(set(wanted.numbers.values()))
        try:
            found = plain_numbers(text, columns, self._layout.grammar.missing)
        except OddQuotesError as error:
            raise Instead(self._pieces(wanted, piece.position)) from error
        if found is None:
            yield from _read_piece(piece, text.data.data, self._layout, wanted)
            return
        by_column = dict(zip(columns, found, strict=True))
        numbers = {name: by_column[column] for name, column in wanted.numbers.items()}
        block = Block(len(found[0]), numbers, work=text.data.size)
        yield _with_inexact(block, text.data.data, self._layout, wanted, piece.file.path)

    def _pieces(self, wanted: Wanted, position: int) -> Iterator[Part]:
        """Yield pieces cut where records end, whatever quotes there are."""
        size = PIECE_BYTES
        while position < self._file.size:
            buffer = self._file.read(size, position)
            last = position + len(buffer) >= self._file.size
            cut = cut_records(buffer, self._layout.dialect)
            self._check_cut(cut, buffer, Piece(self._file, position), wanted, last=last)
            if cut.end == 0 and not last:
                size *= 2
                continue
            end = len(buffer) if last else cut.end
            yield partial(_read_piece, Piece(self._file, position), memoryview(buffer)[:end], self._layout, wanted)
            position, size = position + end, PIECE_BYTES

    def verify(self) -> None:
        """Raise `DataError` if the file was changed meanwhile."""
        self._original.verify()

    def _wanted(self, selection: Selection) -> Wanted:
        places = {name: number for number, name in enumerate(self._layout.grammar.names)}
        return Wanted(
            {name: places[name] for name in selection.numbers},
            {name: places[name] for name in selection.labels},
            {name: self._label_type(places[name]) for name in selection.labels},
        )

    def _label_type(self, column: int) -> pa.DataType:
        """Return what the labels of a column are, as long as all of a piece can be: text they can always be."""
        present = self._present(column)
        return pa.int64() if present and all(WHOLE.fullmatch(cell) for cell in present) else pa.string()

    def _present(self, column: int) -> list[str]:
        """Return the cells of a column in the sample that are not missing."""
        return [row[column] for row in self._sample if not self._layout.grammar.is_missing(row[column])]

    def _check_cut(self, cut: Cut, buffer: bytes, piece: Piece, wanted: Wanted, *, last: bool) -> None:
        """Refuse a quote that nothing closes, or that closes in the middle of text, and a record too long to be one.

        If something is wrong with a record before it, that is what is said.
        """
        hopeless = last or (cut.end == 0 and len(buffer) >= LONGEST_RECORD)
        odd = [] if cut.stray_text is None else [cut.stray_text]
        odd += [cut.open_quote] if cut.open_quote is not None and hopeless else []
        if odd:
            at = min(odd)
            start = next(record.start for record in records(buffer, self._layout.dialect) if record.end > at)
            earlier = _first_fault(piece, buffer[:start], self._layout, wanted)
            if earlier is not None:
                raise earlier
            if at == cut.open_quote:
                line = line_number(self._file, piece.position + at)
                raise DataError(f"{self.path}, line {line}: the quote opened here is never closed")
            line = line_number(self._file, piece.position + start)
            raise DataError(
                f"{self.path}, line {line}: a closing quote is followed by text; the quote before it is probably never "
                "closed (a quote inside quotes is doubled)"
            )
        if cut.end == 0 and hopeless and not last:
            line = line_number(self._file, piece.position)
            raise DataError(
                f"{self.path}, line {line}: the line is longer than {LONGEST_RECORD >> 20} MiB; is this text?"
            )


def _sample(head: Head) -> list[list[str]]:
    """Return the cells of the first rows of the usual width."""
    rows = (row.cells for row in head.first_rows if len(row.cells) == len(head.names) and not row.open_quote)
    return [[cell.decode(errors="replace") for cell in cells] for cells in rows]


class Wanted(NamedTuple):
    """The positions of the columns to read as numbers and as labels, and the types to try for the labels."""

    numbers: dict[str, int]
    labels: dict[str, int]
    types: dict[str, pa.DataType]


class Piece(NamedTuple):
    """Where a piece of text comes from."""

    file: InputFile
    position: int


def _column(name: str, cells: list[str]) -> Column:
    """A column is numeric if most of the cells that are not missing are; one without any is taken as numeric."""
    grammar = Grammar(missing=MISSING)
    present = [cell for cell in cells if not grammar.is_missing(cell)]
    texts = [cell for cell in present if not _number_like(cell)]
    numeric = 2 * len(texts) < len(present) or not present
    return Column(name, "number" if numeric else f"text such as {shown(texts[0])}", numeric)


def _number_like(cell: str) -> bool:
    return any(Grammar(decimal=mark).is_number(cell) for mark in ".,")


def _read_piece(piece: Piece, buffer: memoryview, layout: Layout, wanted: Wanted) -> Iterator[Block]:
    text = without_comments(bytes(buffer), layout.dialect) if layout.dialect.comment else buffer
    try:
        table, blank = _table(text, layout, wanted)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _explained(piece, bytes(buffer), layout, wanted, error) from error
    path = piece.file.path
    read = {name: _whole(table.column(str(column))) for name, column in wanted.numbers.items()}
    numbers = {name: floats(array, path)[0] for name, array in read.items()}
    not_numbers = {name: np.isnan(values) for name, values in numbers.items()}
    written = [name for name, array in read.items() if np.count_nonzero(not_numbers[name]) > array.null_count]
    for name, cells in _texts(written, text, layout, wanted).items():
        if not all_nan(cells, not_numbers[name]):
            raise _explained(piece, bytes(buffer), layout, wanted)
    found = {
        name: _canonical(labels(_whole(table.column(_label(column))), name), wanted.types[name])
        for name, column in wanted.labels.items()
    }
    notes = (Note("blank_lines", path, SKIPPED, blank),) if blank else ()
    block = Block(table.num_rows, numbers, found, notes, work=len(buffer))
    yield _with_inexact(block, text, layout, wanted, path)


def _table(text: bytes | memoryview, layout: Layout, wanted: Wanted) -> tuple[pa.Table, int]:
    """Return the parsed text, and how many blank lines were skipped.

    Arrow leaves blank lines out without a word, or, if told to, makes each a row of nulls in all columns, which may
    take far more memory than the text. So they are counted without it.
    """
    table = _parse(text, layout, wanted)
    return table, 0 if layout.single else count_blank_lines(text, layout.dialect)


def _parse(text: bytes | memoryview, layout: Layout, wanted: Wanted) -> pa.Table:
    numbers = {str(column): pa.float64() for column in wanted.numbers.values()}
    labels = {str(column): pa.string() for column in wanted.labels.values()}
    if not numbers.keys() & labels.keys():
        table = _parsed(text, layout, numbers | labels)
        return table.rename_columns([_label(int(name)) if name in labels else name for name in table.column_names])
    # A column with both parts is read twice, once for each.
    table = _parsed(text, layout, numbers)
    for column, values in zip(labels, _parsed(text, layout, labels).columns, strict=True):
        table = table.append_column(_label(int(column)), values)
    return table


def _canonical(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return labels read as text as the integers they are, if all of them are written the usual way."""
    if column.type == kind:
        return column
    from msecli.sources.kernels import cast

    try:
        numbers = cast(column, kind)
    except pa.ArrowInvalid:
        return column
    return numbers if cast(numbers, pa.string()).equals(column) else column


def _label(column: int) -> str:
    return f"label {column}"


def _parsed(text: bytes | memoryview, layout: Layout, types: dict[str, pa.DataType]) -> pa.Table:
    grammar = layout.grammar
    if not len(text) or (not layout.single and not bytes(text).strip(b"\r\n")):
        return pa.table({name: pa.nulls(0, kind) for name, kind in types.items()})
    if text[:3] == BYTE_ORDER_MARK:
        # Arrow drops one mark where a text begins, which is not where the file begins.
        text = BYTE_ORDER_MARK + text
    return pa_csv.read_csv(
        pa.BufferReader(pa.py_buffer(text)),
        pa_csv.ReadOptions(
            use_threads=False,
            # One block: nothing straddles a border, and a column is one array.
            block_size=len(text) + 1,
            column_names=[str(number) for number in range(len(grammar.names))],
        ),
        pa_csv.ParseOptions(
            delimiter=layout.dialect.delimiter.decode(), newlines_in_values=True, ignore_empty_lines=not layout.single
        ),
        pa_csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=list(grammar.missing),
            strings_can_be_null=True,
            decimal_point=grammar.decimal,
        ),
    )


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _texts(names: Sequence[str], text: bytes | memoryview, layout: Layout, wanted: Wanted) -> dict[str, pa.Array]:
    """Return the cells of some columns of numbers as text, a row for each of the block's."""
    if not names:
        return {}
    types = {str(wanted.numbers[name]): pa.string() for name in names}
    table = _parsed(text, layout, types)
    return {name: _whole(table.column(str(wanted.numbers[name]))) for name in names}


def _with_inexact(block: Block, text: bytes | memoryview, layout: Layout, wanted: Wanted, path: str) -> Block:
    """Return a block with notes on cells that float64 cannot hold: only large values can be such."""
    extremes = {
        name: max(np.fmax.reduce(values, initial=0.0), -np.fmin.reduce(values, initial=0.0))
        for name, values in block.numbers.items()
    }
    large = [name for name, extreme in extremes.items() if extreme >= LAST_EXACT_INTEGER]
    notes = list(block.notes)
    for name, cells in _texts(large, text, layout, wanted).items():
        overflowed, rounded = count_inexact(cells, block.numbers[name])
        where = f"{path}, column {name!r}"
        found = (
            Note("overflowed_numbers", where, OVERFLOWED, overflowed),
            Note("rounded_integers", where, ROUNDED, rounded),
        )
        notes += [note for note in found if note.count]
    return block._replace(notes=tuple(notes))


def _explained(
    piece: Piece, buffer: bytes, layout: Layout, wanted: Wanted, error: Exception | None = None
) -> DataError:
    """Return the error that says what is wrong where, found by reading the piece once more, cell by cell."""
    fault = _first_fault(piece, buffer, layout, wanted)
    if fault is not None:
        return fault
    line = line_number(piece.file, piece.position)
    return DataError(f"{piece.file.path}: cannot be read as delimited text near line {line} ({error})")


def _first_fault(piece: Piece, buffer: bytes, layout: Layout, wanted: Wanted) -> DataError | None:
    """Return what is wrong with the first record of a buffer that cannot be read, or None if all can."""
    columns = tuple(wanted.numbers.values()), tuple(wanted.labels.values())
    problem = first_problem(buffer, layout.dialect, layout.grammar, *columns)
    if problem is None:
        return None
    line, description = problem
    return DataError(f"{piece.file.path}, line {line_number(piece.file, piece.position) + line}: {description}")


def open_tsv(file: InputFile, reading: Reading) -> CsvSource:
    """Open tab-separated text."""
    return CsvSource(file, reading, format="tsv", delimiter="\t")
