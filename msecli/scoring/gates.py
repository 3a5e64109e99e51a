"""The gates of a request: checked before anything is read, judged when there is a result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from msecli.core.metrics import Metric, Options, metric_named
from msecli.core.parameters import real_number
from msecli.errors import DataError, UsageError, meant, setting
from msecli.results.base import Number, number_text
from msecli.results.gates import COVERAGE, NUMBER, Gate, GateResult, gate_named, judge, named
from msecli.results.score import Entry, Macro, Result, Score
from msecli.results.signature import Change, incomparable
from msecli.scoring.saved import Saved, read_saved
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from fractions import Fraction

    from msecli.scoring.plan import Plan
    from msecli.scoring.request import Request

LOSS, OBJECTIVE, GRADIENT_NORM = "loss", "objective", "gradient_norm"

NUMBERS = (LOSS, COVERAGE, OBJECTIVE, GRADIENT_NORM)
"""What gates may be about besides metrics."""

SCOPED_NUMBERS = (LOSS, COVERAGE)
"""Those that groups, columns and batches have, too."""

Shown = TypeVar("Shown", Score, Macro)


class Increase(NamedTuple):
    """How much a number may be above that of the baseline: absolutely, or as a share of it."""

    text: str
    amount: Fraction
    relative: bool

    def limit(self, baseline: float) -> float:
        """Return the largest number that passes."""
        from fractions import Fraction

        start = Fraction(baseline)
        return float(start + (self.amount * start if self.relative else self.amount))


def taken_gate(name: str, value: Any) -> Gate:
    """Return a gate from its text.

    Raises
    ------
    UsageError
    """
    if isinstance(value, Gate):
        return value
    if not isinstance(value, str):
        raise UsageError(f"`{name}`: {value!r} is no condition, such as 'rmse > 0.31'")
    return gate_named(value, name)


def taken_increase(name: str, value: Any) -> Increase:
    """Return an increase from a number or a text, such as "2%".

    Raises
    ------
    UsageError
    """
    text, amount, relative = _amount(name, value, "an increase", "2% or 0.05")
    return Increase(text, amount, relative)


def taken_share(name: str, value: Any) -> Gate:
    """Return the gate of a least coverage, given as a number from 0 to 1 or in percent.

    Raises
    ------
    UsageError
    """
    text, amount, _ = _amount(name, value, "a share", "0.99 or 99%")
    if not 0 <= amount <= 1:
        raise UsageError(f"`{name}`: {text} is not between 0 and 1")
    return Gate(f"{COVERAGE} < {text}", COVERAGE, "<", float(amount))


def _amount(name: str, value: Any, what: str, example: str) -> tuple[str, Fraction, bool]:
    """Return a finite number as text and as a fraction, and whether it was given in percent."""
    import re
    from fractions import Fraction

    text = value.strip() if isinstance(value, str) else repr(real_number(name, value))
    number = text.removesuffix("%").strip()
    if re.fullmatch(NUMBER, number) is None or not math.isfinite(float(number)):
        raise UsageError(f"`{name}`: {value!r} is not {what}, such as {example}")
    relative = text.endswith("%")
    return text.removesuffix(".0"), Fraction(number) / (100 if relative else 1), relative


def gated_names(request: Request) -> tuple[str, ...]:
    """Return the metrics that gates need."""
    names = [gate.metric for gate in request.fail_if]
    names += [] if request.baseline is None else [request.baseline_metric]
    return tuple(name for name in names if name.casefold() not in NUMBERS)


def check_gates(request: Request) -> None:
    """Check gates as far as the request alone tells.

    Raises
    ------
    UsageError
    """
    for gate in request.fail_if:
        where = named("fail_if", gate.text)
        _check_number(request, gate.metric, where)
        if gate.scoped and not (request.grouped or request.axis or request.batch_size):
            what = f"no groups or columns for {_bracketed(gate)}"
            raise UsageError(f"{where}: there are {what}; add `by=COLUMN`, or for columns `axis=0`")
        number = gate.metric.casefold()
        if gate.scoped and number in NUMBERS and number not in SCOPED_NUMBERS:
            raise UsageError(f"{where}: there is one {number} for all rows together, so leave out {_bracketed(gate)}")
    if request.baseline is None:
        unused = {"max_increase": request.max_increase is not None, "baseline_metric": request.baseline_metric != LOSS}
        for name, given in unused.items():
            if given:
                raise UsageError(f"`{name}` compares with an earlier result, which is missing: `baseline=FILE`")
        return
    where = named("baseline_metric", request.baseline_metric)
    _check_number(request, request.baseline_metric, where)
    metric = _metric(request, request.baseline_metric)
    if request.baseline_metric.casefold() == COVERAGE or (metric is not None and metric.best > 0):
        raise UsageError(
            f"{where}: higher is better, so an increase is no loss; give a limit instead: "
            f"{setting('fail_if', f'{request.baseline_metric} < 0.9')}"
        )
    if metric is not None and metric.signed:
        raise UsageError(f"{where}: it is best at 0, so an increase may be good or bad; compare mae or rmse instead")


def _bracketed(gate: Gate) -> str:
    return "[any]" if gate.every else f"[{','.join(f'{name}={label}' for name, label in gate.scope)}]"


def _metric(request: Request, name: str) -> Metric | None:
    """Return the metric of a name; None for the other numbers."""
    if name.casefold() in NUMBERS:
        return None
    return metric_named(name, Options(request.peak, request.season), NUMBERS)


def _check_number(request: Request, name: str, where: str) -> None:
    """Refuse names of no number, and numbers that were not asked for."""
    try:
        _metric(request, name)
    except UsageError as error:
        raise UsageError(f"{where}: {error.args[0]}") from error
    folded = name.casefold()
    if folded == LOSS and request.chosen_reduction.keeps_elements:
        raise UsageError(f"{where}: reduction {request.reduction!r} gives no single loss; use a metric, such as mse")
    if folded == OBJECTIVE and not request.penalized:
        raise UsageError(f"{where}: the objective is the loss plus penalties, and there are none; use loss")
    if folded == GRADIENT_NORM and not request.grad_norm:
        raise UsageError(f"{where}: the norm of the gradient is computed with `grad_norm`")


def check_scopes(plan: Plan) -> None:
    """Refuse gates for groups and columns that there cannot be.

    Raises
    ------
    UsageError
    """
    request = plan.request
    kinds = [
        plan.group_names,
        ["column"] if plan.columns_are_named else [],
        ["batch"] if request.batch_size is not None else [],
    ]
    for gate in request.fail_if:
        where = named("fail_if", gate.text)
        if gate.scoped and not any(kinds):
            raise UsageError(f"{where}: the losses on these axes have no names; to have columns, use `axis=0`")
        wanted = {name.casefold() for name, _ in gate.scope}
        if any(wanted <= {name.casefold() for name in names} for names in kinds if names):
            continue
        if not gate.every and gate.scoped:
            known = [name for names in kinds for name in names]
            lost = next((name for name, _ in gate.scope if name.casefold() not in map(str.casefold, known)), None)
            if lost is None:
                raise UsageError(f"{where}: no score is of a group and of a batch")
            raise UsageError(f"{where}: no score has a {lost!r}; they have {', '.join(known)}{meant(lost, known)}")


def read_baseline(request: Request) -> Saved | None:
    """Return the earlier result to compare with, if there is one.

    Raises
    ------
    DataError
        If it is no result, or lacks the number.
    ReadWriteError
        If it cannot be read.
    """
    if request.baseline is None:
        return None
    saved = read_saved(request.baseline, "baseline")
    _baseline_value(request, saved)
    return saved


def _baseline_value(request: Request, saved: Saved) -> float:
    """Return the number of the baseline."""
    name, document = _canonical(request, request.baseline_metric), saved.document
    metrics = document.get("metrics")
    held = {key: document[key] for key in (LOSS, OBJECTIVE, GRADIENT_NORM) if key in document}
    held |= metrics if isinstance(metrics, Mapping) else {}
    if LOSS not in held:
        raise DataError(f"{saved.path}: this result has no loss to compare with; it is not that of a score")
    if name not in held:
        raise DataError(f"{saved.path}: the baseline has no {name!r}; it has {', '.join(held)}")
    value = held[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        word = document.get("not_finite", {}).get(name) or document.get("status") if value is None else value
        raise DataError(f"{saved.path}: the {name} of the baseline is no number to compare with, it is {word}")
    return float(value)


def judged(plan: Plan, result: Result, baseline: Saved | None) -> Result:
    """Return the result with its gates, and without the metrics that only these needed.

    Raises
    ------
    DataError
        If the baseline is not comparable.
    """
    request = plan.request
    gates = [gate._replace(metric=_canonical(request, gate.metric)) for gate in request.fail_if]
    gates += [] if request.min_coverage is None else [request.min_coverage]
    if not gates and baseline is None:
        return result
    width = math.prod(plan.item)
    numbers = {**result.numbers(), COVERAGE: _coverage(result.score, width)}
    entries = [(entry.labels, _numbers(entry, width)) for entry in result.entries]
    found = judge(gates, numbers, entries)
    if baseline is not None:
        found.append(_compared(request, result, baseline))
    return replace(_asked(request, result), gates=tuple(found))


def _canonical(request: Request, name: str) -> str:
    metric = _metric(request, name)
    return name.casefold() if metric is None else metric.name


def _coverage(score: Score, width: int) -> float | None:
    """Return the share of the target's elements that were used, those of unmatched rows included."""
    total = score.elements.total + score.rows.unmatched_target * width
    return score.elements.used / total if total else None


def _numbers(entry: Entry, width: int) -> dict[str, Number]:
    """Return the numbers of a group, a column or a batch; of an empty one only the coverage."""
    covered: dict[str, Number] = {COVERAGE: _coverage(entry.score, width)}
    return {**entry.numbers(), **covered} if entry.score.elements.used else covered


def _compared(request: Request, result: Result, saved: Saved) -> GateResult:
    """Return whether the result is worse than the baseline by more than it may be."""
    value, name = _baseline_value(request, saved), _canonical(request, request.baseline_metric)
    differing = incomparable(str(saved.document.get("signature", "")), result.signature)
    settings = saved.document.get("settings")
    theirs = settings.get("season", 1) if isinstance(settings, Mapping) else 1
    ours = result.settings.get("season", 1)
    metric = _metric(request, name)
    if metric is not None and metric.season and theirs != ours:
        differing.append(Change("season", str(theirs), str(ours)))
    if differing:
        fields = "; ".join(f"{each.field}: {each.old or 'none'} there, {each.new or 'none'} here" for each in differing)
        raise DataError(f"{saved.path}: the baseline is another score, the signatures differ in {fields}")
    increase = request.max_increase or taken_increase("max_increase", 0)
    more = f" + {increase.text}" if increase.amount else ""
    gate = Gate(f"{name} > {saved.path}{more}", name, ">", increase.limit(value))
    numbers = result.numbers()
    return gate.judged(numbers[name], note=f"{saved.path}: {number_text(value)}{more}")


def _asked(request: Request, result: Result) -> Result:
    """Return the result without the metrics that only gates needed."""
    asked = {metric.name for metric in request.asked_metrics(weighted=request.weighted)}
    if asked.issuperset(result.metrics):
        return result

    def entries(found: Iterable[Entry]) -> tuple[Entry, ...]:
        return tuple(entry._replace(score=_with_metrics(entry.score, asked)) for entry in found)

    return replace(
        result,
        score=_with_metrics(result.score, asked),
        groups=entries(result.groups),
        columns=entries(result.columns),
        batches=entries(result.batches),
        macro=None if result.macro is None else _with_metrics(result.macro, asked),
    )


def _with_metrics(score: Shown, asked: set[str]) -> Shown:
    return score._replace(metrics={name: value for name, value in score.metrics.items() if name in asked})
