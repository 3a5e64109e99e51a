"""From a plan to aligned rows, paired by position or by key, for an engine to work on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from typing import TypeVar

import numpy as np

from msecli.arrays import FloatArray
from msecli.engines import Engine
from msecli.errors import DataError, Warned
from msecli.formats.base import ROWS_PER_BLOCK, Block, Selection, read_once
from msecli.pairing.position import Aligned, RowCheck, check_row_counts, compared_numbers, moved
from msecli.pairing.roles import Shared
from msecli.pairing.twins import is_whole
from msecli.places.ahead import ahead
from msecli.scoring.ledger import Ledger, Progress
from msecli.scoring.plan import Plan
from msecli.scoring.side_by_side import Join, Keep, SideBySide, blocks_of, one_result, streams

T = TypeVar("T")

Sift = Callable[[Aligned], tuple[Aligned, int, int]]
"""From aligned rows to some of them, the number of the others, and of those of which it is not known."""

LONE_KEYS = 3
"""How many shared columns are tried as keys by themselves, just for advice."""


class PairedRows:
    """The rows of all sources side by side, to be worked on by an engine.

    Parameters
    ----------
    plan : Plan
    engine : Engine
    progress : callable
    sift : callable, optional
        From aligned rows to those of them to work on.
    once : bool
        Whether the sources are read no more after this, so that streams need not be kept.

    Raises
    ------
    MsecliError
        If rows paired by key here cannot be read or do not match; for others `each` raises instead.
    """

    def __init__(
        self, plan: Plan, engine: Engine, progress: Progress, sift: Sift | None = None, *, once: bool = False
    ) -> None:
        self._plan, self._engine, self._sift, self._once = plan, engine, sift, once
        self.ledger = Ledger(plan.sources, plan.roles.warnings, progress)
        self._joined = self._keyed() if plan.request.on and not engine.distributed else None
        if not plan.request.on and len(plan.sources) > 1:
            known = [(source.path, source.rows) for source in plan.sources if source.rows is not None]
            check_row_counts(known, partial(advice_on_counts, plan))
            self.ledger.check = first_rows_checked(plan, self.ledger)

    def _keyed(self) -> Iterator[Aligned]:
        if self._once:
            read_once(self._plan.sources)
        return _joined(self._plan, self._engine, self.ledger)

    def count(self) -> int:
        """Count the paired rows before the work begins."""
        plan = self._plan
        if self._sift is not None:
            # These rows are only counted: another pass reads them to work on.
            every = PairedRows(plan, self._engine, lambda _: None, self._sift)
            return sum(rows for _, rows in every.each(_rows_of, numbered=False))
        if self.ledger.matched is not None:
            return self.ledger.matched.rows
        if plan.rows is not None:
            return plan.rows
        return sum(block.rows for block in blocks_of(plan.sources[0], plan.roles.selection(0), self._engine))

    def each(
        self,
        work: Callable[[Aligned], T],
        *,
        numbered: bool,
        join: Join[T] | None = None,
        keep: Keep[T] | None = None,
    ) -> Iterator[tuple[int, T]]:
        """Yield (offset, result) for the aligned rows in order.

        Parameters
        ----------
        work : callable
            From aligned rows to a result.
        numbered : bool
            Whether `work` needs the rows' numbers in the whole input; the offset is then 0. Otherwise it may see rows
            numbered from 0, and the offset is what to add to their numbers.
        join : callable, optional
            From the results of some rows and of the next ones to one of all of them. By default none are joined.
        keep : callable, optional
            Takes from the results what is to stay where rows are read, span by span, if a distributed engine does so.
        """
        if self._sift is None:
            yield from self._each(work, numbered=numbered, join=join, keep=keep)
        elif numbered:
            yield from self._each(work, numbered=True, sifted=self._sifted)
        else:
            sifting = partial(_of_sifted, self._sift, work)
            both = None if join is None else partial(_joined_sifted, join)
            kept = None if keep is None else partial(_kept_of_sifted, keep)
            for offset, (found, left_out, unknown) in self._each(sifting, numbered=False, join=both, keep=kept):
                self._leave_out(left_out, unknown)
                if found is not None:
                    yield offset, found

    def _sifted(self, paired: Iterator[Aligned]) -> Iterator[Aligned]:
        """Yield the rows to work on, numbered among themselves."""
        first_row = 0
        for rows in paired:
            assert self._sift is not None  # noqa: S101 - the caller has looked
            kept, left_out, unknown = self._sift(rows)
            self._leave_out(left_out, unknown)
            if kept.rows:
                numbers = kept.row_numbers or (kept.first_row + np.arange(kept.rows),) * len(kept.blocks)
                yield kept._replace(first_row=first_row, row_numbers=numbers)
            first_row += kept.rows

    def _leave_out(self, rows: int, unknown: int) -> None:
        self.ledger.filtered += rows
        if unknown:
            meaning = "rows are left out because a value that the condition needs is missing"
            self.ledger.warnings.add([Warned("condition_unknown", "where", meaning, unknown)])

    def _each(
        self,
        work: Callable[[Aligned], T],
        *,
        numbered: bool,
        join: Join[T] | None = None,
        sifted: Callable[[Iterator[Aligned]], Iterator[Aligned]] | None = None,
        keep: Keep[T] | None = None,
    ) -> Iterator[tuple[int, T]]:
        plan, engine = self._plan, self._engine
        if plan.request.on and engine.distributed:
            from msecli.scoring.by_key import each_by_key

            yield from ((0, found) for found in each_by_key(plan, engine, self.ledger, work, join))
        elif self._joined is None:
            if self._once:
                read_once(plan.sources)
            sought = by_position(plan)
            yield from sought.each(work, engine, self.ledger, numbered=numbered, join=join, sifted=sifted, keep=keep)
        else:
            paired = self._joined if sifted is None else sifted(self._joined)
            yield from ((0, each) for each in engine.run(partial(one_result, work), paired))
        paths = [source.path for source in plan.sources]
        for verified in ahead(paths, (source.verify for source in plan.sources)):
            verified()


def by_position(plan: Plan) -> SideBySide:
    """Return the sources of a plan, paired by position."""
    checked = plan.roles.checked if len(plan.sources) > 1 else ()
    return SideBySide(plan.sources, selections_of(plan), checked, partial(advice_on_counts, plan))


def selections_of(plan: Plan) -> list[Selection]:
    """Return what to read from each source."""
    return [plan.roles.selection(number) for number in range(len(plan.sources))]


def first_rows_checked(plan: Plan, ledger: Ledger) -> RowCheck:
    """Return a check of the rows; it has compared the columns of numbers that both files have in the first rows.

    Raises
    ------
    DataError
        If one differs.
    """
    check = RowCheck(ledger.sides(), partial(_advice, plan))
    for columns, blocks in _readable(plan.roles.looked_at, partial(_first_rows, plan)):
        check.add(columns, compared_numbers(blocks, columns))
    _check_order(plan)
    return check


def _readable(
    columns: tuple[Shared, ...], read: Callable[[tuple[Shared, ...]], T]
) -> Iterator[tuple[tuple[Shared, ...], T]]:
    """Yield columns with what is read of them, together or else one by one; what cannot be read is no evidence."""
    for chosen in [columns, *((shared,) for shared in columns)] if columns else ():
        try:
            found = read(chosen)
        except DataError:
            continue  # a field that is no number; without its column the others can be read
        yield chosen, found
        if chosen is columns:
            return


def _first_rows(plan: Plan, columns: tuple[Shared, ...]) -> tuple[Block, ...]:
    """Return the first rows of both files."""
    selections = (Selection(tuple(shared.columns[file] for shared in columns)) for file in range(2))
    sources = zip(plan.sources, selections, strict=False)
    return tuple(next(iter(source.parts(selection)[0].read())) for source, selection in sources)


MOST_ROWS, MOST_VALUES = ROWS_PER_BLOCK, 8 << 20
"""Rows, and values or bytes of text, of files that are searched for columns that moved, which takes all rows.

So many bytes of a stream are kept, and need not be copied to be read again.
"""


def _all_rows(plan: Plan, columns: tuple[Shared, ...]) -> list[tuple[FloatArray, FloatArray]]:
    """Return columns of both files; nothing if one has too many rows, or it is unknown how many."""
    sides, most = [], min(MOST_ROWS, MOST_VALUES // len(columns))
    for file, source in enumerate(plan.sources[:2]):
        if source.work is None or source.work > MOST_VALUES or (source.rows or 0) > most:
            return []
        names = tuple(shared.columns[file] for shared in columns)
        blocks, rows = list[Block](), 0
        for block in (block for part in source.parts(Selection(names)) for block in part.read()):
            blocks.append(block)
            rows += block.rows
            if rows > most:
                return []
        sides.append([np.concatenate([block.numbers[name] for block in blocks]) for name in names])
    return list(zip(*sides, strict=True))


def _check_order(plan: Plan) -> None:
    """Refuse rows of which some columns hold the same values in both files in another order, and others do not.

    Integers among the columns that a rule chose are told from keys when all rows have been read.
    """
    values = {
        shared: sides
        for columns, found in _readable(plan.roles.searched, partial(_all_rows, plan))
        for shared, sides in zip(columns, found, strict=False)
    }
    chosen = plan.roles.prediction.columns
    found = [shared for shared, (ours, theirs) in values.items() if moved(ours, theirs)]
    equal = [shared for shared, (ours, theirs) in values.items() if np.array_equal(ours, theirs)]
    told = [shared for shared in found if shared.columns[0] not in chosen or not is_whole(values[shared][0])]
    left = [shared for shared in values if shared.columns[0] in chosen and shared not in (*found, *equal)]
    if not told or not (left or any(shared.columns[0] not in chosen for shared in told)):
        return
    from msecli.scoring.advice import key_advice, position_advice

    keys = (*(shared for shared in equal if np.ptp(values[shared][0])), *found)
    names = " and ".join(repr(shared.columns[0]) for shared in found)
    raise DataError(
        f"{names}: both files hold the same values in another order, like the keys of shuffled rows"
        + position_advice(plan)
        + key_advice(plan, (*plan.roles.checked, *keys), keys)
    )


def _advice(plan: Plan) -> str:
    from msecli.scoring.advice import key_advice, position_advice

    return position_advice(plan) + key_advice(plan, *_possible_keys(plan))


def _possible_keys(plan: Plan) -> list[Sequence[Shared]]:
    """Return shared columns that may be keys together, what tells rows apart best first, and then alone."""
    checked, looked_at = plan.roles.checked, plan.roles.looked_at
    return list(dict.fromkeys([(*checked, *looked_at), checked, *((shared,) for shared in checked[:LONE_KEYS])]))


def advice_on_counts(plan: Plan) -> str:
    """Return how rows of files with different numbers of rows can be paired: some have no match, whatever the key."""
    from msecli.scoring.advice import key_advice

    by_position = "; rows are paired by position"
    if any(len(source.columns or ()) < 2 for source in plan.sources):
        return by_position
    return key_advice(plan, *_possible_keys(plan), skips=(True,)) or f"{by_position}, or by a key: `on=COLUMN`"


def _of_sifted(sift: Sift, work: Callable[[Aligned], T], rows: Aligned) -> tuple[T | None, int, int]:
    """Work on those of the rows that are to be worked on; return also how many are not, and how many are unknown."""
    kept, left_out, unknown = sift(rows)
    return work(kept) if kept.rows else None, left_out, unknown


def _joined_sifted(
    join: Join[T], left: tuple[T | None, int, int], right: tuple[T | None, int, int]
) -> tuple[T | None, int, int]:
    """Join the results of `_of_sifted` for some rows and for the next ones."""
    found = [each[0] for each in (left, right) if each[0] is not None]
    return reduce(join, found) if found else None, left[1] + right[1], left[2] + right[2]


@contextmanager
def _kept_of_sifted(
    keep: Keep[T], number: int
) -> Iterator[Callable[[tuple[T | None, int, int]], tuple[T | None, int, int]]]:
    """Keep what stays of the results of `_of_sifted`."""
    with keep(number) as taken:
        yield lambda found: found if found[0] is None else (taken(found[0]), *found[1:])


def _rows_of(rows: Aligned) -> int:
    return rows.rows


def _joined(plan: Plan, engine: Engine, ledger: Ledger) -> Iterator[Aligned]:
    """Read both files, match their rows by key, and return the aligned rows."""
    from msecli.pairing.keys import Held, aligned_rows, match
    from msecli.pairing.unpaired import SKIP

    on = plan.roles.on
    read = streams(plan.sources, selections_of(plan), engine, ledger)
    prediction, target = (
        Held(stream, dict(zip(on, names, strict=True)), source.work or 0)
        for stream, names, source in zip(read, plan.roles.keys, plan.sources, strict=True)
    )
    advice = "" if plan.rules.season else SKIP  # metrics of a series need every row
    ledger.matched = match(prediction, target, on, skip_unmatched=plan.request.unmatched == "skip", advice=advice)
    ledger.warnings.add(ledger.matched.warnings)
    for file, held in enumerate((prediction, target)):
        held.keep_labels((*plan.roles.labels(file), *(on if plan.names_rows else ())))
    return aligned_rows(prediction, target, ledger.matched, plan.roles.checked)
