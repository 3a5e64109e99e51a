"""Delimited text, cut into parts of a few megabytes at record ends and parsed in parallel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from msecli.arrow.columns import floats, labels
from msecli.core.check import LAST_EXACT_INTEGER
from msecli.core.exact import FloatArray
from msecli.errors import SHOWN, DataError, Warned, for_file, shown
from msecli.formats.base import ROUNDED, Block, Column, Selection
from msecli.places.file import InputFile
from msecli.text.dialects import read_text_head
from msecli.text.encoding import decoded
from msecli.text.grammar import Grammar, Truth, notations_of, truth_of
from msecli.text.head import BYTE_ORDER_MARK, Head, are_counted, check_reading, grammar_of, line_number
from msecli.text.problems import all_nan, count_inexact, first_problem
from msecli.text.reading import Reading
from msecli.text.records import (
    QUOTE,
    RETURN,
    Dialect,
    Quotes,
    Text,
    count_blank_lines,
    data_records,
    likely_record_end,
    line_end,
    quotes_of,
    record_end,
    records,
    stray_text,
    without_comments,
)

PART_BYTES = 2 << 20
"""Text parsed at once: large enough that a call costs little, small enough that a few parts fit in the cache."""
MARGIN_BYTES, MARGIN_GROWTH = 1 << 14, 8
"""Bytes read beyond a part to complete its last record, and the growth of this margin if they do not suffice."""
GUESS_BYTES, LONGEST_GUESS = 1 << 16, 1 << 20
"""Bytes that usually show whether a part begins inside quotes; the largest margin for a guessed part."""
LONGEST_RECORD = 256 << 20
SHORT_FILE = 1 << 20
"""Up to this size, importing the fast path costs more than it saves."""

NUMBER_STARTS = tuple("+-.0123456789")

WHOLE = re.compile(r"-?[1-9]\d{0,17}|0", re.ASCII)

OVERFLOWED = "numbers too large for float64 were read as infinite"
SKIPPED = "blank lines were skipped"
NO_HEADER = "the first line was read as data, because it holds only numbers, like the lines below it"


class Layout(NamedTuple):
    """What all parts of a file share."""

    dialect: Dialect
    grammar: Grammar
    word: str = ""

    @property
    def single(self) -> bool:
        """Whether there is only one column, so that a blank line is an empty field."""
        return len(self.grammar.names) == 1

    def converts(self, column: int) -> bool:
        """Whether the numbers of a column are written as Arrow's parser does not read them."""
        return bool(self.grammar.thousands) or column in self.grammar.truths

    @property
    def plain(self) -> bool:
        """Whether numbers are written as usual, there are no comments, and no number means missing."""
        grammar = self.grammar
        usual = grammar.decimal == "." and not grammar.thousands and self.dialect.comment is None
        return usual and not any(word.startswith(NUMBER_STARTS) for word in self.grammar.missing)


class CsvSource:
    """A table of delimited text. See `msecli.formats.base.Source`."""

    chained = True
    divisible = False

    def __init__(self, file: InputFile, reading: Reading, *, format: str = "csv", delimiter: str = ",") -> None:
        check_reading(reading, delimiter)
        self.path = file.path
        self.format = format
        self._original = file
        self._file = decoded(file, reading.encoding)
        self.item: tuple[int, ...] | None = None
        self.rows: int | None = None
        head = read_text_head(file, self._file, reading, reading.delimiter or delimiter)
        self._start = head.data
        grammar = grammar_of(reading, head.names)
        self._sample = _sample(head)
        present = [
            [field for row in self._sample if not grammar.is_missing(field := row[number])]
            for number in range(len(head.names))
        ]
        truths = {number: truth for number, fields in enumerate(present) if (truth := truth_of(fields)) is not None}
        self._layout = Layout(head.dialect, grammar._replace(truths=truths), file.word)
        self._empty = head.empty
        named = head.header and reading.header is None and not are_counted(head.names)
        self.columns: tuple[Column, ...] | None = tuple(
            _column(name, fields, truths.get(number), grammar, named=head.header)._replace(
                like_data=named and _is_like(name, fields, grammar),
                numbered=not head.header,
            )
            for number, (name, fields) in enumerate(zip(head.names, present, strict=True))
        )
        self.work = self._file.size
        detected = reading.header is None and not head.header
        self.warnings: Sequence[Warned] = (Warned("no_header", self.path, NO_HEADER),) if detected else ()

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[CsvPart]:
        """Return parts of `PART_BYTES`.

        Raises
        ------
        DataError
            If there are no rows.
        """
        if self._empty:
            raise DataError(f"{self.path}: there are no rows below the header")
        wanted, size = self._wanted(selection), self._file.size
        return [
            CsvPart(self._file, self._layout, wanted, at, min(at + PART_BYTES, size), at if at == self._start else None)
            for at in range(self._start, size, PART_BYTES)
        ]

    def cuts(self) -> None:
        """Return None: rows are counted only as they are read."""

    def line(self, row: int, begin: int | None = None) -> int | None:
        """Return the line on which a row begins, counted from the one at a byte."""
        begin, size = self._start if begin is None else begin, PART_BYTES
        while True:
            buffer = self._file.read(size, begin)
            found = data_records(buffer, self._layout.dialect, single=self._layout.single)
            record = next(islice(found, row, None), None)
            if record is not None:
                return line_number(self._file, begin) + record.line
            if begin + len(buffer) >= self._file.size:
                return None
            size *= MARGIN_GROWTH

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        self._original.verify()

    def _wanted(self, selection: Selection) -> Wanted:
        places = {name: number for number, name in enumerate(self._layout.grammar.names)}
        return Wanted(
            {name: places[name] for name in selection.numbers},
            {name: places[name] for name in selection.labels},
            {name: self._label_type(places[name]) for name in selection.labels},
        )

    def _label_type(self, column: int) -> pa.DataType:
        """Return the type to try for the labels of a column, judging by the sample; text is the fallback."""
        fields = (row[column] for row in self._sample)
        present = [field for field in fields if not self._layout.grammar.is_missing(field)]
        return pa.int64() if present and all(WHOLE.fullmatch(field) for field in present) else pa.string()


def _sample(head: Head) -> list[list[str]]:
    """Return the fields of those first rows that have the usual width."""
    rows = (row.fields for row in head.first_rows if len(row.fields) == len(head.names) and not row.open_quote)
    return [[field.decode(errors="replace") for field in fields] for fields in rows]


class Wanted(NamedTuple):
    """The positions of the columns to read as numbers and as labels, and the types to try for the labels."""

    numbers: dict[str, int]
    labels: dict[str, int]
    types: dict[str, pa.DataType]


class CsvPart(NamedTuple):
    """The records that begin in a range of bytes. See `msecli.formats.base.ChainedPart`.

    Parameters
    ----------
    file : InputFile
    layout : Layout
    wanted : Wanted
    start, stop : int
        A record belongs to the part if the line end before it lies in [start - 1, stop - 1).
    begin : int, optional
        Where the first record begins. Without it the part guesses, so an error in a guessed part may be none.
    """

    file: InputFile
    layout: Layout
    wanted: Wanted
    start: int
    stop: int
    begin: int | None

    def beginning_at(self, position: int) -> Self:
        """Return the part whose first record begins at this byte."""
        return self._replace(begin=position)

    def read(self) -> Iterator[Block]:
        """Yield the one block."""
        begin, text = self._records()
        block = self._plain_block(text) or _parsed_block(self, text)
        block = _with_inexact(block, text, self)
        yield block._replace(work=len(text), begin=begin, end=begin + len(text))

    def fault(self, text: bytes | memoryview, error: Exception | None = None) -> DataError:
        """Return an error about the first bad line, found by reading the text again, field by field."""
        if self.begin is None:
            return DataError(f"{self.file.path}: unreadable from byte {self.start} on, if a record begins there")
        fault = self.first_fault(text)
        if fault is not None:
            return fault
        near = line_number(self.file, self.begin)
        return DataError(f"{self.file.path}: cannot be read as delimited text near line {near} ({error})")

    def first_fault(self, text: bytes | memoryview) -> DataError | None:
        """Return an error about the first unreadable record of the text, or None if all are readable."""
        columns = tuple(self.wanted.numbers.values()), tuple(self.wanted.labels.values())
        problem = first_problem(bytes(text), self.layout.dialect, self.layout.grammar, *columns)
        return None if problem is None else self._error(self.begin or 0, *problem)

    def _error(self, position: int, lines: int, description: str) -> DataError:
        """Return an error about the line that is `lines` below the one of a byte."""
        line = line_number(self.file, position) + lines
        return DataError(for_file(f"{self.file.path}, line {line}: {description}", self.layout.word))

    def _records(self) -> tuple[int, memoryview]:
        """Return the position of the first record, and the text from there to the end of the last record."""
        offset, margin = self.start - 1 if self.begin is None else self.begin, MARGIN_BYTES
        while True:
            buffer = self.file.read(max(0, self.stop - offset) + margin, offset)
            last = offset + len(buffer) >= self.file.size
            begin = 0 if self.begin is not None else self._likely_begin(buffer, last=last)
            begin = len(buffer) if begin is None and last else begin
            if begin is not None:
                text = self._cut(buffer[begin:], offset + begin, last=last)
                if text is not None:
                    return offset + begin, text
            margin *= MARGIN_GROWTH
            if self.begin is None and margin > LONGEST_GUESS:
                raise self.fault(b"")

    def _likely_begin(self, buffer: bytes, *, last: bool) -> int | None:
        """Return where the first record of the part begins, if quotes are used as usual.

        Quotes in comments need not come in turns, so among these every line end is taken for that of a record.
        """
        comment = self.layout.dialect.comment
        if QUOTE not in buffer or (comment is not None and comment in buffer):
            return line_end(buffer, 0, last=last)
        near = likely_record_end(buffer[:GUESS_BYTES], self.layout.dialect, last=False)
        return likely_record_end(buffer, self.layout.dialect, last=last) if near is None else near

    def _cut(self, buffer: bytes, position: int, *, last: bool) -> memoryview | None:
        """Cut the part's records from a buffer that begins with the first one; None if the buffer is too short."""
        if position >= self.stop:
            return memoryview(b"")
        quotes = quotes_of(buffer, self.layout.dialect) if QUOTE in buffer else None
        at = self.stop - 1 - position
        end = line_end(buffer, at, last=last) if quotes is None else record_end(buffer, at, quotes, last=last)
        hopeless = last or len(buffer) >= LONGEST_RECORD
        if quotes is not None and (end is not None or hopeless):
            self._check_quotes(quotes, buffer, len(buffer) if end is None else end, position)
        if end is None and hopeless and not last:
            mebibytes = LONGEST_RECORD >> 20
            start = next(record.start for record in records(buffer, self.layout.dialect) if record.end > at)
            raise self._error(position + start, 0, f"the line is longer than {mebibytes} MiB; is this text?")
        end = len(buffer) if end is None and last else end
        return None if end is None else memoryview(buffer)[:end]

    def _check_quotes(self, quotes: Quotes, buffer: bytes, end: int, position: int) -> None:
        """Refuse an unclosed quote, and text after a closing quote; an error in an earlier record comes first."""
        stray, unclosed = stray_text(buffer, quotes, self.layout.dialect), quotes.unclosed
        misplaced = [at for at in (stray, unclosed) if at is not None and at < end]
        if not misplaced:
            return
        if self.begin is None:
            raise self.fault(b"")
        start = next(record.start for record in records(buffer, self.layout.dialect) if record.end > min(misplaced))
        earlier = self.first_fault(buffer[:start])
        if earlier is not None:
            raise earlier
        if min(misplaced) == unclosed:
            raise self._error(position + unclosed, 0, "the quote opened here is never closed")
        raise self._error(
            position + start,
            0,
            "a closing quote is followed by text; the quote before it is probably never closed "
            "(a quote inside quotes is doubled)",
        )

    def _plain_block(self, text: memoryview) -> Block | None:
        """Return the numbers of plain text by the fast path, or None if it cannot be used."""
        if self.wanted.labels or not self.layout.plain or self.file.size <= SHORT_FILE:
            return None
        if any(map(self.layout.converts, self.wanted.numbers.values())):
            return None
        from msecli.text.plain import plain_numbers  # costly to import: see SHORT_FILE

        columns = sorted(set(self.wanted.numbers.values()))
        dialect, grammar, held = self.layout.dialect, self.layout.grammar, text.obj
        assert isinstance(held, bytes)  # noqa: S101 - `_cut` makes it a view of bytes
        data = np.frombuffer(text, dtype=np.uint8)
        plain = Text(data, dialect, len(grammar.names), quoted=QUOTE in held, returns=RETURN in held)
        found = plain_numbers(plain, columns, grammar.missing)
        if found is None:
            return None
        by_column = dict(zip(columns, found, strict=True))
        return Block(len(found[0]), {name: by_column[column] for name, column in self.wanted.numbers.items()})


def _column(name: str, present: list[str], truth: Truth | None, grammar: Grammar, *, named: bool) -> Column:
    """Return a column, numeric if most of its present fields are numbers in some notation, or if it has none."""
    if truth is not None:
        return Column(name, f"{truth[0]} or {truth[1]}", numeric=True)
    texts = [field for field in present if not (grammar.is_number(field) or notations_of(field))]
    if 2 * len(texts) >= len(present) > 0:
        return Column(name, f"text such as {shown(texts[0])}", numeric=False)
    # Where columns have no names, only what they hold tells them apart.
    return Column(name, "number" if named or not present else f"number such as {present[0][:SHOWN]}", numeric=True)


def _is_like(name: str, present: list[str], grammar: Grammar) -> bool:
    """Tell whether a name is an integer above integers, or a decimal above decimals."""
    return grammar.is_finite(name) and {grammar.kind(name)} == set(map(grammar.kind, present)) - {""}


def _parsed_block(part: CsvPart, buffer: memoryview) -> Block:
    """Read the rows of a text with Arrow's parser."""
    layout, wanted, path = part.layout, part.wanted, part.file.path
    text = without_comments(bytes(buffer), layout.dialect) if layout.dialect.comment else buffer
    try:
        table, blank = _table(text, layout, wanted)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise part.fault(buffer, error) from error
    fields = {name: _whole(table.column(str(column))) for name, column in wanted.numbers.items()}
    read = {name: array for name, array in fields.items() if not layout.converts(wanted.numbers[name])}
    numbers: dict[str | None, FloatArray] = {name: floats(array, path)[0] for name, array in read.items()}
    for name in fields.keys() - read.keys():
        from msecli.text.written import numbers_of  # seldom needed

        converted = numbers_of(fields[name], layout.grammar, wanted.numbers[name])
        if converted is None:
            raise part.fault(buffer)
        numbers[name] = converted
    # Arrow also reads words such as nan(ind) as NaN.
    is_nan = {name: np.isnan(numbers[name]) for name in read}
    written = [name for name, array in read.items() if np.count_nonzero(is_nan[name]) > array.null_count]
    for name, texts in _texts(written, text, layout, wanted).items():
        if not all_nan(texts, is_nan[name]):
            raise part.fault(buffer)
    found = {
        name: _canonical(labels(_whole(table.column(_label(column))), name), wanted.types[name])
        for name, column in wanted.labels.items()
    }
    return Block(table.num_rows, numbers, found, (Warned("blank_lines", path, SKIPPED, blank),) if blank else ())


def _table(text: bytes | memoryview, layout: Layout, wanted: Wanted) -> tuple[pa.Table, int]:
    """Return the parsed text and the number of blank lines that were skipped.

    They are counted here because Arrow skips them silently, or else makes each a row of nulls in all columns, which
    may take far more memory than the text.
    """
    table = _parse(text, layout, wanted)
    return table, 0 if layout.single else count_blank_lines(text, layout.dialect)


def _parse(text: bytes | memoryview, layout: Layout, wanted: Wanted) -> pa.Table:
    numbers = {
        str(column): pa.string() if layout.converts(column) else pa.float64() for column in wanted.numbers.values()
    }
    labels = {str(column): pa.string() for column in wanted.labels.values()}
    if not numbers.keys() & labels.keys():
        table = _parsed(text, layout, numbers | labels)
        return table.rename_columns([_label(int(name)) if name in labels else name for name in table.column_names])
    # A column with both roles is read twice, once for each.
    table = _parsed(text, layout, numbers)
    for column, values in zip(labels, _parsed(text, layout, labels).columns, strict=True):
        table = table.append_column(_label(int(column)), values)
    return table


def _canonical(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Convert labels read as text to integers, if the integers print as the same text."""
    if column.type == kind:
        return column
    from msecli.arrow.functions import cast

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
        # Arrow drops a byte order mark from the start of any text; here it is data.
        text = BYTE_ORDER_MARK + text
    return pa_csv.read_csv(
        pa.BufferReader(pa.py_buffer(text)),
        pa_csv.ReadOptions(
            use_threads=False,
            # A single block: no record straddles a border, and each column is one array.
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
    """Read some columns of numbers again, as text."""
    if not names:
        return {}
    types = {str(wanted.numbers[name]): pa.string() for name in names}
    table = _parsed(text, layout, types)
    return {name: _whole(table.column(str(wanted.numbers[name]))) for name in names}


def _with_inexact(block: Block, buffer: memoryview, part: CsvPart) -> Block:
    """Add warnings of fields that float64 cannot hold; only large values can be such."""
    values = {name: block.numbers[name] for name in part.wanted.numbers}
    extremes = {
        name: max(np.fmax.reduce(column, initial=0.0), -np.fmin.reduce(column, initial=0.0))
        for name, column in values.items()
    }
    large = [name for name, extreme in extremes.items() if extreme >= LAST_EXACT_INTEGER]
    if not large:
        return block
    layout = part.layout
    text = without_comments(bytes(buffer), layout.dialect) if layout.dialect.comment else buffer
    warnings = list(block.warnings)
    for name, fields in _texts(large, text, layout, part.wanted).items():
        if layout.converts(part.wanted.numbers[name]):
            from msecli.text.written import without_marks  # seldom needed

            fields = without_marks(fields, layout.grammar)  # noqa: PLW2901 - the same numbers
        overflowed, rounded = count_inexact(fields, values[name])
        where = f"{part.file.path}, column {name!r}"
        found = (
            Warned("overflowed_numbers", where, OVERFLOWED, overflowed),
            Warned("rounded_integers", where, ROUNDED, rounded),
        )
        warnings += [warning for warning in found if warning.count]
    return block._replace(warnings=tuple(warnings))


def open_tsv(file: InputFile, reading: Reading) -> CsvSource:
    """Open tab-separated text."""
    return CsvSource(file, reading, format="tsv", delimiter="\t")
