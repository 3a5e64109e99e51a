"""Look up columns that are not scored, but choose or group rows; they do not change what is scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from msecli.errors import DataError, Warned, shown
from msecli.formats.base import Column as FileColumn
from msecli.formats.base import Source
from msecli.pairing.bins import Bins
from msecli.pairing.conditions import Column, Condition, condition_of, told
from msecli.pairing.lookup import Lookup, described, meant_column
from msecli.pairing.roles import PREDICTION, TARGET, Place, Roles, Shared

SIDES = {"pred": PREDICTION, "prediction": PREDICTION, "target": TARGET}
"""What tells the file of a column that both have, as in `target.y`."""


def located_condition(text: str, tables: Sequence[Source], roles: Roles) -> tuple[Roles, Condition]:
    """Return the roles with the columns of a condition, and the condition with its columns looked up.

    Raises
    ------
    DataError
        If a column does not exist, could be that of either file, or does not hold what it is compared with.
    """
    condition = condition_of(text)
    warnings: list[Warned] = []
    found: dict[tuple[Column, bool | None], Column] = {}
    shared: list[Shared] = []
    for column, numeric in dict.fromkeys(condition.columns()):
        places = _places(column.name, tables, roles, warnings, partial(told, text, column.at))
        file, own = places[-1]
        kind = next(each for each in tables[file].columns or () if each.name == own)
        reads = kind.numeric if numeric is None else numeric
        if len(places) > 1 and not kind.data:
            shared.append(Shared((places[0][1], own), group=True))
        _check_kind(text, column, kind, numeric=numeric)
        found[column, numeric] = column._replace(file=file, own=own, numeric=reads)
    beside = dict.fromkeys(Place(each.file, (each.own,)) for each in found.values() if each.numeric)
    labels = dict.fromkeys(Place(each.file, (each.own,)) for each in found.values() if not each.numeric)
    known = {each.columns for each in roles.checked}
    roles = roles._replace(
        beside=(*roles.beside, *beside),
        labels_beside=tuple(labels),
        checked=(*roles.checked, *(each for each in dict.fromkeys(shared) if each.columns not in known)),
        warnings=(*roles.warnings, *warnings),
    )
    return roles, condition.located(lambda column, numeric: found[column, numeric])


def _check_kind(text: str, column: Column, kind: FileColumn, *, numeric: bool | None) -> None:
    if numeric and not kind.numeric:
        problem = f"column {shown(column.name)} holds {kind.kind}, no numbers; compare it with a text in quotes"
        raise DataError(told(text, column.at, problem))


def located_bins(bins: Bins, tables: Sequence[Source], roles: Roles) -> tuple[Roles, Bins]:
    """Return the roles with the column of bins, and the bins with it.

    Raises
    ------
    DataError
        If the column does not exist, could be that of either file, or holds no numbers.
    """
    warnings: list[Warned] = []
    file, own = _places(bins.name, tables, roles, warnings, "`by_bins`: {}".format)[-1]
    kind = next(each for each in tables[file].columns or () if each.name == own)
    if not kind.numeric:
        problem = f"column {shown(own)} holds {kind.kind}, no numbers; to group rows by its labels, use `by=COLUMN`"
        raise DataError(f"`by_bins`: {problem}")
    place = Place(file, (own,))
    beside = tuple(dict.fromkeys((*roles.beside, place)))
    return roles._replace(beside=beside, warnings=(*roles.warnings, *warnings)), bins._replace(place=place)


def _places(
    asked: str,
    tables: Sequence[Source],
    roles: Roles,
    warnings: list[Warned],
    tell: Callable[[str], str],
) -> list[tuple[int, str]]:
    """Return the files that have a column, each with its name there; one of them, unless they must hold the same."""
    name, files = asked, range(len(tables))
    side, dot, rest = asked.partition(".")
    if dot and side in SIDES and not any(Lookup(table).holds(asked) for table in tables):
        file = min(SIDES[side], len(tables) - 1)
        name, files = rest, range(file, file + 1)
    exact = [file for file in files if any(each.name == name for each in tables[file].columns or ())]
    found = [(file, own) for file in exact or files if (own := Lookup(tables[file]).find(name, warnings)) is not None]
    if not found:
        raise DataError(tell(f"no file has a column {shown(name)}{meant_column(tables, name)}") + described(tables))
    for file, _ in found:
        if not _reads_columns(file, roles):
            raise DataError(tell(f"{tables[file].path} is scored as a whole array, so that its columns have no names"))
    if len(found) == 1:
        return found
    if roles.keys and (found[0][1], found[1][1]) in zip(*roles.keys, strict=True):
        return found[:1]
    numeric = any(each.data for file, own in found for each in tables[file].columns or () if each.name == own)
    scored = any(own in place.columns for place in (roles.prediction, roles.target) for _, own in found)
    if numeric or scored:
        raise DataError(tell(f"both files have a column {shown(name)}; write pred.{name} or target.{name}"))
    return found


def _reads_columns(file: int, roles: Roles) -> bool:
    """Tell whether columns of a file are read; a whole array has none."""
    return all(place.columns for place in (roles.prediction, roles.target) if place.file == file)
