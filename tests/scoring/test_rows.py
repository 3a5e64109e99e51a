"""Chained parts: each begins where the one ahead of it ended, whatever it supposed.

The source here is a line of records, "a,bb,ccc", cut anywhere. What is expected is what `str.split` makes of the line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msecli.engines.local import LocalEngine
from msecli.errors import DataError, Warned
from msecli.formats.base import Block, Selection
from msecli.scoring.rows import blocks_of

MARK = ","


@dataclass(frozen=True)
class Records:
    """The records that begin between two places of a line; where the first one begins is supposed."""

    line: str
    start: int
    stop: int
    supposed: int
    read_from: Counter[int] = field(default_factory=Counter, compare=False)

    def beginning_at(self, position: int) -> Self:
        """Return the records from a place on that is known."""
        return replace(self, supposed=position)

    def read(self) -> Iterator[Block]:
        """Yield the lengths of the records, and where they began and ended; "x" is damage."""
        self.read_from[self.start] += 1
        lengths, place = [], self.supposed
        while place < self.stop:
            end = self.line.find(MARK, place)
            end = len(self.line) if end < 0 else end
            if "x" in self.line[place:end]:
                raise DataError(f"damage in the record at {place}")
            lengths.append(float(end - place))
            place = end + 1
        yield Block(len(lengths), {"length": np.array(lengths)}, begin=self.supposed, end=place)


class Line:
    """A source of chained parts."""

    path, format = "line", "line"
    columns, item, rows = None, None, None
    warnings: Sequence[Warned] = ()
    chained, divisible = True, False

    def __init__(self, line: str, cuts: Sequence[int], guesses: Sequence[int]) -> None:
        self.work = len(line)
        self.read_from: Counter[int] = Counter()
        borders = sorted({0, len(line) + 1, *(cut % (len(line) + 1) for cut in cuts)})
        self._parts = [
            # The first part knows where it begins; the others suppose some place behind their start.
            Records(line, start, stop, start and start + guess, self.read_from)
            for (start, stop), guess in zip(pairwise(borders), [0, *guesses, *[0] * len(borders)], strict=False)
        ]

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[Records]:
        """Return the parts."""
        return self._parts

    def cuts(self) -> None:
        """Say that the rows of parts are not known."""

    def verify(self) -> None:
        """Do nothing."""


def lengths(line: Line, jobs: int, seen: list[float] | None = None) -> list[float]:
    """Return the lengths of all records, as they are read."""
    found = [] if seen is None else seen
    with LocalEngine(jobs) as engine:
        source: Any = line
        for block in blocks_of(source, Selection(("length",)), engine):
            found += block.numbers["length"].tolist()
    return found


LINES = st.lists(st.text("ab", max_size=5), min_size=1, max_size=30).map(MARK.join)
CUTS = st.lists(st.integers(0, 200), max_size=8)
GUESSES = st.lists(st.integers(0, 7), max_size=8)


@settings(deadline=None)
@given(LINES, CUTS, GUESSES, st.sampled_from([1, 3]))
def test_all_records_are_read_once_and_in_order_whatever_parts_suppose(
    line: str, cuts: list[int], guesses: list[int], jobs: int
) -> None:
    assert lengths(Line(line, cuts, guesses), jobs) == [float(len(record)) for record in line.split(MARK)]


@settings(deadline=None)
@given(LINES, CUTS, GUESSES, st.integers(0, 200), st.sampled_from([1, 3]))
def test_damage_is_told_where_it_is_after_the_records_of_the_parts_before_it(
    line: str, cuts: list[int], guesses: list[int], at: int, jobs: int
) -> None:
    at %= len(line) + 1
    line = f"{line[:at]}x{line[at:]}"
    begin = line.rfind(MARK, 0, at) + 1
    seen: list[float] = []
    with pytest.raises(DataError, match=f"^damage in the record at {begin}$"):
        lengths(Line(line, cuts, guesses), jobs, seen)
    before = [float(len(record)) for record in line[:begin].split(MARK)[:-1]]
    assert seen == before[: len(seen)]


def test_only_a_part_that_supposed_a_wrong_place_is_read_again() -> None:
    # Parts begin at 0, 3, 6 and 9, and records at 0, 3, 6, 9: the part at 6 supposes 7, the others are right.
    line = Line("aa,bb,cc,dd", [3, 6, 9], [0, 1, 0])
    assert lengths(line, 1) == [2.0, 2.0, 2.0, 2.0]
    assert line.read_from == {0: 1, 3: 1, 6: 2, 9: 1}


def test_damage_that_only_a_wrong_guess_sees_is_none() -> None:
    """The second part supposes a record at the damage that the first part's last record ends with."""
    line = Line("aa,bb,cc", [4], [0])
    line._parts[1] = replace(line._parts[1], line="aa,bbxcc")
    line._parts[1] = _Choosy(**vars(line._parts[1]))
    assert lengths(line, 1) == [2.0, 2.0, 2.0]


class _Choosy(Records):
    """Records that are damaged only when they are read from the wrong place."""

    def beginning_at(self, position: int) -> Self:
        return replace(self, line=self.line.replace("x", MARK), supposed=position)
