"""Sources whose rows are at the same positions: the engine reads their parts, and works on the rows side by side.

If it is known which parts of all sources hold the same rows (see `msecli.scoring.spans`), one task reads, pairs and
works on them. Otherwise tasks read parts to blocks, the blocks are paired here as they come, and further tasks work on
the paired rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial, reduce
from itertools import chain
from operator import methodcaller
from typing import Generic, TypeVar

from msecli.engines import Engine
from msecli.errors import MsecliError
from msecli.formats.base import Block, Selection, Source
from msecli.pairing.position import Aligned, Compared, Read, Stream, Window, align, compared, joined_compared, windows
from msecli.pairing.roles import Shared
from msecli.scoring.ledger import Ledger
from msecli.scoring.spans import Span, Spans, spans_of
from msecli.tuples import NamedTuple

T = TypeVar("T")

Join = Callable[[T, T], T]
"""From the results of some rows and of the next ones to one of all of them."""

Sift = Callable[[Aligned], tuple[Aligned, int, int]]
"""From aligned rows to some of them, the number of the others, and of those of which it is not known."""

Begin = Callable[[int], Callable[[Aligned], T]]
"""From the number of a span to the work on its rows, which are then worked on in order."""

Keep = Callable[[int], AbstractContextManager[Callable[[T], T]]]
"""From the number of a span to a context of a function that takes from each of its results what stays there."""

ROWS_PER_RESULT = 1 << 20
"""A task joins the results of about so many rows before it hands them over; progress is shown as often."""


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
        self,
        work: Callable[[Aligned], T],
        engine: Engine,
        ledger: Ledger,
        *,
        numbered: bool,
        join: Join[T] | None = None,
        sifted: Callable[[Iterator[Aligned]], Iterator[Aligned]] | None = None,
        keep: Keep[T] | None = None,
    ) -> Iterator[tuple[int, T]]:
        """Read the rows, and yield results as `PairedRows.each` does.

        `sifted` numbers those of the rows that are to be worked on; they must then be paired before that.
        """
        spans = spans_of(self.sources, self.selections, engine)
        if spans is not None and (not numbered or (spans.placed and sifted is None)):
            yield from _by_span(self, engine, partial(_the_same, work), ledger, spans, join=join, keep=keep)
        else:
            read = streams(self.sources, self.selections, engine, ledger)
            if self.window:
                found = engine.run(partial(_joined_result, work), windows(read, self.window, self.advice))
            else:
                paired = _paired(self, read, ledger)
                found = engine.run(partial(one_result, work), paired if sifted is None else sifted(paired))
            yield from ((0, each) for each in found)

    def each_begun(
        self,
        begin: Begin[T],
        engine: Engine,
        ledger: Ledger,
        *,
        join: Join[T] | None = None,
        keep: Keep[T] | None = None,
    ) -> Iterator[tuple[int, T]]:
        """Have a distributed engine do work that depends on the span; yield results as `each` does."""
        spans = spans_of(self.sources, self.selections, engine)
        assert spans is not None  # noqa: S101 - it has no others
        yield from _by_span(self, engine, begin, ledger, spans, join=join, keep=keep)


class Passed(NamedTuple, Generic[T]):
    """The result of a span, and what was read from every source."""

    found: T
    compared: tuple[Compared, ...]
    reads: tuple[Read, ...]

    @property
    def rows(self) -> int:
        """The number of rows that were read from the first source."""
        return self.reads[0].rows


def blocks_of(source: Source, selection: Selection, engine: Engine) -> Iterator[Block]:
    """Yield the blocks of a source; the engine reads them."""
    return engine.run(methodcaller("read"), source.parts(selection))


def one_result(work: Callable[[Aligned], T], rows: Aligned) -> Iterator[T]:
    """Yield the result of work: engines run generators, and a named function, unlike a lambda, can be pickled."""
    yield work(rows)


def _joined_result(work: Callable[[Aligned], T], window: Window) -> Iterator[T]:
    yield work(window.joined())


def _the_same(work: Callable[[Aligned], T], number: int) -> Callable[[Aligned], T]:
    """Return the work on the rows of a span that does not depend on it."""
    return work


def _by_span(
    sought: SideBySide,
    engine: Engine,
    begin: Begin[T],
    ledger: Ledger,
    spans: Spans,
    *,
    join: Join[T] | None,
    keep: Keep[T] | None,
) -> Iterator[tuple[int, T]]:
    paths = [source.path for source in sought.sources]
    task: Callable[[Span], Iterator[Passed[T | None]]] = partial(_in_span, begin, paths, sought.checked)
    if keep is not None:
        task = partial(_kept_in_span, task, keep)
    both: Join[Passed[T | None]] | None = None
    if join is not None and spans.placed:
        both = partial(_joined_passed, join)
        task = partial(_joined_in_span, task, both)
    for passed in engine.run(task, spans.each, both, ledger.tell):
        offset = 0 if spans.placed else ledger.rows[0]
        for number, read in enumerate(passed.reads):
            ledger.count(number, read)
        ledger.check.add(sought.checked, passed.compared)
        if passed.found is not None:
            yield offset, passed.found


def _in_span(
    begin: Begin[T], paths: Sequence[str], checked: Sequence[Shared], span: Span
) -> Iterator[Passed[T | None]]:
    """Read the rows of a span, pair them, and work on them."""
    work = begin(span.number)
    streams = [
        Stream(path, of_source(number, chain.from_iterable(part.read() for part in parts)))
        for number, (path, parts) in enumerate(zip(paths, span.parts, strict=True))
    ]
    for rows in align(streams, span.first_row or 0):
        if span.first_row is None:
            rows = rows._replace(first_row=0)  # noqa: PLW2901 - the offset counts all rows before these
        found = work(rows) if rows.rows else None
        yield Passed(found, compared(rows, checked), tuple(stream.take() for stream in streams))
    # Blocks without rows, behind those of the other files.
    left = tuple(stream.take()._replace(begin=None) for stream in streams)
    if any(read.work or read.warnings for read in left):
        yield Passed(None, (), left)


def _kept_in_span(
    task: Callable[[Span], Iterator[Passed[T | None]]], keep: Keep[T], span: Span
) -> Iterator[Passed[T | None]]:
    """Yield the results in a span, but for what stays where the span is worked on."""
    with keep(span.number) as taken:
        for passed in task(span):
            yield passed if passed.found is None else passed._replace(found=taken(passed.found))


def _joined_in_span(
    task: Callable[[Span], Iterator[Passed[T | None]]], join: Join[Passed[T | None]], span: Span
) -> Iterator[Passed[T | None]]:
    """Join the results in a span: each one handed over stops the other threads for a moment."""
    held: Passed[T | None] | None = None
    for passed in task(span):
        held = passed if held is None else join(held, passed)
        if held.rows >= ROWS_PER_RESULT:
            yield held
            held = None
    if held is not None:
        yield held


def _joined_passed(join: Join[T], left: Passed[T | None], right: Passed[T | None]) -> Passed[T | None]:
    found = [each.found for each in (left, right) if each.found is not None]
    return Passed(
        reduce(join, found) if found else None,
        joined_compared(left.compared, right.compared),
        tuple(map(Read.joined, left.reads, right.reads)),
    )


def of_source(number: int, blocks: Iterable[Block]) -> Iterator[Block]:
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
        Stream(side.path, of_source(number, counted(number)), side.place) for number, side in enumerate(ledger.sides())
    ]


def _paired(sought: SideBySide, read: Sequence[Stream], ledger: Ledger) -> Iterator[Aligned]:
    """Yield aligned rows as their blocks arrive."""
    for rows in align(read, advice=sought.advice):
        if rows.rows:
            ledger.check.add(sought.checked, compared(rows, sought.checked))
            yield rows
