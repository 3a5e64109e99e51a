"""The ledger of a run: what was read from every source, how its rows were paired, and the warnings."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from msecli.engines import untold
from msecli.errors import MsecliError, Warned, Warnings, numbered
from msecli.formats.base import Source
from msecli.pairing.position import Read, RowCheck, Side

if TYPE_CHECKING:
    from msecli.pairing.keys import Matched

Progress = Callable[[float], None]
"""Called with the share of the work done, from 0 to 1."""


class Ledger:
    """The rows read from every source, how they were paired, and the warnings."""

    def __init__(self, sources: Sequence[Source], warnings: Iterable[Warned], progress: Progress = untold) -> None:
        self.rows = [0] * len(sources)
        self.dropped = 0
        self.filtered = 0
        self.matched: Matched | None = None
        self.check = RowCheck()
        self.warnings = Warnings(chain(warnings, *(source.warnings for source in sources)))
        self._work = [0] * len(sources)
        self._sources = sources
        self._begins: list[list[tuple[int, int]]] = [[] for _ in sources]
        self._progress = progress

    def count(self, source: int, read: Read, *, tell: bool = True) -> None:
        """Count what was read from a source, and tell how much of all is done."""
        if read.begin is not None:
            self._begins[source].append((self.rows[source], read.begin))
        self.rows[source] += read.rows
        self._work[source] += read.work
        self.warnings.add(read.warnings)
        if tell:
            self._tell()

    def tell(self, share: float) -> None:
        """Tell how much of all is done, where others know it before it is counted here."""
        self._progress(share)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but who is told of progress, in this process alone."""
        return self.__dict__ | {"_progress": untold}

    @property
    def paired(self) -> int:
        """The number of paired rows, without those that do not meet the condition."""
        return (self.rows[0] if self.matched is None else self.matched.rows) - self.filtered

    def _tell(self) -> None:
        """Tell the share of all sources read so far; streams of unknown length tell how much of them has come."""
        sizes = [source.work for source in self._sources]
        shares = [done / size for done, size in zip(self._work, sizes, strict=True) if size]
        if len(shares) == len(sizes):
            self._progress(min(1.0, sum(shares) / len(sizes)))

    def place(self, source: int, *rows: int) -> str:
        """Return how messages name rows of a source, counted from 0: by their numbers and their lines."""
        return numbered(*rows, lines=[self._line(source, row) for row in rows])

    def _line(self, source: int, row: int) -> int | str | None:
        begins = self._begins[source]
        before = bisect_right(begins, row, key=itemgetter(0))
        first, begin = begins[before - 1] if before else (0, None)
        try:
            # Where rows are read elsewhere, only the first of several files that are told of together is known.
            found = self._sources[source].line(row - first, begin)
            return self._sources[source].line(row) if found is None and begin is not None else found
        except MsecliError:
            return None  # the file has changed, which is told elsewhere

    def sides(self) -> list[Side]:
        """Return the sources as messages name them."""
        return [Side(source.path, partial(self.place, number)) for number, source in enumerate(self._sources)]
