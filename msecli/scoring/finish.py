"""From a tally to the result: losses, metrics, the ledger, the signature."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import zip_longest
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from msecli._version import __version__
from msecli.arrays import FloatArray
from msecli.core.axes import losses_of_items
from msecli.core.chunk import BASELINE
from msecli.core.exact import ONE, Total, ratio
from msecli.core.metrics import Metric
from msecli.core.partition import Partition
from msecli.core.reduction import Reduction
from msecli.core.state import LossState, Summary
from msecli.core.verdict import Where, check_usable, first_infinite, warnings_of
from msecli.errors import DataError, Warned, visible
from msecli.formats.base import file_count
from msecli.pairing.lookup import key_name
from msecli.pairing.roles import PREDICTION, Place
from msecli.places import is_path, name_in
from msecli.results.base import MISSING_LABEL, plural, status
from msecli.results.score import Elements, Entry, Input, Macro, Result, Rows, Score
from msecli.scoring.details import intervals_of, ordered_groups, shown_labels, warnings_of_intervals, worst_elements
from msecli.scoring.fold import Folded, Tally
from msecli.scoring.ledger import Ledger
from msecli.scoring.plan import Plan
from msecli.scoring.request import Request
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from msecli.results.details import Interval

LARGEST_COUNT = 2**53
"""Every integer up to here is a float64, so integers and floats can share a column."""

SIGNATURE_MARKS = '|:,()~="\\'
"""Characters with a meaning in a signature."""

Scored = Callable[[Summary, Rows], Score]
"""From the sums and the ledger of some rows to their score."""

GIVEN = ("where", "by_bins", "ci", "cluster", "bootstrap", "seed", "explain", "worst", "sort", "reverse", "top")
"""The settings that are told only if they are given."""

EMPTY = "empty"
"""The status of an entry without used elements."""


def finish(plan: Plan, folded: Folded) -> Result:
    """Return the result of a folded plan.

    Raises
    ------
    DataError
        If values are missing, weights impossible, or no element is left.
    """
    tally, ledger = folded.tally, folded.ledger
    pooled = tally.pooled
    summary = checked_summary(plan, tally, ledger)
    scored: Scored = partial(score_of, plan.reduction, plan.metrics)
    interval, intervals = intervals_of(plan, tally, summary)
    groups = _groups(plan, scored, tally.groups, intervals) if tally.groups is not None else ()
    columns = _columns(plan, scored, pooled.state.columns()) if plan.columns_are_named else ()
    batches = _batches(plan, scored, tally.batches) if tally.batches else ()
    entries = groups or columns or batches
    where = _where(plan, ledger)
    found = (
        *infinite_values(pooled.state, summary, where),
        *warnings_of(pooled.state, where),
        *_without_errors(plan, summary, where),
        *_without_loss(entries),
        *warnings_of_intervals(plan, interval, groups),
    )
    score = scored(summary, _rows(plan, ledger, summary))
    parameters = pooled.parameters
    gradients = None if parameters is None else _Gradients(*parameters.gradients(plan.reduction.divisor(summary)))
    penalties = None
    if plan.request.penalized:
        from msecli.core.penalty import penalties_of

        penalties = penalties_of(plan.penalized, plan.request.l1, plan.request.l2)
    result = Result(
        score=score,
        reduction=plan.reduction.name,
        denominator_name=denominator_name(plan.reduction, weighted=plan.request.weighted),
        inputs=inputs_of(plan),
        settings=settings_of(plan.request, _pairing(plan), weighted=plan.request.weighted),
        signature=signature_of(
            plan.request,
            _weights(plan),
            summary,
            columns=scored_columns(plan),
            by=[name for place in plan.roles.by for name in place.columns],
            pairing=_pairing(plan, quoted),
            unscored=(score.rows.unmatched_target + ledger.filtered) * math.prod(plan.item),
        ),
        version=__version__,
        warnings=(*ledger.warnings.all(), *found),
        groups=ordered_groups(plan.request, groups),
        columns=columns,
        batches=batches,
        macro=_macro(entries),
        penalties={} if penalties is None else asdict(penalties),
        objective=None if penalties is None or score.loss is None else penalties.added_to(score.loss),
        gradient_norm=_gradient_norm(plan, gradients),
        interval=interval,
        worst=worst_elements(plan, tally, summary),
        values=_losses_of_items(plan, pooled),
        arrays=_arrays(plan, gradients),
    )
    if not plan.request.explain:
        return result
    from msecli.scoring.explain import explanation_of

    return replace(result, explanation=explanation_of(plan, tally, summary, result))


def checked_summary(plan: Plan, tally: Tally, ledger: Ledger) -> Summary:
    """Return the sums over all rows.

    Raises
    ------
    DataError
        If values are missing, weights impossible, or no element is left.
    """
    state = tally.pooled.state
    summary = state.summary()
    if ledger.filtered and not summary.rows:
        raise DataError(f"nothing left to score: no row meets the condition {quoted(plan.request.where or '')}")
    check_usable(state, summary, _where(plan, ledger))
    return summary


def divisor_of(plan: Plan, folded: Folded) -> int:
    """Return the divisor of the loss over all rows, in units of 2**-1074."""
    return plan.reduction.divisor(folded.tally.pooled.state.summary())


def score_of(reduction: Reduction, metrics: Sequence[Metric], summary: Summary, rows: Rows) -> Score:
    """Return the loss and the metrics of a summary."""
    elements, divisor = Elements(**summary.counts), reduction.divisor(summary)
    denominator = _number(divisor) if reduction.unit else None
    if summary.used == 0 or divisor == 0:
        return Score(None, EMPTY, {metric.name: math.nan for metric in metrics}, denominator, rows, elements)
    loss = None if reduction.keeps_elements else reduction.loss(summary)
    return Score(
        loss, status(loss), {metric.name: metric.value(summary) for metric in metrics}, denominator, rows, elements
    )


def _number(units: int) -> float:
    """Convert a number from units of 2**-1074: to int if it is whole and float64 holds it exactly, else to float."""
    whole, rest = divmod(units, ONE)
    return ratio(units, ONE) if rest or whole > LARGEST_COUNT else whole


def denominator_name(reduction: Reduction, *, weighted: bool) -> str | None:
    """Return what the denominator counts: elements, weights or rows."""
    return "weights" if weighted and reduction.unit == "elements" else reduction.unit


def _rows(plan: Plan, ledger: Ledger, summary: Summary) -> Rows:
    prediction, target = ledger.rows[PREDICTION], ledger.rows[plan.roles.target.file]
    matched = ledger.matched
    paired = (prediction, 0, 0)
    if matched is not None:
        paired = (matched.rows, matched.unmatched_prediction, matched.unmatched_target)
    filtered = None if plan.condition is None else ledger.filtered
    return Rows(prediction, target, *paired, ledger.dropped, summary.rows_used, ledger.check.names, filtered)


def _entry(scored: Scored, kind: str, label: Any, summary: Summary) -> Entry:
    rows = Rows(summary.rows, summary.rows, summary.rows, 0, 0, 0, summary.rows_used)
    return Entry(kind, label, scored(summary, rows))


def _groups(
    plan: Plan, scored: Scored, partition: Partition, intervals: Mapping[Hashable, Interval]
) -> tuple[Entry, ...]:
    entries = []
    for (order, labels), (key, summary) in zip(shown_labels(plan, partition), partition.items(), strict=True):
        if summary.rows:
            entry = _entry(scored, "group", labels, summary)
            entries.append((order, entry._replace(interval=intervals.get(key))))
    return tuple(entry for _, entry in sorted(entries, key=itemgetter(0)))


def _columns(plan: Plan, scored: Scored, summaries: Sequence[Summary]) -> tuple[Entry, ...]:
    names = plan.column_names or tuple(map(str, range(len(summaries))))
    return tuple(_entry(scored, "column", name, column) for name, column in zip(names, summaries, strict=True))


def _batches(plan: Plan, scored: Scored, partition: Partition) -> tuple[Entry, ...]:
    entries = []
    total, divisor = Total(0), 0
    summaries, norms = partition.summaries(), _batch_norms(plan, partition)
    numbers: list[Any] = [number for number, summary in summaries.items() if summary.rows]
    for number in sorted(numbers):
        summary = summaries[number]
        total += summary.sums["squared_error"]
        divisor += summary.divisor
        running = total.over(divisor) if divisor else None
        entry = _entry(scored, "batch", number, summary)
        entries.append(entry._replace(running_mean=running, gradient_norm=norms.get(number)))
    return tuple(entries)


class _Gradients(NamedTuple):
    """The gradients of the loss with respect to a model's parameters."""

    coef: FloatArray
    intercept: FloatArray


def _batch_norms(plan: Plan, partition: Partition) -> Mapping[Hashable, float | None]:
    """Return the norm of the gradient of every batch's loss, if requested."""
    if partition.parameters is None:
        return {}
    divisors = [plan.reduction.divisor(summary) for summary in partition.summaries().values()]
    gradients = partition.parameters.group_gradients(divisors)
    return {key: _gradient_norm(plan, _Gradients(*pair)) for key, pair in zip(partition.keys, gradients, strict=True)}


def _gradient_norm(plan: Plan, gradients: _Gradients | None) -> float | None:
    if gradients is None or not plan.request.grad_norm:
        return None
    from msecli.core.linear import gradient_norm

    return gradient_norm(gradients, intercept=plan.request.intercept is not None)


def _arrays(plan: Plan, gradients: _Gradients | None) -> dict[str, FloatArray]:
    """Return the gradients of the objective (the loss plus the penalties) with respect to the parameters."""
    if not plan.request.params and gradients is None:
        return {}
    from msecli.core.penalty import penalty_gradient

    l1, l2 = plan.request.l1, plan.request.l2
    given = plan.penalized[: len(plan.request.params)]
    arrays = {f"grad_params {number}": penalty_gradient(array, l1, l2) for number, array in enumerate(given)}
    if gradients is None or plan.model is None:
        return arrays
    arrays["grad_coef"] = gradients.coef + penalty_gradient(plan.model.coef, l1, l2)
    arrays["grad_intercept"] = gradients.intercept
    if plan.request.regularize_intercept and plan.model.intercept is not None:
        arrays["grad_intercept"] = gradients.intercept + penalty_gradient(plan.model.intercept.reshape(-1), l1, l2)
    return arrays


def _losses_of_items(plan: Plan, partition: Partition) -> FloatArray | None:
    """Return the losses over all rows, if the kept axes are not named columns."""
    if not plan.kept or plan.kept[0] == 0 or plan.columns_are_named:
        return None
    return losses_of_items(partition.state, plan.item, plan.kept, plan.reduction)


def _macro(entries: Sequence[Entry]) -> Macro | None:
    """Return the plain means over the entries that have a loss."""
    return macro_of([entry.score for entry in entries])


def macro_of(all_scores: Sequence[Score]) -> Macro | None:
    """Return the plain means over the scores that have a loss; None if none has."""
    scores = [score for score in all_scores if score.loss is not None]
    if not scores:
        return None
    loss = _mean([score.loss for score in scores if score.loss is not None])
    metrics = {name: _mean([score.metrics[name] for score in scores]) for name in scores[0].metrics}
    return Macro(loss, status(loss), metrics, len(scores), len(all_scores) - len(scores))


def _without_loss(entries: Sequence[Entry]) -> list[Warned]:
    """Return a warning of the entries that the plain mean leaves out."""
    empty = [entry for entry in entries if entry.score.status == EMPTY]
    if not empty:
        return []
    kind, first = (
        plural(empty[0].kind, 2),
        ", ".join(MISSING_LABEL if label is None else repr(label) for label in empty[0].labels.values()),
    )
    meaning = f"{kind} with nothing to score are left out of the plain mean, the first is {first}"
    return [Warned("left_out_of_macro", "macro", meaning, len(empty))]


def _without_errors(plan: Plan, summary: Summary, where: Where) -> list[Warned]:
    """Return warnings of baselines that nothing can be compared with, because they have no error."""
    return [
        Warned(
            "perfect_baseline",
            where.baselines[BASELINE + name],
            f"there is no error, so that skill:{name} is undefined",
        )
        for name, _ in plan.roles.baselines
        if not (total := summary.sums[f"baseline:{name}"]).special and total.units == 0
    ]


SCALE = 64
"""The power of two that keeps a sum of numbers near the largest float64 in range."""


def _mean(values: Sequence[float]) -> float:
    special = [value for value in values if not math.isfinite(value)]
    if special:
        return sum(special)  # as in IEEE arithmetic: of infinities with both signs it is nan
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return math.ldexp(math.fsum(math.ldexp(value, -SCALE) for value in values) / len(values), SCALE)


def infinite_values(state: LossState, summary: Summary, where: Where) -> list[Warned]:
    """Return a warning of infinite values: where they are, and which row is the first."""
    found = first_infinite(state, where)
    if not found:
        return []
    meaning = f"infinite values, the first in {' and '.join(row for _, row in found)}"
    return [Warned("infinite_values", " and ".join(name for name, _ in found), meaning, summary.counts["infinite"])]


def inputs_of(plan: Plan) -> tuple[Input, ...]:
    """Return the inputs of a result."""
    roles = plan.roles
    places = [("inputs" if plan.request.linear else "prediction", roles.prediction), ("target", roles.target)]
    if roles.weight is not None:
        places.append(("weight", roles.weight))
    places += [("baseline", place) for _, place in roles.baselines]
    return tuple(
        Input(role, source.path, source.format, place.columns, *file_count(source))
        for role, place in places
        for source in (plan.sources[place.file],)
    )


def _pairing(plan: Plan, spelled: Callable[[str], str] = str) -> str:
    keys = [key_name(spelled(ours), spelled(theirs)) for ours, theirs in zip(*plan.roles.keys, strict=True)]
    return f"on({','.join(keys)})" if keys else "position"


def scored_columns(plan: Plan) -> str:
    """Return the scored columns for the signature; a side without names is empty."""
    sides = [tuple(map(quoted, place.columns)) for place in (plan.roles.prediction, plan.roles.target)]
    if not any(sides):
        return "none"
    if plan.request.linear:
        return "~".join(map(",".join, sides))
    return ",".join(f"{ours}~{theirs}" for ours, theirs in zip_longest(*sides, fillvalue=""))


def _weights(plan: Plan) -> str:
    file, weight = plan.request.weight_file, plan.roles.weight
    if file is not None:
        return f"file({quoted(os.path.basename(name_in(_named(file) or '').rstrip('/')))})"
    return "none" if weight is None else f"column({','.join(map(quoted, weight.columns))})"


def quoted(name: str) -> str:
    """Return a name for the signature, quoted as in JSON if it holds characters with a meaning there."""
    if name and visible(name) == name and not any(mark in name for mark in SIGNATURE_MARKS):
        return name
    import json

    return visible(json.dumps(name, ensure_ascii=False))


def settings_of(request: Request, pairing: str = "position", *, weighted: bool) -> dict[str, Any]:
    """Return the settings of a result."""
    settings: dict[str, Any] = {
        "reduction": request.reduction,
        "metrics": [metric.name for metric in request.asked_metrics(weighted=weighted)],
        "weights": "file" if request.weight_file is not None else "none" if request.weight is None else request.weight,
        "nan_target": request.nan_target,
        "nan_pred": request.nan_pred,
        "ignore_index": [value if math.isfinite(value) else repr(value) for value in request.ignore_index],
        "pairing": pairing,
        "unmatched": request.unmatched,
        "row_check": request.row_check,
        "by": list(request.by),
        "axis": list(request.axis),
        "batch_size": request.batch_size,
        "shuffle": request.shuffle,
        "drop_last": request.drop_last,
    }
    settings |= {name: value for name in ("peak", "season") if (value := getattr(request, name)) is not None}
    settings |= {name: value for name in GIVEN if (value := getattr(request, name)) not in (None, False)}
    if request.linear:
        settings |= {"coef": _named(request.coef), "intercept": _named(request.intercept)}
    if request.penalized:
        settings |= {"l1": request.l1, "l2": request.l2, "params": [_named(data) for data in request.params]}
    return settings


def _named(data: Any) -> str | None:
    """Return a path, or "memory" for data in memory."""
    return data if data is None or isinstance(data, str) else ",".join(data) if is_path(data) else "memory"


def signature_of(
    request: Request,
    weights: str,
    summary: Summary,
    *,
    columns: str = "none",
    by: Sequence[str] = (),
    pairing: str = "position",
    unscored: int = 0,
) -> str:
    """Return the signature: one line with everything that makes two losses comparable.

    `by` names the columns of the groups as the file has them; `unscored` counts the elements of targets without a
    prediction, and of rows that do not meet the condition.
    """
    skipped = ",unmatched:skip" if request.unmatched == "skip" else ""
    optional = {
        "baseline": ",".join(map(quoted, request.baselines)),
        "ignore": ",".join(map(repr, request.ignore_index)),
        "where": "" if request.where is None else quoted(request.where),
        "by": ",".join(map(quoted, by)),
        "by_bins": "" if request.by_bins is None else quoted(request.by_bins),
        "axis": ",".join(map(str, request.axis)),
        "batch": "" if request.batch_size is None else str(request.batch_size),
        "shuffle": "" if request.shuffle is None else str(request.shuffle),
        "drop_last": "yes" if request.drop_last else "",
        "l1": repr(request.l1) if request.l1 else "",
        "l2": repr(request.l2) if request.l2 else "",
    }
    fields = {
        "columns": columns,
        "reduction": request.reduction,
        "weights": weights,
        "nan": request.nan_target,
        "nan_pred": request.nan_pred,
        "pairing": pairing + skipped,
        **{name: text for name, text in optional.items() if text},
        "used": f"{summary.used}/{summary.counts['total'] + unscored}",
        "acc": "exact",
        "msecli": __version__,
    }
    name = "mse(linear)" if request.linear else "mse"
    return "|".join([name, *(f"{field}:{text}" for field, text in fields.items())])


def _where(plan: Plan, ledger: Ledger) -> Where:
    def named(place: Place) -> str:
        path, columns = plan.sources[place.file].path, place.columns
        return f"{path}, column{'s' if len(columns) > 1 else ''} {', '.join(map(repr, columns))}" if columns else path

    roles = plan.roles
    places = {"prediction": roles.prediction, "target": roles.target, "weight": roles.weight or roles.target}
    names = {side: named(place) for side, place in places.items()}
    baselines = {BASELINE + name: place for name, place in roles.baselines}
    places |= baselines
    return Where(
        **names,
        baselines={side: named(place) for side, place in baselines.items()},
        place=lambda side, row: ledger.place(places[side].file, row),
    )
