"""The result of a scoring, with everything in the JSON output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from msecli.errors import Warned
from msecli.results.base import SCHEMA, Line, Number, Report, Section, jsonable, not_finite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROW_WORDS = {
    "prediction": "in the prediction file",
    "target": "in the target file",
    "matched": "paired",
    "unmatched_prediction": "predictions without a target",
    "unmatched_target": "targets without a prediction",
    "dropped": "dropped",
    "used": "used",
}
ELEMENT_WORDS = {
    "total": "paired",
    "ignored": "ignored",
    "nan_target": "target missing",
    "nan_prediction": "prediction missing",
    "infinite": "infinite",
    "used": "used",
}
"""The labels of the ledger's counts in tables."""

ALWAYS = frozenset({"prediction", "target", "matched", "total", "used"})
"""The counts that tables show even if they are 0."""


class Rows(NamedTuple):
    """The ledger in rows; a row is used when one of its elements is.

    `checked_by` names the columns, as the prediction file has them, that showed that rows paired by position belong
    together.
    """

    prediction: int
    target: int
    matched: int
    unmatched_prediction: int
    unmatched_target: int
    dropped: int
    used: int
    checked_by: tuple[str, ...] = ()


class Elements(NamedTuple):
    """The ledger in elements; ignored ones count nowhere else, one missing on both sides counts on both."""

    total: int
    used: int
    ignored: int
    nan_target: int
    nan_prediction: int
    infinite: int


class Input(NamedTuple):
    """An input, and the columns taken from it (none for a nameless array)."""

    role: str
    path: str
    format: str
    columns: tuple[str, ...]


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
            "rows": self.rows._asdict(),
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
    """

    kind: str
    label: Any
    score: Score
    running_mean: float | None = None
    gradient_norm: float | None = None

    @property
    def labels(self) -> dict[str, Any]:
        """The labels by name."""
        return dict(self.label) if self.kind == "group" else {self.kind: self.label}

    def numbers(self) -> dict[str, Number]:
        """Return the loss, the metrics, and the numbers of batches."""
        more: dict[str, Number] = {"running_mean": self.running_mean} if self.kind == "batch" else {}
        if self.gradient_norm is not None:
            more["gradient_norm"] = self.gradient_norm
        return {**self.score.numbers(), **more}

    def to_dict(self) -> dict[str, Any]:
        """Return the entry in the shape of the JSON output."""
        numbers = self.numbers()
        more: dict[str, Any] = {name: numbers[name] for name in ("running_mean", "gradient_norm") if name in numbers}
        score = self.score.to_dict()
        del score["rows"]["checked_by"]  # said once, for all rows
        return {self.kind: self.label, **score, **more, **not_finite(numbers)}


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
    macro : mapping of str to float
        The unweighted means of the entries' losses and metrics; empty without entries.
    penalties : mapping of str to float
        "l1" and "l2"; empty without penalties.
    objective : float or None
        The loss plus the penalties.
    gradient_norm : float or None
        The Euclidean norm of the gradient with respect to a model's parameters, if requested.
    values : ndarray or None
        For reduction "none" the loss of every element, in the shape of the predictions; with `axis` the losses on the
        remaining axes.
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
    macro: Mapping[str, float] = field(default_factory=dict)
    penalties: Mapping[str, float] = field(default_factory=dict)
    objective: float | None = None
    gradient_norm: float | None = None
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
    def footer(self) -> str:
        """The signature."""
        return self.signature

    def numbers(self) -> dict[str, Number]:
        """Return the loss, the metrics, the penalties with the objective, and the gradient's norm."""
        more: dict[str, Number] = {f"{name}_penalty": value for name, value in self.penalties.items()}
        if self.penalties:
            more["objective"] = self.objective
        if self.gradient_norm is not None:
            more["gradient_norm"] = self.gradient_norm
        return {**self.score.numbers(), **more}

    def main_numbers(self) -> list[Number]:
        """Return the loss alone."""
        return [self.loss]

    def lines(self) -> list[Line]:
        """Return a line per entry, then the lines "pooled" and "macro"."""
        if not self.entries:
            return Report.lines(self)
        return [
            *(Line(_joined(entry), tuple(entry.numbers().values()), from_data=True) for entry in self.entries),
            Line("pooled", tuple(self.numbers().values())),
            Line("macro", tuple(self.macro.values())),
        ]

    def records(self) -> list[dict[str, Any]]:
        """Return one row; with entries, one row each and the rows "pooled" and "macro", told apart by `scope`."""
        if not self.entries:
            return [self._record(self.score, self.numbers())]
        flat = [self._record(entry.score, entry.numbers()) for entry in self.entries]
        pooled: dict[str, Any] = self._record(self.score, self.numbers())
        macro: dict[str, Any] = {"status": "ok", **self.macro}
        taken = {"scope", *(name for record in (*flat, pooled, macro) for name in record)}
        labels = [
            {f"{name} (label)" if name in taken else name: label for name, label in entry.labels.items()}
            for entry in self.entries
        ]
        records = [
            {"scope": entry.kind, **label, **record}
            for entry, label, record in zip(self.entries, labels, flat, strict=True)
        ]
        records += [{"scope": "pooled", **pooled}, {"scope": "macro", **macro}]
        columns = dict.fromkeys(["scope", *(name for label in labels for name in label)])
        columns |= dict.fromkeys(name for record in records for name in record)
        return [columns | record for record in records]

    def sections(self) -> list[Section]:
        """Return the entries, the losses and the ledger."""
        entries = [_entry_section(kind) for kind in (self.groups, self.columns, self.batches) if kind]
        losses = list(self._loss_rows())
        return [*entries, *([Section(None, losses, headline=True)] if losses else []), self._ledger_section()]

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
        if self.macro:
            document["macro"] = dict(self.macro)
        if self.penalties:
            document |= {"penalties": dict(self.penalties), "objective": self.objective}
        if self.gradient_norm is not None:
            document["gradient_norm"] = self.gradient_norm
        document |= {
            "inputs": [item._asdict() for item in self.inputs],
            "settings": dict(self.settings),
            "signature": self.signature,
            "warnings": [asdict(warning) for warning in self.warnings],
            "version": self.version,
        }
        if self.values is not None:
            document |= {"shape": list(self.values.shape), "values": self.values.tolist()}
        return dict(jsonable(document))

    def __str__(self) -> str:
        divided = "" if self.denominator is None else f" of {self.denominator:,} {self.denominator_name}"
        what = f"{self.reduction}{divided}"
        more = f"; {len(self.entries):,} {self.entries[0].kind} scores" if self.entries else ""
        if self.loss is None and self.status == "ok":
            return f"the losses of {self.elements.used:,} elements"
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

    def _loss_rows(self) -> Iterator[tuple[str | Number, ...]]:
        counted = "(sum of weights)" if self.denominator_name == "weights" else self.denominator_name
        divided = "" if self.denominator is None else f" ÷ {self.denominator:,} {counted}"
        pooled = "pooled " if self.macro else ""
        for name, value in self.numbers().items():
            if value is None and self.status == "ok":
                continue  # every element keeps its loss
            note = f"mse, {self.reduction}{divided}" if name == "loss" else ""
            yield f"{pooled}{name.replace('_', ' ')}", value, note
        for name, value in self.macro.items():
            yield f"macro {name}", value, "plain mean of the entries" if name == "loss" else ""

    def _ledger_section(self) -> Section:
        rows, elements = _present(self.rows._asdict(), ROW_WORDS), _present(self.elements._asdict(), ELEMENT_WORDS)
        lines = max(len(rows), len(elements))
        rows += [("", "")] * (lines - len(rows))
        elements += [("", "")] * (lines - len(elements))
        return Section(
            ("rows", "", "elements", ""), [(*left, *right) for left, right in zip(rows, elements, strict=True)]
        )


def _entry_section(entries: Sequence[Entry]) -> Section:
    names = [name.replace("_", " ") for name in (*entries[0].numbers(), "used")]
    rows = [
        (
            *("" if label is None else str(label) for label in entry.labels.values()),
            *entry.numbers().values(),
            entry.score.elements.used,
        )
        for entry in entries
    ]
    return Section((*entries[0].labels, *names), rows)


def _present(counts: Mapping[str, int], words: Mapping[str, str]) -> list[tuple[str, str | int]]:
    return [(word, counts[name]) for name, word in words.items() if counts[name] or name in ALWAYS]


def _joined(entry: Entry) -> str:
    return ",".join("" if label is None else str(label) for label in entry.labels.values())
