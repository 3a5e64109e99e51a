"""What files hold, and what would be scored in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from msecli._version import __version__
from msecli.errors import Warned, escaped, visible
from msecli.results.base import SCHEMA, Line, Number, Report, Row, Section, jsonable, plural
from msecli.results.look import (
    UNKNOWN,
    Description,
    InspectedColumn,
    InspectedFile,
    Interpretation,
    KeyMatch,
    Problem,
    Value,
)

COLUMNS_SHOWN = 30
"""The columns of a file that a table shows; other formats hold all of them."""

TEXT_SHOWN = 19
"""The characters of a text that a table shows, enough for a date with a time."""


@dataclass(frozen=True, slots=True, repr=False)
class Inspection(Report):
    """What files hold, and what would be scored in them.

    Attributes
    ----------
    files : tuple of InspectedFile
    full : bool
        Whether all rows were read, however many there are.
    reading : Interpretation or None
        What `compute` would do; None if it would stop, and with more than two files.
    problem : Problem or None
        Why it would stop.
    keys : tuple of KeyMatch
        The shared columns that rows of two files could be paired by.
    warnings : tuple of Warned
    dry_run : bool
        Whether this is the look before a run, with its settings.
    version : str
    """

    files: tuple[InspectedFile, ...]
    full: bool = False
    reading: Interpretation | None = None
    problem: Problem | None = None
    keys: tuple[KeyMatch, ...] = ()
    warnings: tuple[Warned, ...] = ()
    dry_run: bool = False
    version: str = __version__

    @property
    def what(self) -> Row:
        """That nothing was scored."""
        return ("a look before the run: nothing is scored, nothing written",) if self.dry_run else ()

    @property
    def footer(self) -> str | None:
        """The command that does what would be done."""
        return None if self.reading is None else self.reading.command

    footer_breaks = ""

    def numbers(self) -> dict[str, Number]:
        """Return the numbers of rows, by file."""
        return dict(zip(self._names(), (file.rows for file in self.files), strict=True))

    def _names(self) -> list[str]:
        """Return a name for each file: its path, with a number if another file has it, too."""
        paths = [file.path for file in self.files]
        return [path if paths.count(path) == 1 else f"{path} ({number + 1})" for number, path in enumerate(paths)]

    def __str__(self) -> str:
        return ", ".join("".join(_words((f"{file.path}: ", *file.size))) for file in self.files)

    def lines(self) -> list[Line]:
        """Return a line for each column, with its numbers: missing, min, max, distinct values."""
        named, found = len(self.files) > 1, []
        for file, name in zip(self.files, self._names(), strict=True):
            for column in _distinctly_named(file.columns):
                best = _best(column[1])
                numbers: dict[str, Number] = {"rows": file.rows, "missing": best.missing}
                for label, value in (("min", best.minimum), ("max", best.maximum)):
                    numbers[label] = None if isinstance(value, str) else value
                numbers["distinct"] = best.distinct
                found.append(Line(f"{name}: {column[0]}" if named else column[0], numbers, from_data=True))
        return found

    def records(self, missing_label: str | None = None) -> list[dict[str, Any]]:
        """Return a row for each column of each file; what was seen only in the first rows is in columns of its own."""
        return [
            record
            for file in self.files
            for record in ([_record(file, each) for each in file.columns] or [_record(file)])
        ]

    def sections(self) -> list[Section]:
        """Return for each file a line and a table of its columns; then what would be done, in sentences."""
        found = []
        for file in self.files:
            found.append(Section(None, note=_headline(file)))
            if file.columns:
                found.append(_table(file))
            wrong = [column for column in file.columns if column.problem is not None]
            found += [Section(None, note=_no_numbers(column), typed=True) for column in wrong[:COLUMNS_SHOWN]]
        return [_visible(section) if section.header is None else section for section in (*found, *self.details())]

    def details(self) -> list[Section]:
        """Return the sentences on what would be done."""
        found: list[Section] = []
        if self.reading is not None:
            found += [Section(None, note=sentence) for sentence in self.reading.sentences()]
        found += [Section(None, note=key.sentence) for key in self.keys]
        if self.problem is not None:
            lines = f"compute would stop: {self.problem.message}".split("\n")
            found += [Section(None, note=(line.strip(),), typed=True) for line in lines if line.strip()]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the inspection in the shape of the JSON output."""
        return dict(
            jsonable(
                {
                    "schema": SCHEMA,
                    **({"dry_run": True} if self.dry_run else {}),
                    "full": self.full,
                    "files": [file.to_dict() for file in self.files],
                    "reading": None if self.reading is None else self.reading.to_dict(),
                    "problem": None if self.problem is None else self.problem._asdict(),
                    "keys": [key.to_dict() for key in self.keys],
                    "warnings": [asdict(warning) for warning in self.warnings],
                    "version": self.version,
                }
            )
        )


def _words(row: Row) -> Iterator[str]:
    return (f"{piece:,}" if isinstance(piece, int) else str(piece) for piece in row)


def _distinctly_named(columns: Sequence[InspectedColumn]) -> Iterator[tuple[str, InspectedColumn]]:
    """Yield columns with labels of which no two are alike."""
    taken: set[str] = set()
    for column in columns:
        label = "(values)" if column.name is None else column.name
        while label in taken:
            label += "_"
        taken.add(label)
        yield label, column


def _best(column: InspectedColumn) -> Description:
    """Return what is known of all values, and for the rest what the first rows say."""
    if column.first is None:
        return column.known
    known = {name: value for name, value in column.known._asdict().items() if value is not None}
    return column.first._replace(**known)


def _record(file: InspectedFile, column: InspectedColumn | None = None) -> dict[str, Any]:
    known = UNKNOWN if column is None else column.known
    first = (None if column is None else column.first) or UNKNOWN
    texts = {"name": None, "type": None, "use": None, "problem": file.problem}
    if column is not None:
        texts = {"name": column.name, "type": column.type, "use": column.use, "problem": column.problem}
    return {
        "file": file.path,
        "format": file.format,
        "rows": file.rows,
        "looked_at_rows": file.looked_at_rows,
        "column": texts["name"],
        "type": texts["type"],
        "use": texts["use"],
        **_flat(known),
        **{f"first_{name}": value for name, value in _flat(first).items()},
        "problem": texts["problem"],
    }


def _flat(description: Description) -> dict[str, Any]:
    """Return a description as values of one type each: texts apart from numbers."""
    low, high = description.minimum, description.maximum
    texts, numbers = [
        [value if isinstance(value, str) is wanted else None for value in (low, high)] for wanted in (True, False)
    ]
    floats = [None if value is None else float(value) for value in numbers]
    return {
        "missing": description.missing,
        "infinite": description.infinite,
        "min": floats[0],
        "max": floats[1],
        "mean": description.mean,
        "min_text": texts[0],
        "max_text": texts[1],
        "distinct": description.distinct,
        "distinct_above": description.distinct_above,
    }


def _visible(section: Section) -> Section:
    """Return a sentence as people are shown it; names in messages are in quotes already, and escaped there."""
    spelled = visible if section.typed else escaped
    return section._replace(note=tuple(spelled(piece) if isinstance(piece, str) else piece for piece in section.note))


def _no_numbers(column: InspectedColumn) -> Row:
    return (f"{column.name} cannot be read as numbers: {' '.join((column.problem or '').split())}",)


def _headline(file: InspectedFile) -> Row:
    if file.format is None:
        problem = " ".join((file.problem or "").split())
        return (problem if problem.startswith(file.path) else f"{file.path}: {problem}",)
    return (f"{file.path}: {file.format}, ", *file.size)


def _table(file: InspectedFile) -> Section:
    """Return the table of a file's columns; what is only of the first rows has a star in the header."""
    shown = file.columns[:COLUMNS_SHOWN]
    cells = [[_cells(each.known) for each in shown], [_cells(each.first or UNKNOWN) for each in shown]]
    starred = {
        name
        for known, first in zip(*cells, strict=True)
        for name in known
        if known[name] is None and first[name] is not None
    }
    names = [name for name in cells[0][0] if name != "infinite" or any(_infinite(each) for each in shown)]
    rows = [
        (
            "(values)" if column.name is None else column.name,
            column.type,
            column.use,
            *("" if (value := known[n] if known[n] is not None else first[n]) is None else value for n in names),
        )
        for column, known, first in zip(shown, *cells, strict=True)
    ]
    header = ("column", "type", "use", *(f"{name}*" if name in starred else name for name in names))
    return Section(header, rows, note=_note(file, starred=bool(starred)), kind="column", complete="json")


def _infinite(column: InspectedColumn) -> bool:
    return bool(_best(column).infinite)


def _cells(description: Description) -> dict[str, str | Number]:
    """Return what a table shows of a column's values."""
    above = description.distinct_above
    return {
        "missing": description.missing,
        "infinite": description.infinite,
        "min": _short(description.minimum),
        "max": _short(description.maximum),
        "distinct": description.distinct if above is None else f">{above:,}",
    }


def _short(value: Value) -> Value:
    if not isinstance(value, str) or len(value) <= TEXT_SHOWN:
        return value
    return f"{value[: TEXT_SHOWN - 1]}…"


def _note(file: InspectedFile, *, starred: bool) -> Row:
    """Return what to know below the table of a file's columns."""
    found: list[Row] = []
    if starred:
        found.append(("*: of the first ", file.looked_at_rows, " rows; --full reads all"))
    for word, unique in (("unique", True), ("not unique", False)):
        named = [each for each in file.columns if each.identifies_rows == "name" and each.known.unique is unique]
        if named:
            names = ", ".join(str(each.name) for each in named[:COLUMNS_SHOWN])
            found.append((f"{word}: {names}",))
    if (more := len(file.columns) - COLUMNS_SHOWN) > 0:
        found.append((more, f" more {plural('column', more)}; use --format json or -o FILE.json"))
    if file.problem is not None:
        found.append((f"not all rows can be read: {' '.join(file.problem.split())}",))
    pieces = [piece for sentence in found for piece in ("; ", *sentence)][1:]
    return tuple(escaped(piece) if isinstance(piece, str) else piece for piece in pieces)
