"""The result of a scoring, with everything in the JSON output."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from msecli import kernel
from msecli.errors import SHOWN, Warned, escaped
from msecli.results.base import (
    SCHEMA,
    Case,
    Line,
    Number,
    Report,
    Row,
    Section,
    gate_sections,
    jsonable,
    marked,
    not_finite,
    plural,
)
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from msecli.results.details import Explanation, Interval, WorstElement
    from msecli.results.gates import GateResult

LEDGER = (
    ("in the prediction file", "prediction", None),
    ("in the target file", "target", None),
    ("predictions without a target", "unmatched_prediction", None),
    ("targets without a prediction", "unmatched_target", None),
    ("left out by the condition", "filtered", None),
    ("dropped", "dropped", None),
    ("paired", "matched", "total"),
    ("ignored", None, "ignored"),
    ("target missing", None, "nan_target"),
    ("prediction missing", None, "nan_prediction"),
    ("infinite", None, "infinite"),
    ("used", "used", "used"),
)
"""The lines of the ledger in tables: a label, the count of rows, and the count of elements."""

ALWAYS = frozenset({"prediction", "target", "matched", "total", "used"})
"""The counts that tables show even if they are 0."""

NAMES_SHOWN = 4
"""The columns that the head of a table names."""

OTHER_ROLES = frozenset({"weight", "baseline"})
"""The roles of columns that are not scored themselves."""

QUOTED = r'"(?:[^"\\]|\\.)*"'
SIGNATURE_FIELD = rf'(?:{QUOTED}|[^"|])+'
LISTED = rf'(?:{QUOTED}|[^",])+'
"""The fields of a signature, and the members of a field."""

DEFAULTS = frozenset({"reduction:mean", "weights:none", "nan:raise", "nan_pred:raise", "pairing:position", "acc:exact"})
"""The fields that the short form of a signature leaves out."""


class Rows(NamedTuple):
    """The ledger in rows; a row is used when one of its elements is.

    `checked_by` names the columns, as the prediction file has them, that showed that rows paired by position belong
    together. `filtered` counts the paired rows that do not meet the condition; it is None without one.
    """

    prediction: int
    target: int
    matched: int
    unmatched_prediction: int
    unmatched_target: int
    dropped: int
    used: int
    checked_by: tuple[str, ...] = ()
    filtered: int | None = None

    @classmethod
    def total(cls, ledgers: Sequence[Rows]) -> Rows:
        """Return the sums of several ledgers, with the columns that checked the rows of any of them."""
        counts = {name: sum(getattr(each, name) for each in ledgers) for name in COUNTED}
        checked_by = dict.fromkeys(name for each in ledgers for name in each.checked_by)
        filtered = [each.filtered for each in ledgers if each.filtered is not None]
        return cls(**counts, checked_by=tuple(checked_by), filtered=sum(filtered) if filtered else None)

    def to_dict(self) -> dict[str, Any]:
        """Return the ledger in the shape of the JSON output."""
        found = self._asdict()
        if self.filtered is None:
            del found["filtered"]
        return found


COUNTED = ("prediction", "target", "matched", "unmatched_prediction", "unmatched_target", "dropped", "used")
"""The counts of rows that every ledger has."""


class Elements(NamedTuple):
    """The ledger in elements; ignored ones count nowhere else, one missing on both sides counts on both."""

    total: int
    used: int
    ignored: int
    nan_target: int
    nan_prediction: int
    infinite: int


class Input(NamedTuple):
    """An input, and the columns taken from it (none for a nameless array).

    A folder or a pattern is of several files; those that were skipped are hidden, or markers such as _SUCCESS.
    """

    role: str
    path: str
    format: str
    columns: tuple[str, ...]
    files: int = 1
    skipped: int = 0

    @property
    def shown(self) -> str:
        """The path, and how many files it names if these are several."""
        skipped = f", {self.skipped:,} skipped" if self.skipped else ""
        return self.path if self.files == 1 else f"{self.path} ({self.files:,} files{skipped})"


class Score(NamedTuple):
    """A loss with its metrics, its denominator and its ledger.

    Attributes
    ----------
    loss : float or None
        None without a single loss, or if no element was used; it may be nan or inf, see `status`.
    status : str
        "ok", "nan", "inf", or "empty" if no element was used.
    metrics : mapping of str to float
    denominator : float or None
        The divisor of the sum; None without a division.
    rows, elements : Rows, Elements
        The ledger.
    """

    loss: float | None
    status: str
    metrics: Mapping[str, float]
    denominator: float | None
    rows: Rows
    elements: Elements

    def numbers(self) -> dict[str, Number]:
        """Return the loss and the metrics."""
        return {"loss": self.loss, **self.metrics}

    def to_dict(self) -> dict[str, Any]:
        """Return the score in the shape of the JSON output."""
        return {
            "loss": self.loss,
            "status": self.status,
            "metrics": dict(self.metrics),
            "denominator": self.denominator,
            "rows": self.rows.to_dict(),
            "elements": self.elements._asdict(),
            **not_finite(self.numbers()),
        }


class Entry(NamedTuple):
    """The score of a group, a column or a batch.

    Attributes
    ----------
    kind : str
        "group", "column" or "batch".
    label : mapping, str or int
        The labels of the group by column, the name of the column, or the number of the batch.
    score : Score
    running_mean : float or None
        For batches: the loss over all rows up to and including this batch.
    gradient_norm : float or None
        The Euclidean norm of the gradient with respect to a model's parameters, if requested.
    interval : Interval or None
        The confidence interval of the loss, if requested.
    """

    kind: str
    label: Any
    score: Score
    running_mean: float | None = None
    gradient_norm: float | None = None
    interval: Interval | None = None

    @property
    def labels(self) -> dict[str, Any]:
        """The labels by name."""
        return dict(self.label) if self.kind == "group" else {self.kind: self.label}

    def numbers(self) -> dict[str, Number]:
        """Return the loss, the metrics, and the numbers of batches."""
        more: dict[str, Number] = {"running_mean": self.running_mean} if self.kind == "batch" else {}
        if self.gradient_norm is not None:
            more["gradient_norm"] = self.gradient_norm
        return {**_with_interval(self.score, self.interval), **more}

    def to_dict(self) -> dict[str, Any]:
        """Return the entry in the shape of the JSON output."""
        numbers = self.numbers()
        more: dict[str, Any] = {name: numbers[name] for name in ("running_mean", "gradient_norm") if name in numbers}
        score = self.score.to_dict()
        del score["rows"]["checked_by"]  # said once, for all rows
        interval = {} if self.interval is None else {"interval": self.interval._asdict()}
        return {self.kind: self.label, **score, **more, **interval, **not_finite(numbers)}


def _with_interval(score: Score, interval: Interval | None) -> dict[str, Number]:
    """Return the loss, its interval if there is one, and the metrics."""
    loss, bounds = {"loss": score.loss}, {} if interval is None else interval.numbers()
    return {**loss, **bounds, **score.metrics}


class Macro(NamedTuple):
    """The plain means of the losses and metrics of groups, columns or batches, whatever their sizes.

    Attributes
    ----------
    loss : float
    status : str
        "ok", "nan" or "inf".
    metrics : mapping of str to float
    entries : int
        How many losses were averaged.
    left_out : int
        How many groups, columns or batches have no loss, because no element of theirs is used.
    """

    loss: float
    status: str
    metrics: Mapping[str, float]
    entries: int
    left_out: int

    def numbers(self) -> dict[str, Number]:
        """Return the loss and the metrics."""
        return {"loss": self.loss, **self.metrics}

    def to_dict(self) -> dict[str, Any]:
        """Return the means in the shape of the JSON output."""
        return {**self._asdict(), "metrics": dict(self.metrics), **not_finite(self.numbers())}


@dataclass(frozen=True, slots=True, repr=False)
class Result(Report):
    """A loss, and how it came about.

    Attributes
    ----------
    score : Score
        The score over all rows. The result has its attributes, too: `loss`, `status`, `metrics`, `denominator`,
        `rows`, `elements`.
    reduction : str
    denominator_name : str or None
        What the denominator counts: "elements", "weights" or "rows".
    inputs : tuple of Input
    settings : mapping
    signature : str
        Two losses are comparable if their signatures agree up to `used`.
    version : str
    warnings : tuple of Warned
    groups, columns, batches : tuple of Entry
        The scores of groups, columns or batches, if requested.
    macro : Macro or None
        The plain means of the entries' losses and metrics.
    penalties : mapping of str to float
        "l1" and "l2"; empty without penalties.
    objective : float or None
        The loss plus the penalties.
    gradient_norm : float or None
        The Euclidean norm of the gradient with respect to a model's parameters, if requested.
    gates : tuple of GateResult
        The gates that were asked for, passed or failed.
    values : ndarray or None
        For reduction "none" the loss of every element, in the shape of the predictions; with `axis` the losses on the
        remaining axes.
    interval : Interval, optional
        The confidence interval of the loss, if requested.
    explanation : Explanation, optional
        What the loss is made of, if requested.
    worst : tuple of WorstElement, optional
        The elements with the largest losses, if they were requested.
    not_listed : int
        How many groups are left out of `groups`, because only the first ones were requested.
    arrays : mapping of str to ndarray
        The other requested values: "grad", "grad_target" and "predictions" in the shape of the predictions;
        "grad_coef" and "grad_intercept" in the shapes of the model's parameters; "grad_params 0", … in the shapes of
        the penalized parameters.
    """

    score: Score
    reduction: str
    denominator_name: str | None
    inputs: tuple[Input, ...]
    settings: Mapping[str, Any]
    signature: str
    version: str
    warnings: tuple[Warned, ...] = ()
    groups: tuple[Entry, ...] = ()
    columns: tuple[Entry, ...] = ()
    batches: tuple[Entry, ...] = ()
    macro: Macro | None = None
    penalties: Mapping[str, float] = field(default_factory=dict)
    objective: float | None = None
    gradient_norm: float | None = None
    interval: Interval | None = None
    explanation: Explanation | None = None
    worst: tuple[WorstElement, ...] | None = None
    not_listed: int = 0
    gates: tuple[GateResult, ...] = ()
    values: NDArray[np.float64] | None = field(default=None, compare=False)
    arrays: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, compare=False)

    @property
    def loss(self) -> float | None:
        """The loss over all rows; None for reduction "none"."""
        return self.score.loss

    @property
    def status(self) -> str:
        """Whether the loss is a number: "ok", "nan" or "inf"."""
        return self.score.status

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics over all rows, by name."""
        return self.score.metrics

    @property
    def denominator(self) -> float | None:
        """The divisor of the sum."""
        return self.score.denominator

    @property
    def rows(self) -> Rows:
        """The ledger in rows."""
        return self.score.rows

    @property
    def elements(self) -> Elements:
        """The ledger in elements."""
        return self.score.elements

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The groups, columns or batches, whichever were requested."""
        return (*self.groups, *self.columns, *self.batches)

    @property
    def title(self) -> tuple[tuple[str, ...], ...]:
        """The columns and the files."""
        roles: dict[str, list[Input]] = {}
        for item in self.inputs:
            if item.role not in OTHER_ROLES:
                roles.setdefault(item.role, []).append(item)
        # There are several of a role where states were merged.
        paths = [
            f"{items[0].path}, … ({sum(item.files for item in items):,} files)" if len(items) > 1 else items[0].shown
            for items in roles.values()
        ]
        return title_of([items[0].columns for items in roles.values()], paths, "vs")

    @property
    def what(self) -> Row:
        """The reduction, and what it divides by."""
        if self.loss is None and self.status == "ok":
            return ("mse of every element",)
        interval = self.interval and (f", {100 * self.interval.level:g} % interval by {self.interval.method}",)
        return ("mse, ", *self._divided(), *(interval or ()))

    def _divided(self) -> Row:
        """Return the reduction, and what it divides by."""
        if self.denominator is None:
            return (self.reduction,)
        counted = plural((self.denominator_name or "").removesuffix("s"), 1 if self.denominator == 1 else 2)
        return (
            f"{self.reduction} ÷ ",
            self.denominator,
            f" {'(sum of weights)' if self.denominator_name == 'weights' else counted}",
        )

    @property
    def footer(self) -> str:
        """The signature."""
        return self.signature

    @property
    def short_footer(self) -> str:
        """The signature without the fields that say what is usual, and with the first of many columns."""
        return short_signature(self.signature)

    def numbers(self) -> dict[str, Number]:
        """Return the loss, the metrics, the requested penalties with the objective, and the gradient's norm."""
        # A penalty whose factor is 0 was not asked for.
        asked = [name for name in self.penalties if self.settings.get(name) != 0]
        more: dict[str, Number] = {f"{name}_penalty": self.penalties[name] for name in asked}
        if self.penalties:
            more["objective"] = self.objective
        if self.gradient_norm is not None:
            more["gradient_norm"] = self.gradient_norm
        return {**_with_interval(self.score, self.interval), **more}

    def cases(self) -> list[Case]:
        """Return the score as a case, with its groups, columns or batches."""
        (case,) = Report.cases(self)
        entries = tuple((entry.labels, entry.numbers()) for entry in self.entries)
        return [case._replace(status=self.status, entries=entries)]

    def main_numbers(self) -> list[Number]:
        """Return the loss alone."""
        return [self.loss]

    def lines(self) -> list[Line]:
        """Return a line per entry, then the lines "pooled" and "macro"."""
        if not self.entries:
            return Report.lines(self)
        return [
            *(Line(_joined(entry), entry.numbers(), from_data=True) for entry in self.entries),
            *(Line(name, numbers) for name, numbers in self._totals()),
        ]

    def _totals(self) -> list[tuple[str, dict[str, Number]]]:
        return [("pooled", self.numbers()), *([("macro", self.macro.numbers())] if self.macro else [])]

    def records(self, missing_label: str | None = None) -> list[dict[str, Any]]:
        """Return one row; with entries, one row each and the rows "pooled" and "macro", told apart by `scope`."""
        pooled = {**self._record(self.score, self.numbers()), "checked_by": ",".join(self.rows.checked_by)}
        if not self.entries:
            return [pooled]
        flat = [self._record(entry.score, entry.numbers()) for entry in self.entries]
        macro: dict[str, Any] = {"status": self.macro.status, **self.macro.numbers()} if self.macro else {}
        taken = {"scope", *(name for record in (*flat, pooled, macro) for name in record)}
        labels = [
            {
                f"{name} (label)" if name in taken else name: marked(label, missing_label)
                for name, label in entry.labels.items()
            }
            for entry in self.entries
        ]
        records = [
            {"scope": entry.kind, **label, **record}
            for entry, label, record in zip(self.entries, labels, flat, strict=True)
        ]
        records += [{"scope": "pooled", **pooled}, *([{"scope": "macro", **macro}] if macro else [])]
        columns = dict.fromkeys(["scope", *(name for label in labels for name in label)])
        columns |= dict.fromkeys(name for record in records for name in record)
        return [columns | record for record in records]

    def sections(self) -> list[Section]:
        """Return the entries with what is over all of them, the other numbers, and the ledger."""
        kinds = [kind for kind in (self.groups, self.columns, self.batches) if kind]
        entries = [self._entry_section(kind, pooled=kind is kinds[0]) for kind in kinds]
        shown = set(self.entries[0].numbers()) if self.entries else set()
        # Without a loss of its own every element keeps one.
        others = [
            (name.replace("_", " "), value)
            for name, value in self.numbers().items()
            if name not in shown and not (value is None and self.status == "ok")
        ]
        numbers = [Section(None, others, headline=not entries)] if others else []
        return [*entries, *numbers, *self.details(), self._ledger_section()]

    def details(self) -> list[Section]:
        """Return what the loss is made of, the worst elements, and the gates."""
        found = [] if self.explanation is None else self.explanation.sections()
        if self.worst:
            from msecli.results.details import worst_section

            single = any(len(item.columns) == 1 for item in self.inputs if item.role == "target")
            found.append(worst_section(self.worst, columns=not single))
        return [*found, *gate_sections(self)]

    def to_dict(self) -> dict[str, Any]:
        """Return the result in the shape of the JSON output; nan and infinities are None."""
        score = self.score.to_dict()
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "loss": score["loss"],
            "status": score["status"],
            "reduction": self.reduction,
            "metrics": score["metrics"],
            "denominator": score["denominator"],
            "denominator_name": self.denominator_name,
            "rows": score["rows"],
            "elements": score["elements"],
            **not_finite(self.numbers()),
        }
        lists = (("groups", self.groups), ("columns", self.columns), ("batches", self.batches))
        document |= {name: [entry.to_dict() for entry in entries] for name, entries in lists if entries}
        if self.not_listed:
            document["groups_not_listed"] = self.not_listed
        if self.macro:
            document["macro"] = self.macro.to_dict()
        if self.interval is not None:
            document["interval"] = self.interval._asdict()
        if self.explanation is not None:
            document["explain"] = self.explanation.to_dict()
        if self.worst is not None:
            document["worst"] = [element.to_dict() for element in self.worst]
        if self.penalties:
            document |= {"penalties": dict(self.penalties), "objective": self.objective}
        if self.gradient_norm is not None:
            document["gradient_norm"] = self.gradient_norm
        if self.gates:
            document["gates"] = [gate.to_dict() for gate in self.gates]
        document |= {
            "inputs": [item._asdict() for item in self.inputs],
            "settings": dict(self.settings),
            "signature": self.signature,
            "warnings": [asdict(warning) for warning in self.warnings],
            "version": self.version,
            "kernel": kernel.name(),
        }
        if self.values is not None:
            document |= {"shape": list(self.values.shape), "values": self.values.tolist()}
        return dict(jsonable(document))

    def __str__(self) -> str:
        what = "".join(piece if isinstance(piece, str) else f"{piece:,}" for piece in self._divided())
        entries = len(self.entries)
        more = f"; {entries:,} {self.entries[0].kind} {plural('score', entries)}" if entries else ""
        if self.loss is None and self.status == "ok":
            return f"the losses of {self.elements.used:,} {plural('element', self.elements.used)}"
        return f"{Report.__str__(self)} ({what}{more})"

    # The decorator of slotted dataclasses creates a new class, which `super()` without arguments does not find.
    def __repr__(self) -> str:
        return f"<Result: {self}\n {self.signature}>"

    def _record(self, score: Score, numbers: dict[str, Number]) -> dict[str, Any]:
        numbers = dict(numbers)
        return {
            "loss": numbers.pop("loss"),
            "status": score.status,
            **numbers,
            "reduction": self.reduction,
            "denominator": score.denominator,
            "rows_used": score.rows.used,
            "elements_used": score.elements.used,
            "signature": self.signature,
        }

    def _entry_section(self, entries: Sequence[Entry], *, pooled: bool) -> Section:
        """Return the table of the groups, the columns or the batches, with the numbers over all of them."""
        names, labels, kind = list(entries[0].numbers()), entries[0].labels, entries[0].kind

        def row(labels: Sequence[str], numbers: Mapping[str, Number], used: int | str) -> Row:
            return (*labels, *(numbers.get(name, "") for name in names), used)

        rows = [row(_label_texts(entry), entry.numbers(), entry.score.elements.used) for entry in entries]
        header = (*labels, *(name.replace("_", " ") for name in names), "used")
        if not pooled:
            return Section(header, rows, kind=kind)
        blanks, used = [""] * (len(labels) - 1), {"pooled": self.elements.used}
        totals = [row([name, *blanks], numbers, used.get(name, "")) for name, numbers in self._totals()]
        return Section(header, rows, totals, self._macro_note(), kind=kind)

    def _macro_note(self) -> Row:
        if self.macro is None:
            return ()
        kind, averaged, all_entries = self.entries[0].kind, self.macro.entries, self.macro.entries + self.macro.left_out
        some = (averaged, " of ") if self.macro.left_out else ()
        others = (", ", self.not_listed, " of them not listed") if self.not_listed else ()
        return ("macro: plain mean of ", *some, all_entries, f" {plural(kind, all_entries)}", *others)

    @property
    def _checked(self) -> str:
        """By which columns the rows were checked; nothing where no columns could have told."""
        names = self.rows.checked_by
        if names:
            more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
            return f"checked by {', '.join(map(_cut, names[:NAMES_SHOWN]))}{more}"
        sides = [item for item in self.inputs if item.role not in OTHER_ROLES]
        tables = len({item.path for item in sides}) == len(sides) > 1 and all(item.columns for item in sides)
        return "checked by no column" if tables and self.settings["pairing"] == "position" else ""

    def _ledger_section(self) -> Section:
        """Return one line if every row was used, or else what became of all of them."""
        rows, elements = self.rows._asdict(), self.elements._asdict()
        if {rows["prediction"], rows["target"], rows["matched"]} == {rows["used"]} and not any(
            count for name, count in elements.items() if name not in ALWAYS
        ):
            more = () if elements["total"] == rows["matched"] else (", ", elements["total"], " elements")
            checked = (f", {self._checked}",) if self._checked else ()
            return Section(None, note=(rows["used"], " of ", rows["prediction"], " rows used", *more, *checked))
        counts = [(label, rows.get(row or "", ""), elements.get(element or "", "")) for label, row, element in LEDGER]
        shown = [
            line
            for line, (_, *names) in zip(counts, LEDGER, strict=True)
            if any(line[1:]) or not ALWAYS.isdisjoint(names)
        ]
        return Section(("", "rows", "elements"), shown, note=(f"rows {self._checked}",) if self._checked else ())


def title_of(columns: Sequence[Sequence[str]], paths: Sequence[str], word: str) -> tuple[tuple[str, ...], ...]:
    """Return the columns and the paths of one side or two, with a word between those that differ."""
    lists = []
    for names in columns:
        more = f", … ({len(names):,} columns)" if len(names) > NAMES_SHOWN else ""
        lists.append(", ".join(names[:NAMES_SHOWN]) + more)
    groups = [[text for text in dict.fromkeys(texts) if text] for texts in (lists, paths)]
    return tuple((first, *(f"{word} {text}" for text in others)) for first, *others in filter(None, groups))


def short_signature(signature: str) -> str:
    """Return a signature without the fields that say what is usual, and with the first of many columns."""
    fields = [field for field in re.findall(SIGNATURE_FIELD, signature) if field not in DEFAULTS]
    return "|".join(_first_columns(field) if field.startswith("columns:") else field for field in fields)


def _cut(name: str) -> str:
    return escaped(name if len(name) <= SHOWN else name[:SHOWN] + "…")


def _first_columns(field: str) -> str:
    pairs = re.findall(LISTED, field)
    return field if len(pairs) <= NAMES_SHOWN else f"{','.join(pairs[:NAMES_SHOWN])},… ({len(pairs):,})"


def _label_texts(entry: Entry) -> list[str]:
    return [str(marked(label)) for label in entry.labels.values()]


def _joined(entry: Entry) -> str:
    return ",".join(_label_texts(entry))
