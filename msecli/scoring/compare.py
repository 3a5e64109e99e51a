"""Compare systems: plan, fold, finish, without those that cannot be scored."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msecli._version import __version__
from msecli.core.evidence import Differences
from msecli.core.exact import Total, ratio
from msecli.core.paired import holm
from msecli.core.processor import arithmetic
from msecli.core.state import Summary
from msecli.engines import Engine, engine_named
from msecli.errors import DataError, MsecliError, Warned, Warnings
from msecli.results.compare import Comparison, Difference, System
from msecli.results.gates import GateResult
from msecli.results.score import SIGNATURE_FIELD, Result
from msecli.scoring.advice import check_choice, warn_of_equality
from msecli.scoring.compare_fold import SystemFold, fold_systems
from msecli.scoring.compare_plan import ComparePlan, FailedError, Opened, open_systems, plan_comparison
from msecli.scoring.compare_request import CompareRequest
from msecli.scoring.elsewhere import check_sources, prepared
from msecli.scoring.finish import finish, quoted, scored_columns, settings_of
from msecli.scoring.gates import check_scopes, judged, read_baseline
from msecli.scoring.ledger import Progress

WORSE = "worse"
"""The name of the gates that no system is worse than the reference."""

Told = Callable[[MsecliError], str]


def compare_systems(request: CompareRequest, progress: Progress = lambda _: None, tell: Told = str) -> Comparison:
    """Compare as requested.

    Parameters
    ----------
    request : CompareRequest
    progress : callable
        Called with the share of the work done, from 0 to 1.
    tell : callable
        Words the error of a system that cannot be scored.

    Raises
    ------
    MsecliError
        If the targets, the weights or the reference cannot be read or scored.
    """
    base = request.base
    with arithmetic() as found, engine_named(base.engine).start(base.jobs, base.workers) as engine:
        baseline = read_baseline(base)
        opened = open_systems(request)
        failures = dict(opened.failures)
        while True:
            try:
                plan, folds, scored = _scored(request, opened, failures, engine, progress)
            except FailedError as failed:
                failures |= failed.failures
            else:
                break
    results = {system.name: judged(system.plan, scored[system.name], baseline) for system in plan.systems}
    warnings = Warnings(found)
    differences = _differences(plan, folds, warnings)
    for result in results.values():
        seen = {(each.code, each.where, each.meaning) for each in warnings.all()}
        warnings.add(each for each in result.warnings if (each.code, each.where, each.meaning) not in seen)
    systems = [_system(name, results, differences, failures, tell) for name in opened.names]
    reference = plan.systems[plan.reference].name
    return Comparison(
        systems=tuple(_sorted(request, systems)),
        reference=reference,
        method=_method(request, reference),
        settings=_settings(plan),
        signature=_signature(plan, results),
        version=__version__,
        warnings=warnings.all(),
        gates=(*_gates(request, systems), *_own_gates(systems)),
        exit_code=max((error.exit_code for error in failures.values()), default=0),
    )


def _scored(
    request: CompareRequest,
    opened: Opened,
    failures: Mapping[str, MsecliError],
    engine: Engine,
    progress: Progress,
) -> tuple[ComparePlan, list[SystemFold], dict[str, Result]]:
    """Score the systems that have not failed.

    Raises
    ------
    FailedError
        If more of them fail. Then the others have to be scored again: what one lacks may have been left out for all.
    """
    if failures and request.fail_fast:
        name = next(name for name in opened.names if name in failures)
        failures[name].args = (f"{name}: {failures[name].args[0]}",)
        raise failures[name]
    plan = plan_comparison(request, opened, failures)
    check_scopes(plan.systems[plan.reference].plan)
    if engine.distributed:
        check_sources(plan.sources, request.base.engine)
        engine = prepared(plan.sources, engine)
    folds = fold_systems(plan, engine, progress)
    results: dict[str, Result] = {}
    found: dict[str, MsecliError] = {}
    for system, (folded, _) in zip(plan.systems, folds, strict=True):
        try:
            warn_of_equality(system.plan, folded.twins, folded.ledger.paired, folded.ledger.warnings)
            check_choice(system.plan, folded.twins, folded.ledger.paired, folded.ledger.warnings)
            results[system.name] = finish(system.plan, folded)
        except DataError as error:
            found[system.name] = error
    if found:
        raise FailedError(found)
    return plan, folds, results


def _differences(
    plan: ComparePlan, folds: Sequence[SystemFold], warnings: Warnings
) -> dict[str, tuple[Difference, Differences]]:
    """Return the differences of all systems but the reference, by name, with what they were made of."""
    test = plan.request.chosen_test
    summaries = [fold.folded.tally.pooled.state.summary() for fold in folds]
    base = summaries[plan.reference]
    found: dict[str, tuple[Difference, Differences]] = {}
    for system, fold, summary in zip(plan.systems, folds, summaries, strict=True):
        if fold.differences is None:
            continue
        total, divisor = _minus(summary, base), system.plan.reduction.divisor(summary)
        verdict, value = fold.differences.verdict(total, summary.divisor), total.over(divisor)
        # The test is of the mean; a sum is so many times as much, and so are its bounds.
        times = ratio(summary.divisor, divisor)
        low, high = (verdict.low * times, verdict.high * times) if test.interval else (None, None)
        p = verdict.p if test.p_value else None
        found[system.name] = Difference(value, low, high, p), fold.differences
        if p is not None and math.isnan(p) and math.isfinite(value):
            meaning = f"the test {test.name} of {system.name!r} has no result; {_without_result(test.ordered)}"
            warnings.add([Warned("no_test_result", system.plan.sources[0].path, meaning)])
    if not test.p_value:
        return found
    values = [math.nan if each.p is None else each.p for each, _ in found.values()]
    adjusted = holm(values) if plan.request.adjust == "holm" else values
    return {
        name: (each._replace(p_adjusted=p), more)
        for (name, (each, more)), p in zip(found.items(), adjusted, strict=True)
    }


def _without_result(ordered: bool) -> str:  # noqa: FBT001 - a property of the test
    if ordered:
        return "the estimated variance is not positive, or there are too few rows: use a shorter `horizon`"
    return "there are fewer than two rows, or clusters, to learn from"


def _minus(summary: Summary, base: Summary) -> Total:
    ours, theirs = (each.sums["squared_error"] for each in (summary, base))
    return ours + Total(-theirs.units, -theirs.special, theirs.finer)


def _system(
    name: str,
    results: Mapping[str, Result],
    differences: Mapping[str, tuple[Difference, Differences]],
    failures: Mapping[str, MsecliError],
    tell: Told,
) -> System:
    if name in failures:
        return System(name, error=tell(failures[name]))
    if name not in differences:
        return System(name, results[name])
    difference, kept = differences[name]
    return System(name, results[name], difference, kept.won / kept.number, kept.tied / kept.number)


def _sorted(request: CompareRequest, systems: Sequence[System]) -> list[System]:
    """Return the systems in the order asked for; those without a value come last."""
    if request.sort is None:
        return list(systems[::-1] if request.reverse else systems)
    badness = [request.badness(system.numbers()) for system in systems]
    sign = -1 if request.reverse else 1
    order = sorted(range(len(systems)), key=lambda at: (badness[at] is None, sign * (badness[at] or 0.0), at))
    return [systems[at] for at in order]


def _gates(request: CompareRequest, systems: Sequence[System]) -> list[GateResult]:
    """Return whether each system is significantly worse than the reference; what is no number never passes."""
    found = []
    for system in systems if request.fail_if_worse else ():
        if system.difference is None:
            continue
        value, p = system.difference.value, system.difference.p_adjusted
        unknown = p is None or not math.isfinite(p) or not math.isfinite(value)
        worse = unknown or (value > 0 and p is not None and p < request.limit)
        note = f"the loss is {value:.6g} above that of the reference" if not unknown else ""
        found.append(
            GateResult(
                WORSE, "p", {"system": system.name}, math.nan if unknown else p, request.limit, not worse, "<", note
            )
        )
    return found


def _own_gates(systems: Sequence[System]) -> Iterator[GateResult]:
    """Yield the gates of the systems' own scores, with the system in their scopes."""
    for system in systems:
        for gate in () if system.result is None else system.result.gates:
            yield gate._replace(scope={"system": system.name, **(gate.scope or {})})


def _method(request: CompareRequest, reference: str) -> str:
    """Return how the differences were tested, as a sentence."""
    test = request.chosen_test
    parts = [f"difference: the loss minus that of {reference}"]
    if test.p_value:
        interval = f"{100 * request.confidence:g} % interval and " if test.interval else ""
        adjusted = ", adjusted by Holm's method" if request.adjust == "holm" else ""
        clusters = f" by clusters of {request.cluster!r}" if request.cluster else ""
        parts.append(f"{interval}p: {test.meaning}{clusters}{adjusted}")
    parts.append("won: the share of elements with a smaller loss")
    return "; ".join(parts)


def _of_comparison(request: CompareRequest, reference: str) -> dict[str, Any]:
    """Return the settings of a comparison, those that its test depends on."""
    test, settings = request.chosen_test, request.settings
    found: dict[str, Any] = {"reference": reference, "test": test.name}
    found |= {name: getattr(settings, name) for name in test.settings}
    if request.cluster is not None:
        found["cluster"] = request.cluster
    if test.interval:
        found["confidence"] = request.confidence
    if test.p_value:
        found["adjust"] = request.adjust
    return found


def _settings(plan: ComparePlan) -> dict[str, Any]:
    system = plan.systems[plan.reference]
    pairing = f"on({','.join(plan.request.base.on)})" if plan.request.base.on else "position"
    shared = settings_of(plan.request.base, pairing, weighted=plan.request.base.weighted)
    unused = {"axis", "batch_size", "shuffle", "drop_last"}
    own = {name: value for name, value in shared.items() if name not in unused}
    return own | _of_comparison(plan.request, system.name)


def _signature(plan: ComparePlan, results: Mapping[str, Result]) -> str:
    """Return the signature of the reference, with the columns of all systems and the method."""
    reference = plan.systems[plan.reference].name
    fields = dict(field.partition(":")[::2] for field in re.findall(SIGNATURE_FIELD, results[reference].signature))
    columns = dict.fromkeys(scored_columns(system.plan) for system in plan.systems)
    more = {name: _quoted(value) for name, value in _of_comparison(plan.request, reference).items()}
    first = {"columns": ",".join(columns)}
    last = {name: fields.pop(name) for name in ("used", "acc", "msecli")}
    rows, elements = results[reference].rows, results[reference].elements
    # Rows that other systems lack are rows of the targets all the same.
    left = (rows.unmatched_target + rows.dropped) * math.prod(plan.systems[plan.reference].plan.item)
    last["used"] = f"{elements.used}/{elements.total + left}"
    fields.pop("mse")
    joined = {**fields, **first, **more, **last}
    return "|".join(["mse(compare)", *(f"{name}:{text}" for name, text in joined.items())])


def _quoted(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else repr(value)
