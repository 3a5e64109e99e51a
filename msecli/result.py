"""The frozen result of a scoring: everything the JSON output says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEMA = "msecli/1"


class Rows(NamedTuple):
    """The ledger in rows; a row is used when one of its elements is."""

    prediction: int
    target: int
    matched: int
    unmatched_prediction: int
    unmatched_target: int
    dropped: int
    used: int


class Elements(NamedTuple):
    """The ledger in elements; an ignored one is not looked at further, one missing on both sides counts in both."""

    total: int
    used: int
    ignored: int
    nan_target: int
    nan_prediction: int
    infinite: int


class Input(NamedTuple):
    """A file that was read, and the columns taken from it (none for a nameless array)."""

    role: str
    path: str
    format: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that was found and is no error, and how often."""

    code: str
    where: str
    meaning: str
    count: int


class Score(NamedTuple):
    """A loss with its metrics, its denominator and its ledger.

    Attributes
    ----------
    loss : float or None
        None where there is no single one, and where no element was used; nan and inf are possible, see `status`.
    status : str
        "ok", "nan", "inf", or "empty" where no element was used.
    metrics : mapping of str to float
    denominator : float or None
        What the sum was divided by; None where it was not.
    rows, elements : Rows, Elements
        The ledger.
    """

    loss: float | None
    status: str
    metrics: Mapping[str, float]
    denominator: float | None
    rows: Rows
    elements: Elements

    def to_dict(self) -> dict[str, Any]:
        """Return the score in the shape of the JSON output, with None for nan and infinities."""
        score: dict[str, Any] = {
            "loss": self.loss,
            "status": self.status,
            "metrics": self.metrics,
            "denominator": self.denominator,
            "rows": self.rows._asdict(),
            "elements": self.elements._asdict(),
            **not_finite({"loss": self.loss, **self.metrics}),
        }
        return sayable(score)


class Entry(NamedTuple):
    """The score of a group, a column or a batch.

    Attributes
    ----------
    kind : str
        "group", "column" or "batch".
    label : mapping, str or int
        The labels of the group by their columns, the name of the column, or the number of the batch.
    score : Score
    running_mean : float or None
        For batches: the loss over all rows up to this batch.
    gradient_norm : float or None
        The Euclidean norm of the gradient with respect to a model's parameters, where it was asked for.
    """

    kind: str
    label: Any
    score: Score
    running_mean: float | None = None
    gradient_norm: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry in the shape of the JSON output."""
        more = {"running_mean": self.running_mean} if self.kind == "batch" else {}
        if self.gradient_norm is not None:
            more["gradient_norm"] = self.gradient_norm
        score = self.score.to_dict()
        words = not_finite({"running_mean": self.running_mean, "gradient_norm": self.gradient_norm})
        if words:
            score["not_finite"] = score.get("not_finite", {}) | words["not_finite"]
        return {self.kind: self.label, **score, **sayable(more)}


@dataclass(frozen=True, slots=True)
class Result:
    """A loss, and how it came about.

    Attributes
    ----------
    score : Score
        Over all rows together. Its members are also those of the result: `loss`, `status`, `metrics`,
        `denominator`, `rows`, `elements`.
    reduction : str
    denominator_name : str or None
        What the denominator counts: "elements", "weights" or "rows".
    inputs : tuple of Input
    settings : mapping
    signature : str
        Two losses with the same signature up to `used` are comparable.
    version : str
    warnings : tuple of Warned
    groups, columns, batches : tuple of Entry
        Where they were asked for.
    macro : mapping of str to float
        The plain means of the entries' losses and metrics; empty without entries.
    penalties : mapping of str to float
        "l1" and "l2", where there are parameters; else empty.
    objective : float or None
        The loss plus the penalties.
    gradient_norm : float or None
        The Euclidean norm of the gradient with respect to a model's parameters, where it was asked for.
    values : ndarray or None
        The loss of every element, or those along the axes that are left.
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
        """What the sum was divided by."""
        return self.score.denominator

    @property
    def rows(self) -> Rows:
        """The ledger in rows."""
        return self.score.rows

    @property
    def elements(self) -> Elements:
        """The ledger in elements."""
        return self.score.elements

    def to_dict(self) -> dict[str, Any]:
        """Return the result in the shape of the JSON output, with None for nan and infinities."""
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
        }
        more = {f"{name}_penalty": value for name, value in self.penalties.items()}
        document |= not_finite(
            {
                "loss": self.loss,
                **self.metrics,
                **more,
                "objective": self.objective,
                "gradient_norm": self.gradient_norm,
            }
        )
        for name in ("groups", "columns", "batches"):
            if entries := getattr(self, name):
                document[name] = [entry.to_dict() for entry in entries]
        if self.macro:
            document["macro"] = sayable(self.macro)
        if self.penalties:
            document |= sayable({"penalties": self.penalties, "objective": self.objective})
        if self.gradient_norm is not None:
            document |= sayable({"gradient_norm": self.gradient_norm})
        document |= {
            "inputs": [item._asdict() | {"columns": list(item.columns)} for item in self.inputs],
            **sayable({"settings": self.settings}),
            "signature": self.signature,
            "warnings": [asdict(warning) for warning in self.warnings],
            "version": self.version,
        }
        if self.values is not None:
            from msecli.outputs.base import nested

            document |= {"shape": list(self.values.shape), "values": nested(self.values)}
        return document


def status(value: float | None) -> str:
    """Return "ok", "nan" or "inf"."""
    if value is None or math.isfinite(value):
        return "ok"
    return "nan" if math.isnan(value) else "inf"


def not_finite(values: Mapping[str, float | None]) -> dict[str, dict[str, str]]:
    """Return what JSON cannot say of some numbers, by their names: "nan", "inf" or "-inf"; nothing if there is none."""
    words = {name: repr(value) for name, value in values.items() if value is not None and not math.isfinite(value)}
    return {"not_finite": words} if words else {}


def sayable(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without nan and infinities, which JSON cannot say: None, or in `settings` their names."""
    return {name: _sayable(value, in_words=name == "settings") for name, value in document.items()}


def _sayable(value: Any, *, in_words: bool) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value) if in_words else None
    if isinstance(value, Mapping):
        return {name: _sayable(member, in_words=in_words) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(member, in_words=in_words) for member in value]
    return value
