"""What files hold, and what would be scored in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from msecli._version import __version__
from msecli.errors import Warned, escaped, visible
from msecli.results.base import SCHEMA, Line, Number, Report, Row, Section, jsonable, not_finite, plural
from msecli.results.score import Elements, Rows

COLUMNS_SHOWN = 30
"""The columns of a file that a table shows; other formats hold all of them."""

NAMES_SHOWN = 20
"""The pairs of columns that a sentence names."""

TEXT_SHOWN = 19
"""The characters of a text that a table shows, enough for a date with a time."""

MEASURES = {"missing": "missing", "infinite": "infinite", "minimum": "min", "maximum": "max", "mean": "mean"}
"""What is told of the values of a column: attributes of `Description`, and what outputs call them."""

Value = int | float | str | None


class Description(NamedTuple):
    """What some values of a column are; None is unknown, or does not exist.

    Attributes
    ----------
    missing, infinite : int or None
    minimum, maximum : int, float, str or None
    mean : float or None
    distinct : int or None
        How many different values there are, unless they are more than `distinct_above`.
    distinct_above : int or None
        More different values than this, which were not counted.
    unique : bool or None
        Whether no value is missing or there twice.
    """

    missing: int | None = None
    infinite: int | None = None
    minimum: Value = None
    maximum: Value = None
    mean: float | None = None
    distinct: int | None = None
    distinct_above: int | None = None
    unique: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it in the shape of the JSON output; nan and infinities have words beside them."""
        found = {MEASURES.get(name, name): value for name, value in self._asdict().items()}
        numbers = {name: value for name, value in found.items() if isinstance(value, float)}
        return {**found, **not_finite(numbers)}


UNKNOWN = Description()


class InspectedColumn(NamedTuple):
    """A column of a file, or all values of an array without columns.

    Attributes
    ----------
    name : str or None
        None for an array without columns.
    type : str
    numeric : bool
    identifies_rows : str or None
        "name" or "type": what says that the column identifies rows, so that it is scored only if named.
    roles : tuple of str
        What it is for: "prediction", "target", "weight", "group", "cluster", "key", "baseline", "condition"; "check" if
        it is compared in every row, "look" if in the first rows.
    why : str
        Why it is scored, or why not.
    known : Description
        Of all values.
    first : Description or None
        Of the first rows, unless all rows were read.
    problem : str or None
        Why its values cannot be read as numbers.
    """

    name: str | None
    type: str
    numeric: bool
    identifies_rows: str | None = None
    roles: tuple[str, ...] = ()
    why: str = ""
    known: Description = UNKNOWN
    first: Description | None = None
    problem: str | None = None

    @property
    def use(self) -> str:
        """What it is for, and why."""
        return ": ".join(filter(None, (", ".join(self.roles), self.why)))

    def to_dict(self) -> dict[str, Any]:
        """Return it in the shape of the JSON output."""
        return {
            "column": self.name,
            "type": self.type,
            "numeric": self.numeric,
            "identifies_rows": self.identifies_rows,
            "roles": list(self.roles),
            "why": self.why,
            **self.known.to_dict(),
            "in_first_rows": None if self.first is None else self.first.to_dict(),
            "problem": self.problem,
        }


class InspectedFile(NamedTuple):
    """What a file, or data in memory, holds.

    Attributes
    ----------
    path : str
    format : str or None
        None if it cannot be read.
    rows : int or None
        None if they were not counted.
    rows_about : int or None
        How many rows it has at a guess, if they were not counted.
    looked_at_rows : int
        The rows that were read.
    shape : tuple of int or None
        That of an array; None for a table.
    columns : tuple of InspectedColumn
    problem : str or None
        Why it cannot be read.
    """

    path: str
    format: str | None
    rows: int | None = None
    rows_about: int | None = None
    looked_at_rows: int = 0
    shape: tuple[int, ...] | None = None
    columns: tuple[InspectedColumn, ...] = ()
    problem: str | None = None

    @property
    def whole(self) -> bool:
        """Whether all rows were read."""
        return self.rows is not None and self.looked_at_rows == self.rows

    @property
    def size(self) -> Row:
        """How much it holds, in words."""
        if self.rows is None:
            counted: Row = ("about ", self.rows_about, " rows") if self.rows_about else ("rows not counted",)
        else:
            counted = (self.rows, f" {plural('row', self.rows)}")
        if self.shape is not None:
            return (f"array of shape {self.shape}",)
        return (*counted, ", ", len(self.columns), f" {plural('column', len(self.columns))}")

    def to_dict(self) -> dict[str, Any]:
        """Return it in the shape of the JSON output."""
        return {
            "path": self.path,
            "format": self.format,
            "rows": self.rows,
            "rows_about": self.rows_about,
            "looked_at_rows": self.looked_at_rows,
            "shape": self.shape,
            "columns": [column.to_dict() for column in self.columns],
            "problem": self.problem,
        }


class KeyMatch(NamedTuple):
    """How rows of two files would be paired by columns that both have.

    Attributes
    ----------
    columns : tuple of (str, str)
        The names in the predictions and in the targets.
    matched, only_prediction, only_target : int or None
        How many rows have a partner, and how many have none; None if keys are not unique.
    unique : bool
        Whether no row of either file has the key of another.
    complete : bool
        Whether all rows were compared, not just the first ones.
    """

    columns: tuple[tuple[str, str], ...]
    matched: int | None = None
    only_prediction: int | None = None
    only_target: int | None = None
    unique: bool = False
    complete: bool = False

    @property
    def name(self) -> str:
        """The columns, as `--on` takes them."""
        return ",".join(ours if ours == theirs else f"{ours}={theirs}" for ours, theirs in self.columns)

    @property
    def sentence(self) -> Row:
        """What would be paired, in words."""
        where = "" if self.complete else ", in the first rows"
        if self.matched is None or self.only_prediction is None or self.only_target is None:
            return (f"key {self.name}: not unique{where}",)
        alone = (self.only_prediction, " only in the predictions, ", self.only_target, " only in the targets")
        return (f"key {self.name}: pairs ", self.matched, f" {plural('row', self.matched)}, ", *alone, where)

    def to_dict(self) -> dict[str, Any]:
        """Return it in the shape of the JSON output."""
        return {
            "on": [{"prediction": ours, "target": theirs} for ours, theirs in self.columns],
            "unique": self.unique,
            "matched": self.matched,
            "only_prediction": self.only_prediction,
            "only_target": self.only_target,
            "complete": self.complete,
        }


class Interpretation(NamedTuple):
    """What `compute` would do.

    Attributes
    ----------
    columns : tuple of (str or None, str or None)
        The columns to score, pair by pair; None for a whole array, no pairs for two.
    rule : str
        What chose them: "named", "names" (known ones), "single" (only one numeric column in each file), "same" (the
        same names in both files), "matrix" (whole arrays).
    pairing : str
        "position", "key", or "one file".
    on : tuple of (str, str)
        The keys, as the predictions and as the targets call them.
    checked_by : tuple of str
        The columns that tell in every row whether rows belong together.
    looked_at : tuple of str
        The columns that tell so in the first rows.
    settings : mapping
    gates : tuple of str
    outputs : tuple of str
        The files that would be written.
    rows, elements : Rows, Elements or None
        The ledger, if all rows were read.
    command : str
        The whole command, with the columns named.
    """

    columns: tuple[tuple[str | None, str | None], ...]
    rule: str
    pairing: str
    on: tuple[tuple[str, str], ...]
    checked_by: tuple[str, ...]
    looked_at: tuple[str, ...]
    settings: Mapping[str, Any]
    gates: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: Rows | None
    elements: Elements | None
    command: str

    def to_dict(self) -> dict[str, Any]:
        """Return it in the shape of the JSON output."""
        return {
            "columns": [{"prediction": ours, "target": theirs} for ours, theirs in self.columns],
            "rule": self.rule,
            "why": RULES[self.rule],
            "pairing": self.pairing,
            "on": [{"prediction": ours, "target": theirs} for ours, theirs in self.on],
            "checked_by": list(self.checked_by),
            "looked_at": list(self.looked_at),
            "rows": None if self.rows is None else self.rows.to_dict(),
            "elements": None if self.elements is None else self.elements._asdict(),
            "settings": dict(self.settings),
            "gates": list(self.gates),
            "outputs": list(self.outputs),
            "command": self.command,
        }

    def sentences(self) -> Iterator[Row]:
        """Yield what would be done, in words."""
        yield (f"compute would score {self._scored}: {RULES[self.rule]}",)
        yield tuple(self._paired())
        told = [f"{name}: {_told(value)}" for name, value in self.settings.items() if value not in USUAL.get(name, ())]
        told += [f"gate: {gate}" for gate in self.gates]
        told += [f"writes: {path}" for path in self.outputs]
        if told:
            yield ("; ".join(told),)

    @property
    def _scored(self) -> str:
        if not self.columns:
            return "all values"
        pairs = [
            (ours or theirs or "") if ours == theirs or None in (ours, theirs) else f"{ours} against {theirs}"
            for ours, theirs in self.columns
        ]
        more = len(pairs) - NAMES_SHOWN
        return ", ".join(pairs[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")

    def _paired(self) -> Iterator[str | Number]:
        keys = ", ".join(ours if ours == theirs else f"{ours}={theirs}" for ours, theirs in self.on)
        yield {"key": f"rows are paired by {keys}", "position": "rows are paired by position"}.get(
            self.pairing, "each row holds a prediction and its target"
        )
        if self.pairing == "position":
            checked = ", ".join(self.checked_by)
            looked_at = ", ".join(self.looked_at)
            yield f", checked by {checked}" if checked else ", not checked by any column"
            yield f", in the first rows by {looked_at}" if looked_at else ""
        if self.rows is not None:
            yield "; "
            yield self.rows.used
            yield " of "
            yield self.rows.prediction
            yield f" {plural('row', self.rows.prediction)} used"


RULES = {
    "named": "named",
    "names": "known names",
    "single": "the only numeric column of each file",
    "same": "the same names in both files",
    "matrix": "whole arrays, in order",
}
"""What the rules that choose columns go by."""

USUAL: dict[str, tuple[Any, ...]] = {
    "reduction": ("mean",),
    "metrics": ([],),
    "weights": ("none",),
    "nan_target": ("raise",),
    "nan_pred": ("raise",),
    "ignore_index": ([],),
    "pairing": ("position",),
    "unmatched": ("error",),
    "row_check": (True,),
    "by": ([],),
    "axis": ([],),
    "batch_size": (None,),
    "shuffle": (None,),
    "drop_last": (False,),
}
"""The settings that need not be told."""


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


class Problem(NamedTuple):
    """Why `compute` would stop: what it says, and its exit code."""

    message: str
    exit_code: int


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
    return Section(header, rows, note=tuple(_note(file, starred=bool(starred))), kind="column", complete="json")


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


def _note(file: InspectedFile, *, starred: bool) -> Iterator[str | Number]:
    """Yield what to know below the table of a file's columns."""
    if starred:
        yield "*: of the first "
        yield file.looked_at_rows
        yield " rows; --full reads all"
    more = len(file.columns) - COLUMNS_SHOWN
    if more > 0:
        yield "; " if starred else ""
        yield more
        yield f" more {plural('column', more)}; use --format json or -o FILE.json"
    if file.problem is not None:
        yield "; " if starred or more > 0 else ""
        yield f"not all rows can be read: {' '.join(file.problem.split())}"
