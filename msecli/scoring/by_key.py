"""Rows paired by key by the workers of a distributed engine: dealt into buckets by their keys, and paired in these.

Every task reads a span of one file, and deals its rows by hashes of their keys, so that rows with equal keys are in the
same bucket. What is told of all spans decides how labels are compared; then each bucket pairs its rows as
`msecli.pairing.keys` pairs those of whole files, and works on them in the order of the prediction file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, reduce
from itertools import chain
from math import ceil, isqrt, prod
from operator import and_
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np

from msecli.core.exact import IntArray
from msecli.engines import Engine, Exchanger
from msecli.errors import DataError
from msecli.formats.base import Block, Selection, shape_of
from msecli.pairing.hashes import Written, dealt, hashes_of, share_of_different
from msecli.pairing.keys import Held, Matched, aligned_rows, any_missing, dense_codes, mixed_types, pair, rows_per_block
from msecli.pairing.labels import codes_by, codes_of, common_kind, joined_labels, kind_of, of_kind
from msecli.pairing.lookup import Names
from msecli.pairing.position import Aligned, Difference, Read, Stream, compared, differs
from msecli.pairing.unpaired import SKIP, Keyless, Lone, Repeated, refuse_keyless, refuse_repeated, refuse_unmatched
from msecli.scoring.ledger import Ledger
from msecli.scoring.plan import Plan
from msecli.scoring.side_by_side import Join, of_source
from msecli.scoring.spans import Span, spans_alone

T = TypeVar("T")

BUCKET_BYTES = 64 << 20
"""The rows of a bucket, which a worker holds a few times over."""
BUCKETS_PER_JOB = 1
HANDED_BYTES = 400_000
"""What a worker does of a bucket while one of its pieces is handed out, roughly."""
ROW_BYTES, VALUE_BYTES, LABEL_BYTES = 8, 8, 16
"""What a row takes in a bucket: its number, its values, and its labels, roughly."""
DEALT = 0.7
"""The share of the work that is done when all rows are dealt, roughly."""
FEWEST_KEYS = 0.5
"""If fewer of a span's rows than this have different keys, most of the others are left out: they are an error."""

Item = tuple[int, Span]
"""A file's number, and a span of it."""


class Seen(NamedTuple):
    """What is told of some rows of a file: what was read, rows without a key, and the labels of keys and others."""

    read: Read
    keyless: Keyless
    keys: tuple[Written, ...]
    kinds: Mapping[str, frozenset[str]]

    def joined(self, later: Self) -> Self:
        """Return what is told of these rows and of later ones."""
        return type(self)(
            self.read.joined(later.read),
            self.keyless.joined(later.keyless),
            tuple(map(Written.joined, self.keys, later.keys)),
            {name: kinds | later.kinds[name] for name, kinds in self.kinds.items()},
        )


Told = dict[int, Seen]
"""What is told of some rows, by the number of their file."""


def joined_told(left: Told, right: Told) -> Told:
    """Return what is told of some rows and of later ones."""
    both = {file: left[file].joined(right[file]) for file in left.keys() & right.keys()}
    return left | right | both


class Piece(NamedTuple):
    """Rows of a file for a bucket: their numbers in the file, and what was read of them."""

    file: int
    rows: IntArray
    block: Block


class Deal(NamedTuple):
    """Deals the rows of spans into buckets by their keys, or of equal keys only one row."""

    paths: tuple[str, ...]
    keys: tuple[Names, ...]
    buckets: int
    distinct: bool = False

    def deal(self, item: Item) -> tuple[Told, Sequence[Piece | None]]:
        """Return what is told of a span, and a piece for each bucket."""
        file, span = item
        stream = Stream(self.paths[file], of_source(file, chain.from_iterable(part.read() for part in span.parts[0])))
        held, keys, first_row = Held(stream), self.keys[file], span.first_row or 0
        hashes, written = hashes_of([held.labels[name] for name in keys])
        absent = any_missing(held, keys)
        kinds = {name: frozenset({kind_of(labels)}) for name, labels in held.labels.items()}
        seen = Seen(stream.take(), Keyless.of(absent, first_row), written, kinds)
        rows = np.arange(held.rows) if absent is None else np.flatnonzero(~absent)
        if self.distinct:
            rows = _ends_of_keys(held, keys, rows)[0]
        elif rows.size and share_of_different(hashes[rows]) < FEWEST_KEYS:
            rows = np.unique(np.concatenate(_ends_of_keys(held, keys, rows)))
        return {file: seen}, [
            Piece(file, first_row + chosen, held.take(chosen)) if chosen.size else None
            for chosen in dealt(rows, hashes, self.buckets)
        ]


def _ends_of_keys(held: Held, keys: Names, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Return the first and the last of these rows with each key."""
    codes = np.zeros(held.rows, dtype=np.int64)
    for name in keys:
        more = codes_of(held.labels[name])[0]
        codes = codes_of(codes * (int(more.max(initial=0)) + 1) + more)[0]
    codes = codes[rows]
    last = len(rows) - 1 - np.unique(codes[::-1], return_index=True)[1]
    return rows[np.unique(codes, return_index=True)[1]], rows[last]


class Bucketed(NamedTuple, Generic[T]):
    """What is found in a bucket: the results of its rows, and what keeps rows from being paired."""

    results: tuple[T, ...]
    rows: int = 0
    repeated: tuple[Repeated, ...] = (Repeated(), Repeated())
    lone: tuple[Lone, ...] = ()
    differences: tuple[Difference | None, ...] = ()
    """The first difference in each checked column."""
    step: int = 0
    """How many rows were compared at once."""


def joined_buckets(join: Join[T] | None, left: Bucketed[T], right: Bucketed[T]) -> Bucketed[T]:
    """Return what is found in two buckets; without `join` they keep their results."""
    results = (*left.results, *right.results)
    return Bucketed(
        results if join is None or len(results) < 2 else (reduce(join, results),),
        left.rows + right.rows,
        tuple(map(Repeated.joined, left.repeated, right.repeated)),
        tuple(map(Lone.joined, left.lone, right.lone)) if left.lone and right.lone else left.lone or right.lone,
        _first_differences(left.differences, right.differences),
        max(left.step, right.step),
    )


def _first_differences(
    left: tuple[Difference | None, ...], right: tuple[Difference | None, ...]
) -> tuple[Difference | None, ...]:
    if not (left and right):
        return left or right
    pairs = ([each for each in both if each is not None] for both in zip(left, right, strict=True))
    return tuple(min(found, key=lambda each: each[0], default=None) for found in pairs)


class Pairing(NamedTuple, Generic[T]):
    """Pairs the rows of a bucket, and works on them; `values` says what the labels of each key are compared by."""

    plan: Plan
    work: Callable[[Aligned], T]
    join: Join[T] | None
    kinds: tuple[Mapping[str, str], ...]
    values: Mapping[str, str | None]

    def __call__(self, pieces: Sequence[Piece]) -> Iterator[Bucketed[T]]:
        """Yield what is found in a bucket."""
        if not pieces:
            yield Bucketed(())
            return
        plan, on = self.plan, self.plan.roles.on
        prediction, target = files = self._held(pieces, 0), self._held(pieces, 1)
        found = pair(prediction, target, on, self._codes)
        nothing = Bucketed[T]((), found.rows, found.repeated)
        if any(each.keys for each in found.repeated):
            yield nothing
        elif plan.request.unmatched != "skip" and not found.rows == prediction.rows == target.rows:
            yield nothing._replace(lone=found.unmatched(prediction, target, on))
        else:
            for file, held in enumerate(files):
                held.keep_labels((*plan.roles.labels(file), *(on if plan.names_rows else ())))
            results: tuple[T, ...] = ()
            differences: tuple[Difference | None, ...] = ()
            for rows in aligned_rows(prediction, target, found):
                more = tuple(each.difference for each in compared(rows, plan.roles.checked))
                differences = _first_differences(differences, more)
                results = (*results, self.work(rows))
                if self.join is not None:
                    results = (reduce(self.join, results),)
            yield nothing._replace(results=results, differences=differences, step=rows_per_block(files))

    def _held(self, pieces: Sequence[Piece], file: int) -> Held:
        """Return the rows of a file, with labels of the types that they have in the whole file."""
        plan, own = self.plan, [piece for piece in pieces if piece.file == file]
        names = dict(zip(plan.roles.on, plan.roles.keys[file], strict=True))
        path = plan.sources[file].path
        if not own:
            nothing = np.empty(0, dtype=np.int64)
            return Held.of(path, Block(0, {}, dict.fromkeys([*names, *names.values()], nothing)), nothing)
        blocks = [piece.block for piece in own]
        numbers = {name: np.concatenate([block.numbers[name] for block in blocks]) for name in blocks[0].numbers}
        labels = {
            name: of_kind(joined_labels([block.labels[name] for block in blocks]), kind)
            for name, kind in self.kinds[file].items()
        }
        rows = np.concatenate([piece.rows for piece in own])
        return Held.of(path, Block(len(rows), numbers, labels), rows).naming(names)

    def _codes(self, prediction: Held, target: Held, name: str) -> tuple[IntArray, IntArray]:
        columns, value = (prediction.labels[name], target.labels[name]), self.values[name]
        dense = dense_codes(*columns) if value is None else None
        if dense is not None:
            return dense
        codes = codes_by(*columns, value)
        return codes[: prediction.rows], codes[prediction.rows :]


def each_by_key(
    plan: Plan, engine: Engine, ledger: Ledger, work: Callable[[Aligned], T], join: Join[T] | None
) -> Iterator[T]:
    """Pair the rows of both files by key, and yield the results of work on them, in any order.

    Raises
    ------
    DataError
        If a file is damaged, has duplicate keys, or, unless they are skipped, keys without a match.
    ReadWriteError
        If a file cannot be read.
    """
    on, sides, skip = plan.roles.on, ledger.sides(), plan.request.unmatched == "skip"
    advice = SKIP
    told, run = _exchange(plan, engine, plan.roles.keys, progress=lambda share: ledger.tell(DEALT * share))
    seen = [told[file] for file in range(len(sides))]
    rows = [each.read.rows for each in seen]
    if not skip:
        refuse_keyless(sides, on, [each.keyless for each in seen], advice)
    ways = {
        name: _compared_by(ours, theirs, partial(_same_texts, plan, engine, number))
        for number, (name, ours, theirs) in enumerate(zip(on, seen[0].keys, seen[1].keys, strict=True))
    }
    kinds = tuple({name: common_kind(kinds) for name, kinds in each.kinds.items()} for each in seen)
    pairing = Pairing(plan, work, join, kinds, {name: value for name, (value, _) in ways.items()})
    joined = partial(joined_buckets, join)
    found = run(pairing, joined if join is not None else None, lambda share: ledger.tell(DEALT + (1 - DEALT) * share))
    whole: Bucketed[T] = reduce(joined, found)
    refuse_repeated(sides, on, whole.repeated)
    if whole.lone:
        refuse_unmatched(sides, on, whole.lone, rows, advice)
    _refuse_differences(plan, ledger, whole)
    for file, each in enumerate(seen):
        ledger.count(file, each.read)
    warnings = [mixed_types(sides[0].path, name) for name, (_, mixed) in ways.items() if mixed]
    ledger.warnings.add(warnings)
    unmatched = [count - whole.rows for count in rows]
    ledger.matched = Matched(np.empty(0, dtype=np.int64), whole.rows, unmatched[0], unmatched[1], tuple(warnings))
    yield from whole.results


def _exchange(
    plan: Plan,
    engine: Engine,
    keys: tuple[Names, ...],
    *,
    distinct: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[Told, Callable[..., Iterator[Any]]]:
    """Deal the rows of both files by these keys; of equal keys only one row, and only these columns of it."""
    assert isinstance(engine, Exchanger)  # noqa: S101 - a distributed engine is one
    selections = [Selection((), names) if distinct else plan.roles.selection(file) for file, names in enumerate(keys)]
    items = [
        (file, span)
        for file, (source, selection) in enumerate(zip(plan.sources, selections, strict=True))
        for span in spans_alone(source, selection, engine)
    ]
    size = sum(
        (source.cuts() or (0,))[-1] * _row_bytes(plan, file, selection)
        for file, (source, selection) in enumerate(zip(plan.sources, selections, strict=True))
    )
    # More of them keep more workers busy, but each is made of a piece of every item.
    most = isqrt(size // (len(items) * HANDED_BYTES))
    buckets = max(1, ceil(size / BUCKET_BYTES), min(BUCKETS_PER_JOB * engine.jobs, most))
    dealing = Deal(tuple(source.path for source in plan.sources), keys, buckets, distinct)
    return engine.exchange(dealing.deal, items, joined_told, buckets, progress)


def _row_bytes(plan: Plan, file: int, selection: Selection) -> int:
    source = plan.sources[file]
    values = (
        sum(prod(shape_of(source, name)) for name in selection.numbers) if source.columns else prod(source.item or ())
    )
    return ROW_BYTES + VALUE_BYTES * values + LABEL_BYTES * len(selection.labels)


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


def _same_texts(plan: Plan, engine: Engine, column: int) -> bool:
    """Tell whether a column of keys holds the same texts in both files, in a pass over it."""
    keys = tuple((names[column],) for names in plan.roles.keys)
    _, run = _exchange(plan, engine, keys, distinct=True)
    return all(run(partial(_same_in_bucket, keys), and_))


def _same_in_bucket(keys: tuple[Names, ...], pieces: Sequence[Piece]) -> Iterator[bool]:
    texts: tuple[set[str], ...] = (set(), set())
    for piece in pieces:
        texts[piece.file].update(map(str, piece.block.labels[keys[piece.file][0]].tolist()))
    yield texts[0] == texts[1]


def _refuse_differences(plan: Plan, ledger: Ledger, whole: Bucketed[Any]) -> None:
    """Refuse the difference that comes first where rows are compared in the order of the prediction file."""
    found = [
        (each[0][0] // whole.step, number, each) for number, each in enumerate(whole.differences) if each is not None
    ]
    if found:
        _, number, difference = min(found)
        raise DataError(differs(ledger.sides(), plan.roles.checked[number], difference))
