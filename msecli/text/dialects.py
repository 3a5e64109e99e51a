"""Find the one dialect that reads the head of a text cleanly, where the settings leave no column of numbers."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence

from msecli.errors import DataError, shown
from msecli.places.base import InputFile
from msecli.text.encoding import DialectError, encoding_of
from msecli.text.grammar import NOTATIONS, Grammar, marks, truth_of
from msecli.text.head import HEAD_BYTES, Head, fields_of, grammar_of, head_of, is_row, read_head
from msecli.text.reading import Reading
from msecli.text.records import Dialect
from msecli.tuples import NamedTuple

DELIMITERS = (",", ";", "\t", " ", "|")
COMMENT = "#"

Fields = Sequence[str]


class OtherDialectError(DataError):
    """The text is written in another dialect than the settings say; `settings` are those that read it."""

    def __init__(self, message: str, settings: dict[str, str]) -> None:
        super().__init__(message)
        self.settings = settings


class Found(NamedTuple):
    """A dialect that reads a head cleanly: how many columns hold numbers, and the settings to change."""

    numeric: int
    settings: dict[str, str]

    @property
    def rank(self) -> tuple[int, int]:
        """The more columns hold numbers the better, and then the fewer settings have to change."""
        return self.numeric, -len(self.settings)


def read_text_head(file: InputFile, reading: Reading, delimiter: str) -> Head:
    """Return the head of a file, which is in UTF-8 if its encoding was named.

    Raises
    ------
    OtherDialectError
        If another dialect reads it cleanly, and this one does not read it, or finds no number.
    DataError
        If it cannot be read at all.
    """
    try:
        head = read_head(file, reading, delimiter)
    except DialectError as error:
        settings = other_dialect(file, reading, delimiter)
        if settings:
            raise OtherDialectError(error.what, settings) from error
        raise
    grammar = grammar_of(reading)
    # A number among the names may be a piece of a row.
    doubtful = not _holds_numbers(head, grammar) or (head.header and any(map(grammar.is_finite, head.names)))
    settings = other_dialect(file, reading, delimiter) if doubtful else None
    if settings:
        first = shown(delimiter.join(head.names))
        what = f"{file.path}: no column of numbers found with the delimiter {delimiter!r}; the first line is {first}"
        raise OtherDialectError(what, settings)
    return head


def _holds_numbers(head: Head, grammar: Grammar) -> bool:
    """Tell whether some rows are as long as the first line, and a column of them holds a number, or nothing at all."""
    rows = [row.fields for row in head.first_rows if len(row.fields) == len(head.names)]
    for number in range(len(head.names) if rows else 0):
        texts = (row[number].decode(errors="replace") for row in rows)
        present = (text for text in texts if not grammar.is_missing(text))
        # The first field nearly always decides.
        first = next(present, None)
        if first is None or grammar.is_number(first):
            return True
        others = [*present]
        if any(map(grammar.is_number, others)) or truth_of([first, *others]):
            return True
    return not head.first_rows


def _present(rows: Sequence[Fields], grammar: Grammar) -> list[list[str]]:
    """Return the fields of each column that are not missing."""
    return [[field for field in column if not grammar.is_missing(field)] for column in zip(*rows, strict=True)]


def other_dialect(file: InputFile, reading: Reading, delimiter: str) -> dict[str, str] | None:
    """Return the settings to change so that the head of a text is read cleanly; None if no change does, or several.

    Read cleanly means that all rows are as long as the first, and that some columns hold nothing but numbers.
    """
    start = file.read(HEAD_BYTES, 0)
    whole = not file.reaches(len(start))
    encoding = reading.encoding or encoding_of(start)
    try:
        text = (
            codecs.getincrementaldecoder("utf-8" if reading.encoding else encoding or "utf-8")()
            .decode(start, final=whole)
            .encode()
        )
    except (LookupError, UnicodeError):
        return None
    found = list(_clean(text, reading, delimiter, encoding, whole=whole))
    best = [each.settings for each in found if each.rank == max(other.rank for other in found)]
    return best[0] if len(best) == 1 else None


def _clean(text: bytes, reading: Reading, delimiter: str, encoding: str | None, *, whole: bool) -> Iterator[Found]:
    """Yield the dialects that read a text cleanly; of those with the same fields only the first."""
    commented = reading.comment is None and text.lstrip().startswith(COMMENT.encode())
    given = {"encoding": reading.encoding, "comment": reading.comment, "delimiter": delimiter}
    seen, width = set(), 0
    for comment in (reading.comment, COMMENT) if commented else (reading.comment,):
        for mark in dict.fromkeys((delimiter, *DELIMITERS)):
            dialect = Dialect(mark.encode(), comment.encode() if comment else None)
            try:
                head = head_of("", text, dialect, reading._replace(header=reading.header is not False), whole=whole)
            except DataError:
                continue
            # A first line of several names is not taken for one name, unless it is a comment.
            width = max(width, len(head.names) if mark == delimiter and comment == reading.comment else 0)
            if comment == reading.comment and len(head.names) < width:
                continue
            rows = tuple(fields_of(row) for row in head.first_rows)
            regular = all(len(row) == len(head.names) for row in rows) and not any(
                r.open_quote for r in head.first_rows
            )
            if not regular or (head.names, rows) in seen:
                continue
            seen.add((head.names, rows))
            written = {"encoding": encoding, "comment": comment, "delimiter": mark}
            changed = {name: value for name, value in written.items() if value and value != given[name]}
            for decimal, thousands in NOTATIONS:
                notation = reading._replace(decimal=decimal, thousands=thousands or None)
                if reading.thousands in {None, thousands} and _is_seen(notation, reading, rows):
                    numeric = _numeric(head.names, rows, notation)
                    if numeric:
                        yield Found(numeric, changed | _notation(notation, reading, mark))


def _is_seen(notation: Reading, reading: Reading, rows: Sequence[Fields]) -> bool:
    """Tell whether the marks that differ from the given ones stand before digits, as far as they have to."""

    def seen(alike: str) -> bool:
        return any(re.search(f"[{alike}][0-9]", field) for row in rows for field in row)

    thousands = notation.thousands or ""
    if thousands and thousands != reading.thousands and not seen(marks(thousands)):
        return False
    return reading.decimal in {notation.decimal, thousands} or seen(notation.decimal)


def _notation(notation: Reading, reading: Reading, delimiter: str) -> dict[str, str]:
    """Return the settings of the notation that have to change; a decimal mark that is the delimiter needs both."""
    found = {}
    if notation.thousands and notation.thousands != reading.thousands:
        found["thousands"] = notation.thousands
    if notation.decimal != reading.decimal:
        found["decimal"] = notation.decimal
    if notation.decimal == delimiter:
        found["delimiter"] = delimiter
    return found


def _numeric(names: Fields, rows: Sequence[Fields], reading: Reading) -> int:
    """Return how many columns hold nothing but numbers; 0 if the first line cannot be told from a row."""
    grammar = grammar_of(reading)
    if reading.header is None and all(map(grammar.is_number, names)) and not is_row(names, rows, grammar):
        return 0
    columns = _present(rows, grammar) if rows else []
    return sum(
        bool(fields) and (all(map(grammar.is_number, fields)) or truth_of(fields) is not None) for fields in columns
    )
