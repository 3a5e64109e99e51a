"""Spans: the parts of all sources that hold the same rows, for one task to read, pair and work on.

For threads of this process a span is as small as its parts, so that rows of files cut in different ways are rather
paired here. On other machines it is as large as a few seconds of work, and begins at any row of files that are cut
elsewhere: the part that holds this row is then read by two of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import ceil, isqrt

from msecli.engines import Engine
from msecli.formats.base import Block, Countable, Part, Selection, Source
from msecli.tuples import NamedTuple

FEWEST_SPANS = 0.5
"""Row groups of two files are read side by side if at least this share of them begins at common rows."""

BYTES_PER_SECOND, VALUES_PER_SECOND = 150e6, 30e6
"""What a core reads and scores of text and of binary files, roughly."""
SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 3.0
"""How long the work on a span is to take elsewhere, roughly."""
HELD_SECONDS = 1.0
"""How long the work on a span is to take at most whose rows are all held at once."""
SPANS_PER_JOB = 4
"""Spans are shorter than the longest if there are fewer than so many for each job, so that all end together."""
HANDED_SECONDS = 0.01
"""What a span costs whoever hands out all of them, in the same rough measure."""


class Span(NamedTuple):
    """The parts of every source that hold the same rows; `first_row` is None if unknown, `number` counts spans."""

    parts: tuple[Sequence[Part], ...]
    first_row: int | None
    number: int = 0


class Spans(NamedTuple):
    """Spans in the order of their rows, and whether it is known at which rows they begin."""

    each: Iterable[Span]
    placed: bool


def spans_of(sources: Sequence[Source], selections: Sequence[Selection], engine: Engine) -> Spans | None:
    """Return spans that tasks can both read and work on, or None if rows must be paired first."""
    if engine.distributed:
        return Spans(_large(sources, selections, engine.jobs), placed=True)
    if any(source.cuts() is None for source in sources):
        # The parts of a stream come as they are read.
        parts = sources[0].parts(selections[0]) if len(sources) == 1 else None
        return None if parts is None else Spans((Span(((part,),), None) for part in parts), placed=False)
    spans = _small(sources, selections)
    if spans is None or (len(sources) > 1 and len(spans) < engine.jobs):
        return None  # too few to keep all jobs busy; the files are read side by side instead
    return Spans(spans, placed=True)


def spans_alone(source: Source, selection: Selection, engine: Engine) -> list[Span]:
    """Return the spans of one source of many, all of whose rows a task holds at once."""
    return _large([source], [selection], engine.jobs, HELD_SECONDS)


class Cutting(NamedTuple):
    """How sources would be cut, without reading their rows.

    Parameters
    ----------
    spans : int, optional
        None if parts are read by themselves, and their rows are paired here.
    parts : tuple of int
        The parts of each source that tasks read; one that is needed by two of them is counted twice.
    exact : bool
        Whether these numbers are known, and not estimated because rows have yet to be counted.
    """

    spans: int | None
    parts: tuple[int, ...]
    exact: bool


def cutting_of(sources: Sequence[Source], selections: Sequence[Selection], jobs: int, *, distributed: bool) -> Cutting:
    """Return how sources would be cut for an engine."""
    parts = tuple(
        _part_count(source, selection, distributed=distributed)
        for source, selection in zip(sources, selections, strict=True)
    )
    if any(source.cuts() is None for source in sources):
        if distributed:
            fixed = [count for count, source in zip(parts, sources, strict=True) if not source.divisible]
            return Cutting(min(_number(sources, selections, jobs), *fixed), parts, exact=False)
        return Cutting(parts[0] if len(sources) == 1 else None, parts, exact=True)
    spans = _large(sources, selections, jobs) if distributed else _small(sources, selections)
    if spans is None or not (distributed or len(sources) == 1 or len(spans) >= jobs):
        return Cutting(None, parts, exact=True)
    read = [sum(len(span.parts[number]) for span in spans) for number in range(len(sources))]
    return Cutting(len(spans), tuple(read), exact=True)


def _part_count(source: Source, selection: Selection, *, distributed: bool) -> int:
    if distributed and isinstance(source, Countable) and source.streamed:
        return len(source.stretches())
    return len(source.parts(selection))


def cutting_alone(source: Source, selection: Selection, jobs: int) -> Cutting:
    """Return how one source of many would be cut, all of whose rows a task holds at once."""
    if source.cuts() is None:
        spans, parts = (
            _number([source], [selection], jobs, HELD_SECONDS),
            _part_count(source, selection, distributed=True),
        )
        return Cutting(spans if source.divisible else min(spans, parts), (parts,), exact=False)
    found = _large([source], [selection], jobs, HELD_SECONDS)
    return Cutting(len(found), (sum(len(span.parts[0]) for span in found),), exact=True)


def count_rows(sources: Sequence[Source], engine: Engine) -> None:
    """Have a distributed engine count the rows of sources that do not know them, in a first pass over these."""
    for source in sources:
        if isinstance(source, Countable):
            source.count(engine.run)


def _small(sources: Sequence[Source], selections: Sequence[Selection]) -> list[Span] | None:
    known = [source.cuts() or () for source in sources]
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


def _large(
    sources: Sequence[Source], selections: Sequence[Selection], jobs: int, longest: float = LONGEST_SECONDS
) -> list[Span]:
    """Return spans of a few seconds each; the last one has all parts that are left."""
    cuts = [source.cuts() or (0, 0) for source in sources]
    rows = min(each[-1] for each in cuts)
    fixed = [each for each, source in zip(cuts, sources, strict=True) if not source.divisible]
    starts = _starts(fixed, rows, _number(sources, selections, jobs, longest))
    by_source = [
        _overlapping(source, selection, each, starts)
        for source, selection, each in zip(sources, selections, cuts, strict=True)
    ]
    return [
        Span(tuple(parts), first, number) for number, (first, *parts) in enumerate(zip(starts, *by_source, strict=True))
    ]


def _number(
    sources: Sequence[Source], selections: Sequence[Selection], jobs: int, longest: float = LONGEST_SECONDS
) -> int:
    return number_of(sum(map(_seconds, sources, selections)), jobs, longest)


def number_of(seconds: float, jobs: int, longest: float = LONGEST_SECONDS) -> int:
    """Return how many spans there are of so many seconds of work: of a few each, or of less if all end earlier so."""
    fewest = max(1, round(seconds / max(SHORTEST_SECONDS, min(longest, seconds / (SPANS_PER_JOB * jobs)))))

    def end(number: int) -> float:
        return number * HANDED_SECONDS + ceil(number / jobs) * seconds / number

    return min(fewest, ceil(fewest / jobs) * jobs, max(fewest, isqrt(int(seconds / HANDED_SECONDS))), key=end)


def _seconds(source: Source, selection: Selection) -> float:
    """Estimate how long one core reads and scores a source."""
    if isinstance(source, Countable):
        return (source.work or 0) / BYTES_PER_SECOND
    numbers = 1
    for length in source.item or ():
        numbers *= length
    return (source.rows or 0) * (len(selection.numbers) + len(selection.labels) or numbers) / VALUES_PER_SECOND


def _starts(fixed: Sequence[Sequence[int]], rows: int, number: int) -> list[int]:
    """Return where this many spans begin, or fewer: where parts of all sources do, or those of the largest parts."""
    wished = [rows * each // number for each in range(number)]
    if fixed:
        each_cut = sorted(map(set, fixed), key=len)
        common = each_cut[0].intersection(*each_cut)
        cuts = sorted(common if len(common) > number else each_cut[0])
        wished = [cuts[min(bisect_left(cuts, start), len(cuts) - 1)] for start in wished]
    return sorted({0, *(start for start in wished if start < rows)})


def _overlapping(
    source: Source, selection: Selection, cuts: Sequence[int], starts: Sequence[int]
) -> Iterator[Sequence[Part]]:
    """Yield the parts of a source, or what is needed of them, from each start to the next; at last all others."""
    parts = () if source.divisible else source.parts(selection)
    for start, stop in pairwise([*starts, None]):
        if source.divisible:
            yield source.parts(selection, range(start or 0, cuts[-1] if stop is None else stop))
            continue
        first = bisect_left(cuts, start or 0)
        last = len(parts) if stop is None else bisect_left(cuts, stop)
        # A part before the first one may reach into the span, and the last one beyond it.
        before = first - 1 if first and cuts[first] > (start or 0) else first
        yield [
            _needed(parts[number], cuts[number], cuts[number + 1], start or 0, stop) for number in range(before, last)
        ]


def _needed(part: Part, begin: int, end: int, start: int, stop: int | None) -> Part:
    """Return what is needed of a part with the rows from `begin` to `end`: those from `start` to `stop`."""
    if start <= begin and (stop is None or end <= stop):
        return part
    return Cut(part, max(0, start - begin), (end if stop is None else min(end, stop)) - begin)


class Cut(NamedTuple):
    """Rows of a part, from `start` up to, not including, `stop`. See `msecli.formats.base.Part`.

    Who reads the beginning of the part reads all of it, and tells what was found in it.
    """

    part: Part
    start: int
    stop: int

    def read(self) -> Iterator[Block]:
        """Yield the rows as they are read."""
        before = 0
        for block in self.part.read():
            start, stop = max(0, self.start - before), min(block.rows, self.stop - before)
            before += block.rows
            if not self.start:
                needed = block.slice(0, max(0, stop))
                yield needed._replace(warnings=block.warnings, work=block.work, begin=block.begin)
            elif start < stop:
                yield block.slice(start, stop)
            elif before >= self.stop:
                return
