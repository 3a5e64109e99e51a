"""From a plan to aligned rows: the engine reads parts, pairs their rows, and does the work on them.

If it is known which parts of all sources hold the same rows, one task reads, pairs and works on them. Otherwise tasks
read parts to blocks, the blocks are paired here as they come, and further tasks work on the paired rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, reduce
from itertools import chain, pairwise
from operator import itemgetter, methodcaller
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from msecli.engines import Engine
from msecli.errors import DataError, MsecliError, Warned, Warnings, numbered
from msecli.formats.base import Block, Part, Selection, Source
from msecli.pairing.position import (
    Aligned,
    Compared,
    Read,
    RowCheck,
    Side,
    Stream,
    align,
    check_row_counts,
    compared,
    compared_numbers,
    joined_compared,
)
from msecli.pairing.roles import Shared
from msecli.scoring.plan import Plan

if TYPE_CHECKING:
    from msecli.pairing.keys import Matched

T = TypeVar("T")


Sift = Callable[[Aligned], tuple[Aligned, int, int]]
"""From aligned rows to some of them, the number of the others, and of those of which it is not known."""

Progress = Callable[[float], None]
"""Called with the share of the work done, from 0 to 1."""

ROWS_PER_RESULT = 1 << 20
"""A task joins the results of about so many rows before it hands them over; progress is shown as often."""

FEWEST_SPANS = 0.5
"""Row groups of two files are read side by side if at least this share of them begins at common rows."""


def _untold(share: float) -> None:
    """Tell nobody of progress."""


LONE_KEYS = 3
"""How many shared columns are tried as keys by themselves, just for advice."""


class Ledger:
    """The rows read from every source, how they were paired, and the warnings."""

    def __init__(self, sources: Sequence[Source], warnings: Iterable[Warned], progress: Progress) -> None:
        self.rows = [0] * len(sources)
        self.dropped = 0
        self.filtered = 0
        self.matched: Matched | None = None
        self.check = RowCheck()
        self.warnings = Warnings(chain(warnings, *(source.warnings for source in sources)))
        self._work = [0] * len(sources)
        self._sources = sources
        self._begins: list[list[tuple[int, int]]] = [[] for _ in sources]
        self._progress = progress

    def count(self, source: int, read: Read) -> None:
        """Count what was read from a source, and tell how much of all is done."""
        if read.begin is not None:
            self._begins[source].append((self.rows[source], read.begin))
        self.rows[source] += read.rows
        self._work[source] += read.work
        self.warnings.add(read.warnings)
        self._progress(self._share)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but who is told of progress, in this process alone."""
        return self.__dict__ | {"_progress": _untold}

    @property
    def paired(self) -> int:
        """The number of paired rows, without those that do not meet the condition."""
        return (self.rows[0] if self.matched is None else self.matched.rows) - self.filtered

    @property
    def _share(self) -> float:
        """The share of all sources read so far."""
        sizes = [source.work for source in self._sources]
        return sum(done / size for done, size in zip(self._work, sizes, strict=True)) / len(sizes)

    def place(self, source: int, *rows: int) -> str:
        """Return how messages name rows of a source, counted from 0: by their numbers and their lines."""
        return numbered(*rows, lines=[self._line(source, row) for row in rows])

    def _line(self, source: int, row: int) -> int | None:
        begins = self._begins[source]
        before = bisect_right(begins, row, key=itemgetter(0))
        first, begin = begins[before - 1] if before else (0, None)
        try:
            return self._sources[source].line(row - first, begin)
        except MsecliError:
            return None  # the file has changed, which is told elsewhere

    def sides(self) -> list[Side]:
        """Return the sources as messages name them."""
        return [Side(source.path, partial(self.place, number)) for number, source in enumerate(self._sources)]


class Span(NamedTuple):
    """The parts of every source that hold the same rows; `first_row` is None if unknown."""

    parts: tuple[Sequence[Part], ...]
    first_row: int | None


class Passed(NamedTuple, Generic[T]):
    """The result of a span, and what was read from every source."""

    found: T
    compared: tuple[Compared, ...]
    reads: tuple[Read, ...]

    @property
    def rows(self) -> int:
        """The number of rows that were read from the first source."""
        return self.reads[0].rows


class PairedRows:
    """The rows of all sources side by side, to be worked on by an engine.

    Parameters
    ----------
    plan : Plan
    engine : Engine
    progress : callable
    sift : callable, optional
        From aligned rows to those of them to work on.

    Raises
    ------
    MsecliError
        If rows paired by key cannot be read or do not match; for rows paired by position `each` raises instead.
    """

    def __init__(self, plan: Plan, engine: Engine, progress: Progress, sift: Sift | None = None) -> None:
        self._plan, self._engine, self._sift = plan, engine, sift
        self.ledger = Ledger(plan.sources, plan.roles.warnings, progress)
        self._joined = _joined(plan, engine, self.ledger) if plan.request.on else None
        if self._joined is None and len(plan.sources) > 1:
            known = [(source.path, source.rows) for source in plan.sources if source.rows is not None]
            check_row_counts(known, partial(_advice_on_counts, plan))
            self.ledger.check = RowCheck(self.ledger.sides(), partial(_advice, plan))
            _check_first_rows(plan, self.ledger.check)

    def count(self) -> int:
        """Count the paired rows before the work begins."""
        plan = self._plan
        if self._sift is not None:
            # These rows are only counted: another pass reads them to work on.
            every = PairedRows(plan, self._engine, lambda _: None, self._sift)
            return sum(rows for _, rows in every.each(_rows_of, numbered=False))
        if self.ledger.matched is not None:
            return self.ledger.matched.rows
        if plan.rows is not None:
            return plan.rows
        return sum(block.rows for block in blocks_of(plan.sources[0], plan.roles.selection(0), self._engine))

    def each(
        self, work: Callable[[Aligned], T], *, numbered: bool, join: Callable[[T, T], T] | None = None
    ) -> Iterator[tuple[int, T]]:
        """Yield (offset, result) for the aligned rows in order.

        Parameters
        ----------
        work : callable
            From aligned rows to a result.
        numbered : bool
            Whether `work` needs the rows' numbers in the whole input; the offset is then 0. Otherwise it may see rows
            numbered from 0, and the offset is what to add to their numbers.
        join : callable, optional
            From the results of some rows and of the next ones to one of all of them. By default none are joined.
        """
        if self._sift is None:
            yield from self._each(work, numbered=numbered, join=join)
        elif numbered:
            yield from self._each(work, numbered=True, sifted=self._sifted)
        else:
            for offset, (found, left_out, unknown) in self._each(partial(_of_sifted, self._sift, work), numbered=False):
                self._leave_out(left_out, unknown)
                if found is not None:
                    yield offset, found

    def _sifted(self, paired: Iterator[Aligned]) -> Iterator[Aligned]:
        """Yield the rows to work on, numbered among themselves."""
        first_row = 0
        for rows in paired:
            assert self._sift is not None  # noqa: S101 - the caller has looked
            kept, left_out, unknown = self._sift(rows)
            self._leave_out(left_out, unknown)
            if kept.rows:
                numbers = kept.row_numbers or (kept.first_row + np.arange(kept.rows),) * len(kept.blocks)
                yield kept._replace(first_row=first_row, row_numbers=numbers)
            first_row += kept.rows

    def _leave_out(self, rows: int, unknown: int) -> None:
        self.ledger.filtered += rows
        if unknown:
            meaning = "rows are left out because a value that the condition needs is missing"
            self.ledger.warnings.add([Warned("condition_unknown", "where", meaning, unknown)])

    def _each(
        self,
        work: Callable[[Aligned], T],
        *,
        numbered: bool,
        join: Callable[[T, T], T] | None = None,
        sifted: Callable[[Iterator[Aligned]], Iterator[Aligned]] = iter,
    ) -> Iterator[tuple[int, T]]:
        spans = _spans(self._plan) if self._joined is None else None
        if spans is not None and len(self._plan.sources) > 1 and len(spans) < self._engine.jobs:
            spans = None  # too few to keep all jobs busy; the files are read side by side instead
        in_spans = not numbered or (self._sift is None and all(span.first_row is not None for span in spans or ()))
        if spans is not None and in_spans:
            found = _by_span(self._plan, self._engine, work, self.ledger, spans, join=join)
        else:
            paired = self._joined or _paired(self._plan, self._engine, self.ledger)
            found = ((0, each) for each in self._engine.run(partial(_one_result, work), sifted(paired)))
        yield from found
        for source in self._plan.sources:
            source.verify()


def blocks_of(source: Source, selection: Selection, engine: Engine) -> Iterator[Block]:
    """Yield the blocks of a source; the engine reads them."""
    return engine.run(methodcaller("read"), source.parts(selection))


def _check_first_rows(plan: Plan, check: RowCheck) -> None:
    """Compare the columns of numbers that both files have; what cannot be read is no evidence."""
    columns = plan.roles.looked_at
    for chosen in [columns, *((shared,) for shared in columns)] if columns else ():
        selections = (Selection(tuple(shared.columns[file] for shared in chosen)) for file in range(2))
        try:
            sources = zip(plan.sources, selections, strict=False)
            blocks = tuple(next(iter(source.parts(selection)[0].read())) for source, selection in sources)
        except DataError:
            continue  # a field that is no number; without its column the others can be read
        check.add(chosen, compared_numbers(blocks, chosen))
        if chosen is columns:
            return


def _advice(plan: Plan) -> str:
    from msecli.scoring.advice import key_advice, position_advice

    return position_advice(plan) + key_advice(plan, *_possible_keys(plan))


def _possible_keys(plan: Plan) -> list[Sequence[Shared]]:
    """Return shared columns that may be keys together, what tells rows apart best first, and then alone."""
    checked, looked_at = plan.roles.checked, plan.roles.looked_at
    return list(dict.fromkeys([(*checked, *looked_at), checked, *((shared,) for shared in checked[:LONE_KEYS])]))


def _advice_on_counts(plan: Plan) -> str:
    """Return how rows of files with different numbers of rows can be paired: some have no match, whatever the key."""
    from msecli.scoring.advice import key_advice

    by_position = "; rows are paired by position"
    if any(len(source.columns or ()) < 2 for source in plan.sources):
        return by_position
    return key_advice(plan, *_possible_keys(plan), skips=(True,)) or f"{by_position}, or by a key: `on=COLUMN`"


def _of_sifted(sift: Sift, work: Callable[[Aligned], T], rows: Aligned) -> tuple[T | None, int, int]:
    """Work on those of the rows that are to be worked on; return also how many are not, and how many are unknown."""
    kept, left_out, unknown = sift(rows)
    return work(kept) if kept.rows else None, left_out, unknown


def _rows_of(rows: Aligned) -> int:
    return rows.rows


def _one_result(work: Callable[[Aligned], T], rows: Aligned) -> Iterator[T]:
    # Engines run generators; a named function, unlike a lambda, can be pickled.
    yield work(rows)


def _spans(plan: Plan) -> list[Span] | None:
    """Return spans that tasks can both read and work on, or None if rows must be paired first."""
    sources = plan.sources
    selections = [plan.roles.selection(number) for number in range(len(sources))]
    cuts = [source.cuts() for source in sources]
    known = [rows for rows in cuts if rows is not None]
    if len(known) < len(sources):
        return [Span(((part,),), None) for part in sources[0].parts(selections[0])] if len(sources) == 1 else None
    fixed = [rows for rows, source in zip(known, sources, strict=True) if not source.divisible] or known[:1]
    common = sorted(set(fixed[0]).intersection(*fixed[1:]))
    if len(common) - 1 < FEWEST_SPANS * max(len(rows) - 1 for rows in fixed):
        return None
    by_source = [
        _divided(source, selection, rows, common)
        for source, selection, rows in zip(sources, selections, known, strict=True)
    ]
    return [Span(tuple(parts), first) for first, *parts in zip(common[:-1], *by_source, strict=True)]


def _divided(
    source: Source, selection: Selection, cuts: Sequence[int], common: Sequence[int]
) -> Iterator[Sequence[Part]]:
    """Yield the parts of a source between successive common cuts."""
    parts = () if source.divisible else source.parts(selection)
    for start, stop in pairwise(common):
        if source.divisible:
            yield source.parts(selection, range(start, stop))
        else:
            yield parts[bisect_left(cuts, start) : bisect_left(cuts, stop)]


def _by_span(
    plan: Plan,
    engine: Engine,
    work: Callable[[Aligned], T],
    ledger: Ledger,
    spans: list[Span],
    *,
    join: Callable[[T, T], T] | None,
) -> Iterator[tuple[int, T]]:
    paths = [source.path for source in plan.sources]
    checked = plan.roles.checked
    task: Callable[[Span], Iterator[Passed[T | None]]] = partial(
        _in_span, work, paths, checked if len(paths) > 1 else ()
    )
    numbered = spans[0].first_row is not None
    if join is not None and numbered:
        task = partial(_joined_in_span, task, join)
    for passed in engine.run(task, spans):
        offset = 0 if numbered else ledger.rows[0]
        for number, read in enumerate(passed.reads):
            ledger.count(number, read)
        ledger.check.add(checked, passed.compared)
        if passed.found is not None:
            yield offset, passed.found


def _in_span(
    work: Callable[[Aligned], T], paths: Sequence[str], checked: Sequence[Shared], span: Span
) -> Iterator[Passed[T | None]]:
    """Read the rows of a span, pair them, and work on them."""
    streams = [
        Stream(path, chain.from_iterable(part.read() for part in parts))
        for path, parts in zip(paths, span.parts, strict=True)
    ]
    for rows in align(streams, span.first_row or 0):
        found = work(rows) if rows.rows else None
        yield Passed(found, compared(rows, checked), tuple(stream.take() for stream in streams))


def _joined_in_span(
    task: Callable[[Span], Iterator[Passed[T | None]]], join: Callable[[T, T], T], span: Span
) -> Iterator[Passed[T | None]]:
    """Join the results in a span: each one handed over stops the other threads for a moment."""
    held: Passed[T | None] | None = None
    for passed in task(span):
        held = passed if held is None else _joined_passed(held, passed, join)
        if held.rows >= ROWS_PER_RESULT:
            yield held
            held = None
    if held is not None:
        yield held


def _joined_passed(left: Passed[T | None], right: Passed[T | None], join: Callable[[T, T], T]) -> Passed[T | None]:
    found = [each.found for each in (left, right) if each.found is not None]
    return Passed(
        reduce(join, found) if found else None,
        joined_compared(left.compared, right.compared),
        tuple(map(Read.joined, left.reads, right.reads)),
    )


def _streams(plan: Plan, engine: Engine, ledger: Ledger) -> list[Stream]:
    def counted(number: int, source: Source) -> Iterator[Block]:
        for block in blocks_of(source, plan.roles.selection(number), engine):
            ledger.count(number, Read(block.rows, block.work, block.warnings, block.begin))
            yield block

    return [
        Stream(source.path, counted(number, source), side.place)
        for number, (source, side) in enumerate(zip(plan.sources, ledger.sides(), strict=True))
    ]


def _paired(plan: Plan, engine: Engine, ledger: Ledger) -> Iterator[Aligned]:
    """Yield aligned rows as their blocks arrive."""
    checked = plan.roles.checked
    for rows in align(_streams(plan, engine, ledger), advice=partial(_advice_on_counts, plan)):
        if rows.rows:
            ledger.check.add(checked, compared(rows, checked))
            yield rows


def _joined(plan: Plan, engine: Engine, ledger: Ledger) -> Iterator[Aligned]:
    """Read both files, match their rows by key, and return the aligned rows."""
    from msecli.pairing.keys import SKIP, Held, aligned_rows, match

    on = plan.roles.on
    prediction, target = (
        Held(stream, dict(zip(on, names, strict=True)), source.work)
        for stream, names, source in zip(_streams(plan, engine, ledger), plan.roles.keys, plan.sources, strict=True)
    )
    advice = "" if plan.rules.season else SKIP  # metrics of a series need every row
    ledger.matched = match(prediction, target, on, skip_unmatched=plan.request.unmatched == "skip", advice=advice)
    ledger.warnings.add(ledger.matched.warnings)
    for file, held in enumerate((prediction, target)):
        held.keep_labels((*plan.roles.labels(file), *(on if plan.kept_values else ())))
    return aligned_rows(prediction, target, ledger.matched, plan.roles.checked)
