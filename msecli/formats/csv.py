"""Delimited text, cut into parts of a few megabytes that a kernel reads in parallel."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from msecli import kernel
from msecli.errors import SHOWN, DataError, NoRowsError, Warned, for_file, shown
from msecli.formats.base import OVERFLOWED, ROUNDED, Block, Column, LabelArray, Part, Selection
from msecli.kernel.interface import Dialect, Fault, Found, Kind, Scan, Texts, Wanted
from msecli.places.base import InputFile
from msecli.places.compressed import decompressed
from msecli.places.stream import ForgottenError, StreamFile, expected_size, stored_of
from msecli.text.dialects import read_text_head
from msecli.text.encoding import decoded
from msecli.text.grammar import Grammar, Truth, notations_of, truth_of
from msecli.text.head import Head, are_counted, check_reading, grammar_of
from msecli.text.problems import first_problem
from msecli.text.ranges import LONGEST_RECORD, OfRanges, Ranges
from msecli.text.reading import Reading
from msecli.text.records import Dialect as Marks
from msecli.text.records import data_records
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from msecli.arrays import FloatArray
    from msecli.text.survey import Counted, Known, Stretch, Surveyor

PART_BYTES = 2 << 20
"""Text read at once: large enough that a call costs little, small enough that a few parts fit in the cache."""
RANGES_SURVEYED = 32
"""Parts whose rows are counted at once: 64 MiB, which takes a twentieth of a second."""
LOOK_GROWTH = 8
"""Growth of what is read at once to find the line of a row."""

WHOLE = r"(?:-?[1-9]\d{0,17}|0)"
ALL_WHOLE = re.compile(rf"{WHOLE}(?:\n{WHOLE})*", re.ASCII)

SKIPPED = "blank lines were skipped"
NO_HEADER = "the first line was read as data, because it holds only numbers, like the lines below it"


class Layout(NamedTuple):
    """What all parts of a file share."""

    marks: Marks
    grammar: Grammar
    word: str = ""

    @property
    def single(self) -> bool:
        """Whether there is only one column, so that a blank line is an empty field."""
        return len(self.grammar.names) == 1

    @property
    def dialect(self) -> Dialect:
        """How a kernel is told to read the text."""
        return Dialect(
            len(self.grammar.names),
            self.marks.delimiter.decode(),
            decimal=self.grammar.decimal,
            comment=None if self.marks.comment is None else self.marks.comment.decode(),
            missing=self.grammar.missing,
        )

    def numbers(self, column: int) -> Wanted:
        """Return how the numbers of a column are read; those with marks between thousands first as text."""
        truth = self.grammar.truths.get(column)
        if truth is not None:
            return Wanted(column, Kind.TRUTH, truth)
        return Wanted(column, Kind.TEXT if self.grammar.thousands else Kind.NUMBER)


class CsvSource:
    """A table of delimited text. See `msecli.formats.base.Source`."""

    divisible = False

    def __init__(self, file: InputFile, reading: Reading, *, format: str = "csv", delimiter: str = ",") -> None:
        check_reading(reading, delimiter)
        self.path = file.path
        self.format = format
        self._original = file
        self._file = decoded(file, reading.encoding)
        self.item: tuple[int, ...] | None = None
        self.rows: int | None = None
        head = read_text_head(self._file, reading, reading.delimiter or delimiter)
        self._start = head.data
        grammar = grammar_of(reading, head.names)
        sample, missing = _sample(head), frozenset(grammar.missing)
        present = [
            [field for row in sample if (field := row[number]) not in missing] for number in range(len(head.names))
        ]
        truths = {number: truth for number, fields in enumerate(present) if (truth := truth_of(fields)) is not None}
        self._whole = tuple(map(_all_whole, present))
        self._layout = Layout(head.dialect, grammar._replace(truths=truths), file.word)
        self._empty = head.empty
        self._ranges = Ranges(self._file, self._layout.dialect, self._start, PART_BYTES)
        self._counted: Counted | None = None
        named = head.header and reading.header is None and not are_counted(head.names)
        self.columns: tuple[Column, ...] | None = tuple(
            _column(name, fields, truths.get(number), grammar, named=head.header)._replace(
                like_data=named and _is_like(name, fields, grammar),
                numbered=not head.header,
            )
            for number, (name, fields) in enumerate(zip(head.names, present, strict=True))
        )
        detected = reading.header is None and not head.header
        self.warnings: Sequence[Warned] = (Warned("no_header", self.path, NO_HEADER),) if detected else ()

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[Part]:
        """Return parts of `PART_BYTES`; of a compressed text whose rows have been counted one.

        Raises
        ------
        NoRowsError
        """
        if self._empty:
            raise NoRowsError(f"{self.path}: there are no rows below the header")
        wanted = self._wanted(selection)
        if self._counted is not None:
            stored = stored_of(self._file)
            if stored is not None:
                return [CompressedPart(stored, self._layout, wanted, self._start)]
            return [CsvPart(self._file, self._layout, wanted, ranges, 0) for ranges in self._known_ranges()]
        return OfRanges(self._ranges, partial(CsvPart, self._file, self._layout, wanted, self._ranges))

    @property
    def work(self) -> int | None:
        """The bytes of text; of a stream as many as are expected, None if that cannot be told."""
        return expected_size(self._file)

    @property
    def streamed(self) -> bool:
        """Whether the text can be read only from its beginning."""
        return isinstance(self._file, StreamFile)

    def once(self) -> None:
        """From now on the parts are read once, in order."""
        self._ranges.trail.once()

    def cuts(self) -> Sequence[int] | None:
        """Return the first row of each part, followed by the number of rows; None if they have not been counted."""
        return None if self._counted is None else self._counted.cuts

    def stretches(self) -> Sequence[Stretch]:
        """Return the pieces whose rows would be counted apart; none if they have been counted."""
        from msecli.text.survey import Stretch, stretches  # only other machines need it

        if self._empty or self._counted is not None:
            return ()
        stored = stored_of(self._file)
        if stored is not None:
            return [Stretch(stored, self._layout.dialect, self._start, PART_BYTES, 0, self._start, compressed=True)]
        return stretches(self._file, self._layout.dialect, self._start, PART_BYTES, RANGES_SURVEYED)

    def count(self, run: Surveyor) -> None:
        """Count the rows of all parts, in a pass over the text. See `msecli.formats.base.Countable`."""
        from msecli.text.survey import Counted, surveyed

        stretches = self.stretches()
        if stretches:
            self.take(Counted.of(surveyed(stretches, run)))

    def take(self, counted: Counted) -> None:
        """Take what has been counted."""
        self._counted = counted
        if counted.end is not None:
            self.rows = counted.cuts[-1]

    def _known_ranges(self) -> Iterator[Ranges | Known]:
        """Yield the ranges of the parts; the last one finds the fault again, if there is one."""
        from msecli.text.survey import Known

        assert self._counted is not None  # noqa: S101 - the caller has looked
        begins, _, end = self._counted
        for begin, stop in pairwise([*begins, *([] if end is None else [end])]):
            yield Known(self._file, begin, stop)
        if end is None:
            start = self._start + (len(begins) - 1) * PART_BYTES
            yield Ranges(self._file, self._layout.dialect, start, PART_BYTES, begins[-1])

    def line(self, row: int, begin: int | None = None) -> int | None:
        """Return the line on which a row begins, counted from the one at a byte."""
        begin = self._start if begin is None else begin
        if self._counted is not None and begin == self._start:
            part = min(bisect_right(self._counted.cuts, row), len(self._counted.begins)) - 1
            row, begin = row - self._counted.cuts[part], self._counted.begins[part]
        try:
            return self._line(row, begin)
        except ForgottenError:
            return self._ranges.trail.line_of_row(begin, row)

    def _line(self, row: int, begin: int) -> int | None:
        size = PART_BYTES
        while True:
            buffer = self._file.read(size, begin)
            found = data_records(buffer, self._layout.marks, single=self._layout.single)
            record = next(islice(found, row, None), None)
            if record is not None:
                return self._ranges.trail.line(begin) + record.line
            if not self._file.reaches(begin + len(buffer)):
                return None
            size *= LOOK_GROWTH

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        self._original.verify()

    def _wanted(self, selection: Selection) -> Columns:
        places = {name: number for number, name in enumerate(self._layout.grammar.names)}
        return Columns(
            {name: self._layout.numbers(places[name]) for name in selection.numbers},
            {name: Wanted(places[name], self._label_kind(places[name])) for name in selection.labels},
        )

    def _label_kind(self, column: int) -> Kind:
        """Return what to try to read the labels of a column as, judging by the sample; text is the fallback."""
        return Kind.INTEGER if self._whole[column] else Kind.TEXT


def _all_whole(present: Sequence[str]) -> bool:
    """Tell whether all fields are integers: the first one tells it of most columns."""
    return (
        bool(present) and ALL_WHOLE.fullmatch(present[0]) is not None and bool(ALL_WHOLE.fullmatch("\n".join(present)))
    )


def _sample(head: Head) -> list[list[str]]:
    """Return the fields of those first rows that have the usual width."""
    width = len(head.names)
    rows = [row.fields for row in head.first_rows if len(row.fields) == width and not row.open_quote]
    return [[str(field, "utf-8", "replace") for field in fields] for fields in rows]


class Columns(NamedTuple):
    """The columns to read as numbers and as labels, by their names."""

    numbers: Mapping[str, Wanted]
    labels: Mapping[str, Wanted]

    def in_order(self) -> list[Wanted]:
        """Return all of them in the order of the text."""
        return sorted({*self.numbers.values(), *self.labels.values()})

    def with_text(self, column: int) -> Columns:
        """Return the same, with text for the labels of a column."""
        texts = {name: each._replace(kind=Kind.TEXT) for name, each in self.labels.items() if each.column == column}
        return self._replace(labels={**self.labels, **texts})


class CsvPart(NamedTuple):
    """The records that begin in a range of bytes. See `msecli.formats.base.Part`."""

    file: InputFile
    layout: Layout
    wanted: Columns
    ranges: Ranges | Known
    number: int

    def read(self) -> Iterator[Block]:
        """Yield the one block."""
        begin, text, whole = self.ranges.read(self.number)
        wanted, found = self._scan(text, self.wanted)
        if found.fault is not None:
            # A number with marks between thousands that is none may come before the fault.
            self._block(wanted, found, text[: found.fault.record], begin)
            if whole or self._is_whole(text[found.fault.record :]):
                raise self._refusal(found.fault, text, begin)
        if not whole:
            at = bytes(text[:PART_BYTES]).rfind(b"\n") + 1 if found.fault is None else found.fault.record
            raise self._error(begin + at, f"the line is longer than {LONGEST_RECORD >> 20} MiB; is this text?")
        block = self._block(wanted, found, text, begin)._replace(work=len(text), begin=begin)
        self.ranges.parsed(self.number, text, found.rows)
        yield block

    def _scan(self, text: memoryview, wanted: Columns) -> tuple[Columns, Scan]:
        """Read the records; columns of labels that are not all integers as text."""
        found = kernel.chosen().scan(text, self.layout.dialect, wanted.in_order())
        if found.fault is None or found.fault.problem != "integer":
            return wanted, found
        return self._scan(text, wanted.with_text(found.fault.column))

    def _is_whole(self, record: memoryview) -> bool:
        """Tell whether the first record of a text is not cut off."""
        return kernel.chosen().border(record, self.layout.dialect, 1, last=False) is not None

    def _block(self, wanted: Columns, found: Scan, text: memoryview, begin: int) -> Block:
        columns = dict(zip(wanted.in_order(), found.columns, strict=True))
        numbers: dict[str | None, FloatArray] = {}
        warnings = [Warned("blank_lines", self.file.path, SKIPPED, found.blank)]
        for name, each in wanted.numbers.items():
            column = columns[each]
            if isinstance(column.values, Texts):
                column = self._grouped(column.values, text, begin)
            numbers[name] = column.values  # type: ignore[assignment] # by its kind
            where = f"{self.file.path}, column {name!r}"
            warnings.append(Warned("overflowed_numbers", where, OVERFLOWED, column.overflowed))
            warnings.append(Warned("rounded_integers", where, ROUNDED, column.rounded))
        labels = {name: _labels(columns[each]) for name, each in wanted.labels.items()}
        return Block(found.rows, numbers, labels, tuple(warning for warning in warnings if warning.count))

    def _grouped(self, fields: Texts, text: memoryview, begin: int) -> Found:
        """Return numbers with marks between thousands."""
        from msecli.text.written import grouped_numbers  # seldom needed

        found = grouped_numbers(fields.strings(), self.layout.grammar)
        if found is None:
            raise self._bad_record(text, begin)
        return found

    def _refusal(self, fault: Fault, text: memoryview, begin: int) -> DataError:
        """Return an error about a record that cannot be read, in a text that begins at a byte."""
        if fault.problem == "open":
            return self._error(begin + fault.at, "the quote opened here is never closed")
        if fault.problem == "stray":
            return self._error(
                begin + fault.record,
                "a closing quote is followed by text; the quote before it is probably never closed "
                "(a quote inside quotes is doubled)",
            )
        return self._bad_record(text[fault.record :], begin + fault.record)

    def _bad_record(self, text: memoryview, position: int) -> DataError:
        """Return an error about the first record that does not fit the columns, in a text that begins at a byte."""
        columns = [[each.column for each in wanted.values()] for wanted in (self.wanted.numbers, self.wanted.labels)]
        problem = first_problem(bytes(text), self.layout.marks, self.layout.grammar, *columns)
        lines, description = (0, "the record cannot be read") if problem is None else problem
        return self._error(position, description, lines)

    def _error(self, position: int, description: str, lines: int = 0) -> DataError:
        """Return an error about the line that is `lines` below the one of a byte."""
        line = self.ranges.trail.line(position) + lines
        return DataError(for_file(f"{self.file.path}, line {line}: {description}", self.layout.word))


class CompressedPart(NamedTuple):
    """All records of a compressed text, read from its beginning. See `msecli.formats.base.Part`."""

    stored: InputFile
    layout: Layout
    wanted: Columns
    start: int

    def read(self) -> Iterator[Block]:
        """Decompress the text, and yield its blocks."""
        file = decompressed(self.stored)
        ranges = Ranges(file, self.layout.dialect, self.start, PART_BYTES)
        ranges.trail.once()
        for number in ranges.numbers():
            yield from CsvPart(file, self.layout, self.wanted, ranges, number).read()


def _labels(found: Found) -> LabelArray:
    """Return labels, without Arrow if they are integers."""
    if found.missing is None and not isinstance(found.values, Texts):
        return found.values
    from msecli.arrow.functions import integers, strings

    if isinstance(found.values, Texts):
        return strings(found.values.data, found.values.ends, found.missing)
    return integers(found.values, found.missing)  # type: ignore[arg-type] # by its kind


def _column(name: str, present: list[str], truth: Truth | None, grammar: Grammar, *, named: bool) -> Column:
    """Return a column, numeric if most of its present fields are numbers in some notation, or if it has none."""
    if truth is not None:
        return Column(name, f"{truth[0]} or {truth[1]}", numeric=True)
    texts: list[str] = []
    if not grammar.are_finite(present):
        texts = [field for field in present if not (grammar.is_number(field) or notations_of(field))]
    if 2 * len(texts) >= len(present) > 0:
        return Column(name, f"text such as {shown(texts[0])}", numeric=False)
    # Where columns have no names, only what they hold tells them apart.
    return Column(name, "number" if named or not present else f"number such as {present[0][:SHOWN]}", numeric=True)


def _is_like(name: str, present: list[str], grammar: Grammar) -> bool:
    """Tell whether a name is an integer above integers, or a decimal above decimals."""
    return grammar.is_finite(name) and {grammar.kind(name)} == set(map(grammar.kind, present)) - {""}


def open_tsv(file: InputFile, reading: Reading) -> CsvSource:
    """Open tab-separated text."""
    return CsvSource(file, reading, format="tsv", delimiter="\t")
