"""From a request to a result: plan, fold, finish."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

from msecli.core.processor import arithmetic
from msecli.engines import Engine, engine_named
from msecli.results.score import Result
from msecli.results.values import Layout
from msecli.scoring.advice import check_choice, warn_of_equality
from msecli.scoring.details import only_listed
from msecli.scoring.elsewhere import prepared_for, resumable
from msecli.scoring.finish import divisor_of, finish
from msecli.scoring.fold import Folded, fold, with_edges
from msecli.scoring.gates import check_scopes, judged, read_baseline
from msecli.scoring.ledger import Progress
from msecli.scoring.parts import Parts, fold_to_parts
from msecli.scoring.plan import Plan, make_plan
from msecli.scoring.request import Request
from msecli.scoring.values import ArraySink, Gradient, PartedSink, Sink

Observer = Callable[[Plan, Folded, Result], None]
"""Called with what a result was made of."""


def run(
    request: Request,
    sinks: Mapping[str, Sink | PartedSink] | None = None,
    progress: Progress = lambda _: None,
    observe: Observer | None = None,
    make: Callable[[Request], Plan] = make_plan,
    *,
    started: Engine | None = None,
) -> Result:
    """Score as requested.

    Parameters
    ----------
    request : Request
    sinks : mapping of str to Sink or PartedSink, optional
        Receive values as they are computed: "losses" of elements or rows, "grad", "grad_target", "predictions". The
        result holds the requested values that have no sink. With a distributed engine all values need a `PartedSink`.
    progress : callable, optional
        Called with the share of the work done, from 0 to 1.
    observe : callable, optional
        Called at the end with the plan, what it was folded to, and the result.
    make : callable
        Returns the plan of the request.
    started : Engine, optional
        The engine of the request, already started for several runs.

    Raises
    ------
    DataError
        If the files are damaged, do not pair, or hold nothing to score.
    ReadWriteError
        If a file cannot be read.
    """
    with arithmetic() as found:
        baseline = read_baseline(request)
        plan = make(request)
        check_scopes(plan)
        parts = Parts.of(plan, sinks or {})
        sinks = {name: sink for name, sink in (sinks or {}).items() if name in plan.kept_values}
        given, kept = {name: sink for name, sink in sinks.items() if not isinstance(sink, PartedSink)}, {}
        for name in plan.kept_values if parts is None else ():
            if name not in given:
                given[name] = kept[name] = ArraySink()
            given[name].begin(layout(plan, name))
        gradient = Gradient(given) if plan.keeps_gradient and parts is None else None
        with _engine(request, started) as running, resumable(plan, running) as resuming:
            engine = prepared_for(plan, resuming)
            plan = with_edges(plan, engine)
            if parts is None:
                folded = fold(plan, engine, given, gradient, progress)
            else:
                folded = fold_to_parts(plan, engine, parts, partial(layout, plan), progress)
        folded.ledger.warnings.add(found)
        warn_of_equality(plan, folded.twins, folded.ledger.paired, folded.ledger.warnings)
        check_choice(plan, folded.twins, folded.ledger.paired, folded.ledger.warnings)
        result = only_listed(request, judged(plan, finish(plan, folded), baseline))
        if gradient is not None:
            gradient.finish(divisor_of(plan, folded))
        if parts is not None:
            parts.finish(folded.parts)
        if observe is not None:
            observe(plan, folded, result)
    if not kept:
        return result
    values = kept["losses"].array() if "losses" in kept else result.values
    arrays = {name: sink.array() for name, sink in kept.items() if name != "losses"}
    return replace(result, values=values, arrays={**result.arrays, **arrays})


def _engine(request: Request, started: Engine | None) -> AbstractContextManager[Engine]:
    if started is not None:
        return nullcontext(started)
    return engine_named(request.engine).start(request.jobs, request.workers)


def layout(plan: Plan, name: str) -> Layout:
    """Return the layout of the values of this name."""
    item = (plan.loss_item or ()) if name == "losses" else plan.item
    single = {"losses": "loss", "predictions": "prediction"}.get(name, "grad")
    return Layout.of(item, plan.column_names, single, plan.roles.on)
