"""Assign roles to columns: prediction, target, weight, group, key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from math import prod

from msecli.arrow import UUID
from msecli.core.check import same_item_shape
from msecli.errors import DataError, Warned, shown
from msecli.formats.base import Column, Selection, Source, shape_of
from msecli.pairing.candidates import is_identifying, numeric_columns
from msecli.pairing.choice import SAME, choose_columns, choose_inputs
from msecli.pairing.lookup import (
    SHOWN_COLUMNS,
    Lookup,
    Names,
    described,
    find_all,
    folded_name,
    meant_column,
    split_names,
)
from msecli.tuples import NamedTuple

PREDICTION, TARGET = 0, 1


class Place(NamedTuple):
    """Columns of a file: the file's number and the column names; no names mean the whole array."""

    file: int
    columns: Names


class Shared(NamedTuple):
    """A column that both files have: its names there, and whether `by` groups by it."""

    columns: tuple[str, str]
    group: bool = False


class Roles(NamedTuple):
    """The roles that columns play.

    Parameters
    ----------
    prediction, target : Place
        The columns to score, pair by pair. With a model, `prediction` names its inputs.
    weight : Place, optional
        One column, or as many as are scored.
    by : tuple of Place
        The group columns, one in each place.
    cluster : Place, optional
        The column whose labels tell which rows are dependent on each other.
    beside : tuple of Place
        Columns of numbers that choose or group rows.
    labels_beside : tuple of Place
        Columns of labels that choose rows.
    baselines : tuple of (str, Place)
        The columns of other predictions to compare with, by the names that the user wrote.
    keys : tuple of tuple of str
        The key columns of the prediction file and of the target file.
    checked : tuple of Shared
        Columns whose labels must agree in every row.
    looked_at : tuple of Shared
        Columns of numbers that must agree in the first rows.
    searched : tuple of Shared
        Columns of numbers that may differ, because they may be predictions, but do not hold the same values in another
        order.
    rule : str
        The rule that chose the columns to score: "names", "single", "same" or "matrix"; "" if the user named them.
    warnings : tuple of Warned
    """

    prediction: Place
    target: Place
    weight: Place | None = None
    by: tuple[Place, ...] = ()
    cluster: Place | None = None
    beside: tuple[Place, ...] = ()
    labels_beside: tuple[Place, ...] = ()
    baselines: tuple[tuple[str, Place], ...] = ()
    keys: tuple[Names, ...] = ()
    checked: tuple[Shared, ...] = ()
    looked_at: tuple[Shared, ...] = ()
    searched: tuple[Shared, ...] = ()
    rule: str = ""
    warnings: tuple[Warned, ...] = ()

    @property
    def on(self) -> Names:
        """The names of the keys: those of the prediction file."""
        return self.keys[PREDICTION] if self.keys else ()

    def selection(self, file: int) -> Selection:
        """Return what to read from a file."""
        places = [self.prediction, self.target, *([self.weight] if self.weight else [])]
        places += [*(place for _, place in self.baselines), *self.beside]
        numbers = [name for place in places if place.file == file for name in place.columns]
        keys = self.keys[file] if self.keys and file in (PREDICTION, self.target.file) else ()
        return Selection(tuple(dict.fromkeys(numbers)), tuple(dict.fromkeys([*keys, *self.labels(file)])))

    def labels(self, file: int) -> Names:
        """Return the columns of labels that are needed of a file once its rows are paired."""
        groups = [*self.by, *([self.cluster] if self.cluster else []), *self.labels_beside]
        names = [name for place in groups if place.file == file for name in place.columns]
        if file in (PREDICTION, self.target.file):
            names += [shared.columns[file] for shared in self.checked]
        return tuple(names)


def assign_roles(
    tables: Sequence[Source],
    weights: Source | None = None,
    *,
    pred: Names = (),
    target: Names = (),
    weight: str | None = None,
    on: Names = (),
    by: Names = (),
    cluster: str | None = None,
    baselines: Names = (),
    model: bool = False,
    row_check: bool = True,
) -> Roles:
    """Assign a role to each column that plays one.

    Parameters
    ----------
    tables : sequence of Source
        The prediction file, and the target file if it is another.
    weights : Source, optional
        A file of weights.
    pred, target, weight, on, by, cluster
        The columns that the user named, as in `msecli.score`.
    baselines : tuple of str
        The columns that metrics compare with.
    model : bool
        Whether a model makes the predictions, so that `pred` names its inputs.
    row_check : bool
        Whether rows paired by position must agree in the other columns that both files have.

    Raises
    ------
    DataError
        If a column does not exist, weights or a baseline are in both files, or no rule tells which columns to score.
    """
    warnings: list[Warned] = []
    weighting = [] if weight is None else [_only(tables, weight, "weight", warnings)]
    compared = [(name, _only(tables, name, "metrics", warnings)) for name in baselines]
    keys = _key_columns(tables, on, warnings)
    groups = [_located(tables, name, "by", warnings) for name in split_names(tables, by)]
    clusters = [] if cluster is None else _located(tables, cluster, "cluster", warnings)
    others = [*weighting, *(place for _, place in compared)]
    taken = {name for places in (*groups, clusters, others) for place in places for name in place.columns}
    taken |= {name for names in keys for name in names}
    choose = choose_inputs if model else choose_columns
    chosen, rule = choose(tables, pred, target, taken, warnings)
    if rule == SAME and len(chosen[0]) > 1:
        more = f" and {len(chosen[0]) - SHOWN_COLUMNS} more" if len(chosen[0]) > SHOWN_COLUMNS else ""
        shown_names = ", ".join(chosen[0][:SHOWN_COLUMNS]) + more
        meaning = f"{len(chosen[0])} columns have the same names in both files and were scored: {shown_names}"
        warnings.append(Warned("columns_chosen", " and ".join(table.path for table in tables), meaning))
    last = len(tables) - 1
    checked: dict[tuple[str, str], bool] = {}
    looked_at: list[Shared] = []
    searched: list[Shared] = []
    if row_check and last and not keys:
        for columns, identifying in shared_columns(tables[0], tables[1], (*chosen, taken)):
            if identifying:
                checked[columns] = False
            elif chosen[0] != chosen[1]:
                looked_at.append(Shared(columns))
            else:
                searched.append(Shared(columns))
        if rule == SAME and len(chosen[0]) > 1:
            searched += [Shared((name, name)) for name in chosen[0]]
    # Group labels that both files have must agree, too.
    for places in (*groups, clusters):
        checked |= {(places[0].columns[0], places[1].columns[0]): True} if len(places) > 1 else {}
    if weights is not None:
        weighting = [Place(len(tables), _weight_columns(weights, chosen, item_shape(tables[-1], chosen[1])))]
    return Roles(
        Place(PREDICTION, chosen[0]),
        Place(last, chosen[1]),
        weighting[0] if weighting else None,
        tuple(places[-1] for places in groups),
        clusters[-1] if clusters else None,
        baselines=tuple(compared),
        keys=keys,
        checked=tuple(Shared(columns, group) for columns, group in checked.items()),
        looked_at=tuple(looked_at),
        searched=tuple(searched),
        rule=rule,
        warnings=tuple(warnings),
    )


def _located(tables: Sequence[Source], name: str, setting: str, warnings: list[Warned]) -> list[Place]:
    """Return the column of this name in each file that has it; exact matches in any file exclude other ones."""
    files = range(len(tables))
    exact = [file for file in files if any(column.name == name for column in tables[file].columns or ())]
    found = [(file, Lookup(tables[file]).find(name, warnings)) for file in exact or files]
    places = [Place(file, (column,)) for file, column in found if column is not None]
    if not places:
        raise DataError(
            f"`{setting}`: no file has a column {shown(name)}{meant_column(tables, name)}{described(tables)}"
        )
    return places


def _only(tables: Sequence[Source], name: str, setting: str, warnings: list[Warned]) -> Place:
    """Return the column of this name, which only one file may have."""
    places = _located(tables, name, setting, warnings)
    if len(places) > 1:
        raise DataError(f"`{setting}`: both files have a column {name!r}; rename it in one of them")
    return places[0]


def _key_columns(tables: Sequence[Source], names: Names, warnings: list[Warned]) -> tuple[Names, ...]:
    """Return the names of the key columns in each file, or nothing without keys."""
    if not names:
        return ()
    keys: list[tuple[str, ...]] = []
    for name in split_names(tables, names):
        found: list[str] = []
        for table, own in zip(tables, _own_names(tables, name), strict=True):
            column = Lookup(table).find(own, warnings)
            if column is None:
                hint = meant_column([table], own) or "; keys are columns of both files"
                raise DataError(f"`on`: {table.path} has no column {shown(own)}{hint}{described(tables)}")
            found.append(column)
        keys.append(tuple(found))
    for table, columns in zip(tables, zip(*keys, strict=True), strict=True):
        find_all(table, columns, [])
    return tuple(zip(*keys, strict=True))


def _own_names(tables: Sequence[Source], name: str) -> tuple[str, ...]:
    """Return the name of a key in each file: "a=b" means a in the first and b in the second, unless it is a name."""
    lookups = [Lookup(table) for table in tables]
    if any(lookup.holds(name) for lookup in lookups):
        return (name,) * len(tables)
    at = [number for number, character in enumerate(name) if character == "="]
    pairs = [(name[:number].strip(), name[number + 1 :].strip()) for number in at]
    known = [pair for pair in pairs if all(lookup.holds(own) for lookup, own in zip(lookups, pair, strict=False))]
    return next(iter([*known, *pairs]), (name,) * len(tables))


def _weight_columns(source: Source, chosen: tuple[Names, Names], item: tuple[int, ...]) -> Names:
    """Return the columns of a weight file: one, or as many as are scored; none for a whole array.

    Several columns are paired with the scored ones by name if the names agree, otherwise in file order.
    """
    if source.item is not None:
        return ()
    numeric = tuple(column.name for column in source.columns or () if column.data)
    lists = tuple(column.name for column in source.columns or () if column.lists)
    if not numeric and len(lists) == 1:
        return lists
    # Among other columns a row id is not a weight, but an only column is, whatever its name.
    if len(numeric) != 1:
        numeric = numeric_columns(source)
    for names in chosen:
        if sorted(numeric) == sorted(names):
            return names
    if len(numeric) != 1 and (len(numeric),) != item:
        wanted = "one numeric column" + (f", or {item[0]} as the data have" if len(item) == 1 else "")
        raise DataError(
            f"{source.path}: a file of weights has {wanted}; this one has {len(numeric)}; "
            "keep only these, or name a column of the data: `weight=COLUMN`"
        )
    return numeric


NESTED = ("list", "large_list", "fixed_size_list", "struct", "map", "binary", "large_binary", "fixed_size_binary")
"""How the kinds begin of columns whose values cannot be compared."""


def is_comparable(kind: str) -> bool:
    """Tell whether the values of a column of this kind can be compared."""
    return kind == UUID or not kind.startswith((*NESTED, "extension<"))


def shared_columns(
    prediction: Source, target: Source, taken: Iterable[Collection[str]]
) -> Iterator[tuple[tuple[str, str], bool]]:
    """Yield the columns that both files have under the same name in any case, and whether they identify rows."""
    if prediction.item is not None or target.item is not None:
        return
    others = _unique_columns(target)
    used = {name for names in taken for name in names}
    for folded, (number, column) in _unique_columns(prediction).items():
        found = [(number, column), *([others[folded]] if folded in others else [])]
        names = tuple(column.name for _, column in found)
        comparable = all(is_comparable(column.kind) for _, column in found)
        if len(names) == 2 and comparable and used.isdisjoint(names):
            identifying = any(is_identifying(*each) or not each[1].data for each in found)
            yield (names[0], names[1]), identifying


def _unique_columns(source: Source) -> dict[str, tuple[int, Column]]:
    """Return the columns with their numbers by their folded names, except those whose names are not unique."""
    columns = list(enumerate(source.columns or ()))
    count = Counter(folded_name(column.name) for _, column in columns)
    return {
        folded_name(column.name): (number, column) for number, column in columns if count[folded_name(column.name)] == 1
    }


def item_shape(source: Source, columns: Names) -> tuple[int, ...]:
    """Return the shape of a row of these columns, or of the whole array.

    Raises
    ------
    DataError
        If there are several columns, one of which holds lists.
    """
    if not columns:
        return source.item or ()
    if len(columns) == 1:
        return shape_of(source, columns[0])
    lists = next((each for each in source.columns or () if each.name in columns and each.lists), None)
    if lists is not None:
        raise DataError(
            f"{source.path}: column {lists.name!r} holds lists ({lists.kind}), which cannot stand beside other "
            "columns; take it alone"
        )
    return (len(columns),)


def check_shapes(sources: Sequence[Source], roles: Roles, item: tuple[int, ...]) -> None:
    """Refuse files whose rows do not match predictions of this shape element by element, and one baseline for many.

    Raises
    ------
    DataError
    """
    target = sources[roles.target.file]
    theirs = item_shape(target, roles.target.columns)
    if not same_item_shape(item, theirs):
        raise DataError(
            f"the shapes differ: {_where(sources, roles.prediction)} has rows of shape {item}, "
            f"{_where(sources, roles.target)} of shape {theirs}; they must be equal, nothing is broadcast"
        )
    if roles.baselines and prod(item) != 1:
        raise DataError(
            f"skill:{roles.baselines[0][0]} compares one column of predictions with another, but {prod(item)} are "
            "scored; score them one by one: `pred=COLUMN` `target=COLUMN`"
        )
    for _, place in roles.baselines:
        if item_shape(sources[place.file], place.columns) not in ((), (1,)):
            raise DataError(f"skill:{place.columns[0]}: the column holds lists, but the predictions are numbers")
    if roles.weight is None:
        return
    shape = item_shape(sources[roles.weight.file], roles.weight.columns)
    if shape not in ((), (1,), item):
        raise DataError(
            f"{_where(sources, roles.weight)}: rows of weights have shape {shape}; they must be one number, or have "
            f"the shape of the prediction's rows, {item}"
        )


def _where(sources: Sequence[Source], place: Place) -> str:
    """Return a file in a message, with the column that holds lists, if it is one."""
    source = sources[place.file]
    lists = [each.name for each in source.columns or () if (each.name,) == place.columns and each.lists]
    return f"{source.path}, column {lists[0]!r}," if lists else source.path
