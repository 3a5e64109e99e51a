"""From a plan to aligned rows: the engine reads parts, pairs their rows, and does the work on them.

If it is known which parts of all sources hold the same rows, one task reads, pairs and works on them. Otherwise tasks
read parts to blocks, the blocks are paired here as they come, and further tasks work on the paired rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, pairwise
from operator import itemgetter, methodcaller
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, TypeVar

from msecli.engines import Engine
from msecli.errors import DataError, MsecliError, Warned, Warnings, numbered
from msecli.formats.base import Block, ChainedPart, Part, Selection, Source
from msecli.pairing.position import (
    Aligned,
    Compared,
    Read,
    RowCheck,
    Side,
    Stream,
    Window,
    align,
    check_row_counts,
    compared,
    compared_numbers,
    windows,
)
from msecli.pairing.roles import Shared
from msecli.scoring.plan import Plan

if TYPE_CHECKING:
    from msecli.pairing.keys import Matched

T = TypeVar("T")


class Chained(Protocol):
    """A result of a chained part, with where the part began and ended."""

    @property
    def begin(self) -> int | None: ...  # noqa: D102 - explained by the class

    @property
    def end(self) -> int | None: ...  # noqa: D102


C = TypeVar("C", bound=Chained)

Progress = Callable[[float], None]
"""Called with the share of the work done, from 0 to 1."""

FEWEST_SPANS = 0.5
"""Row groups of two files are read side by side if at least this share of them begins at common rows."""


LONE_KEYS = 3
"""How many shared columns are tried as keys by themselves, just for advice."""


class Ledger:
    """The rows read from every source, how they were paired, and the warnings."""

    def __init__(self, sources: Sequence[Source], warnings: Iterable[Warned]) -> None:
        self.rows = [0] * len(sources)
        self.dropped = 0
        self.matched: Matched | None = None
        self.check = RowCheck()
        self.warnings = Warnings(chain(warnings, *(source.warnings for source in sources)))
        self._work = [0] * len(sources)
        self._sources = sources
        self._begins: list[list[tuple[int, int]]] = [[] for _ in sources]

    def count(self, source: int, read: Read) -> None:
        """Count what was read from a source."""
        if read.begin is not None:
            self._begins[source].append((self.rows[source], read.begin))
        self.rows[source] += read.rows
        self._work[source] += read.work
        self.warnings.add(read.warnings)

    @property
    def paired(self) -> int:
        """The number of paired rows."""
        return self.rows[0] if self.matched is None else self.matched.rows

    @property
    def share(self) -> float:
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


class SideBySide(NamedTuple):
    """Sources whose rows are at the same positions.

    Parameters
    ----------
    sources : sequence of Source
    selections : sequence of Selection
        What is read from each.
    checked : sequence of Shared
        Columns whose labels are compared between the first two.
    advice : callable
        Returns what to do about different numbers of rows, for an error.
    window : int
        How many rows are worked on at once where blocks of the files begin at different rows; then none are compared.
        0 for as many as go together.
    """

    sources: Sequence[Source]
    selections: Sequence[Selection]
    checked: Sequence[Shared] = ()
    advice: Callable[[], str] = str
    window: int = 0

    def each(
        self, work: Callable[[Aligned], T], engine: Engine, ledger: Ledger, *, numbered: bool
    ) -> Iterator[tuple[int, T]]:
        """Read the rows, and yield results as `PairedRows.each` does."""
        spans = _spans(self)
        if spans is not None and len(self.sources) > 1 and len(spans) < engine.jobs:
            spans = None  # too few to keep all jobs busy; the files are read side by side instead
        if spans is not None and not (numbered and any(span.first_row is None for span in spans)):
            yield from _by_span(self, engine, work, ledger, spans)
        else:
            read = streams(self.sources, self.selections, engine, ledger)
            if self.window:
                found = engine.run(partial(_joined_result, work), windows(read, self.window, self.advice))
            else:
                found = engine.run(partial(one_result, work), _paired(self, read, ledger))
            yield from ((0, each) for each in found)


class Span(NamedTuple):
    """The parts of every source that hold the same rows; `first_row` is None if unknown."""

    parts: tuple[Sequence[Part], ...]
    first_row: int | None

    def beginning_at(self, position: int) -> Self:
        """Return the same span of one chained part, beginning at this position."""
        chained: ChainedPart = self.parts[0][0]  # type: ignore[assignment]
        return self._replace(parts=((chained.beginning_at(position),),))


class Passed(NamedTuple, Generic[T]):
    """The result of a span, what was read from every source, and where a chained part began and ended."""

    found: T
    compared: tuple[Compared, ...]
    reads: tuple[Read, ...]
    begin: int | None
    end: int | None


class PairedRows:
    """The rows of all sources side by side, to be worked on by an engine.

    Parameters
    ----------
    plan : Plan
    engine : Engine
    progress : callable

    Raises
    ------
    MsecliError
        If rows paired by key cannot be read or do not match; for rows paired by position `each` raises instead.
    """

    def __init__(self, plan: Plan, engine: Engine, progress: Progress) -> None:
        self._plan, self._engine, self._progress = plan, engine, progress
        self.ledger = Ledger(plan.sources, plan.roles.warnings)
        self._joined = _joined(plan, engine, self.ledger) if plan.request.on else None
        if self._joined is None and len(plan.sources) > 1:
            known = [(source.path, source.rows) for source in plan.sources if source.rows is not None]
            check_row_counts(known, partial(advice_on_counts, plan))
            self.ledger.check = first_rows_checked(plan, self.ledger)

    def count(self) -> int:
        """Count the paired rows before the work begins."""
        plan = self._plan
        if self.ledger.matched is not None:
            return self.ledger.matched.rows
        if plan.rows is not None:
            return plan.rows
        return sum(block.rows for block in blocks_of(plan.sources[0], plan.roles.selection(0), self._engine))

    def each(self, work: Callable[[Aligned], T], *, numbered: bool) -> Iterator[tuple[int, T]]:
        """Yield (offset, result) for the aligned rows in order.

        Parameters
        ----------
        work : callable
            From aligned rows to a result.
        numbered : bool
            Whether `work` needs the rows' numbers in the whole input; the offset is then 0. Otherwise it may see rows
            numbered from 0, and the offset is what to add to their numbers.
        """
        plan = self._plan
        if self._joined is None:
            found = by_position(plan).each(work, self._engine, self.ledger, numbered=numbered)
        else:
            found = ((0, each) for each in self._engine.run(partial(one_result, work), self._joined))
        for each in found:
            self._progress(self.ledger.share)
            yield each
        for source in plan.sources:
            source.verify()


def blocks_of(source: Source, selection: Selection, engine: Engine) -> Iterator[Block]:
    """Yield the blocks of a source; the engine reads them."""
    read, parts = methodcaller("read"), source.parts(selection)
    return _settled(engine, read, parts) if source.chained else engine.run(read, parts)


def by_position(plan: Plan) -> SideBySide:
    """Return the sources of a plan, paired by position."""
    checked = plan.roles.checked if len(plan.sources) > 1 else ()
    return SideBySide(plan.sources, selections_of(plan), checked, partial(advice_on_counts, plan))


def selections_of(plan: Plan) -> list[Selection]:
    """Return what to read from each source."""
    return [plan.roles.selection(number) for number in range(len(plan.sources))]


def first_rows_checked(plan: Plan, ledger: Ledger) -> RowCheck:
    """Return a check of the rows; it has compared the columns of numbers that both files have in the first rows.

    Raises
    ------
    DataError
        If one differs.
    """
    check = RowCheck(ledger.sides(), partial(_advice, plan))
    _check_first_rows(plan, check)
    return check


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


def advice_on_counts(plan: Plan) -> str:
    """Return how rows of files with different numbers of rows can be paired: some have no match, whatever the key."""
    from msecli.scoring.advice import key_advice

    by_position = "; rows are paired by position"
    if any(len(source.columns or ()) < 2 for source in plan.sources):
        return by_position
    return key_advice(plan, *_possible_keys(plan), skips=(True,)) or f"{by_position}, or by a key: `on=COLUMN`"


def one_result(work: Callable[[Aligned], T], rows: Aligned) -> Iterator[T]:
    """Yield the result of work: engines run generators, and a named function, unlike a lambda, can be pickled."""
    yield work(rows)


def _joined_result(work: Callable[[Aligned], T], window: Window) -> Iterator[T]:
    yield work(window.joined())


def _spans(sought: SideBySide) -> list[Span] | None:
    """Return spans that tasks can both read and work on, or None if rows must be paired first."""
    sources, selections = sought.sources, sought.selections
    if sources[0].chained:
        return [Span(((part,),), None) for part in sources[0].parts(selections[0])] if len(sources) == 1 else None
    cuts = [source.cuts() for source in sources]
    known = [rows for rows in cuts if rows is not None]
    if len(known) < len(sources):
        return None
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
    sought: SideBySide, engine: Engine, work: Callable[[Aligned], T], ledger: Ledger, spans: list[Span]
) -> Iterator[tuple[int, T]]:
    task = partial(_in_span, work, [source.path for source in sought.sources], sought.checked)
    chained = sought.sources[0].chained
    for passed in _settled(engine, task, spans) if chained else engine.run(task, spans):
        offset = ledger.rows[0] if chained else 0
        for number, read in enumerate(passed.reads):
            ledger.count(number, read)
        ledger.check.add(sought.checked, passed.compared)
        if passed.found is not None:
            yield offset, passed.found


def _in_span(
    work: Callable[[Aligned], T], paths: Sequence[str], checked: Sequence[Shared], span: Span
) -> Iterator[Passed[T | None]]:
    """Read the rows of a span, pair them, and work on them."""
    streams = [
        Stream(path, _of_source(number, chain.from_iterable(part.read() for part in parts)))
        for number, (path, parts) in enumerate(zip(paths, span.parts, strict=True))
    ]
    for rows in align(streams, span.first_row or 0):
        block = rows.blocks[0]
        found = work(rows) if rows.rows else None
        yield Passed(found, compared(rows, checked), tuple(stream.take() for stream in streams), block.begin, block.end)


def _settled(engine: Engine, work: Callable[[Any], Iterator[C]], items: Sequence[Any]) -> Iterator[C]:
    """Yield the one result of each chained item, with every item beginning where the previous one ended.

    An item first guesses where it begins. If the guess was wrong or the work failed, the work is repeated from where
    the previous item ended; by induction every item begins in the right place.
    """
    end: int | None = None
    task = partial(_tried, work)
    for item, found in zip(items, engine.run(task, items), strict=True):
        if end is not None and (isinstance(found, MsecliError) or found.begin != end):
            found = next(engine.run(task, [item.beginning_at(end)]))  # noqa: PLW2901 - replaces the wrong guess
        if isinstance(found, MsecliError):
            raise found
        end = found.end
        yield found


def _tried(work: Callable[[Any], Iterator[C]], item: Any) -> Iterator[C | MsecliError]:
    try:
        yield from work(item)
    except MsecliError as error:
        yield error


def _of_source(number: int, blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks; an error says which source they are from."""
    try:
        yield from blocks
    except MsecliError as error:
        error.source = number
        raise


def streams(sources: Sequence[Source], selections: Sequence[Selection], engine: Engine, ledger: Ledger) -> list[Stream]:
    """Return the blocks of every source, read by the engine and counted in the ledger."""

    def counted(number: int) -> Iterator[Block]:
        for block in blocks_of(sources[number], selections[number], engine):
            ledger.count(number, Read(block.rows, block.work, block.warnings, block.begin))
            yield block

    return [
        Stream(side.path, _of_source(number, counted(number)), side.place) for number, side in enumerate(ledger.sides())
    ]


def _paired(sought: SideBySide, read: Sequence[Stream], ledger: Ledger) -> Iterator[Aligned]:
    """Yield aligned rows as their blocks arrive."""
    for rows in align(read, advice=sought.advice):
        if rows.rows:
            ledger.check.add(sought.checked, compared(rows, sought.checked))
            yield rows


def _joined(plan: Plan, engine: Engine, ledger: Ledger) -> Iterator[Aligned]:
    """Read both files, match their rows by key, and return the aligned rows."""
    from msecli.pairing.keys import SKIP, Held, aligned_rows, match

    on = plan.roles.on
    prediction, target = (
        Held(stream, dict(zip(on, names, strict=True)))
        for stream, names in zip(
            streams(plan.sources, selections_of(plan), engine, ledger), plan.roles.keys, strict=True
        )
    )
    advice = "" if plan.rules.season else SKIP  # metrics of a series need every row
    ledger.matched = match(prediction, target, on, skip_unmatched=plan.request.unmatched == "skip", advice=advice)
    ledger.warnings.add(ledger.matched.warnings)
    return aligned_rows(prediction, target, ledger.matched, plan.roles.checked)
