"""Values of elements that workers of a distributed engine write where they are, a part for each span of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Self

from msecli.arrays import FloatArray
from msecli.core.wide import Wide
from msecli.engines import Engine, engine_named
from msecli.errors import UsageError, setting
from msecli.results.values import Keys, Layout
from msecli.scoring.finish import checked_summary, divisor_of
from msecli.scoring.fold import Folded, Outcome, fold, fold_gradient
from msecli.scoring.ledger import Progress
from msecli.scoring.plan import Plan
from msecli.scoring.values import PartedSink, Sink, handed_on
from msecli.tuples import NamedTuple

OPTIONS = {
    "losses": ("losses", "-o"),
    "grad": ("gradients", "--grad"),
    "grad_target": ("gradients", "--grad-target"),
    "predictions": ("predictions", "--predictions"),
}
"""What messages call values, and the options of the command line that name folders for them."""


class Parts(NamedTuple):
    """Where the values of rows go, by name."""

    sinks: Mapping[str, PartedSink]

    @classmethod
    def of(cls, plan: Plan, sinks: Mapping[str, Sink | PartedSink]) -> Self | None:
        """Return where the values of a plan go whose rows are elsewhere; None if it has none, or they come here.

        Raises
        ------
        UsageError
            If they would have to come here.
        """
        if not engine_named(plan.request.engine).distributed or not plan.kept_values:
            return None
        found = {name: sink for name in plan.kept_values if isinstance(sink := sinks.get(name), PartedSink)}
        missing = next((name for name in plan.kept_values if name not in found), None)
        if missing is not None:
            values, option = OPTIONS[missing]
            raise UsageError(
                f"{setting('engine', plan.request.engine)} writes {values} in parts where its workers are: name a "
                f"folder on the command line, as in {option} FOLDER/, or use `engine=local`"
            )
        return cls(found)

    def begin(self, layout: Callable[[str], Layout]) -> None:
        """Prepare for values of these layouts."""
        for name, sink in self.sinks.items():
            sink.begin(layout(name))

    def finish(self, parts: int) -> None:
        """Mark the values as complete, if there are so many parts."""
        for sink in self.sinks.values():
            sink.finish(parts)

    @contextmanager
    def taking(self, number: int) -> Iterator[Callable[[Outcome], Outcome]]:
        """Yield what takes the values from an outcome of the span with this number, to its parts."""
        with ExitStack() as stack:
            opened: dict[str, Callable[[FloatArray, Keys], None]] = {}

            def taken(outcome: Outcome) -> Outcome:
                first = not opened
                for name, block in _values_of(outcome):
                    if name in self.sinks:
                        if name not in opened:
                            opened[name] = stack.enter_context(self.sinks[name].part(number))
                        opened[name](block, outcome.keys)
                return outcome._replace(values={}, gradient=None, keys={}, parts=int(first and bool(opened)))

            yield taken


def fold_to_parts(
    plan: Plan, engine: Engine, parts: Parts, layout: Callable[[str], Layout], progress: Progress
) -> Folded:
    """Score all rows as `fold` does, and write their values in parts.

    A gradient whose divisor is unknown before rows are read has a pass of its own after the one that finds it.

    Raises
    ------
    DataError, ReadWriteError
    """
    parts.begin(layout)
    if not plan.keeps_gradient or plan.known_divisor() is not None:
        return fold(plan, engine, {}, None, progress, keep=parts.taking)
    other = plan.request.keep - {"grad", "grad_target"}
    first = plan._replace(request=replace(plan.request, keep=other))
    folded = fold(first, engine, {}, None, lambda share: progress(share / 2), keep=parts.taking)
    checked_summary(plan, folded.tally, folded.ledger)
    divisor = divisor_of(plan, folded)
    written = fold_gradient(plan, engine, divisor, lambda share: progress((1 + share) / 2), parts.taking)
    return folded._replace(parts=written)


def _values_of(outcome: Outcome) -> Iterator[tuple[str, FloatArray]]:
    yield from outcome.values.items()
    if outcome.gradient is not None:
        assert not isinstance(outcome.gradient, Wide)  # noqa: S101 - the divisor is known by now
        yield from handed_on(outcome.gradient)
