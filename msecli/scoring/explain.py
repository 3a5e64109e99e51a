"""What a loss is made of: bias and variance, its worst elements, what the mean would do, and the formulas in use."""

from __future__ import annotations

from fractions import Fraction

from msecli.core.concentration import ACCURACY, Concentration
from msecli.core.exact import ONE, ratio
from msecli.core.metrics import METRICS, target_variance
from msecli.core.state import Summary
from msecli.results.base import Row
from msecli.results.details import Explanation, Share
from msecli.results.score import Result
from msecli.scoring.fold import Tally
from msecli.scoring.plan import Plan

WORST = (0.001, 0.01, 0.1)
"""The parts of the elements, the worst ones, whose shares of the loss are told."""


def explanation_of(plan: Plan, tally: Tally, summary: Summary, result: Result) -> Explanation:
    """Return what the loss of a result, over all rows, is made of."""
    study = tally.studies["explain"]
    assert isinstance(study, Concentration)  # noqa: S101 - by its name
    squares, errors = summary.sums["exact_squared_error"], summary.sums["exact_error"]
    mse = bias = bias_squared = variance = None
    if not squares.special and not errors.special and summary.divisor:
        mean, exact = (total.exact() * ONE / summary.divisor for total in (errors, squares))
        mse, bias, bias_squared, variance = map(_rounded, (exact, mean, mean**2, exact - mean**2))
    about_mean = target_variance(summary)
    shares = study.shares(WORST, summary.used, summary.sums["squared_error"])
    return Explanation(
        mse,
        bias,
        bias_squared,
        variance,
        tuple(Share(part, *found) for part, found in zip(WORST, shares, strict=True)),
        ACCURACY,
        None if about_mean is None else _rounded(about_mean),
        METRICS["skill"].value(summary),
        tuple(_formulas(plan, summary, result)),
    )


def _rounded(value: Fraction) -> float:
    return ratio(value.numerator, value.denominator)


def _formulas(plan: Plan, summary: Summary, result: Result) -> list[Row]:
    """Return the formulas in use, in pieces: texts and the numbers in them."""
    request, reduction = plan.request, plan.reduction
    weight = "w " if request.weighted else ""
    divisors = {"elements": "Σ w" if request.weighted else "n", "rows": "rows", None: ""}
    divisor = divisors[reduction.unit]
    over = f" ÷ {divisor}" if divisor else ""
    terms, slope = f"{weight}(p - t)²", f"2 {weight}(p - t)"
    total = summary.sums["squared_error"].value()
    divided: Row = (" ÷ ", result.denominator) if divisor else ()
    found: list[Row] = []
    if plan.model is not None:
        found.append((f"p = Σ coef x{' + intercept' if request.intercept is not None else ''}",))
    if reduction.keeps_elements:
        return [*found, (f"loss of an element = {terms}",), (f"its derivative by p = {slope}",)]
    mean: Row = (" = ", result.loss) if divisor else ()
    found.append((f"loss = Σ {terms}{over} = ", total, *divided, *mean))
    if result.penalties:
        parts = {"l1": "Σ |θ|", "l2": "Σ θ²"}
        used = [name for name in parts if getattr(request, name)]
        formula = " + ".join(["loss", *(f"{name} {parts[name]}" for name in used)])
        numbers = [piece for name in used for piece in (" + ", result.penalties[name])]
        factors = [piece for name in used for piece in (f", {name} = ", getattr(request, name))]
        where: Row = (f"; θ = {_penalized(plan)}", *factors)
        found.append((f"objective = {formula} = ", result.loss, *numbers, " = ", result.objective, *where))
    factor: Row = () if not divisor or not result.denominator else (" = ", 2 / result.denominator, f" {weight}(p - t)")
    found.append((f"derivative of the loss by p = {slope}{over}", *factor, "; by t it is the negative"))
    if plan.model is not None:
        found.append((f"derivative of the objective by coef = Σ {slope} x{over}{_of_penalties(plan)}",))
        if request.intercept is not None:
            more = _of_penalties(plan) if request.regularize_intercept else ""
            found.append((f"derivative of the objective by intercept = Σ {slope}{over}{more}",))
    elif result.penalties:
        found.append((f"derivative of the objective by θ = {_of_penalties(plan).removeprefix(' + ') or '0'}",))
    return found


def _penalized(plan: Plan) -> str:
    """Return which parameters are penalized."""
    request = plan.request
    intercept = request.regularize_intercept and request.intercept is not None
    given = {
        "coef": plan.model is not None,
        "intercept": plan.model is not None and intercept,
        "the arrays of parameters": bool(request.params),
    }
    return ", ".join(name for name, is_given in given.items() if is_given)


def _of_penalties(plan: Plan) -> str:
    """Return the derivative of the penalties, as the end of a sum."""
    request = plan.request
    return (" + l1 sign(θ)" if request.l1 else "") + (" + 2 l2 θ" if request.l2 else "")
