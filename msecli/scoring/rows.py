"""From a plan to aligned rows, paired by position or by key, for an engine to work on."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from msecli.arrays import FloatArray
from msecli.engines import Engine, untold
from msecli.errors import DataError, Warned
from msecli.formats.base import ROWS_PER_BLOCK, Block, Selection, read_once
from msecli.pairing.position import Aligned, RowCheck, check_row_counts, compared_numbers, moved
from msecli.pairing.roles import PREDICTION, TARGET, Shared
from msecli.pairing.twins import is_whole
from msecli.places.ahead import ahead
from msecli.scoring.ledger import Ledger, Progress
from msecli.scoring.plan import Plan
from msecli.scoring.side_by_side import Join, Keep, SideBySide, Sift, blocks_of, one_result, streams
from msecli.scoring.sifted import (
    Sifted,
    counting,
    joined_counts,
    joined_sifted,
    kept_of_sifted,
    of_numbered,
    of_sifted,
    renumbered,
)

if TYPE_CHECKING:
    from msecli.scoring.buckets import Keyed

T = TypeVar("T")

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

    @property
    def _keyed_elsewhere(self) -> bool:
        return bool(self._plan.request.on) and self._engine.distributed

    def _again(self) -> PairedRows:
        """Return the same rows for a pass before that in which they are worked on."""
        return PairedRows(self._plan, self._engine, untold, self._sift)

    def count(self) -> int:
        """Count the paired rows before the work begins."""
        known = self._known()
        if known is not None:
            return known
        if self._sift is not None or self._keyed_elsewhere:
            found = self._again().each(_rows_of, numbered=False, join=operator.add)
            return sum(rows for _, rows in found)
        return sum(
            block.rows for block in blocks_of(self._plan.sources[0], self._plan.roles.selection(0), self._engine)
        )

    def _known(self) -> int | None:
        """Return the number of rows if it is known."""
        if self._sift is not None:
            return None
        if self.ledger.matched is not None:
            return self.ledger.matched.rows
        return self._plan.rows

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
        if self._keyed_elsewhere:
            yield from self._each_by_key(work, numbered=numbered, join=join, keep=keep)
        elif self._sift is None:
            yield from self._each(work, numbered=numbered, join=join, keep=keep)
        elif numbered and not self._engine.distributed:
            yield from self._each(work, numbered=True, sifted=self._sifted)
        else:
            for offset, (found, left_out, unknown) in self._each_sifted(
                self._sift, work, numbered=numbered, join=join, keep=keep
            ):
                self._leave_out(left_out, unknown)
                if found is not None:
                    yield offset, found

    def _each_sifted(
        self, sift: Sift, work: Callable[[Aligned], T], *, numbered: bool, join: Join[T] | None, keep: Keep[T] | None
    ) -> Iterator[tuple[int, Sifted[T]]]:
        """Choose the rows to work on where they are paired; those that are numbered are counted first."""
        both = None if join is None else partial(joined_sifted, join)
        kept = None if keep is None else partial(kept_of_sifted, keep)
        if not numbered:
            yield from self._each(partial(of_sifted, sift, work), numbered=False, join=both, keep=kept)
            return
        rows, engine = by_position(self._plan), self._engine
        counted = rows.each_begun(partial(counting, sift), engine, self._again().ledger, join=joined_counts)
        begin = of_numbered(sift, work, reduce(joined_counts, (counts for _, counts in counted), {}))
        yield from rows.each_begun(begin, engine, self.ledger, join=both, keep=kept)
        self._verify()

    def _sifted(self, paired: Iterator[Aligned]) -> Iterator[Aligned]:
        """Yield the rows to work on, numbered among themselves."""
        first_row = 0
        for rows in paired:
            assert self._sift is not None  # noqa: S101 - the caller has looked
            kept, left_out, unknown = self._sift(rows)
            self._leave_out(left_out, unknown)
            if kept.rows:
                yield renumbered(kept, first_row)
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
        if self._joined is None:
            if self._once:
                read_once(plan.sources)
            yield from by_position(plan).each(
                work, engine, self.ledger, numbered=numbered, join=join, sifted=sifted, keep=keep
            )
        else:
            paired = self._joined if sifted is None else sifted(self._joined)
            yield from ((0, each) for each in engine.run(partial(one_result, work), paired))
        self._verify()

    def _each_by_key(
        self, work: Callable[[Aligned], T], *, numbered: bool, join: Join[T] | None, keep: Keep[T] | None
    ) -> Iterator[tuple[int, T]]:
        """Yield results of rows that the workers of a distributed engine pair by key."""
        from msecli.scoring.by_key import Found, each_by_key

        plan = self._plan

        def judge(found: Found) -> None:
            self.ledger.matched = matched = found.matched(PREDICTION, advice_on_matches(plan))
            self.ledger.warnings.add(matched.warnings)
            self._leave_out(found.facts.left_out, found.facts.unknown)

        # Series, and values of rows, are in the order of the rows, too.
        ordered = numbered or bool(plan.rules.season) or (keep is not None and bool(plan.kept_values))
        found = each_by_key(
            _keyed_of(plan), self._engine, self.ledger, work, judge,
            join=join, sift=self._sift, ordered=ordered, keep=keep,
        )  # fmt: skip
        yield from ((0, each) for each in found)
        self._verify()

    def _verify(self) -> None:
        sources = self._plan.sources
        for verified in ahead([source.path for source in sources], (source.verify for source in sources)):
            verified()


def _keyed_of(plan: Plan) -> Keyed:
    """Return the sources of a plan, paired by key."""
    from msecli.scoring.buckets import Keyed, Link

    roles = plan.roles
    kept = (*roles.labels(PREDICTION), *(roles.on if plan.names_rows else ())), roles.labels(TARGET)
    return Keyed(
        plan.sources,
        tuple(selections_of(plan)),
        (Link(PREDICTION, roles.keys, roles.checked),),
        target=TARGET,
        leader=PREDICTION,
        kept=kept,
        skip=plan.request.unmatched == "skip",
    )


def advice_on_matches(plan: Plan) -> str:
    """Return what to do about keys without a match: metrics of a series need every row."""
    from msecli.pairing.unpaired import SKIP

    return "" if plan.rules.season else SKIP


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


def _rows_of(rows: Aligned) -> int:
    return rows.rows


def _joined(plan: Plan, engine: Engine, ledger: Ledger) -> Iterator[Aligned]:
    """Read both files, match their rows by key, and return the aligned rows."""
    from msecli.pairing.keys import Held, aligned_rows, match

    on = plan.roles.on
    read = streams(plan.sources, selections_of(plan), engine, ledger)
    prediction, target = (
        Held(stream, dict(zip(on, names, strict=True)), source.work or 0)
        for stream, names, source in zip(read, plan.roles.keys, plan.sources, strict=True)
    )
    skip, advice = plan.request.unmatched == "skip", advice_on_matches(plan)
    ledger.matched = match(prediction, target, on, skip_unmatched=skip, advice=advice)
    ledger.warnings.add(ledger.matched.warnings)
    for file, held in enumerate((prediction, target)):
        held.keep_labels((*plan.roles.labels(file), *(on if plan.names_rows else ())))
    return aligned_rows(prediction, target, ledger.matched, plan.roles.checked)
