"""What is told of files that were looked at: columns, keys, and what would be scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msecli.results.base import Number, Row, not_finite, plural
from msecli.results.score import Elements, Rows
from msecli.tuples import NamedTuple

NAMES_SHOWN = 20
"""The pairs of columns that a sentence names."""

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
        What it is for: "prediction", "target", "weight", "group", "cluster", "key", "baseline", "condition", "bins";
        "check" if it is compared in every row, "look" if in the first rows.
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
