"""Files whose rows are paired by key elsewhere, and their rows dealt into buckets by hashes of their keys.

Every task reads a span of one file, and deals its rows so that those with equal keys are in the same bucket, whichever
file they are of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from math import ceil, isqrt, prod
from operator import and_
from typing import Self

import numpy as np

from msecli.arrays import IntArray
from msecli.engines import Engine, Exchange, Exchanger, untold
from msecli.formats.base import Block, Selection, Source, shape_of
from msecli.pairing.hashes import Written, dealt, hashes_of, share_of_different
from msecli.pairing.keys import Held, any_missing
from msecli.pairing.labels import codes_of, kind_of
from msecli.pairing.lookup import Names
from msecli.pairing.position import Read, Stream
from msecli.pairing.roles import Shared
from msecli.pairing.unpaired import Keyless
from msecli.scoring.side_by_side import of_source
from msecli.scoring.spans import Span, spans_alone
from msecli.tuples import NamedTuple

BUCKET_BYTES = 64 << 20
"""The rows of a bucket, which a worker holds a few times over."""
BUCKETS_PER_JOB = 1
HANDED_BYTES = 400_000
"""What a worker does of a bucket while one of its pieces is handed out, roughly."""
ROW_BYTES, VALUE_BYTES, LABEL_BYTES = 8, 8, 16
"""What a row takes in a bucket: its number, its values, and its labels, roughly."""
FEWEST_KEYS = 0.5
"""If fewer of a span's rows than about this have different keys, most of the others are left out: they are an error."""

Item = tuple[int, Span]
"""A file's number, and a span of it."""


class Link(NamedTuple):
    """A file of predictions whose rows are paired with those of the targets.

    Parameters
    ----------
    file : int
    keys : (tuple of str, tuple of str)
        The columns of the keys there and in the file of the targets.
    checked : sequence of Shared
        Columns whose labels must agree.
    """

    file: int
    keys: tuple[Names, ...]
    checked: Sequence[Shared] = ()

    @property
    def on(self) -> Names:
        """The names of the keys: those of the file of predictions."""
        return self.keys[0]


class Keyed(NamedTuple):
    """Files whose rows are paired by key.

    Parameters
    ----------
    sources : tuple of Source
    selections : tuple of Selection
        What is read from each.
    links : tuple of Link
        All files but that of the targets; the columns of keys there are the same for all of them.
    target : int
        The number of that file.
    leader : int
        The file in whose order the rows follow each other.
    kept : tuple of tuple of str
        The labels of each file that are needed of paired rows.
    skip : bool
        Whether keys without a match are left out.
    """

    sources: tuple[Source, ...]
    selections: tuple[Selection, ...]
    links: tuple[Link, ...]
    target: int
    leader: int
    kept: tuple[Names, ...]
    skip: bool

    @property
    def keys(self) -> tuple[Names, ...]:
        """The columns of the keys in each file."""
        found = {link.file: link.keys[0] for link in self.links} | {self.target: self.links[0].keys[1]}
        return tuple(found[file] for file in range(len(self.sources)))

    @property
    def files(self) -> tuple[int, ...]:
        """All files, as they are read: first the one in whose order rows follow each other."""
        return (self.leader, *(file for file in range(len(self.sources)) if file != self.leader))


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


def held_bytes(source: Source, selection: Selection, rows: int) -> int:
    """Return how much memory rows of a source take in buckets."""
    values = (
        sum(prod(shape_of(source, name)) for name in selection.numbers) if source.columns else prod(source.item or ())
    )
    return rows * (ROW_BYTES + VALUE_BYTES * values + LABEL_BYTES * len(selection.labels))


def bucket_count(held: int, items: int, jobs: int) -> int:
    """Return into how many buckets to deal items with rows that take this much memory, so that each fits into it."""
    # More of them keep more workers busy, but each is made of a piece of every item.
    most = isqrt(held // (items * HANDED_BYTES))
    return max(1, ceil(held / BUCKET_BYTES), min(BUCKETS_PER_JOB * jobs, most))


def exchanged(keyed: Keyed, engine: Engine, progress: Callable[[float], None] = untold) -> Exchange[Told]:
    """Deal the rows of all files by their keys."""
    selections = dict(enumerate(keyed.selections))
    return _exchanged(keyed, engine, {file: selections[file] for file in keyed.files}, keyed.keys, progress=progress)


def same_texts(keyed: Keyed, engine: Engine, link: Link, column: int) -> bool:
    """Tell whether a column of keys holds the same texts in a file and in that of the targets, in a pass over it."""
    columns = {file: (names[column],) for file, names in zip((link.file, keyed.target), link.keys, strict=True)}
    selections = {file: Selection((), names) for file, names in columns.items()}
    keys = tuple(columns.get(file, ()) for file in range(len(keyed.sources)))
    told = _exchanged(keyed, engine, selections, keys, distinct=True)
    return all(told.run(partial(_same_in_bucket, columns), and_))


def _exchanged(
    keyed: Keyed,
    engine: Engine,
    selections: Mapping[int, Selection],
    keys: tuple[Names, ...],
    *,
    distinct: bool = False,
    progress: Callable[[float], None] = untold,
) -> Exchange[Told]:
    assert isinstance(engine, Exchanger)  # noqa: S101 - a distributed engine is one
    sources = {file: keyed.sources[file] for file in selections}
    items = [
        (file, span) for file, selection in selections.items() for span in spans_alone(sources[file], selection, engine)
    ]
    rows = {file: (source.cuts() or (0,))[-1] for file, source in sources.items()}
    held = sum(held_bytes(source, selections[file], rows[file]) for file, source in sources.items())
    buckets = bucket_count(held, len(items), engine.jobs)
    dealing = Deal(tuple(source.path for source in keyed.sources), keys, buckets, distinct)
    return engine.exchange(dealing.deal, items, joined_told, buckets, progress)


def _same_in_bucket(columns: Mapping[int, Names], pieces: Sequence[Piece]) -> Iterator[bool]:
    texts: dict[int, set[str]] = {file: set() for file in columns}
    for piece in pieces:
        texts[piece.file].update(map(str, piece.block.labels[columns[piece.file][0]].tolist()))
    ours, theirs = texts.values()
    yield ours == theirs
