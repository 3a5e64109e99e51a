"""Rows paired by key by the workers of a distributed engine, which have dealt them into buckets.

What is told of all files decides how labels are compared; then each bucket pairs its rows as `msecli.pairing.keys`
pairs those of whole files. It also works on them, unless the work needs to know the rows before them: then buckets deal
what they have paired into ranges of successive rows, and these are worked on in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial, reduce
from typing import Generic, NamedTuple, Self, TypeVar

import numpy as np

from msecli.core.exact import IntArray
from msecli.engines import Engine
from msecli.errors import DataError, Warned
from msecli.formats.base import Block
from msecli.pairing.hashes import Written
from msecli.pairing.keys import Held, Matched, Paired, aligned_rows, mixed_types, pair, rows_per_block
from msecli.pairing.labels import codes_by, common_kind, joined_labels, of_kind
from msecli.pairing.position import Aligned, Difference, Side, compared, differs
from msecli.pairing.unpaired import Lone, Repeated, refuse_keyless, refuse_repeated, refuse_unmatched
from msecli.scoring.buckets import Keyed, Link, Piece, Seen, buckets_of, exchanged, same_texts
from msecli.scoring.ledger import Ledger
from msecli.scoring.side_by_side import Join, Keep, Sift

T = TypeVar("T")

DEALT, DEALT_AGAIN = 0.7, 0.85
"""The shares of the work that are done when all rows are dealt, once and twice, roughly."""


class LinkFacts(NamedTuple):
    """What is found of a file of predictions and that of the targets in some buckets."""

    rows: int = 0
    repeated: tuple[Repeated, Repeated] = (Repeated(), Repeated())
    lone: tuple[Lone, ...] = ()
    """The keys of each file that the other lacks, if they are not left out."""
    differences: tuple[Difference | None, ...] = ()
    """The first difference in each checked column."""
    step: int = 0
    """How many rows were compared at once."""

    @property
    def pairs(self) -> bool:
        """Whether nothing keeps the rows from being paired."""
        return not (self.lone or any(each.keys for each in self.repeated))

    def joined(self, other: Self) -> Self:
        """Return what is found in these buckets and in others."""
        return type(self)(
            self.rows + other.rows,
            (self.repeated[0].joined(other.repeated[0]), self.repeated[1].joined(other.repeated[1])),
            tuple(map(Lone.joined, self.lone, other.lone)) if self.lone and other.lone else self.lone or other.lone,
            _first_differences(self.differences, other.differences),
            max(self.step, other.step),
        )


def _first_differences(
    left: tuple[Difference | None, ...], right: tuple[Difference | None, ...]
) -> tuple[Difference | None, ...]:
    if not (left and right):
        return left or right
    pairs = ([each for each in both if each is not None] for both in zip(left, right, strict=True))
    return tuple(min(found, key=lambda each: each[0], default=None) for found in pairs)


class Facts(NamedTuple):
    """What is found of rows: how each file pairs, how many rows there are, and how many do not meet a condition."""

    links: tuple[LinkFacts, ...] = ()
    rows: int = 0
    left_out: int = 0
    unknown: int = 0

    def joined(self, other: Self) -> Self:
        """Return what is found of these rows and of others."""
        both = bool(self.links and other.links)
        return type(self)(
            tuple(map(LinkFacts.joined, self.links, other.links)) if both else self.links or other.links,
            self.rows + other.rows,
            self.left_out + other.left_out,
            self.unknown + other.unknown,
        )


class Pairing(NamedTuple):
    """Pairs the rows of buckets.

    Parameters
    ----------
    keyed : Keyed
    kinds : tuple of mapping of str to str
        The types that the labels of each file have in the whole of it.
    values : tuple of mapping of str to str
        What the labels of each key are compared by, for each link.
    sift : callable, optional
        Chooses some of the paired rows.
    """

    keyed: Keyed
    kinds: tuple[Mapping[str, str], ...]
    values: tuple[Mapping[str, str | None], ...]
    sift: Sift | None

    def each(self, pieces: Sequence[Piece]) -> Iterator[tuple[Facts, Aligned | None]]:
        """Yield what is found of the rows of a bucket, and those that all files have, in order, some at a time."""
        if not pieces:
            yield Facts(), None
            return
        keyed = self.keyed
        files = [self._held(pieces, file) for file in range(len(keyed.sources))]
        target = files[keyed.target]
        facts: list[LinkFacts] = []
        found: dict[int, Paired] = {}
        for link, values in zip(keyed.links, self.values, strict=True):
            ours, theirs = files[link.file], target.naming(dict(zip(link.on, link.keys[1], strict=True)))
            found[link.file] = paired = pair(ours, theirs, link.on, partial(_codes, values))
            facts.append(_facts_of(link, ours, theirs, paired, skip=keyed.skip))
        yield Facts(tuple(facts)), None
        if all(each.pairs for each in facts):
            for rows in self._aligned(files, found):
                kept, left_out, unknown = (rows, 0, 0) if self.sift is None else self.sift(rows)
                yield Facts((), rows.rows, left_out, unknown), kept if kept.rows else None

    def _held(self, pieces: Sequence[Piece], file: int) -> Held:
        """Return the rows of a file, with labels of the types that they have in the whole file."""
        path, own = self.keyed.sources[file].path, [piece for piece in pieces if piece.file == file]
        if not own:
            nothing = np.empty(0, dtype=np.int64)
            return Held.of(path, Block(0, {}, dict.fromkeys(self.keyed.selections[file].labels, nothing)), nothing)
        block = _joined([piece.block for piece in own], self.kinds[file])
        return Held.of(path, block, np.concatenate([piece.rows for piece in own]))

    def _aligned(self, files: Sequence[Held], found: Mapping[int, Paired]) -> Iterator[Aligned]:
        """Yield the rows that all files have, in the order of the leading one."""
        keyed = self.keyed
        places: dict[int, IntArray]
        if keyed.leader == keyed.target:
            places = {file: _inverse(paired, files[keyed.target].rows) for file, paired in found.items()}
        else:
            places = {keyed.target: found[keyed.leader].position.astype(np.int64, copy=False)}
        common = np.flatnonzero(np.logical_and.reduce([place >= 0 for place in places.values()]))
        step = rows_per_block(files)
        for file, held in enumerate(files):
            held.keep_labels(keyed.kept[file])
        for start in range(0, common.size, step):
            chosen = common[start : start + step]
            rows = [places[file][chosen] if file in places else chosen for file in range(len(files))]
            yield Aligned(
                start,
                tuple(held.take(each) for held, each in zip(files, rows, strict=True)),
                tuple(held.numbered(each) for held, each in zip(files, rows, strict=True)),
            )


def _inverse(paired: Paired, targets: int) -> IntArray:
    """Return for every target row its prediction row, or -1."""
    rows = np.flatnonzero(paired.position >= 0)
    place = np.full(targets, -1, dtype=np.int64)
    place[paired.position[rows]] = rows
    return place


def _joined(blocks: Sequence[Block], kinds: Mapping[str, str]) -> Block:
    """Return blocks as one, with labels of these types."""
    first = blocks[0]
    numbers = {name: np.concatenate([block.numbers[name] for block in blocks]) for name in first.numbers}
    labels = {name: joined_labels([block.labels[name] for block in blocks]) for name in first.labels}
    labels = {name: of_kind(each, kinds[name]) if name in kinds else each for name, each in labels.items()}
    return Block(sum(block.rows for block in blocks), numbers, labels)


def _codes(values: Mapping[str, str | None], ours: Held, theirs: Held, name: str) -> tuple[IntArray, IntArray]:
    codes = codes_by(ours.labels[name], theirs.labels[name], values[name])
    return codes[: ours.rows], codes[ours.rows :]


def _facts_of(link: Link, ours: Held, theirs: Held, paired: Paired, *, skip: bool) -> LinkFacts:
    facts = LinkFacts(paired.rows, paired.repeated, step=rows_per_block((ours, theirs)))
    if not facts.pairs:
        return facts
    if not (skip or paired.rows == ours.rows == theirs.rows):
        return facts._replace(lone=paired.unmatched(ours, theirs, link.on))
    differences: tuple[Difference | None, ...] = ()
    if link.checked:
        columns = zip(*(shared.columns for shared in link.checked), strict=True)
        left, right = (held.only_labels(names) for held, names in zip((ours, theirs), columns, strict=True))
        for rows in aligned_rows(left, right, paired):
            more = tuple(each.difference for each in compared(rows, link.checked))
            differences = _first_differences(differences, more)
    return facts._replace(differences=differences)


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
            Held.of("", _joined(blocks, {}), own)
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
    number = buckets_of(keyed.sources, keyed.selections, engine.jobs)
    ranges = Ranges(keyed.leader, number, -(-seen[keyed.leader].read.rows // number))
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
