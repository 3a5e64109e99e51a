"""Refuse a choice of columns that their values contradict; advise keys, tried on the files before they are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from msecli.engines import engine_named
from msecli.errors import DataError, MsecliError, Warned, Warnings, setting, unique
from msecli.formats.base import Selection, Source
from msecli.pairing.choice import ALL, SAME
from msecli.pairing.lookup import key_name, listed_setting
from msecli.pairing.position import Stream
from msecli.pairing.roles import Roles, Shared, assign_roles
from msecli.pairing.twins import Twin
from msecli.places.stream import ForgottenError
from msecli.scoring.plan import AS_THEY_STAND, Plan
from msecli.scoring.side_by_side import blocks_of
from msecli.tuples import NamedTuple

LARGEST_TRIED = 1 << 28
"""Keys of sources with more work than this are not read again just for advice, nor are streams of unknown length."""


def key_advice(plan: Plan, *choices: Sequence[Shared], skips: Sequence[bool] = (False, True)) -> str:
    """Return "to pair rows by …" with the first choice of shared columns that pairs all rows, or else skips some.

    Parameters
    ----------
    plan : Plan
    *choices : sequence of Shared
        Columns that may be keys together.
    skips : sequence of bool
        Whether to skip rows without a match, in order of preference.

    Returns
    -------
    str
        Empty if none does.
    """
    try:
        return _key_advice(plan, choices, skips)
    except ForgottenError:
        return "; to be told how the rows can be paired, write the streams to files first"


def _key_advice(plan: Plan, choices: Sequence[Sequence[Shared]], skips: Sequence[bool]) -> str:
    for skip in skips:
        for shared in choices:
            names = tuple(key_name(*each.columns) for each in shared)
            advised = listed_setting("on", names, added=True)
            if advised and _pair(plan, (*plan.request.on, *names), skip=skip):
                unmatched = f" {setting('unmatched', 'skip')}" if skip else ""
                rest = " and leave out those without a match" if skip else ""
                return f"; to pair rows by {_listed(names)}{rest}, {advised}{unmatched}"
    return ""


def position_advice(plan: Plan) -> str:
    """Return "to pair them as they stand, …"; nothing where the groups or the numbers of rows differ all the same."""
    if any(shared.group for shared in plan.roles.checked):
        return ""
    try:
        alike = len({row_count(source) for source in plan.sources} - {None}) == 1
    except MsecliError:
        return ""
    return AS_THEY_STAND if alike else ""


def row_count(source: Source) -> int | None:
    """Return the number of rows of a source, as far as it is worth reading it just for advice."""
    if source.rows is not None or _is_large(source) or not source.columns:
        return source.rows
    with engine_named("local").start(1) as engine:
        return sum(block.rows for block in blocks_of(source, Selection((), (source.columns[0].name,)), engine))


def _is_large(source: Source) -> bool:
    return source.work is None or source.work > LARGEST_TRIED


def _pair(plan: Plan, on: tuple[str, ...], *, skip: bool) -> bool:
    """Tell whether the rows can be paired by these keys."""
    try:
        request = replace(plan.request, on=on, unmatched="skip" if skip else plan.request.unmatched)
        roles = assign_roles(
            plan.sources,
            pred=request.pred,
            target=request.target,
            weight=request.weight,
            on=on,
            by=request.by,
            baselines=request.baselines,
            model=request.linear,
        )
        return _match(plan, roles, skip=skip)
    except ForgottenError:
        raise
    except MsecliError:
        return False


def _match(plan: Plan, roles: Roles, *, skip: bool) -> bool:
    from msecli.pairing.keys import Held, aligned_rows, match

    if any(map(_is_large, plan.sources)):
        return not skip
    groups = [tuple(shared.columns[file] for shared in roles.checked) for file in range(2)]
    with engine_named("local").start(1) as engine:
        prediction, target = (
            Held(
                Stream(source.path, blocks_of(source, Selection((), tuple(unique((*names, *checked)))), engine)),
                dict(zip(roles.on, names, strict=True)),
            )
            for source, names, checked in zip(plan.sources, roles.keys, groups, strict=True)
        )
    matched = match(prediction, target, roles.on, skip_unmatched=skip)
    for _ in aligned_rows(prediction, target, matched, roles.checked):
        pass  # refuses groups that differ
    return matched.rows > 0


FEWEST_ROWS = 10
"""With fewer rows, equal values may be chance, so they are only warned of."""


class Use(NamedTuple):
    """What a command does with columns, the setting that names them, and whether equal ones change its result."""

    verb: str
    setting: str
    averages: bool


SCORED, TAKEN = Use("score", "pred", averages=True), Use("take", "columns", averages=False)


def warn_of_equality(plan: Plan, twins: Sequence[Twin], rows: int, warnings: Warnings) -> None:
    """Warn if every prediction equals its target."""
    if plan.model is None and rows > 1 and twins and all(twin.equal for twin in twins):
        meaning = "every prediction equals its target; is this the same column?"
        warnings.add([Warned("equal_columns", _paths(plan), meaning)])


def check_choice(plan: Plan, twins: Sequence[Twin], rows: int, warnings: Warnings, use: Use = SCORED) -> None:
    """Refuse, or below `FEWEST_ROWS` warn of, a choice of columns that their values contradict.

    Raises
    ------
    DataError
    """
    if not (twins and plan.chosen_in_tables):
        return
    found = _contradiction(plan, twins, rows, use)
    if found is None:
        return
    message, others, keys = found
    if rows < FEWEST_ROWS:
        warnings.add([Warned("doubtful_columns", _paths(plan), message)])
        return
    advice = key_advice(plan, keys)
    raise DataError(f"{message}; to {use.verb} {_listed(others)}, {_naming(plan, others, use.setting)}{advice}")


def _paths(plan: Plan) -> str:
    return " and ".join(source.path for source in plan.sources[:2])


def _contradiction(
    plan: Plan, twins: Sequence[Twin], rows: int, use: Use
) -> tuple[str, tuple[str, ...], list[Shared]] | None:
    """Return what the values contradict: a message, the columns that can be scored, and those that may be keys."""
    ours, theirs = plan.roles.prediction.columns, plan.roles.target.columns
    pairs = list(zip(ours, theirs, twins, strict=True))
    if plan.roles.rule == ALL:
        if rows < FEWEST_ROWS:
            return None
        numbers = [name for name, _, twin in pairs if twin.counts(rows)]
        others = tuple(name for name in ours if name not in numbers)
        if not (numbers and others):
            return None
        hold, keys_do = ("holds", "a key does") if len(numbers) == 1 else ("hold", "keys do")
        return f"{_listed(numbers)} {hold} every integer of a range once, as {keys_do}", others, []
    equal = [name for name, _, twin in pairs if twin.repeated]
    moved = [(name, other) for name, other, twin in pairs if twin.moved(rows)]
    others = tuple(name for name, other, twin in pairs if not twin.equal and (name, other) not in moved)
    if use.averages and plan.roles.rule == SAME and equal and others:
        keys = [*(Shared((name, name)) for name in equal), *map(Shared, moved)]
        are, look = ("is", "looks") if len(equal) == 1 else ("are", "look")
        kind = "a key or a feature, not a prediction" if len(equal) == 1 else "keys or features, not predictions"
        message = (
            f"{_listed(equal)} {are} equal in every row of both files, unlike {_listed(others)}: {look} like {kind}"
        )
        return message, others, keys
    if moved and not plan.roles.keys:
        names = _listed([name for name, _ in moved])
        message = f"{names}: both files hold the same integers in another order, like the keys of shuffled rows"
        return message, ours, [Shared(pair) for pair in moved]
    return None


def _listed(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names))


def _naming(plan: Plan, names: tuple[str, ...], setting: str) -> str:
    """Return the settings that name these columns of the first file, and their partners if these have other names."""
    partners = dict(zip(plan.roles.prediction.columns, plan.roles.target.columns, strict=True))
    targets = tuple(partners[name] for name in names)
    settings = [
        listed_setting(setting, names, added=True),
        listed_setting("target", targets) if targets != names else "",
    ]
    if None in settings:
        return f"use `{setting}=COLUMN`" + (" `target=COLUMN`" if setting == "pred" else "")
    return " ".join(text for text in settings if text)
