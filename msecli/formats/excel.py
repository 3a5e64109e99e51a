"""Sheets of Excel workbooks, and of those of OpenDocument, read as a whole by calamine."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, time
from functools import partial
from typing import Any
from xml.etree import ElementTree as ET

import python_calamine

from msecli.arrays import FloatArray
from msecli.errors import DataError, Warned, many, shown
from msecli.formats.base import OVERFLOWED, Block, Column, LabelArray, Selection
from msecli.formats.named import chosen
from msecli.formats.values import Fault, Rules, UnreadableValueError, column_of, is_truth, labels, numbers, rules_of
from msecli.formats.xls import Errors, errors_of
from msecli.places.base import InputFile
from msecli.text.reading import Reading
from msecli.tuples import NamedTuple

ROWS_PER_BLOCK = 65536
SAMPLE_ROWS = 100

SKIPPED = "blank rows were skipped"

ERROR = b't="e"'
"""What the cells with errors have in the XML of a sheet; calamine takes them for empty ones."""
NOT_AVAILABLE = "#N/A"
"""The one error that means missing."""

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATIONS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
BINARY = "xl/workbook.bin"

Cells = Sequence[Sequence[Any]]


class Sheet(NamedTuple):
    """The cells of a sheet; the first one is at a row and a column, counted from 0."""

    cells: Cells
    row: int
    column: int


class ExcelSource:
    """A table in a sheet. See `msecli.formats.base.Source`."""

    divisible = True

    def __init__(self, file: InputFile, reading: Reading, inner: str = "", *, format: str = "xlsx") -> None:
        self.path, self.format = file.path, format
        self._file = file
        content = file.read(file.size, 0)
        with _explained(file.path):
            sheet = _sheet(file.path, content, inner)
        names, data = _table(file.path, sheet, reading)
        numbered = [(number, row) for number, row in enumerate(data, start=sheet.row + len(sheet.cells) - len(data))]
        filled = [each for each in numbered if len(names) == 1 or any(value is not None for value in each[1])]
        while filled and filled[-1][1][0] is None and len(names) == 1:
            filled.pop()
        if not filled:
            raise DataError(f"{file.path}: there are no rows below the names")
        self._rows = [number for number, _ in filled]
        columns = list(zip(*(row for _, row in filled), strict=True))
        rules = rules_of(reading)
        # A column that has neither a name nor a value is only a wide sheet.
        kept = [n for n, name in enumerate(names) if name or any(value is not None for value in columns[n])]
        self._columns = {
            names[n]: Cell(sheet.column + n, columns[n], rules._replace(truth=is_truth(columns[n]))) for n in kept
        }
        self.columns: tuple[Column, ...] | None = tuple(
            column_of(names[n], columns[n][:SAMPLE_ROWS], rules)._replace(numbered=reading.header is False)
            for n in kept
        )
        self.item: tuple[int, ...] | None = None
        self.rows: int | None = len(filled)
        self.work = len(filled)
        last = self._rows[-1] - self._rows[0] + 1
        skipped = Warned("blank_lines", self.path, SKIPPED, last - len(filled))
        self.warnings: Sequence[Warned] = (skipped,) if skipped.count else ()

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[ExcelPart]:
        """Return parts of `ROWS_PER_BLOCK` rows."""
        rows = range(self.work) if rows is None else rows
        names = dict.fromkeys((*selection.numbers, *selection.labels))
        parts = []
        for start in rows[::ROWS_PER_BLOCK]:
            some = slice(start, min(start + ROWS_PER_BLOCK, rows.stop))
            columns = {name: self._columns[name]._replace(values=self._columns[name].values[some]) for name in names}
            parts.append(ExcelPart(self.path, columns, selection, self._rows[some]))
        return parts

    def cuts(self) -> Sequence[int]:
        """Return the row at which each part begins, and then the number of rows."""
        return [*range(0, self.work, ROWS_PER_BLOCK), self.work]

    def line(self, row: int, begin: int | None = None) -> None:
        """Return None: there are no lines."""

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        self._file.verify()


open_xls = partial(ExcelSource, format="xls")
open_ods = partial(ExcelSource, format="ods")


class Cell(NamedTuple):
    """The values of a column, its number in the sheet, and how they are read."""

    number: int
    values: Sequence[Any]
    rules: Rules


class ExcelPart(NamedTuple):
    """Rows of a sheet. See `msecli.formats.base.Part`."""

    path: str
    columns: Mapping[str, Cell]
    selection: Selection
    rows: Sequence[int]

    def read(self) -> Iterator[Block]:
        """Yield the one block."""
        found: dict[str | None, FloatArray] = {}
        texts: dict[str, LabelArray] = {}
        warnings: list[Warned] = []
        for name in self.selection.numbers:
            with self._placed(name) as column:
                # No cell holds an infinity: it was written as a number too large for float64.
                read = numbers(column.values, column.rules)
                found[name] = read.values
                large = sum(value in {float("inf"), float("-inf")} for value in column.values if type(value) is float)
                if large:
                    warnings.append(Warned("overflowed_numbers", f"{self.path}, column {name!r}", OVERFLOWED, large))
        for name in self.selection.labels:
            with self._placed(name) as column:
                texts[name] = labels([_label(value) for value in column.values])
        yield Block(len(self.rows), found, texts, tuple(warnings), work=len(self.rows))

    @contextmanager
    def _placed(self, name: str) -> Iterator[Cell]:
        column = self.columns[name]
        try:
            yield column
        except UnreadableValueError as error:
            cell = f"{letters(column.number)}{self.rows[error.row] + 1}"
            raise DataError(f"{self.path}, cell {cell}, column {name!r}: {error.reason}") from error


def _label(value: Any) -> Any:
    """Return a value as a label: all numbers of a sheet are floats, also those that were written as integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def letters(column: int) -> str:
    """Return what a spreadsheet calls a column.

    Examples
    --------
    >>> letters(0), letters(25), letters(26), letters(16383)
    ('A', 'Z', 'AA', 'XFD')
    """
    above, last = divmod(column, 26)
    return (letters(above - 1) if above else "") + chr(ord("A") + last)


def names(file: InputFile) -> Sequence[str]:
    """Return the names of the sheets."""
    with _explained(file.path):
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(file.read(file.size, 0)))
        with book:
            return list(book.sheet_names)


def _sheet(path: str, content: bytes, inner: str) -> Sheet:
    """Return the sheet that is meant; without a name the only one that holds anything."""
    archive = zipfile.ZipFile(io.BytesIO(content)) if content.startswith(b"PK") else None
    of_sheets = errors_of(path, content) if archive is None else []
    if archive is not None and (broken := archive.testzip()) is not None:
        raise DataError(f"{path}: the checksum of {shown(broken)} in the workbook is wrong; is it damaged?")
    if archive is not None and BINARY in archive.namelist():
        raise DataError(f"{path}: this is a binary workbook (.xlsb); save it as .xlsx")
    with python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content)) as book:
        of_tables = [each for each in book.sheets_metadata if each.typ == python_calamine.SheetTypeEnum.WorkSheet]
        sheets = {each.name: book.get_sheet_by_name(each.name) for each in of_tables}
        known = {name: f"({many(each.height, 'row')}, {many(each.width, 'column')})" for name, each in sheets.items()}
        seen = [each.name for each in of_tables if each.visible == python_calamine.SheetVisibleEnum.Visible]
        filled = [name for name in seen if sheets[name].height]
        if not inner and len(filled) == 1:
            inner = filled[0]
        name = chosen(path, inner, "sheet", known)
        sheet = sheets[name]
        row, column = sheet.start or (0, 0)
        cells: list[list[Any]] = [[None if value == "" else value for value in line] for line in sheet.to_python()]
        place = [each.name for each in book.sheets_metadata].index(name)
    own = of_sheets[place] if place < len(of_sheets) else {}
    errors = own if archive is None else _errors(archive, name)
    for (at, number), error in errors.items():
        if row <= at < row + len(cells) and column <= number < column + len(cells[0]):
            cells[at - row][number - column] = None if error == NOT_AVAILABLE else Fault(f"the cell holds {error}")
    return Sheet(cells, row, column)


def _errors(archive: zipfile.ZipFile, name: str) -> Errors:
    """Return the errors in the cells of a sheet of an XLSX file, by their rows and columns."""
    try:
        book, relations = map(_parsed, (archive.read("xl/workbook.xml"), archive.read("xl/_rels/workbook.xml.rels")))
    except KeyError:
        return {}  # OpenDocument, where errors are texts
    key = next((each.get(f"{RELATIONS}id") for each in book.iter(f"{MAIN}sheet") if each.get("name") == name), None)
    target = next((each.get("Target", "") for each in relations if each.get("Id") == key), "")
    member = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    content = archive.read(member) if member in archive.namelist() else b""
    if ERROR not in content:
        return {}
    found = {}
    for row, line in enumerate(_parsed(content).iter(f"{MAIN}row")):
        at = int(line.get("r", row + 1)) - 1
        for number, cell in enumerate(line.iter(f"{MAIN}c")):
            if cell.get("t") == "e":
                place = cell.get("r", "").rstrip("0123456789")
                found[at, _number(place) if place else number] = cell.findtext(f"{MAIN}v") or "an error"
    return found


def _parsed(xml: bytes) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 - expat itself refuses entities that grow, and reads no others


def _number(letters: str) -> int:
    """Return the number of a column, counted from 0.

    Examples
    --------
    >>> _number("A"), _number("XFD")
    (0, 16383)
    """
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _table(path: str, sheet: Sheet, reading: Reading) -> tuple[list[str], Cells]:
    """Return the names of the columns, and the rows below them."""
    if not sheet.cells:
        raise DataError(f"{path}: the sheet is empty")
    first = sheet.cells[0]
    if reading.header is False:
        return [str(number) for number in range(len(first))], sheet.cells
    filled = [value for value in first if value is not None]
    if reading.header is None and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in filled
    ):
        raise DataError(
            f"{path}: the first row holds only numbers ({shown(', '.join(map(_name, filled)))}); "
            "use `header=False` if it is data, `header=True` if these are names"
        )
    return [_name(value) for value in first], sheet.cells[1:]


def _name(value: Any) -> str:
    if isinstance(value, Fault):
        return value.reason.rpartition(" ")[2]
    if isinstance(value, date | time):
        return value.isoformat()
    return "" if value is None else str(_label(value))


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Raise `DataError` for what calamine raises on damaged files, a panic included, which is no `Exception`."""
    try:
        yield
    except DataError:
        raise
    except python_calamine.PasswordError as error:
        raise DataError(f"{path}: the workbook is protected by a password; save it without one") from error
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: the workbook cannot be read ({reason}); is it damaged, or no workbook?") from error
