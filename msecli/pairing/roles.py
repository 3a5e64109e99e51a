"""Assign roles to columns by name and type: prediction, target, weight, group, key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from msecli.core.check import same_item_shape
from msecli.errors import SHOWN, DataError, Warned, setting, shown
from msecli.formats.base import Column, Selection, Source

PREDICTION, TARGET = 0, 1

INDEX_NAMES = frozenset({"id", "index", "row_id", "Unnamed: 0", "__index_level_0__", ""})
"""Names of columns that identify rows; they are scored only if the user names them."""

PREDICTION_NAMES = frozenset(
    ("pred", "preds", "prediction", "predictions", "predicted", "y_pred", "ypred", "yhat", "y_hat", "forecast")
)
TARGET_NAMES = frozenset(
    ("target", "targets", "true", "truth", "actual", "y_true", "ytrue", "y", "label", "labels", "observed")
)
"""Names, in any case, that tell a column's role."""

SHOWN_COLUMNS = 20

Names = tuple[str, ...]


class Place(NamedTuple):
    """Columns of a file: the file's number and the column names; no names mean the whole array."""

    file: int
    columns: Names


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
    keys : tuple of tuple of str
        The key columns of the prediction file and of the target file.
    checked : tuple of str
        Columns whose labels must agree row by row in both files.
    warnings : tuple of Warned
    """

    prediction: Place
    target: Place
    weight: Place | None = None
    by: tuple[Place, ...] = ()
    keys: tuple[Names, ...] = ()
    checked: Names = ()
    warnings: tuple[Warned, ...] = ()

    def selection(self, file: int) -> Selection:
        """Return what to read from a file."""
        places = [self.prediction, self.target, *([self.weight] if self.weight else [])]
        numbers = [name for place in places if place.file == file for name in place.columns]
        labels = [name for place in self.by if place.file == file for name in place.columns]
        if file in (PREDICTION, self.target.file):
            labels += [*(self.keys[file] if self.keys else ()), *self.checked]
        return Selection(tuple(dict.fromkeys(numbers)), tuple(dict.fromkeys(labels)))


def assign_roles(
    tables: Sequence[Source],
    weights: Source | None = None,
    *,
    pred: Names = (),
    target: Names = (),
    weight: str | None = None,
    on: Names = (),
    by: Names = (),
    model: bool = False,
) -> Roles:
    """Assign a role to each column that plays one.

    Parameters
    ----------
    tables : sequence of Source
        The prediction file, and the target file if it is another.
    weights : Source, optional
        A file of weights.
    pred, target, weight, on, by
        The columns that the user named, as in `msecli.score`.
    model : bool
        Whether a model makes the predictions, so that `pred` names its inputs.

    Raises
    ------
    DataError
        If a column does not exist, a weight column is in both files, or no rule tells which columns to score.
    """
    warnings: list[Warned] = []
    weighting = _weight_column(tables, weight, warnings)
    keys = _key_columns(tables, on, warnings)
    groups = [_located(tables, name, "by", warnings) for name in by]
    taken = {name for places in (*groups, weighting) for place in places for name in place.columns}
    taken |= {name for names in keys for name in names}
    choose = _choose_inputs if model else _choose_columns
    chosen = choose(tables, pred, target, taken, warnings)
    last = len(tables) - 1
    roles = Roles(Place(PREDICTION, chosen[0]), Place(last, chosen[1]), keys=keys, warnings=tuple(warnings))
    shared = [] if keys or not last else _common_indexes(tables[0], tables[1], {*chosen[0], *chosen[1], *taken})
    # Group labels that both files have must agree, too.
    shared += [places[0].columns[0] for places in groups if len(places) > 1]
    if weights is not None:
        weighting = [Place(len(tables), _weight_columns(weights, chosen, item_shape(tables[-1], chosen[1])))]
    return roles._replace(
        weight=weighting[0] if weighting else None,
        by=tuple(places[-1] for places in groups),
        checked=tuple(dict.fromkeys(shared)),
    )


class _Lookup:
    """The columns of a file by their names."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._exact = Counter(column.name for column in source.columns or ())
        self._folded: dict[str, list[Column]] = {}
        for column in source.columns or ():
            self._folded.setdefault(_folded(column.name), []).append(column)

    def find(self, name: str, warnings: list[Warned]) -> str | None:
        """Return the column of this name, or the only one that differs from it just in case or outer blanks.

        Raises
        ------
        DataError
            If several columns match.
        """
        path, exact, alike = self._source.path, self._exact[name], self._folded.get(_folded(name), [])
        if exact > 1:
            raise DataError(f"{path}: {exact} columns are named {shown(name)}; rename all but one")
        if exact:
            return name
        if len(alike) > 1:
            raise DataError(
                f"{path}: no column is named exactly {shown(name)}, and {len(alike)} differ from it only in case or in "
                f"blanks: {_listed(alike)}; write the name as it is in the file"
            )
        for column in alike:
            meaning = (
                f"column {column.name!r} was taken for {name!r}; the names differ in case or in blanks around them"
            )
            warnings.append(Warned("column_name_differs", f"{path}, column {column.name!r}", meaning))
            return column.name
        return None


def find_all(source: Source, names: Iterable[str], warnings: list[Warned]) -> Names:
    """Return the columns of these names, each looked up by `_Lookup.find`.

    Raises
    ------
    DataError
        If a column does not exist, is ambiguous, or is named twice.
    """
    lookup = _Lookup(source)
    found = []
    for name in names:
        if source.columns is None:
            raise DataError(f"{source.path}: the array has no columns, so {name!r} cannot be one")
        column = lookup.find(name, warnings)
        if column is None:
            raise DataError(f"{source.path}: no column {name!r}; {_near(source, name)}")
        found.append(column)
    for name, count in Counter(found).items():
        if count > 1:
            raise DataError(f"{source.path}: column {shown(name)} is named twice")
    return tuple(found)


def _folded(name: str) -> str:
    return name.strip().casefold()


def _near(source: Source, name: str) -> str:
    import difflib

    columns = source.columns or ()
    folded = {_folded(column.name): column.name for column in columns}
    near = difflib.get_close_matches(_folded(name), folded, n=1)
    hint = f"did you mean {folded[near[0]]!r}? " if near else ""
    return f"{hint}the columns are {_listed(columns)}"


def _located(tables: Sequence[Source], name: str, setting: str, warnings: list[Warned]) -> list[Place]:
    """Return the column of this name in each file that has it; exact matches in any file exclude other ones."""
    files = range(len(tables))
    exact = [file for file in files if any(column.name == name for column in tables[file].columns or ())]
    found = [(file, _Lookup(tables[file]).find(name, warnings)) for file in exact or files]
    places = [Place(file, (column,)) for file, column in found if column is not None]
    if not places:
        raise DataError(f"`{setting}`: no file has a column {name!r}{described(tables)}")
    return places


def _weight_column(tables: Sequence[Source], name: str | None, warnings: list[Warned]) -> list[Place]:
    places = [] if name is None else _located(tables, name, "weight", warnings)
    if len(places) > 1:
        raise DataError(f"`weight`: both files have a column {name!r}; rename it in one of them")
    return places


def _key_columns(tables: Sequence[Source], names: Names, warnings: list[Warned]) -> tuple[Names, ...]:
    """Return the names of the key columns in each file, or nothing without keys."""
    if not names:
        return ()
    keys: list[list[str]] = [[] for _ in tables]
    for name in names:
        for columns, table in zip(keys, tables, strict=True):
            found = _Lookup(table).find(name, warnings)
            if found is None:
                raise DataError(
                    f"`on`: {table.path} has no column {name!r}; keys are columns of both files{described(tables)}"
                )
            columns.append(found)
    return tuple(map(tuple, keys))


def _weight_columns(source: Source, chosen: tuple[Names, Names], item: tuple[int, ...]) -> Names:
    """Return the columns of a weight file: one, or as many as are scored; none for a whole array.

    Several columns are paired with the scored ones by name if the names agree, otherwise in file order.
    """
    if source.item is not None:
        return ()
    numeric = tuple(column.name for column in source.columns or () if column.numeric)
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


class _Side(NamedTuple):
    """One side of the choice of columns: the source, the known names, and the candidates."""

    source: Source
    known_names: frozenset[str]
    setting: str
    candidates: Names

    @property
    def known(self) -> Names:
        """The candidates whose names are known for this side."""
        return tuple(name for name in self.candidates if name.strip().lower() in self.known_names)

    @property
    def whole(self) -> bool:
        """Whether this is an array to be scored whole."""
        return self.source.item is not None and len(self.candidates) == len(self.source.columns or ())

    @property
    def single(self) -> bool:
        """Whether a row has a single number."""
        return self.source.item == () or len(self.candidates) == 1

    @property
    def all(self) -> Names:
        """All candidates; none for a whole array."""
        return () if self.whole else self.candidates


def _side(source: Source, known: frozenset[str], setting: str, taken: Collection[str]) -> _Side:
    return _Side(source, known, setting, tuple(name for name in _data_columns(source) if name not in taken))


def _data_columns(source: Source) -> Names:
    """Return the names of a table's numeric columns, except row ids."""
    columns = enumerate(source.columns or ())
    return tuple(column.name for number, column in columns if column.numeric and not _is_index(number, column))


def _is_index(number: int, column: Column) -> bool:
    return column.name.strip() in INDEX_NAMES and (column.name.strip() != "" or number == 0)


def numeric_columns(source: Source) -> Names:
    """Return the names of a table's numeric columns, except row ids.

    Raises
    ------
    DataError
        If there are none.
    """
    names = _data_columns(source)
    if not names:
        raise DataError(f"{source.path}: no column holds numbers")
    return names


def _choose_columns(
    tables: Sequence[Source], pred: Names, target: Names, taken: Collection[str], warnings: list[Warned]
) -> tuple[Names, Names]:
    """Return the columns to score: the ones named, or the choice of the first rule that fits."""
    sides = (
        _side(tables[0], PREDICTION_NAMES, "pred", taken),
        _side(tables[-1], TARGET_NAMES, "target", taken),
    )
    names = find_all(tables[0], pred, warnings), find_all(tables[-1], target, warnings)
    two_files = len(tables) > 1
    found: tuple[Names, Names] | None = names
    if not (pred or target):
        found = next(_rules(*sides, two_files=two_files), None)
    elif not (pred and target):
        given, open_side = (names[0], sides[1]) if pred else (names[1], sides[0])
        other = _other_side(open_side, given, two_files=two_files)
        found = None if other is None else (given, other) if pred else (other, given)
    if found is None:
        raise _undecided(sides, two_files=two_files)
    for side, chosen in zip(sides, found, strict=True):
        find_all(side.source, chosen, [])
    if len(found[0]) != len(found[1]) and all(found):
        raise DataError(f"{len(found[0])} prediction columns cannot be paired with {len(found[1])} target columns")
    return found


def _rules(prediction: _Side, target: _Side, *, two_files: bool) -> Iterator[tuple[Names, Names]]:
    """Yield the choice of each rule that fits, in order of precedence."""
    if prediction.whole and target.whole and two_files:
        yield (), ()
    if len(prediction.known) == 1 and len(target.known) == 1:
        yield prediction.known, target.known
    if not two_files:
        return
    if prediction.single and target.single:
        yield prediction.all, target.all
    if prediction.candidates and len(set(prediction.candidates)) == len(prediction.candidates):
        if set(prediction.candidates) == set(target.candidates):
            yield prediction.candidates, prediction.candidates
        array, table = (prediction, target) if prediction.whole else (target, prediction)
        if array.whole and not table.whole and array.source.item == (len(table.candidates),):
            yield prediction.all, target.all


def _other_side(side: _Side, given: Names, *, two_files: bool) -> Names | None:
    """Return the columns of the side that the user did not name, to pair with the `given` ones."""
    if side.whole and two_files:
        return ()
    if len(side.known) == 1 == len(given):
        return side.known
    if two_files and len(side.candidates) == 1 == len(given):
        return side.candidates
    return given if two_files and set(given) <= set(side.candidates) else None


def _choose_inputs(
    tables: Sequence[Source], pred: Names, target: Names, taken: Collection[str], warnings: list[Warned]
) -> tuple[Names, Names]:
    """Return the columns of a model's inputs and targets.

    Unless the user names them, the inputs are all numeric columns without another role; the target is the column with
    a known name, or in a file of their own the targets are all numeric columns.
    """
    first, two_files = tables[0], len(tables) > 1
    target_side = _side(tables[-1], TARGET_NAMES, "target", taken)
    targets = find_all(target_side.source, target, warnings)
    if not targets and not target_side.whole:
        known = target_side.known
        targets = known if len(known) == 1 else target_side.candidates if two_files else ()
        if not targets:
            raise DataError(f"{first.path}: name the columns of the targets: use `target=COLUMN`{described([first])}")
    input_side = _side(first, frozenset(), "inputs", {*taken, *(() if two_files else targets)})
    inputs = find_all(first, pred, warnings) or input_side.all
    if not inputs and not input_side.whole:
        raise DataError(f"{first.path}: no column is left for the inputs; use `inputs=COLUMN`{described([first])}")
    return find_all(first, inputs, []), find_all(target_side.source, targets, [])


def _common_indexes(prediction: Source, target: Source, taken: Collection[str]) -> list[str]:
    def indexes(source: Source) -> list[str]:
        names = Counter(c.name for n, c in enumerate(source.columns or ()) if _is_index(n, c) and c.name not in taken)
        return [name for name, count in names.items() if count == 1]

    shared = indexes(target)
    return [name for name in indexes(prediction) if name in shared]


def _undecided(sides: tuple[_Side, _Side], *, two_files: bool) -> DataError:
    for side in sides:
        find_all(side.source, side.known, [])
    first = _example(sides[0], sides, ())
    second = _example(sides[1], sides, (first,) if not two_files and first is not None else ())
    named = [(side.setting, name) for side, name in zip(sides, (first, second), strict=True) if name is not None]
    examples = " ".join(setting(role, name) for role, name in named)
    advice = f"use `pred=COLUMN` `target=COLUMN`, for example {examples}"
    if not examples:
        advice = "the only numeric columns look like row ids"
    if not any(column.numeric for side in sides for column in side.source.columns or ()):
        advice = "none of them holds numbers"
    if not two_files and sides[0].source.columns is None:
        advice = "an array without columns needs a second file: msecli compute PREDICTIONS TARGETS"
    listed = described([side.source for side in (sides if two_files else sides[:1])])
    return DataError(f"cannot tell which columns to score; {advice}{listed}")


def _example(side: _Side, sides: tuple[_Side, _Side], taken: Names) -> str | None:
    """Return a column to suggest for this side: not a taken one, nor one with a name known for the other side."""
    other = sides[1] if side is sides[0] else sides[0]
    likely = [name for name in side.candidates if name.strip().lower() not in other.known_names and name not in taken]
    return next((name for name in (*side.known, *likely) if name in likely and len(name) <= SHOWN), None)


def described(sources: Iterable[Source]) -> str:
    """Return the columns of some files, a line per file."""
    lines = []
    for source in dict.fromkeys(sources):
        shape = f"an array with rows of shape {source.item}" if source.columns is None else _listed(source.columns)
        lines.append(f"\n  {source.path}: {shape}")
    return "".join(lines)


def _listed(columns: Sequence[Column]) -> str:
    listed = [f"{shown(column.name)} ({column.kind})" for column in columns[:SHOWN_COLUMNS]]
    more = len(columns) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more > 0 else "")


def item_shape(source: Source, columns: Names) -> tuple[int, ...]:
    """Return the shape of a row of these columns, or of the whole array."""
    if not columns:
        return source.item or ()
    return () if len(columns) == 1 else (len(columns),)


def check_shapes(sources: Sequence[Source], roles: Roles, item: tuple[int, ...]) -> None:
    """Refuse files whose rows do not match predictions of this shape element by element.

    Raises
    ------
    DataError
    """
    target = sources[roles.target.file]
    theirs = item_shape(target, roles.target.columns)
    if not same_item_shape(item, theirs):
        raise DataError(
            f"the shapes differ: {sources[PREDICTION].path} has rows of shape {item}, "
            f"{target.path} of shape {theirs}; they must be equal, nothing is broadcast"
        )
    if roles.weight is None:
        return
    weights = sources[roles.weight.file]
    shape = item_shape(weights, roles.weight.columns)
    if shape not in ((), (1,), item):
        raise DataError(
            f"{weights.path}: rows of weights have shape {shape}; they must be one number, or have the shape "
            f"of the prediction's rows, {item}"
        )
