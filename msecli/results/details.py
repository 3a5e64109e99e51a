"""What a result holds besides its scores, if it was asked for: the worst elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msecli.results.base import Number, Row, Section, marked, not_finite, number_text, plural
from msecli.tuples import NamedTuple


class WorstElement(NamedTuple):
    """One of the elements with the largest losses.

    Attributes
    ----------
    row : int
        The number of its row, from 1; with keys, in the prediction file.
    key, group : mapping or None
        The labels of its row by column, if rows were paired by key, or scored by group.
    column : str or None
        The prediction's column, or the indices in an array; None for the only one of an array.
    prediction, target, error, loss : float
        The error is prediction - target; the loss is its square, times the weight.
    share : float or None
        The loss divided by the sum of all; None where this is 0 or not finite.
    """

    row: int
    key: Mapping[str, Any] | None
    group: Mapping[str, Any] | None
    column: str | None
    prediction: float
    target: float
    error: float
    loss: float
    share: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the element in the shape of the JSON output."""
        numbers = {name: getattr(self, name) for name in ("prediction", "target", "error", "loss")}
        return {**self._asdict(), **not_finite(numbers)}


class Interval(NamedTuple):
    """A confidence interval of a mean loss.

    Attributes
    ----------
    low, high : float or None
        None where there is no interval.
    level : float
    method : str
        Such as "t", "t, weighted", "t, cluster(patient)", or "bootstrap(1000, seed 0)".
    status : str
        "ok"; "nan" or "inf", as of the loss; or "too_few", for fewer than two elements, or clusters.
    """

    low: float | None
    high: float | None
    level: float
    method: str
    status: str = "ok"

    def numbers(self) -> dict[str, Number]:
        """Return the bounds."""
        return {"ci_low": self.low, "ci_high": self.high}


class Share(NamedTuple):
    """The share of the loss that the worst elements make up.

    Attributes
    ----------
    part : float
        Which part of the elements, such as 0.01.
    elements : int
        How many these are.
    share : float or None
        None if the loss is 0 or not finite.
    """

    part: float
    elements: int
    share: float | None


class Explanation(NamedTuple):
    """What a loss is made of; a number is None where a value is not finite.

    Attributes
    ----------
    mse : float or None
        The mean squared error, weighted if there are weights: bias_squared + variance.
    bias : float or None
        The mean error, prediction - target.
    bias_squared, variance : float or None
        The variance of the errors is divided by the same as the mean.
    worst : tuple of Share
        The shares of the loss in the worst elements.
    accuracy : float
        The largest relative error of these shares.
    mean_mse : float or None
        The mean squared error of predicting the target's mean, of each column.
    skill : float
        1 - mse / mean_mse.
    formulas : tuple of Row
        The reduction, penalties and gradients in use: texts, and the numbers in them.
    """

    mse: float | None
    bias: float | None
    bias_squared: float | None
    variance: float | None
    worst: tuple[Share, ...]
    accuracy: float
    mean_mse: float | None
    skill: float
    formulas: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation in the shape of the JSON output."""
        formulas = ["".join(map(number_text, pieces)) for pieces in self.formulas]
        return {**self._asdict(), "worst": [share._asdict() for share in self.worst], "formulas": formulas}

    def sections(self) -> list[Section]:
        """Return the numbers as a table, and the formulas."""
        rows: list[Row] = [
            ("mse", self.mse),
            ("= bias²", self.bias_squared),
            ("+ variance of the errors", self.variance),
            *(
                (f"share of the worst {100 * part:g} % ({elements:,} {plural('element', elements)})", share)
                for part, elements, share in self.worst
            ),
            ("mse of predicting the mean", self.mean_mse),
            ("skill against it", self.skill),
        ]
        note = (f"shares within {100 * self.accuracy:.1g} % of themselves",)
        return [Section(("explained", ""), rows, note=note), *(Section(None, note=each) for each in self.formulas)]


NUMBERS = ("prediction", "target", "error", "loss", "share")


def worst_section(worst: Sequence[WorstElement], *, columns: bool) -> Section:
    """Return the table of the worst elements; `columns` tells whether it names the columns of those that have one."""
    first = worst[0]
    columns = columns and first.column is not None

    def row(element: WorstElement) -> Row:
        labels = [str(marked(label)) for label in (*(element.key or {}).values(), *(element.group or {}).values())]
        column = [element.column or ""] if columns else []
        numbers = (getattr(element, name) for name in NUMBERS)
        return (f"{element.row:,}", *labels, *column, *("" if number is None else number for number in numbers))

    header = ("worst row", *(first.key or {}), *(first.group or {}), *(["column"] if columns else []), *NUMBERS)
    return Section(header, [row(element) for element in worst], kind="element", complete="json")
