"""Exact sums and counts to the frozen result: losses, metrics, the ledger, the signature."""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from msecli._version import __version__
from msecli.core.exact import ONE, FloatArray, Total, ratio
from msecli.core.linear import gradient_norm
from msecli.core.metrics import Metric
from msecli.core.partition import Partition
from msecli.core.penalty import Penalties, penalties_of
from msecli.core.reduction import Reduction
from msecli.core.state import Summary
from msecli.errors import visible
from msecli.jobs.request import Request
from msecli.result import Elements, Entry, Input, Result, Rows, Score, Warned, status
from msecli.sources.base import Source
from msecli.sources.labels import shown_keys, sort_key
from msecli.sources.pairing import Stream
from msecli.sources.roles import PREDICTION, Roles

if TYPE_CHECKING:
    from msecli.sources.keys import Matched

LARGEST_COUNT = 2**53
"""Up to here every integer is a float64, so that integers and floats can stand in one column."""

SIGNATURE_MARKS = '|:,()~"\\'
"""Characters that separate what the signature is made of, or quote it."""

EMPTY = "empty"
"""The status of an entry without used elements."""


@dataclass(slots=True)
class Ledger:
    """Where the counts of rows come from."""

    streams: Sequence[Stream] = ()
    matched: Matched | None = None
    dropped: int = 0


class Report(NamedTuple):
    """All that a result is made from, besides the summary of all rows."""

    request: Request
    reduction: Reduction
    metrics: tuple[Metric, ...]
    sources: tuple[Source, ...]
    roles: Roles
    ledger: Ledger
    warnings: tuple[Warned, ...]
    columns: Sequence[Summary] | None = None
    groups: Partition | None = None
    batches: Partition | None = None
    penalized: tuple[FloatArray, ...] = ()
    gradients: tuple[FloatArray, FloatArray] | None = None


def make_result(report: Report, summary: Summary) -> Result:
    """Return the result of a scoring whose rows all together have this summary."""
    groups, columns, batches = _groups(report), _columns(report), _batches(report)
    score = _score(report, summary, _rows(report, summary))
    penalties = _penalties(report)
    return Result(
        score=score,
        reduction=report.reduction.name,
        denominator_name=_denominator_name(report),
        inputs=_inputs(report),
        settings=_settings(report),
        signature=_signature(report, summary),
        version=__version__,
        warnings=report.warnings,
        groups=groups,
        columns=columns,
        batches=batches,
        macro=_macro(groups or columns or batches),
        penalties={} if penalties is None else asdict(penalties),
        objective=None if penalties is None or score.loss is None else penalties.added_to(score.loss),
        gradient_norm=None if report.gradients is None else _gradient_norm(report, report.gradients),
    )


def _score(report: Report, summary: Summary, rows: Rows) -> Score:
    reduction, elements = report.reduction, Elements(**summary.counts)
    divisor = reduction.divisor(summary)
    denominator = _number(divisor) if reduction.unit else None
    if summary.used == 0 or divisor == 0:
        return Score(None, EMPTY, {metric.name: math.nan for metric in report.metrics}, denominator, rows, elements)
    loss = None if reduction.name == "none" else summary.sums["squared_error"].over(divisor)
    metrics = {metric.name: metric.value(summary) for metric in report.metrics}
    return Score(loss, status(loss), metrics, denominator, rows, elements)


def _number(units: int) -> float:
    """Return a number given in units of 2**-1074, as an int where it is one that a column of float64 can hold."""
    whole, rest = divmod(units, ONE)
    return ratio(units, ONE) if rest or whole > LARGEST_COUNT else whole


def _denominator_name(report: Report) -> str | None:
    weighted = report.request.weighted and report.reduction.unit == "elements"
    return "weights" if weighted else report.reduction.unit


def _rows(report: Report, summary: Summary) -> Rows:
    ledger = report.ledger
    prediction, target = ledger.streams[PREDICTION].rows, ledger.streams[report.roles.target_file].rows
    if ledger.matched is None:
        return Rows(prediction, target, prediction, 0, 0, ledger.dropped, summary.rows_used)
    matched = ledger.matched
    return Rows(
        prediction,
        target,
        matched.rows,
        matched.unmatched_prediction,
        matched.unmatched_target,
        ledger.dropped,
        summary.rows_used,
    )


def _entry(report: Report, kind: str, label: Any, summary: Summary) -> Entry:
    rows = Rows(summary.rows, summary.rows, summary.rows, 0, 0, 0, summary.rows_used)
    return Entry(kind, label, _score(report, summary, rows))


def _groups(report: Report) -> tuple[Entry, ...]:
    if report.groups is None:
        return ()
    names = [name for _, name in report.roles.by]
    keys: list[Any] = list(report.groups.keys)
    found = zip(shown_keys(keys), report.groups.items(), strict=True)
    entries = [
        (sort_key(labels), _entry(report, "group", dict(zip(names, labels, strict=True)), summary))
        for labels, (_, summary) in found
        if summary.rows
    ]
    return tuple(entry for _, entry in sorted(entries, key=itemgetter(0)))


def _columns(report: Report) -> tuple[Entry, ...]:
    if report.columns is None:
        return ()
    named = report.roles.prediction if report.request.model is None else report.roles.target
    names = named or tuple(map(str, range(len(report.columns))))
    return tuple(_entry(report, "column", name, column) for name, column in zip(names, report.columns, strict=True))


def _batches(report: Report) -> tuple[Entry, ...]:
    if report.batches is None:
        return ()
    entries = []
    total, divisor = Total(0), 0
    summaries, norms = report.batches.summaries(), _batch_norms(report, report.batches)
    numbers: list[Any] = [number for number, summary in summaries.items() if summary.rows]
    for number in sorted(numbers):
        summary = summaries[number]
        total += summary.sums["squared_error"]
        divisor += summary.divisor
        running = total.over(divisor) if divisor else None
        entry = _entry(report, "batch", number, summary)
        entries.append(entry._replace(running_mean=running, gradient_norm=norms.get(number)))
    return tuple(entries)


def _batch_norms(report: Report, batches: Partition) -> dict[Hashable, float | None]:
    """Return the norm of the gradient of every batch's own loss, where it was asked for."""
    if batches.parameters is None:
        return {}
    divisors = [report.reduction.divisor(summary) for summary in batches.summaries().values()]
    gradients = batches.parameters.group_gradients(divisors)
    return {number: _gradient_norm(report, pair) for number, pair in zip(batches.keys, gradients, strict=True)}


def _gradient_norm(report: Report, gradients: tuple[FloatArray, FloatArray]) -> float | None:
    model = report.request.model
    if model is None or not model.gradient_norms:
        return None
    return gradient_norm(gradients, intercept=model.intercept is not None)


def _penalties(report: Report) -> Penalties | None:
    if not report.request.penalized:
        return None
    return penalties_of(report.penalized, report.request.penalty.l1, report.request.penalty.l2)


def _macro(entries: Iterable[Entry]) -> dict[str, float]:
    """Return the plain means over the entries that have a loss."""
    scores = [entry.score for entry in entries if entry.score.loss is not None]
    if not scores:
        return {}
    columns = {"loss": [score.loss for score in scores if score.loss is not None]}
    columns |= {name: [score.metrics[name] for score in scores] for name in scores[0].metrics}
    return {name: _mean(values) for name, values in columns.items()}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values) / len(values)


def _inputs(report: Report) -> tuple[Input, ...]:
    roles = report.roles
    first = "prediction" if report.request.model is None else "inputs"
    parts = [(first, PREDICTION, roles.prediction), ("target", roles.target_file, roles.target)]
    if roles.weight is not None:
        parts.append(("weight", roles.weight[0], roles.weight_columns))
    return tuple(
        Input(role, report.sources[file].path, report.sources[file].format, columns) for role, file, columns in parts
    )


def _pairing(request: Request) -> str:
    return f"key({','.join(request.on)})" if request.on else "position"


def _weights(report: Report) -> str:
    request, weight = report.request, report.roles.weight
    if request.weight_file is not None:
        return f"file({_named(os.path.basename(request.weight_file))})"
    return "none" if weight is None else f"column({_named(weight[1] or '')})"


def _named(name: str) -> str:
    """Return a name as a field of the signature holds it: quoted as in JSON where something in it has a meaning."""
    if name and visible(name) == name and not any(mark in name for mark in SIGNATURE_MARKS):
        return name
    import json

    return visible(json.dumps(name, ensure_ascii=False))


def _settings(report: Report) -> dict[str, Any]:
    request = report.request
    return {
        "reduction": request.reduction,
        "metrics": list(dict.fromkeys(request.metrics)),
        "weights": "file" if request.weight_file else "none" if request.weight is None else request.weight,
        "nan_policy": request.nan_policy,
        "nan_pred": request.nan_pred,
        "ignore_index": list(request.ignore),
        "pairing": _pairing(request),
        "unmatched": request.unmatched,
        "by": list(request.by),
        "axis": list(request.axes),
        "batch_size": request.batching.size,
        "shuffle": request.batching.seed,
        "drop_last": request.batching.drop_last,
        **_parameter_settings(request),
    }


def _parameter_settings(request: Request) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if request.model is not None:
        settings |= {"coef": request.model.coef, "intercept": request.model.intercept}
    if request.penalized:
        settings |= {"l1": request.penalty.l1, "l2": request.penalty.l2, "params": list(request.penalty.params)}
    return settings


def _signature(report: Report, summary: Summary) -> str:
    """Return one line of all that makes two losses comparable."""
    request, batching = report.request, report.request.batching
    optional = {
        "ignore": ",".join(map(repr, request.ignore)),
        "by": ",".join(request.by),
        "axis": ",".join(map(str, request.axes)),
        "batch": "" if batching.size is None else str(batching.size),
        "shuffle": "" if batching.seed is None else str(batching.seed),
        "drop_last": "yes" if batching.drop_last else "",
    }
    fields = {
        "reduction": request.reduction,
        "weights": _weights(report),
        "nan": request.nan_policy,
        "nan_pred": request.nan_pred,
        "pairing": _pairing(request),
        **{name: text for name, text in optional.items() if text},
        "used": f"{summary.used}/{summary.counts['total']}",
        "acc": "exact",
        "msecli": __version__,
    }
    name = "mse" if request.model is None else "mse(linear)"
    return "|".join([name, *(f"{field}:{text}" for field, text in fields.items())])
