"""Which columns could be keys: whether their values are unique, and how many rows of two files they would pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msecli.engines import Engine
from msecli.errors import DataError, MsecliError
from msecli.formats.base import Block, Selection, Source
from msecli.pairing.candidates import is_identifying
from msecli.pairing.keys import Held, match
from msecli.pairing.labels import codes_of, missing
from msecli.pairing.lookup import Names
from msecli.pairing.position import Stream
from msecli.pairing.roles import shared_columns
from msecli.results.look import KeyMatch
from msecli.scoring.advice import LARGEST_TRIED
from msecli.scoring.look import Look, first_block
from msecli.scoring.plan import Plan
from msecli.scoring.request import Request
from msecli.scoring.side_by_side import blocks_of

TRIED_KEYS = 5
"""Shared columns that are tried as keys by themselves."""


def is_unique(source: Source, rows: int, name: str, engine: Engine) -> bool | None:
    """Tell whether no row has the label of another in a column; None if it is not worth the memory."""
    if not _is_small(source, rows):
        return None
    held = Held(Stream(source.path, blocks_of(source, Selection((), (name,)), engine)))
    return missing(held.labels[name]) is None and len(codes_of(held.labels[name])[1]) == held.rows


def _is_small(source: Source, rows: int) -> bool:
    """Tell whether the keys of a source may be held; of streams, whose size is unknown, by the rows that were read."""
    return 0 < (source.work or rows) <= LARGEST_TRIED


def matching_keys(
    request: Request, plan: Plan | None, looks: Sequence[Look | MsecliError], engine: Engine
) -> tuple[KeyMatch, ...]:
    """Return how rows of two tables would be paired by the keys that were asked for, or by what identifies rows."""
    tables = [look for look in looks[:2] if isinstance(look, Look) and look.problem is None and look.rows]
    if len(tables) < 2 or request.targets is None or any(look.source.columns is None for look in tables):
        return ()
    tried: list[tuple[Names, Names]] = [((ours,), (theirs,)) for ours, theirs in _shared(tables)]
    if plan is not None and plan.roles.keys:
        tried = [(plan.roles.keys[0], plan.roles.keys[1])]
    matches = (_matched(ours, theirs, tables, engine) for ours, theirs in tried)
    found = [each for each in matches if each is not None]
    if len(found) > 1 and not any(each.unique for each in found):
        ours, theirs = zip(*(pair for each in found for pair in each.columns), strict=True)
        together = _matched(ours, theirs, tables, engine)
        found += [] if together is None else [together]
    return tuple(found)


def _shared(tables: Sequence[Look]) -> list[tuple[str, str]]:
    """Return the shared columns that identify rows: first those that do so by their names."""
    first, second = (look.source for look in tables)
    named = {column.name for number, column in enumerate(first.columns or ()) if is_identifying(number, column)}
    found = [names for names, identifying in shared_columns(first, second, ()) if identifying]
    return sorted(found, key=lambda names: names[0] not in named)[:TRIED_KEYS]


def _matched(ours: Names, theirs: Names, tables: Sequence[Look], engine: Engine) -> KeyMatch | None:
    """Return how rows would be paired by keys; None if these cannot be read."""
    complete = all(look.whole and _is_small(look.source, look.rows) for look in tables)
    columns = tuple(zip(ours, theirs, strict=True))
    read = [(look.source, Selection((), names)) for look, names in zip(tables, (ours, theirs), strict=True)]
    try:
        blocks = [blocks_of(*each, engine) for each in read] if complete else _heads(read)
        prediction, target = (
            Held(Stream(source.path, found), dict(zip(ours, selection.labels, strict=True)))
            for (source, selection), found in zip(read, blocks, strict=True)
        )
    except DataError:
        return None
    try:
        found = match(prediction, target, ours, skip_unmatched=True)
    except DataError:  # keys that are there twice
        return KeyMatch(columns, unique=False, complete=complete)
    counts = found.rows, found.unmatched_prediction, found.unmatched_target
    return KeyMatch(columns, *counts, unique=True, complete=complete)


def _heads(read: Iterable[tuple[Source, Selection]]) -> list[Iterator[Block]]:
    """Return as many of the first rows of each: others of the longer piece could have no partner."""
    found = [first_block(*each)[0] for each in read]
    rows = min(block.rows for block in found)
    return [iter([block.slice(0, rows)]) for block in found]
