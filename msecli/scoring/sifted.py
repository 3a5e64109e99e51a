"""Work on those of the rows that are to be worked on, wherever they are paired."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, reduce
from itertools import accumulate
from typing import Generic, TypeVar

import numpy as np

from msecli.pairing.position import Aligned
from msecli.scoring.side_by_side import Begin, Join, Keep, Sift

T = TypeVar("T")

Sifted = tuple[T | None, int, int]
"""The result of the rows to work on, if there are any, how many are left out, and of how many it is not known."""


def of_sifted(sift: Sift, work: Callable[[Aligned], T], rows: Aligned) -> Sifted[T]:
    """Work on those of the rows that are to be worked on."""
    kept, left_out, unknown = sift(rows)
    return work(kept) if kept.rows else None, left_out, unknown


def joined_sifted(join: Join[T], left: Sifted[T], right: Sifted[T]) -> Sifted[T]:
    """Join the results for some rows and for the next ones."""
    found = [each[0] for each in (left, right) if each[0] is not None]
    return reduce(join, found) if found else None, left[1] + right[1], left[2] + right[2]


@contextmanager
def kept_of_sifted(keep: Keep[T], number: int) -> Iterator[Callable[[Sifted[T]], Sifted[T]]]:
    """Keep what stays of the results."""
    with keep(number) as taken:
        yield lambda found: found if found[0] is None else (taken(found[0]), *found[1:])


def renumbered(rows: Aligned, first_row: int) -> Aligned:
    """Return some of the rows of files, numbered among those to work on; messages name them by their old numbers."""
    numbers = rows.row_numbers or (rows.first_row + np.arange(rows.rows),) * len(rows.blocks)
    return rows._replace(first_row=first_row, row_numbers=numbers)


class _InSpan(Generic[T]):
    """Works on those of the rows of a span, block after block, of which this many come before it."""

    def __init__(self, sift: Sift, work: Callable[[Aligned], T], before: int) -> None:
        self._sift, self._work, self._before = sift, work, before

    def __call__(self, rows: Aligned) -> Sifted[T]:
        found = of_sifted(self._sift, self._numbered, rows)
        self._before += rows.rows - found[1]
        return found

    def _numbered(self, kept: Aligned) -> T:
        return self._work(renumbered(kept, self._before))


def of_numbered(sift: Sift, work: Callable[[Aligned], T], counts: Mapping[int, int]) -> Begin[Sifted[T]]:
    """Return the work on those of the rows of spans, given how many of these there are in each span by its number."""
    spans = sorted(counts)
    before = dict(zip(spans, accumulate((counts[span] for span in spans), initial=0), strict=False))
    return partial(_begun, sift, work, before)


def _begun(
    sift: Sift, work: Callable[[Aligned], T], before: Mapping[int, int], number: int
) -> Callable[[Aligned], Sifted[T]]:
    return _InSpan(sift, work, before.get(number, 0))


def counting(sift: Sift, number: int) -> Callable[[Aligned], dict[int, int]]:
    """Return what counts those of the rows of a span, by its number."""
    return partial(_counted, sift, number)


def _counted(sift: Sift, number: int, rows: Aligned) -> dict[int, int]:
    return {number: sift(rows)[0].rows}


def joined_counts(left: Mapping[int, int], right: Mapping[int, int]) -> dict[int, int]:
    """Return how many rows there are in each of some spans, and of later ones."""
    return {**left, **{number: left.get(number, 0) + count for number, count in right.items()}}
