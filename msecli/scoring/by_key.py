"""Rows paired by key by the workers of a distributed engine, which have dealt them into buckets.

What is told of all files decides how labels are compared; then each bucket pairs its rows. It also works on them,
unless the work needs to know the rows before them: then buckets deal what they have paired into ranges of successive
rows, and these are worked on in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial, reduce
from math import ceil
from typing import Generic, TypeVar

import numpy as np

from msecli.arrays import IntArray
from msecli.engines import Engine
from msecli.errors import DataError, Warned
from msecli.pairing.hashes import Written
from msecli.pairing.keys import Held, Matched, mixed_types, rows_per_block
from msecli.pairing.labels import common_kind
from msecli.pairing.position import Aligned, Side, differs, joined_blocks
from msecli.pairing.unpaired import refuse_keyless, refuse_repeated, refuse_unmatched
from msecli.scoring.buckets import Keyed, Link, Piece, Seen, bucket_count, exchanged, held_bytes, same_texts
from msecli.scoring.ledger import Ledger
from msecli.scoring.matching import Facts, LinkFacts, Pairing
from msecli.scoring.side_by_side import Join, Keep, Sift
from msecli.tuples import NamedTuple

T = TypeVar("T")

DEALT, DEALT_AGAIN = 0.7, 0.85
"""The shares of the work that are done when all rows are dealt, once and twice, roughly."""


class Found(NamedTuple):
    """What is known of all files when all rows are paired.

    Parameters
    ----------
    keyed : Keyed
    sides : sequence of Side
        The files as messages name them.
    seen : tuple of Seen
        What is told of each.
    facts : Facts
    warnings : tuple of tuple of Warned
        For each link.
    """

    keyed: Keyed
    sides: Sequence[Side]
    seen: tuple[Seen, ...]
    facts: Facts
    warnings: tuple[tuple[Warned, ...], ...]

    def matched(self, file: int, advice: str) -> Matched:
        """Return how the rows of a file of predictions match; `advice` is what to do about keys without a match.

        Raises
        ------
        DataError
            If it or the targets have duplicate keys, or, unless they are skipped, keys without a match.
        """
        number, link = next(pair for pair in enumerate(self.keyed.links) if pair[1].file == file)
        facts = self.facts.links[number] if self.facts.links else LinkFacts()
        both = (file, self.keyed.target)
        sides, seen = [self.sides[each] for each in both], [self.seen[each] for each in both]
        rows = [each.read.rows for each in seen]
        if not self.keyed.skip:
            refuse_keyless(sides, link.on, [each.keyless for each in seen], advice)
        refuse_repeated(sides, link.on, facts.repeated)
        if facts.lone:
            refuse_unmatched(sides, link.on, facts.lone, rows, advice)
        _refuse_differences(sides, link, facts)
        ours, theirs = (count - facts.rows for count in rows)
        return Matched(np.empty(0, dtype=np.int64), facts.rows, ours, theirs, self.warnings[number])


def _refuse_differences(sides: Sequence[Side], link: Link, facts: LinkFacts) -> None:
    """Refuse the difference that comes first where rows are compared in the order of the prediction file."""
    found = [
        (each[0][0] // facts.step, number, each) for number, each in enumerate(facts.differences) if each is not None
    ]
    if found:
        _, number, difference = min(found)
        raise DataError(differs(sides, link.checked[number], difference))


class Bucketed(NamedTuple, Generic[T]):
    """The results of the rows of some buckets, and what is found of them."""

    results: tuple[T, ...]
    facts: Facts


def joined_buckets(join: Join[T] | None, left: Bucketed[T], right: Bucketed[T]) -> Bucketed[T]:
    """Return what is found in these buckets; without `join` they keep their results."""
    results = (*left.results, *right.results)
    return Bucketed(
        results if join is None or len(results) < 2 else (reduce(join, results),), left.facts.joined(right.facts)
    )


def _in_bucket(pairing: Pairing, work: Callable[[Aligned], T], pieces: Sequence[Piece]) -> Iterator[Bucketed[T]]:
    """Pair the rows of a bucket, and work on them."""
    for facts, rows in pairing.each(pieces):
        yield Bucketed(() if rows is None else (work(rows),), facts)


class Ranges(NamedTuple):
    """Ranges of so many successive rows of the leading file, of which some are paired."""

    leader: int
    number: int
    size: int

    def of(self, rows: Aligned) -> IntArray:
        """Return the range of each of these rows."""
        assert rows.row_numbers is not None  # noqa: S101 - of rows that are paired by key
        found: IntArray = rows.row_numbers[self.leader] // self.size
        return found

    def deal(
        self, pairing: Pairing, pieces: Sequence[Piece]
    ) -> tuple[tuple[Facts, IntArray], list[list[Aligned] | None]]:
        """Pair the rows of a bucket; return what is found of them, how many are in each range, and these."""
        found, dealt = Facts(), [list[Aligned]() for _ in range(self.number)]
        for facts, rows in pairing.each(pieces):
            found = found.joined(facts)
            if rows is None:
                continue
            numbers, starts = np.unique(self.of(rows), return_index=True)
            for number, chosen in zip(numbers.tolist(), np.split(np.arange(rows.rows), starts[1:]), strict=True):
                dealt[number].append(rows.take(chosen))
        counts = np.array([sum(rows.rows for rows in each) for each in dealt], dtype=np.int64)
        return (found, counts), [each or None for each in dealt]

    def work(
        self,
        work: Callable[[Aligned], T],
        before: IntArray,
        keep: Keep[T] | None,
        dealt: Sequence[Sequence[Aligned]],
    ) -> Iterator[T]:
        """Work on the rows of a range in order; `before` tells how many rows are before those of each range."""
        pieces = [rows for each in dealt for rows in each]
        if not pieces:
            return
        number = int(self.of(pieces[0])[0])
        with nullcontext(_same) if keep is None else keep(number) as taken:
            for rows in self._ordered(pieces, int(before[number])):
                yield taken(work(rows))

    def _ordered(self, pieces: Sequence[Aligned], first_row: int) -> Iterator[Aligned]:
        numbers = [np.concatenate(each) for each in zip(*(rows.row_numbers or () for rows in pieces), strict=True)]
        files = [
            Held.of("", joined_blocks(blocks), own)
            for blocks, own in zip(zip(*(rows.blocks for rows in pieces), strict=True), numbers, strict=True)
        ]
        order, step = np.argsort(numbers[self.leader], kind="stable"), rows_per_block(files)
        for start in range(0, order.size, step):
            chosen = order[start : start + step]
            yield Aligned(
                first_row + start,
                tuple(held.take(chosen) for held in files),
                tuple(held.numbered(chosen) for held in files),
            )


def _same(found: T) -> T:
    return found


def _joined_counts(left: tuple[Facts, IntArray], right: tuple[Facts, IntArray]) -> tuple[Facts, IntArray]:
    return left[0].joined(right[0]), left[1] + right[1]


def each_by_key(
    keyed: Keyed,
    engine: Engine,
    ledger: Ledger,
    work: Callable[[Aligned], T],
    judge: Callable[[Found], None],
    *,
    join: Join[T] | None = None,
    sift: Sift | None = None,
    ordered: bool = False,
    keep: Keep[T] | None = None,
) -> Iterator[T]:
    """Pair the rows of files by key, and yield the results of work on those that all have.

    Parameters
    ----------
    keyed : Keyed
    engine : Engine
    ledger : Ledger
    work : callable
        From aligned rows to a result.
    judge : callable
        Called when all rows are paired, before results are yielded, to refuse them, or to note how they match.
    join : callable, optional
        From the results of some rows and of the next ones to one of all of them.
    sift : callable, optional
        Chooses some of the paired rows to work on.
    ordered : bool
        Whether the rows are numbered, and the results are in their order; otherwise they are in any order.
    keep : callable, optional
        Takes from the results what is to stay where rows are, range by range, if they are ordered.

    Raises
    ------
    DataError
        If a file is damaged, or `judge` raises it.
    ReadWriteError
        If a file cannot be read.
    """
    sides = ledger.sides()
    dealt = exchanged(keyed, engine, lambda share: ledger.tell(DEALT * share))
    seen = tuple(dealt.told[file] for file in range(len(sides)))
    ways = [
        {
            name: _compared_by(ours, theirs, partial(same_texts, keyed, engine, link, number))
            for number, (name, ours, theirs) in enumerate(
                zip(link.on, seen[link.file].keys, seen[keyed.target].keys, strict=True)
            )
        }
        for link in keyed.links
    ]
    warnings = tuple(
        tuple(mixed_types(sides[link.file].path, name) for name, (_, mixed) in each.items() if mixed)
        for link, each in zip(keyed.links, ways, strict=True)
    )
    kinds = tuple({name: common_kind(kinds) for name, kinds in each.kinds.items()} for each in seen)
    pairing = Pairing(keyed, kinds, tuple({name: value for name, (value, _) in each.items()} for each in ways), sift)

    def note(facts: Facts) -> None:
        for file, each in enumerate(seen):
            ledger.count(file, each.read, tell=False)
        judge(Found(keyed, sides, seen, facts, warnings))

    if not ordered:
        done = partial(_tell, ledger, DEALT, 1.0)
        joined = partial(joined_buckets, join)
        found: Bucketed[T] = reduce(joined, dealt.run(partial(_in_bucket, pairing, work), joined, done))
        note(found.facts)
        yield from found.results
        return
    rows = seen[keyed.leader].read.rows
    kept = (each._replace(labels=labels) for each, labels in zip(keyed.selections, keyed.kept, strict=True))
    held = sum(held_bytes(*each, rows) for each in zip(keyed.sources, kept, strict=True))
    number = bucket_count(held, dealt.buckets, engine.jobs)
    ranges = Ranges(keyed.leader, number, ceil(rows / number))
    again = dealt.exchange(
        partial(ranges.deal, pairing), _joined_counts, number, partial(_tell, ledger, DEALT, DEALT_AGAIN)
    )
    facts, counts = again.told
    note(facts)
    before = np.cumsum(counts) - counts
    yield from again.run(partial(ranges.work, work, before, keep), join, partial(_tell, ledger, DEALT_AGAIN, 1.0))


def _tell(ledger: Ledger, begun: float, ended: float, share: float) -> None:
    """Tell how much of all is done, if so much of what follows a share of it is."""
    ledger.tell(begun + (ended - begun) * share)


def _compared_by(ours: Written, theirs: Written, same_texts: Callable[[], bool]) -> tuple[str | None, bool]:
    """Return what a column of keys is compared by, as `msecli.pairing.labels.common_codes` does, None for its labels.

    Also whether it is text in one file and numbers in the other, and not compared by value.
    """
    mixed = (ours.kind == "string") != (theirs.kind == "string")
    if ours.kind == theirs.kind != "string":
        return None, False
    both = ours.joined(theirs)
    if not both.ways or not (both.decimal or both.instant):
        return None, mixed
    if both.one_to_one and not mixed:
        return None, False  # by value would be the same
    alike = ours.ways == theirs.ways and ours.missing == theirs.missing
    if alike and same_texts():
        return None, mixed
    return "decimal" if both.decimal else "instant", False
