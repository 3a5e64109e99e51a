"""Inspect files: what they hold, and what `compute` would do with them; a look is no score."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from itertools import zip_longest
from typing import Any

from msecli.arrays import FloatArray
from msecli.engines import engine_named
from msecli.errors import DataError, MsecliError, Problems, Warned, Warnings, many
from msecli.formats.base import ARRAY, Selection
from msecli.pairing.position import Aligned, compared
from msecli.results.inspect import Inspection
from msecli.results.look import Interpretation, Problem
from msecli.results.score import Result
from msecli.results.values import Keys, Layout
from msecli.scoring.elsewhere import check_plan
from msecli.scoring.finish import settings_of
from msecli.scoring.gates import check_scopes
from msecli.scoring.inspect_columns import Uses, inspected
from msecli.scoring.inspect_keys import matching_keys
from msecli.scoring.ledger import Ledger, Progress
from msecli.scoring.look import Look, first_block, look_at
from msecli.scoring.model import read_parameters
from msecli.scoring.opening import open_each
from msecli.scoring.plan import Plan, plan_of
from msecli.scoring.request import Request
from msecli.scoring.rows import PairedRows
from msecli.scoring.run import run
from msecli.text.reading import Reading, Readings
from msecli.tuples import NamedTuple

Chosen = Mapping[str, Sequence[str]]
"""The columns to score by the settings that name them, "pred" and "target"; none for whole arrays."""


class Wording(NamedTuple):
    """How what is found is worded for the caller.

    Parameters
    ----------
    message : callable
        Words an error of `compute`.
    command : callable
        From the chosen columns to the whole command.
    """

    message: Callable[[MsecliError], str]
    command: Callable[[Chosen], str]


def inspect_files(
    request: Request,
    more: Sequence[Any] = (),
    *,
    full: bool = False,
    wording: Wording | None = None,
    outputs: Sequence[str] = (),
    dry_run: bool = False,
    progress: Progress = lambda _: None,
) -> Inspection:
    """Inspect the files of a request.

    Parameters
    ----------
    request : Request
        What `compute` would be asked; whatever its engine, files are looked at here.
    more : sequence of paths or data in memory
        Further files, between the predictions and the targets; then nothing is said of a score.
    full : bool
        Whether to read all rows.
    wording : Wording, optional
        By default that of Python callers.
    outputs : sequence of str
        Files that `compute` would write.
    dry_run : bool
        Whether the result is the look before a run.
    progress : callable
        Called with the share of the work done, from 0 to 1.

    Raises
    ------
    UsageError
        For settings that contradict each other.
    ReadWriteError
        If a file cannot be read.
    """
    wording = wording or Wording(str, partial(as_call, request))
    asked = request
    request = replace(request, engine="local", scheduler=None, scheduler_file=None, local=None, resume=None)
    first, *others = zip(request.inputs, request.input_names, strict=True)
    named = [first, *((each, "predictions") for each in more), *others]
    opened, problems = open_each(
        [data for data, _ in named],
        request.reading,
        [name for _, name in named],
        alone=not request.parameter_names,
    )
    if not all(isinstance(error, DataError) for error in opened if isinstance(error, MsecliError)):
        problems.raise_found()
    shares = _Shares(progress, len(opened) + 1)
    with engine_named(request.engine).start(request.jobs) as engine:
        looks = [
            each if isinstance(each, MsecliError) else look_at(each, engine if full else None, shares.of(number))
            for number, each in enumerate(opened)
        ]
        finding = _Finding() if more else _planned(request, looks, problems)
        if finding.plan is not None and finding.error is None:
            check_plan(finding.plan._replace(request=asked))
        keys = () if more else matching_keys(request, finding.plan, looks, engine)
        files = tuple(
            inspected(look, data if isinstance(data, str) else name, wording.message, engine, uses)
            for look, (data, name), uses in zip(looks, named, finding.uses(request, len(named)), strict=True)
        )
    if finding.plan is not None and finding.error is None:
        # The last reading, because sources need not keep what streams hold beyond that of a run.
        finding = _tried(finding, finding.plan, looks, shares.of(len(opened)), full=full)
    warnings = Warnings()
    for look in looks:
        if isinstance(look, Look):
            warnings.add_new((*look.source.warnings, *look.warnings.all()))
    warnings.add_new(finding.warnings)
    reading = None
    if finding.plan is not None and finding.error is None:
        reading = _reading(finding.plan, finding.result, outputs, wording)
    return Inspection(
        files,
        full,
        reading,
        None if finding.error is None else Problem(wording.message(finding.error), finding.error.exit_code),
        keys,
        warnings.all(),
        dry_run,
    )


class _Shares:
    """The shares of several steps of as much work each, told as that of all."""

    def __init__(self, progress: Progress, steps: int) -> None:
        self._progress, self._steps = progress, steps

    def of(self, step: int) -> Progress:
        """Return what takes the share of a step that is done."""
        return lambda share: self._progress((step + share) / self._steps)


class _Finding(NamedTuple):
    """What `compute` would do, and what it would stop at."""

    plan: Plan | None = None
    result: Result | None = None
    error: DataError | None = None
    warnings: Sequence[Warned] = ()

    def uses(self, request: Request, files: int) -> list[Uses]:
        """Return what the columns of each file are for."""
        return [Uses(number, request, self.plan) for number in range(files)]


class _Nowhere:
    """Takes values of elements and drops them. See `msecli.scoring.values.Sink`."""

    def begin(self, layout: Layout) -> None:
        """Do nothing."""

    def append(self, block: FloatArray, keys: Keys) -> None:
        """Do nothing."""


def _planned(request: Request, looks: Sequence[Look | MsecliError], problems: Problems) -> _Finding:
    """Return what `compute` would decide before rows are read."""
    finding = _Finding()
    try:
        problems.raise_found()
        sources = tuple(look.source for look in looks if isinstance(look, Look))
        plan = plan_of(request, sources, read_parameters(request))
        finding = _Finding(plan, warnings=plan.roles.warnings)
        check_scopes(plan)
    except DataError as error:
        return finding._replace(error=error)
    return finding


def _tried(
    finding: _Finding, plan: Plan, looks: Sequence[Look | MsecliError], progress: Progress, *, full: bool
) -> _Finding:
    """Return also what `compute` would find as it reads: of whole files all of it, else what their heads tell."""
    seen = [look for look in looks if isinstance(look, Look)]
    try:
        if not (full or all(look.whole for look in seen)):
            _check_heads(plan, seen)
            return finding
        nowhere = dict.fromkeys(("losses", "grad", "grad_target", "predictions"), _Nowhere())
        result = run(plan.request, nowhere, progress, make=lambda _: plan)
    except DataError as error:
        return finding._replace(error=error)
    return finding._replace(result=result, warnings=result.warnings)


def _check_heads(plan: Plan, looks: Sequence[Look]) -> None:
    """Refuse what `compute` would refuse in the first rows."""
    for look in looks:
        if look.problem is not None:
            raise look.problem
    if not plan.request.on and len(plan.sources) > 1:
        with engine_named("local").start(1) as engine:
            ledger = PairedRows(plan, engine, lambda _: None).ledger
        if plan.roles.checked:
            _check_first_labels(plan, ledger)
    _check_missing(plan, looks)


def _check_first_labels(plan: Plan, ledger: Ledger) -> None:
    checked = plan.roles.checked
    selections = [Selection((), tuple(shared.columns[file] for shared in checked)) for file in range(2)]
    blocks = [first_block(source, each)[0] for source, each in zip(plan.sources, selections, strict=False)]
    rows = min(block.rows for block in blocks)
    ledger.check.add(checked, compared(Aligned(0, tuple(block.slice(0, rows) for block in blocks)), checked))


def _check_missing(plan: Plan, looks: Sequence[Look]) -> None:
    """Refuse missing values in the first rows, unless a setting may leave these rows out."""
    request, roles = plan.request, plan.roles
    if request.where is not None or request.unmatched == "skip" or request.drop_last:
        return
    ignored = any(map(math.isnan, request.ignore_index))
    # Where the target is ignored, the prediction is not looked at.
    sides = [(roles.target, request.nan_target, "use `nan_target=omit`")] * (not ignored)
    sides += [(roles.prediction, request.nan_pred, "use `nan_pred=omit`")] * (not request.ignore_index)
    for place, policy, advice in sides:
        look = looks[place.file]
        for column in place.columns or (ARRAY,):
            seen = look.numbers.get(column)
            if policy == "raise" and seen is not None and seen.missing:
                where = look.source.path if column is None else f"{look.source.path}, column {column!r}"
                raise DataError(
                    f"{where}: {many(seen.missing, 'value')} missing in the first {look.rows} rows; "
                    f"to leave them out, {advice}"
                )


def _reading(plan: Plan, result: Result | None, outputs: Sequence[str], wording: Wording) -> Interpretation:
    request, roles = plan.request, plan.roles
    ours, theirs = roles.prediction.columns, roles.target.columns
    chosen = {name: columns for name, columns in (("pred", ours), ("target", theirs)) if columns}
    settings = settings_of(request, weighted=request.weighted)
    del settings["pairing"]
    pairing = "key" if roles.keys else "position" if len(plan.sources) > 1 else "one file"
    return Interpretation(
        tuple(zip_longest(ours, theirs)),
        roles.rule or "named",
        pairing,
        tuple(zip(*roles.keys, strict=True)) if roles.keys else (),
        tuple(shared.columns[0] for shared in roles.checked) if result is None else result.rows.checked_by,
        tuple(shared.columns[0] for shared in roles.looked_at) if result is None else (),
        settings,
        tuple(gate.text for gate in request.fail_if),
        tuple(outputs),
        None if result is None else result.rows,
        None if result is None else result.elements,
        wording.command(chosen),
    )


def as_call(request: Request, chosen: Chosen) -> str:
    """Return what Python callers write to score these columns.

    Examples
    --------
    >>> as_call(Request.of(predictions="p.csv", targets="t.csv", on="id"), {"pred": ["yhat"], "target": ["y"]})
    "score('p.csv', 't.csv', pred='yhat', target='y', on='id')"
    """
    inputs = [(name, getattr(request, name)) for name in ("predictions", "targets")]
    words = [repr(data) if isinstance(data, str | tuple) else name for name, data in inputs if data is not None]
    words += [f"{name}={_called(list(columns))}" for name, columns in chosen.items()]
    for each in fields(request):
        value = getattr(request, each.name)
        if each.name in {"predictions", "targets", "pred", "target", "jobs"} or value == each.default:
            continue
        words.append(f"{each.name}={_called(value)}")
    return f"score({', '.join(words)})"


def _called(value: Any) -> str:
    """Return a value as Python callers write it."""
    if isinstance(value, Readings):
        others = _read(value.others)
        return f"{{{', '.join(f'{word!r}: {_read(own)}' for word, own in value.own.items())}}}" if value.own else others
    if isinstance(value, list | tuple):
        return repr(value[0]) if len(value) == 1 else repr(list(value))
    return repr(value) if isinstance(value, str | int | float) else "weights"


def _read(reading: Reading) -> str:
    given = {name: value for name, value in reading._asdict().items() if value != Reading._field_defaults[name]}
    return f"Reading({', '.join(f'{name}={value!r}' for name, value in given.items())})"
