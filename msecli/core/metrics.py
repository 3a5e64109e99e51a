"""The table of metrics: each is one value, computed from the exact sums of one pass.

The command line reads this table for its help, so this module must not import NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from msecli.errors import UsageError, meant, similar
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from fractions import Fraction

    from msecli.core.state import Summary


class Metric(NamedTuple):
    """A metric: its name, its meaning, its value, and what this needs.

    Parameters
    ----------
    name, meaning : str
    value : callable
        From the sums of some rows to the metric.
    terms : tuple of str
        The sums; those that begin with "plain_" ignore the weights.
    largest : tuple of str
        The quantities of which it needs the largest.
    by_column : bool
        Whether it needs separate sums for every column.
    holds : bool
        Whether it needs all absolute residuals in memory.
    weightless : bool
        Whether it has no meaning with weights.
    season : int
        The distance of the seasonal differences that it needs, in row order; 0 for none.
    flaws : tuple of str
        The values for which it is undefined, by their names in `msecli.core.terms.FLAWS`.
    strict : bool
        Whether such a value is an error; otherwise the metric is nan, with a warning.
    baseline : str, optional
        The column of the predictions that it compares with.
    best : float
        Its value for perfect predictions; the nearer, the better.
    signed : bool
        Whether its values lie on both sides of the best one.
    """

    name: str
    meaning: str
    value: Callable[[Summary], float]
    terms: tuple[str, ...] = ()
    largest: tuple[str, ...] = ()
    by_column: bool = False
    holds: bool = False
    weightless: bool = False
    season: int = 0
    flaws: tuple[str, ...] = ()
    strict: bool = False
    baseline: str | None = None
    best: float = 0.0
    signed: bool = False


def badness(value: float, best: float = 0.0) -> float:
    """Return a number that is the larger the further a value is from the best one, which may be infinite.

    Examples
    --------
    >>> badness(-2.0), badness(0.75, 1.0), badness(30.0, math.inf)
    (2.0, 0.25, -30.0)
    """
    return abs(best - value) if math.isfinite(best) else -value


class Options(NamedTuple):
    """The settings that some metrics depend on."""

    peak: float | None = None
    season: int | None = None


# Named functions and partial ones, which can be pickled, where lambdas cannot.


def _mean(term: str, s: Summary) -> float:
    return s.sums[term].over(s.divisor)


def _root_of_mean(term: str, s: Summary) -> float:
    return s.sums[term].root_over(s.divisor)


def _sum(s: Summary) -> float:
    return s.sums["squared_error"].value()


def _largest(s: Summary) -> float:
    return s.largest["residual"]


def _ratio(term: str, divisor: str, s: Summary) -> float:
    """Return the quotient of two sums; nan for a divisor that is 0 or not finite."""
    from msecli.core.exact import ratio

    above, below = s.sums[term], s.sums[divisor]
    if below.special or below.units == 0:
        return math.nan
    if above.special:
        return above.special
    value = above.exact() / below.exact()
    return ratio(value.numerator, value.denominator)


TARGET_TERMS = ("target", "squared_target")
R2_TERMS = ("exact_squared_error", *TARGET_TERMS)
LOGARITHMS = ("log_prediction", "log_target")
EXPLAINED_TERMS = (*R2_TERMS, "exact_error")
PEARSON_TERMS = (*TARGET_TERMS, "prediction", "squared_prediction", "product")


def _r2(s: Summary) -> float:
    """Return 1 - SSE / SST, summed over columns about their own means; nan for constant targets."""
    spread = _about_means(s, "squared_target", "target", "target")
    if spread is None or s.sums["exact_squared_error"].special:
        return math.nan
    return _one_minus(s.sums["exact_squared_error"].exact(), spread)


def _explained_variance(s: Summary) -> float:
    """Return 1 - the variance of the errors / that of the targets, like `_r2`; nan for constant targets."""
    spread = _about_means(s, "squared_target", "target", "target")
    rest = _about_means(s, "exact_squared_error", "exact_error", "exact_error")
    return math.nan if spread is None or rest is None else _one_minus(rest, spread)


def _pearson(s: Summary) -> float:
    """Return the correlation, summed over columns about their own means; nan if either side is constant."""
    from msecli.core.exact import root

    together = _about_means(s, "product", "prediction", "target")
    ours = _about_means(s, "squared_prediction", "prediction", "prediction")
    theirs = _about_means(s, "squared_target", "target", "target")
    if together is None or not ours or not theirs:
        return math.nan
    square = together**2 / (ours * theirs)
    size = root(square.numerator, square.denominator)
    return size if together >= 0 else -size


def _skill(column: str, s: Summary) -> float:
    """Return 1 - SSE / SSE of the baseline; nan for a baseline without errors."""
    errors, theirs = (s.sums[f"{term}:{column}"] for term in ("beside_baseline", "baseline"))
    return math.nan if errors.special or theirs.special else _one_minus(errors.exact(), theirs.exact())


def _one_minus(part: Fraction, whole: Fraction) -> float:
    from msecli.core.exact import ratio

    if whole == 0:
        return math.nan
    value = 1 - part / whole
    return ratio(value.numerator, value.denominator)


def _about_means(s: Summary, products: str, first: str, second: str) -> Fraction | None:
    """Return the sum of w * (x - mean x) * (y - mean y), with means by column; None if a value is not finite.

    For a column it is sum(w * x * y) - sum(w * x) * sum(w * y) / sum(w), in exact fractions.
    """
    from fractions import Fraction

    from msecli.core.exact import ONE

    whole = Fraction(0)
    for column in s.columns or (s,):
        x, y = column.sums[first], column.sums[second]
        if column.used and (x.special or y.special or column.sums[products].special):
            return None
        if column.used and column.divisor:
            mean_part = Fraction(x.units * y.units, (column.divisor * ONE) << (x.finer + y.finer))
            whole += column.sums[products].exact() - mean_part
    return whole


def _nrmse(square: Callable[[Summary], Fraction | None], s: Summary) -> float:
    """Return the root of the MSE divided by the square of a scale; nan for a scale that is 0 or not finite."""
    from msecli.core.exact import ONE, root

    errors, scale = s.sums["exact_squared_error"], square(s)
    if not scale or s.divisor == 0:
        return math.nan
    if errors.special:
        return errors.special
    value = errors.exact() * ONE / s.divisor / scale
    return root(value.numerator, value.denominator)


def _squared_range(s: Summary) -> Fraction | None:
    from fractions import Fraction

    highest, lowest = s.largest["target"], -s.largest["negative_target"]
    if not (math.isfinite(highest) and math.isfinite(lowest)):
        return None
    return (Fraction(highest) - Fraction(lowest)) ** 2


def _squared_mean(s: Summary) -> Fraction | None:
    from msecli.core.exact import ONE

    total = s.sums["target"]
    return None if total.special or not s.divisor else (total.exact() * ONE / s.divisor) ** 2


def target_variance(s: Summary) -> Fraction | None:
    """Return the variance of the targets (divided by n), pooled over columns; None if it is undefined."""
    from msecli.core.exact import ONE

    spread = _about_means(s, "squared_target", "target", "target")
    return None if spread is None or not s.divisor else spread * ONE / s.divisor


def _median(s: Summary) -> float:
    """Return the median of the absolute residuals, for an even number the mean of the two in the middle."""
    import numpy as np

    from msecli.core.exact import ONE, ratio, units_of

    values = np.concatenate(s.held)
    if np.isnan(values).any():
        return math.nan
    middle = len(values) // 2
    values.partition((max(middle - 1, 0), middle))
    high = float(values[middle])
    low = high if len(values) % 2 else float(values[middle - 1])
    return high if math.isinf(high) else ratio(units_of(low) + units_of(high), 2 * ONE)


def _psnr(peak: float, s: Summary) -> float:
    """Return 10 * log10(peak**2 / MSE), inf for an MSE of 0."""
    from fractions import Fraction

    from msecli.core.exact import ONE, ratio

    errors = s.sums["squared_error"]
    if errors.special or s.divisor == 0:
        return -errors.special if errors.special else math.nan
    if errors.units == 0:
        return math.inf
    value = Fraction(peak) ** 2 * s.divisor / ONE / errors.exact()
    near = ratio(value.numerator, value.denominator)
    if 1e-300 < near < math.inf:
        return 10 * math.log10(near)
    return 10 * (math.log10(value.numerator) - math.log10(value.denominator))


def _mase(s: Summary) -> float:
    """Return the MAE divided by the mean seasonal difference; nan if this is 0 or there is none."""
    from msecli.core.exact import ratio

    errors, differences = s.sums["absolute_error"], s.sums["seasonal_difference"]
    if differences.special or differences.units == 0:
        return math.nan
    if errors.special:
        return errors.special
    value = errors.exact() / s.used / (differences.exact() / s.sums["seasonal_differences"].exact())
    return ratio(value.numerator, value.denominator)


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
        Metric("rmse", "root of the mean squared error", partial(_root_of_mean, "squared_error"), ("squared_error",)),
        Metric("mae", "mean absolute error", partial(_mean, "absolute_error"), ("absolute_error",)),
        Metric("medae", "median absolute error, unweighted", _median, holds=True, weightless=True),
        Metric("max_error", "largest absolute error", _largest, largest=("residual",)),
        Metric("bias", "mean of prediction - target", partial(_mean, "error"), ("error",), signed=True),
        Metric("r2", "coefficient of determination, pooled over columns", _r2, R2_TERMS, by_column=True, best=1.0),
        Metric(
            "explained_variance",
            "1 - variance of the errors / variance of the targets, pooled over columns",
            _explained_variance,
            EXPLAINED_TERMS,
            by_column=True,
            best=1.0,
        ),
        Metric(
            "skill",
            "1 - MSE / MSE of predicting the target's mean: the same as r2",
            _r2,
            R2_TERMS,
            by_column=True,
            best=1.0,
        ),
        Metric(
            "pearson",
            "correlation of predictions and targets, pooled over columns, unweighted",
            _pearson,
            PEARSON_TERMS,
            by_column=True,
            weightless=True,
            best=1.0,
        ),
        Metric(
            "mape",
            "mean of abs(p - t) / abs(t), as a fraction",
            partial(_mean, "relative_error"),
            ("relative_error",),
            flaws=("zero_target",),
        ),
        Metric(
            "smape",
            "mean of 2 abs(p - t) / (abs(p) + abs(t)), where 0/0 counts as 0",
            partial(_mean, "symmetric_error"),
            ("symmetric_error",),
        ),
        Metric(
            "wape",
            "sum of abs(p - t) / sum of abs(t)",
            partial(_ratio, "absolute_error", "absolute_target"),
            ("absolute_error", "absolute_target"),
        ),
        Metric(
            "msle",
            "mean of (log(1 + p) - log(1 + t))²",
            partial(_mean, "squared_log_error"),
            ("squared_log_error",),
            flaws=LOGARITHMS,
            strict=True,
        ),
        Metric(
            "rmsle",
            "root of msle",
            partial(_root_of_mean, "squared_log_error"),
            ("squared_log_error",),
            flaws=LOGARITHMS,
            strict=True,
        ),
        Metric(
            "nrmse:range",
            "rmse / (largest target - smallest target)",
            partial(_nrmse, _squared_range),
            ("exact_squared_error",),
            largest=("target", "negative_target"),
        ),
        Metric(
            "nrmse:mean",
            "rmse / abs(mean of the targets)",
            partial(_nrmse, _squared_mean),
            ("exact_squared_error", "target"),
        ),
        Metric(
            "nrmse:std",
            "rmse / standard deviation of the targets (divided by n), pooled over columns",
            partial(_nrmse, target_variance),
            R2_TERMS,
            by_column=True,
        ),
        Metric("sse", "sum of squared errors", _sum, ("squared_error",)),
        Metric("l1", "sum of absolute residuals, unweighted", _l1, ("plain_absolute_error",)),
        Metric("l2", "root of the sum of squared residuals, unweighted", _l2, ("plain_exact_squared_error",)),
        Metric("linf", "largest absolute residual", _largest, largest=("residual",)),
    )
}
"""The metrics that need nothing but their names."""


class Family(NamedTuple):
    """Metrics that need more: a parameter in the name, as in "lp:3", or an option.

    Parameters
    ----------
    form, meaning : str
        The form of their names, and what they are.
    make : callable
        From the name, the parameter in it and the options to the metric.
    """

    form: str
    meaning: str
    make: Callable[[str, str, Options], Metric]


def _norm_metric(name: str, parameter: str, options: Options) -> Metric:
    name, parameter = name.lower(), parameter.lower()
    try:
        power = float(parameter)
    except ValueError:
        power = math.nan
    if not 1 <= power < math.inf:
        raise UsageError(f"metric {name!r}: P in lp:P is a number of at least 1, such as lp:3 (for infinity: linf)")
    return Metric(
        name, f"residual norm of order {power:g}, unweighted", partial(_power_norm, power), (f"power:{power!r}",)
    )


def _skill_metric(name: str, parameter: str, options: Options) -> Metric:
    if not parameter:
        raise UsageError(f"metric {name!r}: name the column to compare with, as in skill:naive")
    terms = (f"beside_baseline:{parameter}", f"baseline:{parameter}")
    meaning = f"1 - MSE / MSE of the column {parameter!r}"
    return Metric(name, meaning, partial(_skill, parameter), terms, baseline=parameter, best=1.0)


def _psnr_metric(name: str, parameter: str, options: Options) -> Metric:
    if options.peak is None:
        raise UsageError("metric 'psnr' requires the largest value that there can be: `peak=X`")
    if not 0 < options.peak < math.inf:
        raise UsageError(f"`peak`: {options.peak!r} is not a number above 0")
    meaning = f"peak signal-to-noise ratio in decibels, peak {options.peak!r}, unweighted"
    return Metric(name, meaning, partial(_psnr, options.peak), ("squared_error",), weightless=True, best=math.inf)


def _mase_metric(name: str, parameter: str, options: Options) -> Metric:
    season = 1 if options.season is None else options.season
    if season < 1:
        raise UsageError(f"`season`: {season} is not at least 1")
    meaning = f"mae / mean absolute difference of targets {season} apart, unweighted"
    terms = ("absolute_error",)
    return Metric(name, meaning, _mase, terms, by_column=True, weightless=True, season=season)


FAMILIES: dict[str, Family] = {
    family.form.partition(":")[0]: family
    for family in (
        Family("lp:P", "residual norm of order P ≥ 1, unweighted", _norm_metric),
        Family(
            "mase",
            "mae / mean absolute difference of targets N rows apart, for `--season N` (by default 1); unweighted",
            _mase_metric,
        ),
        Family("skill:COLUMN", "1 - MSE / MSE of the predictions in this column, of either file", _skill_metric),
        Family("psnr", "10 log10(X² / MSE), in decibels, for the peak X of `--peak X`; unweighted", _psnr_metric),
    )
}

ALL = "all"
"""The name of all metrics in `METRICS`."""


def metric_names() -> list[str]:
    """Return the names of all metrics, and the forms of the names of families, as the help shows them."""
    return [*METRICS, *(family.form for family in FAMILIES.values())]


def metric_named(name: str, options: Options = Options(), others: Iterable[str] = (ALL,)) -> Metric:  # noqa: B008 - it is immutable
    """Return the metric of a name, in any case: one in `METRICS`, or one of a family, such as "lp:3".

    The name of a column in it stays as it is. `others` are names that would be right, besides those of metrics.

    Raises
    ------
    UsageError
        For any other name, and for a metric whose option is missing.

    Examples
    --------
    >>> metric_named("RMSE").meaning
    'root of the mean squared error'
    """
    folded = name.lower()
    if folded in METRICS:
        return METRICS[folded]
    head, colon, parameter = name.partition(":")
    family = FAMILIES.get(head.lower())
    if family is None or bool(colon) != (":" in family.form):
        known = [*metric_names(), *others]
        # Of a name with a parameter only what stands before it can be mistaken.
        parametric = [each for each, line in FAMILIES.items() if ":" in line.form]
        near = similar(head.lower(), parametric) if colon and family is None else None
        hint = f"; did you mean {f'{near}:{parameter}'!r}?" if near else meant(name, known)
        raise UsageError(f"unknown metric {name!r}; choose from {', '.join(known)}{hint}")
    return family.make(f"{head.lower()}{colon}{parameter}", parameter, options)


def metrics_named(names: Iterable[str], options: Options, *, weighted: bool) -> tuple[Metric, ...]:
    """Return the metrics of these names, without duplicates.

    "all" names those in `METRICS` that go with the weights, if there are weights; values for which one of them is
    undefined are then no error.

    Raises
    ------
    UsageError
        For unknown names, missing options, and metrics that have no meaning with weights.
    """
    found: dict[str, Metric] = {}
    names = tuple(names)
    for name in names:
        if name.lower() != ALL:
            metric = metric_named(name, options)
            if weighted and metric.weightless:
                raise UsageError(f"metric {metric.name!r} has no weighted form; leave it or the weights out")
            found[metric.name] = metric
            continue
        for metric in METRICS.values():
            if not (weighted and metric.weightless):
                found.setdefault(metric.name, metric._replace(strict=False))
    return tuple(found.values())


def needed_terms(metrics: Iterable[Metric], *, weighted: bool, loss: bool = True) -> tuple[str, ...]:
    """Return the terms that these metrics need, without duplicates, and the loss's own if there is a loss."""
    terms = dict.fromkeys(["squared_error"] if loss else [])
    for metric in metrics:
        terms.update(dict.fromkeys(term if weighted else term.removeprefix("plain_") for term in metric.terms))
    if weighted:
        terms["weight"] = None
    return tuple(terms)
