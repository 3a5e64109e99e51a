"""Compare the gradient with central differences, on a sample of coordinates, in one pass over the data.

The loss is a sum over elements, so moving one prediction changes one term of it. For a parameter, a second model with
the parameter moved scores all rows. The sums are exact, so their differences lose nothing to cancellation.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from msecli.arrays import FloatArray
from msecli.core.chunk import Chunk
from msecli.core.elementwise import element_gradient
from msecli.core.exact import ONE, Total, ratio, units_of
from msecli.core.linear import LinearModel
from msecli.core.parameters import whole_number
from msecli.core.processor import arithmetic
from msecli.core.state import LossState, Rules
from msecli.core.wide import Wide
from msecli.engines import engine_named
from msecli.errors import UsageError
from msecli.pairing.chunks import chunk_of
from msecli.pairing.position import Aligned
from msecli.pairing.twins import Twin, joined_twins, twins_of
from msecli.results.gradcheck import Check, GradCheck
from msecli.scoring.advice import check_choice, warn_of_equality
from msecli.scoring.elsewhere import refuse_distributed
from msecli.scoring.finish import checked_summary
from msecli.scoring.fold import Tally, empty_tally, tally_of
from msecli.scoring.ledger import Progress
from msecli.scoring.plan import Plan, make_plan
from msecli.scoring.request import Request
from msecli.scoring.rows import PairedRows
from msecli.tuples import NamedTuple

RELATIVE_STEP = 2.0**-10
"""The loss is quadratic in every coordinate, so central differences are exact at any step, up to rounding."""


def named_columns(pred: tuple[str, ...], inputs: tuple[str, ...], *, model: bool) -> tuple[str, ...]:
    """Return the columns that the user named: the inputs of a model, or without one the predictions.

    Raises
    ------
    UsageError
        If the others are named.
    """
    if model and pred:
        raise UsageError(
            "`pred` names predictions, but with `coef` a model makes them; name its inputs: `inputs=COLUMN`"
        )
    if inputs and not model:
        raise UsageError("`inputs` requires `coef`")
    return pred or inputs


def check_gradient(
    request: Request, *, samples: int = 10, seed: int = 0, tolerance: float = 1e-6, progress: Progress = lambda _: None
) -> GradCheck:
    """Compare the gradient with central differences.

    The coordinates are the parameters of the request's model, or without one the elements of the prediction.

    Parameters
    ----------
    request : Request
        Without penalties, groups and batches.
    samples : int
        The number of coordinates to check, at most.
    seed : int
        The seed for the choice of coordinates.
    tolerance : float
        The largest relative error that passes.
    progress : callable, optional

    Raises
    ------
    UsageError
        If a number is out of range.
    MsecliError
        As for `msecli.scoring.run.run`.
    """
    refuse_distributed(request.engine, "check gradients")
    whole_number("seed", seed)
    if whole_number("samples", samples) < 1:
        raise UsageError(f"`samples`: {samples} is not at least 1")
    if not tolerance >= 0:
        raise UsageError(f"`tolerance`: {tolerance} is not at least 0")
    # The kept values are not used, but with them the request refuses reductions without a gradient.
    request = replace(request, keep=frozenset({"grad_params" if request.linear else "grad"}))
    with arithmetic() as found:
        plan = make_plan(request)
        with engine_named(request.engine).start(request.jobs) as engine:
            paired = PairedRows(plan, engine, progress, once=True)
            if plan.model is None:
                checks = _check_predictions(plan, paired, samples, seed)
            else:
                checks = _check_parameters(plan, plan.model, paired, samples, seed)
        paired.ledger.warnings.add(found)
    return GradCheck(tuple(checks), tolerance, paired.ledger.warnings.all())


class Probe(NamedTuple):
    """An element of the prediction: its undivided derivative, and its losses one step below and above.

    The rank is a random number that depends only on the seed and the element's number, so the probes with the lowest
    ranks are a random sample, whatever the chunks.
    """

    rank: int
    element: int
    derivative: Wide
    step: float
    below: Total
    above: Total


def _check_predictions(plan: Plan, paired: PairedRows, samples: int, seed: int) -> list[Check]:
    tally = empty_tally(plan)
    probes: list[Probe] = []
    twins: tuple[Twin, ...] = ()
    for _, (part, found, more) in paired.each(partial(_probed, plan, samples, seed), numbered=True):
        tally.merge(part)
        probes = heapq.nsmallest(samples, [*probes, *found])
        twins = joined_twins(twins, more)
    warn_of_equality(plan, twins, paired.ledger.paired, paired.ledger.warnings)
    check_choice(plan, twins, paired.ledger.paired, paired.ledger.warnings)
    divisor = plan.reduction.divisor(checked_summary(plan, tally, paired.ledger))
    width, names = math.prod(plan.item), plan.column_names
    checks = []
    for probe in sorted(probes, key=lambda probe: probe.element):
        row, element = divmod(probe.element, width)
        name = f"prediction row {row + 1}"
        if width > 1:
            name += f", {names[element] if names else element}"
        numeric = _central_difference(probe.below, probe.above, probe.step, divisor)
        checks.append(_check(name, float(probe.derivative.over(divisor)[0]), numeric))
    return checks


def _probed(plan: Plan, samples: int, seed: int, rows: Aligned) -> tuple[Tally, list[Probe], tuple[Twin, ...]]:
    """Return the tally of some rows, their probes with the lowest ranks, and the twins of their columns."""
    chunk, _ = chunk_of(rows, plan.roles)
    size = chunk.prediction.size
    elements = chunk.first_row * (size // chunk.rows) + np.arange(size)
    ranks = _ranks(elements, seed)
    chosen = np.argpartition(ranks, samples)[:samples] if samples < size else np.arange(size)
    weight = chunk.element_weight()
    prediction, target = (array.reshape(-1)[chosen] for array in (chunk.prediction, chunk.target))
    weight = None if weight is None else weight.reshape(-1)[chosen]
    steps = _steps(prediction)
    rules = plan.rules.of_loss()
    below, above = (_losses(Chunk(prediction + sign * steps, target, weight=weight), rules) for sign in (-1, 1))
    gradient = element_gradient(Chunk(prediction, target, weight=weight), rules)
    probes = [
        Probe(int(ranks[at]), int(elements[at]), gradient.at(slice(number, number + 1)), float(steps[number]), *losses)
        for number, (at, losses) in enumerate(zip(chosen.tolist(), zip(below, above, strict=True), strict=True))
    ]
    return tally_of(plan, chunk), probes, twins_of(chunk.prediction, chunk.target, tables=plan.chosen_in_tables)


def _ranks(elements: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a random number for every element: the output function of SplitMix64.

    References
    ----------
    G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    gamma = np.uint64(0x9E3779B97F4A7C15)
    start = np.random.default_rng(seed).integers(2**64, dtype=np.uint64)
    mixed = elements.astype(np.uint64) * gamma + start
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _steps(values: FloatArray) -> FloatArray:
    """Return a step for each coordinate: a power of two in proportion to it."""
    size = np.abs(np.nan_to_num(values, posinf=1.0, neginf=1.0))
    return np.ldexp(RELATIVE_STEP, np.frexp(np.maximum(1.0, size))[1])


def _losses(chunk: Chunk, rules: Rules) -> list[Total]:
    """Return the loss of every row of a chunk with one element per row."""
    grouped = chunk._replace(group=np.arange(chunk.rows), groups=chunk.rows)
    return [summary.sums["squared_error"] for summary in LossState.of(grouped, rules).summaries()]


def _check_parameters(plan: Plan, model: LinearModel, paired: PairedRows, samples: int, seed: int) -> list[Check]:
    theta = model.coef.reshape(-1)
    if model.intercept is not None:
        theta = np.concatenate([theta, model.intercept.reshape(-1)])
    random = np.random.default_rng(seed)
    chosen = sorted(random.choice(theta.size, min(theta.size, samples), replace=False).tolist())
    steps = _steps(theta[chosen]).tolist()
    models = [
        _moved(model, theta, coordinate, sign * step)
        for coordinate, step in zip(chosen, steps, strict=True)
        for sign in (-1, 1)
    ]
    rules = plan.rules.of_loss()
    tally = empty_tally(plan)
    states = [LossState(rules, weighted=plan.request.weighted) for _ in models]
    for first_row, (part, found) in paired.each(partial(_moved_states, plan, rules, models), numbered=False):
        tally.merge(part, first_row)
        for state, more in zip(states, found, strict=True):
            state.merge(more)
    divisor = plan.reduction.divisor(checked_summary(plan, tally, paired.ledger))
    assert tally.pooled.parameters is not None  # noqa: S101 - the plan asks for them
    derivatives = np.concatenate([part.reshape(-1) for part in tally.pooled.parameters.gradients(divisor)])
    sums = [state.summary().sums["squared_error"] for state in states]
    checks = []
    for number, (coordinate, step) in enumerate(zip(chosen, steps, strict=True)):
        name = f"{'coef' if coordinate < model.coef.size else 'intercept'} {coordinate % model.coef.size}"
        numeric = _central_difference(sums[2 * number], sums[2 * number + 1], step, divisor)
        checks.append(_check(name, float(derivatives[coordinate]), numeric))
    return checks


def _moved_states(
    plan: Plan, rules: Rules, models: Sequence[LinearModel], rows: Aligned
) -> tuple[Tally, list[LossState]]:
    """Return the tally of some rows, and their state under each of the moved models."""
    chunk, inputs = chunk_of(rows, plan.roles, plan.model)
    assert inputs is not None  # noqa: S101 - there is a model
    return tally_of(plan, chunk, inputs), [
        LossState.of(chunk._replace(prediction=model.predict(inputs)), rules) for model in models
    ]


def _moved(model: LinearModel, theta: FloatArray, coordinate: int, step: float) -> LinearModel:
    moved = theta.copy()
    moved[coordinate] += step
    coef = moved[: model.coef.size].reshape(model.coef.shape)
    return LinearModel(coef, None if model.intercept is None else moved[model.coef.size :])


def _central_difference(below: Total, above: Total, step: float, divisor: int) -> float:
    """Return the difference of two undivided losses over `divisor` and twice the step."""
    if below.special != 0 or above.special != 0:
        return math.nan
    return ratio((above.units - below.units) * ONE, divisor * 2 * units_of(step))


def _check(name: str, analytic: float, numeric: float) -> Check:
    if not (math.isfinite(analytic) and math.isfinite(numeric)):
        return Check(name, analytic, numeric, math.nan)
    largest = max(abs(analytic), abs(numeric))
    return Check(name, analytic, numeric, abs(analytic - numeric) / largest if largest else 0.0)
