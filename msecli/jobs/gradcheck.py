"""The analytic gradient against central differences, on a sample of coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from msecli._version import __version__
from msecli.core.exact import ONE, FloatArray, ratio, units_of
from msecli.core.linear import LinearModel
from msecli.core.parameters import whole_number
from msecli.core.reduction import reduction_named
from msecli.core.state import Summary
from msecli.errors import UsageError
from msecli.jobs.request import Request
from msecli.jobs.scoring import Parameters, Progress, exact_sums, read_parameters, run
from msecli.jobs.work import Nudge
from msecli.outputs.base import Values
from msecli.result import SCHEMA, sayable, status
from msecli.sources.file import streams_kept

RELATIVE_STEP = 2.0**-10
"""The loss is a quadratic of every coordinate, so central differences are exact at any step, short of rounding."""


@dataclass(frozen=True, slots=True)
class Check:
    """One coordinate: what it is, both derivatives, and their relative difference."""

    coordinate: str
    analytic: float
    numeric: float
    relative_error: float


@dataclass(frozen=True, slots=True)
class GradCheck:
    """The result of a gradient check."""

    checks: tuple[Check, ...]
    tolerance: float
    version: str = __version__

    @property
    def max_relative_error(self) -> float:
        """The largest relative error."""
        # Python's max would lose a NaN.
        return float(np.max([check.relative_error for check in self.checks]))

    @property
    def passed(self) -> bool:
        """Whether no relative error is above the tolerance."""
        return self.max_relative_error <= self.tolerance

    def to_dict(self) -> dict[str, Any]:
        """Return the result in the shape of the JSON output."""
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "max_relative_error": self.max_relative_error,
            "tolerance": self.tolerance,
            "passed": self.passed,
            "status": status(self.max_relative_error),
            "checks": [asdict(check) for check in self.checks],
            "version": self.version,
        }
        return sayable(document)


def check_gradient(
    request: Request, *, samples: int = 10, seed: int = 0, tolerance: float = 1e-6, progress: Progress | None = None
) -> GradCheck:
    """Compare the gradient with central differences.

    The coordinates are parameters where the request has a model, and elements of the prediction where it has none.
    The files are read once for the gradient and twice for every coordinate.

    Parameters
    ----------
    request : Request
    samples : int
        How many coordinates to check; all, where there are fewer.
    seed : int
        Of the choice of coordinates.
    tolerance : float
        The largest relative error that passes.

    Raises
    ------
    UsageError
        If there is nothing to check, or a number is out of range.
    MsecliError
        As `run`.
    """
    whole_number("seed", seed)
    if whole_number("samples", samples) < 1:
        raise UsageError(f"samples: {samples} is not at least 1")
    if not tolerance >= 0:
        raise UsageError(f"tolerance: {tolerance} is not at least 0")
    random = np.random.default_rng(seed)
    with streams_kept():
        if request.model is None:
            checks = _check_predictions(request._replace(gradient=True), samples, random, progress)
        else:
            wanted = request._replace(model=request.model._replace(gradients=True), gradient=False)
            checks = _check_parameters(wanted, samples, random, progress)
    return GradCheck(tuple(checks), tolerance)


def _check_predictions(
    request: Request, samples: int, random: np.random.Generator, progress: Progress | None
) -> list[Check]:
    gradient = run(request, progress).values["grad"]
    width = len(gradient.names)
    chosen = _chosen(gradient.rows * width, samples, random)
    plain, parameters = request._replace(gradient=False), Parameters(None, ())
    analytic = _picked(gradient, chosen)
    checks = []
    for coordinate, derivative in zip(chosen, analytic, strict=True):
        row, element = divmod(coordinate, width)

        def sums(step: float, row: int = row, element: int = element) -> Summary:
            return exact_sums(plain, parameters, Nudge(row, element, step))

        name = f"prediction row {row + 1}" + (f", {gradient.names[element]}" if width > 1 else "")
        checks.append(_check(name, derivative, plain.reduction, sums, 1.0))
    return checks


def _picked(values: Values, chosen: list[int]) -> list[float]:
    """Return the values of these numbers, in ascending order, without holding all of them."""
    picked: list[float] = []
    start = 0
    for block in values.blocks():
        flat = block.reshape(-1)
        picked += [float(flat[number - start]) for number in chosen if start <= number < start + flat.size]
        start += flat.size
    return picked


def _check_parameters(
    request: Request, samples: int, random: np.random.Generator, progress: Progress | None
) -> list[Check]:
    scored = run(request._replace(penalty=request.penalty._replace(l1=0.0, l2=0.0)), progress)
    parameters = read_parameters(request)
    model = parameters.model
    if model is None:
        raise UsageError("there is no model whose parameters could be checked")
    analytic = [scored.values["grad_coef"].array().reshape(-1)]
    theta = [model.coef.reshape(-1)]
    if model.intercept is not None:
        analytic.append(scored.values["grad_intercept"].array())
        theta.append(model.intercept.reshape(-1))
    derivatives, values = np.concatenate(analytic), np.concatenate(theta)
    plain = request._replace(model=request.model._replace(gradients=False) if request.model else None)
    checks = []
    for coordinate in _chosen(values.size, samples, random):

        def sums(step: float, coordinate: int = coordinate) -> Summary:
            moved = values.copy()
            moved[coordinate] += step
            return exact_sums(plain, Parameters(_rebuilt(model, moved), ()))

        name = f"{'coef' if coordinate < model.coef.size else 'intercept'} {coordinate % model.coef.size}"
        checks.append(_check(name, float(derivatives[coordinate]), plain.reduction, sums, float(values[coordinate])))
    return checks


def _rebuilt(model: LinearModel, values: FloatArray) -> LinearModel:
    coef = values[: model.coef.size].reshape(model.coef.shape)
    return LinearModel(coef, None if model.intercept is None else values[model.coef.size :])


def _chosen(size: int, samples: int, random: np.random.Generator) -> list[int]:
    chosen = random.choice(size, min(size, samples), replace=False)
    return sorted(int(number) for number in chosen)


def _check(name: str, analytic: float, reduction: str, sums: Callable[[float], Summary], at: float) -> Check:
    step = RELATIVE_STEP * 2.0 ** math.frexp(max(1.0, abs(at)))[1]
    above, below = sums(step), sums(-step)
    special = above.sums["squared_error"].special - below.sums["squared_error"].special
    rise = above.sums["squared_error"].units - below.sums["squared_error"].units
    divisor = reduction_named(reduction).divisor(above) * 2 * units_of(step)
    numeric = ratio(rise * ONE, divisor) if special == 0 else math.nan
    if not (math.isfinite(analytic) and math.isfinite(numeric)):
        return Check(name, analytic, numeric, math.nan)
    largest = max(abs(analytic), abs(numeric))
    return Check(name, analytic, numeric, abs(analytic - numeric) / largest if largest else 0.0)
