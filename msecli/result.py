"""The frozen result of a scoring: everything the JSON output says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEMA = "msecli/1"


@dataclass(frozen=True, slots=True)
class Rows:
    """The ledger in rows; a row is used when one of its elements is."""

    prediction: int
    target: int
    matched: int
    unmatched_prediction: int
    unmatched_target: int
    dropped: int
    used: int


@dataclass(frozen=True, slots=True)
class Elements:
    """The ledger in elements; an ignored one is not looked at further, one missing on both sides counts in both."""

    total: int
    used: int
    ignored: int
    nan_target: int
    nan_prediction: int
    infinite: int


@dataclass(frozen=True, slots=True)
class Input:
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


@dataclass(frozen=True, slots=True)
class Result:
    """A loss, and how it came about.

    Attributes
    ----------
    loss : float or None
        None for reduction "none"; nan and inf are possible, see `status`.
    reduction : str
    metrics : mapping of str to float
    denominator : float or None
        What the sum was divided by; None where it was not.
    denominator_name : str or None
        What the denominator counts: "elements", "weights" or "rows".
    rows, elements : Rows, Elements
        The ledger.
    inputs : tuple of Input
    settings : mapping
    signature : str
        Two losses with the same signature up to `used` are comparable.
    version : str
    warnings : tuple of Warned
    values : ndarray or None
        The loss of every element, for reduction "none" from Python.
    """

    loss: float | None
    reduction: str
    metrics: Mapping[str, float]
    denominator: float | None
    denominator_name: str | None
    rows: Rows
    elements: Elements
    inputs: tuple[Input, ...]
    settings: Mapping[str, Any]
    signature: str
    version: str
    warnings: tuple[Warned, ...] = ()
    values: NDArray[np.float64] | None = field(default=None, compare=False)

    @property
    def status(self) -> str:
        """Whether the loss is a number: "ok", "nan" or "inf"."""
        return status(self.loss)

    def to_dict(self) -> dict[str, Any]:
        """Return the result in the shape of the JSON output, with None for nan and infinities."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "loss": finite(self.loss),
            "status": self.status,
            "reduction": self.reduction,
            "metrics": {name: finite(value) for name, value in self.metrics.items()},
            "denominator": self.denominator,
            "denominator_name": self.denominator_name,
            "rows": asdict(self.rows),
            "elements": asdict(self.elements),
            "inputs": [asdict(item) | {"columns": list(item.columns)} for item in self.inputs],
            "settings": dict(self.settings),
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


def finite(value: float | None) -> float | None:
    """Return the value, or None if it is nan or infinite, which JSON cannot say."""
    return value if value is not None and math.isfinite(value) else None
