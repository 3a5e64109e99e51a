"""The rows of buckets, matched by key as `msecli.pairing.keys` matches those of whole files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Self

import numpy as np

from msecli.arrays import IntArray
from msecli.formats.base import Block
from msecli.pairing.keys import Held, Paired, aligned_rows, dense_codes, pair, rows_per_block
from msecli.pairing.labels import codes_by, of_kind
from msecli.pairing.position import Aligned, Difference, compared, joined_blocks
from msecli.pairing.unpaired import Lone, Repeated
from msecli.scoring.buckets import Keyed, Link, Piece
from msecli.scoring.side_by_side import Sift
from msecli.tuples import NamedTuple


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
        block = joined_blocks([piece.block for piece in own])
        labels = {name: of_kind(each, self.kinds[file][name]) for name, each in block.labels.items()}
        return Held.of(path, block._replace(labels=labels), np.concatenate([piece.rows for piece in own]))

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


def _codes(values: Mapping[str, str | None], ours: Held, theirs: Held, name: str) -> tuple[IntArray, IntArray]:
    columns, value = (ours.labels[name], theirs.labels[name]), values[name]
    dense = dense_codes(*columns) if value is None else None
    if dense is not None:
        return dense
    codes = codes_by(*columns, value)
    return codes[: ours.rows], codes[ours.rows :]


def _facts_of(link: Link, ours: Held, theirs: Held, paired: Paired, *, skip: bool) -> LinkFacts:
    facts = LinkFacts(paired.rows, paired.repeated, step=rows_per_block((ours, theirs)) if paired.rows else 0)
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
