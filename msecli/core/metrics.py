"""The table of metrics: each is one value, computed from the exact sums of one pass.

The command line reads this table for its help, so this module must not import NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from msecli.errors import UsageError

if TYPE_CHECKING:
    from fractions import Fraction

    from msecli.core.state import Summary


class Metric(NamedTuple):
    """A metric: its name, its meaning, the sums it needs, and its value.

    `terms` that begin with "plain_" ignore the weights. `largest` asks for the largest absolute residual, `by_column`
    for separate sums for every column.
    """

    name: str
    meaning: str
    value: Callable[[Summary], float]
    terms: tuple[str, ...] = ()
    largest: bool = False
    by_column: bool = False


# Named functions and partial ones, which can be pickled, where lambdas cannot.


def _mean(term: str, s: Summary) -> float:
    return s.sums[term].over(s.divisor)


def _root_of_mean(s: Summary) -> float:
    return s.sums["squared_error"].root_over(s.divisor)


def _sum(s: Summary) -> float:
    return s.sums["squared_error"].value()


def _largest(s: Summary) -> float:
    return s.largest


R2_TERMS = ("exact_squared_error", "target", "squared_target")


def _r2(s: Summary) -> float:
    """Return 1 - SSE / SST, summed over columns about their own means; nan for constant targets.

    The sum of squares about the mean is sum(w * t * t) - sum(w * t)**2 / sum(w), in exact fractions.
    """
    from fractions import Fraction

    columns = [column for column in (s.columns or (s,)) if column.used]
    if any(column.sums[term].special for column in columns for term in R2_TERMS):
        return math.nan
    spread = sum((_squares_about_mean(column) for column in columns), Fraction(0))
    if spread == 0:
        return math.nan
    from msecli.core.exact import ratio

    value = 1 - s.sums["exact_squared_error"].exact() / spread
    return ratio(value.numerator, value.denominator)


def _squares_about_mean(s: Summary) -> Fraction:
    from fractions import Fraction

    from msecli.core.exact import ONE

    if s.divisor == 0:
        return Fraction(0)
    total = s.sums["target"]
    return s.sums["squared_target"].exact() - Fraction(total.units**2, (s.divisor * ONE) << (2 * total.finer))


def _l1(s: Summary) -> float:
    return s.plain("absolute_error").value()


def _l2(s: Summary) -> float:
    from msecli.core.exact import ONE

    return s.plain("exact_squared_error").root_over(ONE)


def _power_norm(power: float, s: Summary) -> float:
    from msecli.core.norm import root_of

    return root_of(s.sums[f"power:{power!r}"], power)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("mse", "mean squared error", partial(_mean, "squared_error"), ("squared_error",)),
        Metric("rmse", "root of the mean squared error", _root_of_mean, ("squared_error",)),
        Metric("mae", "mean absolute error", partial(_mean, "absolute_error"), ("absolute_error",)),
        Metric("max_error", "largest absolute error", _largest, largest=True),
        Metric("bias", "mean of prediction - target", partial(_mean, "error"), ("error",)),
        Metric("r2", "coefficient of determination, pooled over columns", _r2, R2_TERMS, by_column=True),
        Metric("sse", "sum of squared errors", _sum, ("squared_error",)),
        Metric("l1", "sum of absolute residuals, unweighted", _l1, ("plain_absolute_error",)),
        Metric("l2", "root of the sum of squared residuals, unweighted", _l2, ("plain_exact_squared_error",)),
        Metric("linf", "largest absolute residual", _largest, largest=True),
    )
}

PARAMETRIC = "lp:P"
"""The residual norm of any order P, as the help shows it."""


def metric_named(name: str) -> Metric:
    """Return the metric of a name in `METRICS`, or of "lp:P" for a P >= 1.

    Raises
    ------
    UsageError
        For any other name.

    Examples
    --------
    >>> metric_named("rmse").meaning
    'root of the mean squared error'
    """
    if name in METRICS:
        return METRICS[name]
    if not name.startswith("lp:"):
        raise UsageError(f"unknown metric {name!r}; choose from {', '.join([*METRICS, PARAMETRIC])}")
    try:
        power = float(name.removeprefix("lp:"))
    except ValueError:
        power = math.nan
    if not 1 <= power < math.inf:
        raise UsageError(f"metric {name!r}: P in lp:P is a number of at least 1, such as lp:3 (for infinity: linf)")
    return Metric(
        name, f"residual norm of order {power:g}, unweighted", partial(_power_norm, power), (f"power:{power!r}",)
    )


def needed_terms(metrics: Iterable[Metric], *, weighted: bool, loss: bool = True) -> tuple[str, ...]:
    """Return the terms that these metrics need, without duplicates, and the loss's own if there is a loss."""
    terms = dict.fromkeys(["squared_error"] if loss else [])
    for metric in metrics:
        terms.update(dict.fromkeys(term if weighted else term.removeprefix("plain_") for term in metric.terms))
    if weighted:
        terms["weight"] = None
    return tuple(terms)
