"""Assign roles to columns by name and type: prediction, target, weight, group, key."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from msecli.core.check import same_item_shape
from msecli.errors import SHOWN, DataError, Warned, many, meant, setting, shown, visible
from msecli.formats.base import Column, Selection, Source

PREDICTION, TARGET = 0, 1

IDENTIFYING_NAMES = frozenset((
    "id", "index", "idx", "key", "row", "rowid", "row_id", "no", "nr", "uuid", "guid", "unnamed: 0",
    "__index_level_0__", "date", "time", "datetime", "timestamp", "ds", "period",
))  # fmt: skip
IDENTIFYING_ENDS = ("_id", "_key", "_idx", "_no")
IDENTIFYING_CAMEL_CASE = re.compile(r".*[a-z0-9]I[dD]")
"""Names of columns that identify rows, in any case, and how such names end; they are scored only if named."""

PREDICTION_NAMES = frozenset((
    "pred", "preds", "prediction", "predictions", "predicted", "y_pred", "ypred", "yhat", "y_hat", ".pred", "forecast",
    "fitted", "estimate", "estimated", "output", "outputs", "simulated", "sim",
))  # fmt: skip
TARGET_NAMES = frozenset((
    "target", "targets", "true", "truth", "ground_truth", "gt", "actual", "actuals", "y_true", "ytrue", "y_test", "y",
    "label", "labels", "observed", "obs", "reference", "ref",
))  # fmt: skip
"""Names, in any case, that tell a column's role."""

SHOWN_COLUMNS = 20

ONLY_IDS = "the only numeric columns look like row ids"

Names = tuple[str, ...]


class UndecidedError(DataError):
    """No rule tells which columns to score; `plain` is the message without the example of a command."""

    def __init__(self, message: str, plain: str = "") -> None:
        super().__init__(message)
        self.plain = plain or message


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
    keys : tuple of tuple of str
        The key columns of the prediction file and of the target file.
    checked : tuple of Shared
        Columns whose labels must agree in every row.
    looked_at : tuple of Shared
        Columns of numbers that must agree in the first rows.
    rule : str
        The rule that chose the columns to score: "names", "single", "same" or "matrix"; "" if the user named them.
    warnings : tuple of Warned
    """

    prediction: Place
    target: Place
    weight: Place | None = None
    by: tuple[Place, ...] = ()
    keys: tuple[Names, ...] = ()
    checked: tuple[Shared, ...] = ()
    looked_at: tuple[Shared, ...] = ()
    rule: str = ""
    warnings: tuple[Warned, ...] = ()

    @property
    def on(self) -> Names:
        """The names of the keys: those of the prediction file."""
        return self.keys[PREDICTION] if self.keys else ()

    def selection(self, file: int) -> Selection:
        """Return what to read from a file."""
        places = [self.prediction, self.target, *([self.weight] if self.weight else [])]
        numbers = [name for place in places if place.file == file for name in place.columns]
        labels = [name for place in self.by if place.file == file for name in place.columns]
        if file in (PREDICTION, self.target.file):
            labels += [*(self.keys[file] if self.keys else ()), *(shared.columns[file] for shared in self.checked)]
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
    row_check: bool = True,
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
    row_check : bool
        Whether rows paired by position must agree in the other columns that both files have.

    Raises
    ------
    DataError
        If a column does not exist, a weight column is in both files, or no rule tells which columns to score.
    """
    warnings: list[Warned] = []
    weighting = _weight_column(tables, weight, warnings)
    keys = _key_columns(tables, on, warnings)
    groups = [_located(tables, name, "by", warnings) for name in split_names(tables, by)]
    taken = {name for places in (*groups, weighting) for place in places for name in place.columns}
    taken |= {name for names in keys for name in names}
    choose = _choose_inputs if model else _choose_columns
    chosen, rule = choose(tables, pred, target, taken, warnings)
    if rule == SAME and len(chosen[0]) > 1:
        more = f" and {len(chosen[0]) - SHOWN_COLUMNS} more" if len(chosen[0]) > SHOWN_COLUMNS else ""
        shown_names = ", ".join(chosen[0][:SHOWN_COLUMNS]) + more
        meaning = f"{len(chosen[0])} columns have the same names in both files and were scored: {shown_names}"
        warnings.append(Warned("columns_chosen", " and ".join(table.path for table in tables), meaning))
    last = len(tables) - 1
    checked: dict[tuple[str, str], bool] = {}
    looked_at: list[Shared] = []
    if row_check and last and not keys:
        for columns, identifying in _shared_columns(tables[0], tables[1], (*chosen, taken)):
            if identifying:
                checked[columns] = False
            elif chosen[0] != chosen[1]:
                looked_at.append(Shared(columns))
    # Group labels that both files have must agree, too.
    checked |= {(places[0].columns[0], places[1].columns[0]): True for places in groups if len(places) > 1}
    if weights is not None:
        weighting = [Place(len(tables), _weight_columns(weights, chosen, item_shape(tables[-1], chosen[1])))]
    return Roles(
        Place(PREDICTION, chosen[0]),
        Place(last, chosen[1]),
        weighting[0] if weighting else None,
        tuple(places[-1] for places in groups),
        keys,
        tuple(Shared(columns, group) for columns, group in checked.items()),
        tuple(looked_at),
        rule,
        tuple(warnings),
    )


def split_names(tables: Sequence[Source], names: Names) -> Names:
    """Split names at commas: "a,b" means the columns a and b, unless a table has a column "a,b"."""
    if not any("," in name for name in names):
        return names
    columns = {column.name for table in tables for column in table.columns or ()}
    folded = set(map(_folded, columns))
    found: list[str] = []
    for name in names:
        pieces = [piece if piece in columns else piece.strip() for piece in name.split(",")]
        whole = len(pieces) == 1 or not any(pieces) or _folded(name) in folded
        found += [name] if whole else [piece for piece in pieces if piece]
    return tuple(found)


class _Lookup:
    """The columns of a file by their names."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._exact = Counter(column.name for column in source.columns or ())
        self._folded: dict[str, list[Column]] = {}
        for column in source.columns or ():
            self._folded.setdefault(_folded(column.name), []).append(column)

    def holds(self, name: str) -> bool:
        """Tell whether a column has this name, up to case and outer blanks."""
        return _folded(name) in self._folded

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
    for name in split_names([source], tuple(names)):
        if source.columns is None:
            raise DataError(f"{source.path}: the array has no columns, so {name!r} cannot be one")
        column = lookup.find(name, warnings)
        if column is None:
            raise DataError(f"{source.path}: no column {shown(name)}{_near(source, name)}")
        found.append(column)
    for name, count in Counter(found).items():
        if count > 1:
            raise DataError(f"{source.path}: column {shown(name)} is named twice")
    return tuple(found)


def _folded(name: str) -> str:
    return name.strip().casefold()


def _near(source: Source, name: str) -> str:
    hint = _meant([source], name)
    return f"{hint}{' ' if hint else '; '}the columns are {_listed(source.columns or ())}"


def _meant(sources: Iterable[Source], name: str) -> str:
    """Return which column was probably meant, if one has a similar name."""
    return meant(name.strip(), [column.name for source in sources for column in source.columns or ()], spelled=shown)


def _located(tables: Sequence[Source], name: str, setting: str, warnings: list[Warned]) -> list[Place]:
    """Return the column of this name in each file that has it; exact matches in any file exclude other ones."""
    files = range(len(tables))
    exact = [file for file in files if any(column.name == name for column in tables[file].columns or ())]
    found = [(file, _Lookup(tables[file]).find(name, warnings)) for file in exact or files]
    places = [Place(file, (column,)) for file, column in found if column is not None]
    if not places:
        raise DataError(f"`{setting}`: no file has a column {shown(name)}{_meant(tables, name)}{described(tables)}")
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
    keys: list[tuple[str, ...]] = []
    for name in split_names(tables, names):
        found: list[str] = []
        for table, own in zip(tables, _own_names(tables, name), strict=True):
            column = _Lookup(table).find(own, warnings)
            if column is None:
                hint = _meant([table], own) or "; keys are columns of both files"
                raise DataError(f"`on`: {table.path} has no column {shown(own)}{hint}{described(tables)}")
            found.append(column)
        keys.append(tuple(found))
    for table, columns in zip(tables, zip(*keys, strict=True), strict=True):
        find_all(table, columns, [])
    return tuple(zip(*keys, strict=True))


def _own_names(tables: Sequence[Source], name: str) -> tuple[str, ...]:
    """Return the name of a key in each file: "a=b" means a in the first and b in the second, unless it is a name."""
    lookups = [_Lookup(table) for table in tables]
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
    return tuple(column.name for number, column in columns if column.numeric and not _is_identifying(number, column))


def _is_identifying(number: int, column: Column) -> bool:
    """Tell whether a column identifies rows by its name; the unnamed first column does."""
    name = column.name.strip()
    folded = name.casefold()
    known = folded in IDENTIFYING_NAMES or folded.endswith(IDENTIFYING_ENDS) or (not name and number == 0)
    return known or IDENTIFYING_CAMEL_CASE.fullmatch(name) is not None


def numeric_columns(source: Source, setting: str = "") -> Names:
    """Return the names of a table's numeric columns, except row ids.

    Parameters
    ----------
    source : Source
    setting : str, optional
        The setting that names columns, row ids included, for an error.

    Raises
    ------
    DataError
        If there are none.
    """
    names = _data_columns(source)
    if not names:
        numeric = [column for column in source.columns or () if column.numeric]
        advice = f"; use `{setting}=COLUMN`" if setting else ""
        raise DataError(f"{source.path}: {ONLY_IDS}{advice}" if numeric else f"{source.path}: no column holds numbers")
    return names


def _choose_columns(
    tables: Sequence[Source], pred: Names, target: Names, taken: Collection[str], warnings: list[Warned]
) -> tuple[tuple[Names, Names], str]:
    """Return the columns to score, and the rule that chose them: the ones named, or the choice of the first rule."""
    sides = (
        _side(tables[0], PREDICTION_NAMES, "pred", taken),
        _side(tables[-1], TARGET_NAMES, "target", taken),
    )
    two_files = len(tables) > 1
    names = (
        find_all(tables[0], pred, warnings),
        find_all(tables[-1], target, warnings) if target or not two_files else _same_names(tables[1], pred, warnings),
    )
    found: tuple[Names, Names] | None = names
    rule = ""
    if not (pred or target):
        found, rule = next(_rules(*sides, two_files=two_files), (None, ""))
    elif not (names[0] and names[1]):
        given, open_side = (names[0], sides[1]) if pred else (names[1], sides[0])
        other = _other_side(open_side, given, two_files=two_files)
        found = None if other is None else (given, other) if pred else (other, given)
    if found is None:
        raise _undecided(sides, names, two_files=two_files)
    for side, chosen in zip(sides, found, strict=True):
        find_all(side.source, chosen, [])
    if len(found[0]) != len(found[1]) and all(found):
        ours, theirs = many(len(found[0]), "prediction column"), many(len(found[1]), "target column")
        pair = setting("pred", found[0][0]), setting("target", found[1][0])
        raise DataError(f"{ours} and {theirs} do not make pairs; score them one by one, as with {' '.join(pair)}")
    return found, rule


def _same_names(source: Source, names: Names, warnings: list[Warned]) -> Names:
    """Return the columns of these names if the source has them all, else none."""
    lookup = _Lookup(source)
    names = split_names([source], names)
    return find_all(source, names, warnings) if all(map(lookup.holds, names)) else ()


def key_name(ours: str, theirs: str) -> str:
    """Return how to name a key of two files: once, or as "a=b" where its names differ."""
    return ours if ours == theirs else f"{ours}={theirs}"


NAMES, SINGLE, SAME, MATRIX = "names", "single", "same", "matrix"
"""The rules that choose columns, in order of precedence."""


def _rules(prediction: _Side, target: _Side, *, two_files: bool) -> Iterator[tuple[tuple[Names, Names], str]]:
    """Yield the choice of each rule that fits, in order of precedence."""
    if prediction.whole and target.whole and two_files:
        yield ((), ()), MATRIX
    if len(prediction.known) == 1 and len(target.known) == 1:
        yield (prediction.known, target.known), NAMES
    for known, other in ((prediction, target), (target, prediction)):
        chosen = known.known[:2]
        rest = other.all if two_files else tuple(name for name in other.candidates if name not in chosen)
        if len(chosen) == 1 and (other.single if two_files else len(rest) == 1):
            yield ((chosen, rest) if known is prediction else (rest, chosen)), NAMES
    if not two_files:
        return
    if prediction.single and target.single:
        yield (prediction.all, target.all), SINGLE
    if prediction.candidates and len(set(prediction.candidates)) == len(prediction.candidates):
        if set(prediction.candidates) == set(target.candidates):
            yield (prediction.candidates, prediction.candidates), SAME
        array, table = (prediction, target) if prediction.whole else (target, prediction)
        if array.whole and not table.whole and array.source.item == (len(table.candidates),):
            yield (prediction.all, target.all), MATRIX


def _other_side(side: _Side, given: Names, *, two_files: bool) -> Names | None:
    """Return the columns of the side that the user did not name, to pair with the `given` ones."""
    if side.whole and two_files:
        return ()
    if len(side.known) == 1 == len(given) and (two_files or side.known != given):
        return side.known
    if two_files and len(side.candidates) == 1 == len(given):
        return side.candidates
    return given if two_files and set(given) <= set(side.candidates) else None


def _choose_inputs(
    tables: Sequence[Source], pred: Names, target: Names, taken: Collection[str], warnings: list[Warned]
) -> tuple[tuple[Names, Names], str]:
    """Return the columns of a model's inputs and targets, and no rule.

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
    return (find_all(first, inputs, []), find_all(target_side.source, targets, [])), ""


NESTED = ("list", "large_list", "fixed_size_list", "struct", "map", "binary", "large_binary", "fixed_size_binary")
"""How the kinds begin of columns whose values cannot be compared."""


def _shared_columns(
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
        comparable = not any(column.kind.startswith(NESTED) for _, column in found)
        if len(names) == 2 and comparable and used.isdisjoint(names):
            identifying = any(_is_identifying(*each) or not each[1].numeric for each in found)
            yield (names[0], names[1]), identifying


def _unique_columns(source: Source) -> dict[str, tuple[int, Column]]:
    """Return the columns with their numbers by their folded names, except those whose names are not unique."""
    columns = list(enumerate(source.columns or ()))
    count = Counter(_folded(column.name) for _, column in columns)
    return {_folded(column.name): (number, column) for number, column in columns if count[_folded(column.name)] == 1}


def _undecided(sides: tuple[_Side, _Side], names: tuple[Names, Names], *, two_files: bool) -> UndecidedError:
    """Return an error that lists the columns, with a command that runs if there is one to show."""
    for side in sides:
        find_all(side.source, side.known, [])
    sources = [side.source for side in (sides if two_files else sides[:1])]
    columns = [column for source in sources for column in source.columns or ()]
    advice, example = "; ".join(_not_numeric(sides, names)), ""
    if not advice:
        advice, example = _example(sides, names, two_files=two_files)
    if not any(side.candidates for side in sides) and columns:
        advice, example = f"{ONLY_IDS}; use `pred=COLUMN` `target=COLUMN`", ""
    if columns and not any(column.numeric for column in columns):
        advice, example = "none of them holds numbers", ""
    if not two_files and sides[0].source.columns is None:
        advice, example = "an array without columns needs a second file, with the targets", ""
    plain = f"cannot tell which columns to score; {advice}"
    return UndecidedError(f"{plain}{example}{described(sources)}", f"{plain}{described(sources)}")


def _not_numeric(sides: tuple[_Side, _Side], names: tuple[Names, Names]) -> Iterator[str]:
    """Yield that a column looks like a side that is to be chosen, but cannot be scored; no example would be right."""
    for side, role, given in zip(sides, ("prediction", "target"), names, strict=True):
        if given or side.known:
            continue
        for column in side.source.columns or ():
            if not column.numeric and _folded(column.name) in side.known_names:
                yield f"{shown(column.name)} looks like the {role}, but holds no numbers ({column.kind})"


def _example(sides: tuple[_Side, _Side], names: tuple[Names, Names], *, two_files: bool) -> tuple[str, str]:
    """Return advice to name columns, and an example with some that can be scored, which may be empty."""
    left = [f"`{name}=COLUMN`" for name, given in zip(("pred", "target"), names, strict=True) if not given]
    advice = f"use {' '.join(left)}"
    if any(column.numbered for side in sides for column in side.source.columns or ()):
        return advice, ""
    theirs = frozenset(sides[1].candidates)
    common = tuple(name for name in sides[0].candidates if name in theirs)
    if two_files and common and not any(names) and not any(side.known for side in sides):
        chosen = listed_setting("pred", common, added=True)
        return advice, f"; to score the columns of both files, {chosen}" if chosen else ""
    first, second = names[0] or _likely(sides, 0, names[1] if not two_files else ())[:1], names[1]
    second = second or _likely(sides, 1, first if not two_files else ())[: len(first)]
    if sides[0].whole and two_files:
        first, second = (), _likely(sides, 1, ())[:1] if sides[0].source.item in {(), (1,)} else ()
    elif sides[1].whole and two_files:
        first, second = first if sides[1].source.item in {(), (1,)} else (), ()
    elif len(first) != len(second):
        return advice, ""
    # What the user named is in the command already.
    wanted = [
        (name, columns)
        for name, columns, given in zip(("pred", "target"), (first, second), names, strict=True)
        if columns and not given
    ]
    added = [listed_setting(name, columns, added=not number) for number, (name, columns) in enumerate(wanted)]
    return advice, f"; for example, {' '.join(map(str, added))}" if added and all(added) else ""


def _likely(sides: tuple[_Side, _Side], number: int, taken: Names) -> Names:
    """Return the columns to suggest for a side, likely names first: none taken or known for the other side."""
    side, other = sides[number], sides[1 - number]
    known, left = frozenset(side.known), frozenset(side.candidates).difference(taken)
    count = Counter(column.name for column in side.source.columns or ())
    likely = [
        n for n in dict.fromkeys(side.candidates) if n in left and _folded(n) not in other.known_names and count[n] == 1
    ]
    return tuple(sorted(likely, key=lambda name: (name not in known, -_resembles(name, number))))


WORDS = re.compile(r"[^\W_]+")


def _resembles(name: str, number: int) -> int:
    """Return 1 if a name has a word that tells the role of this side (0 or 1), -1 if it tells the other's, else 0.

    A word for predictions tells more: y_pred_ridge is one.
    """
    words = set(WORDS.findall(_folded(name)))
    if not words.isdisjoint(PREDICTION_NAMES):
        return 1 if number == 0 else -1
    return 0 if words.isdisjoint(TARGET_NAMES) else 1 if number == 1 else -1


def listed_setting(name: str, columns: Sequence[str], *, added: bool = False) -> str | None:
    """Mark a setting of one or several columns for a message; None if they cannot be typed in a line."""
    whole = ",".join(columns)
    typed = all(visible(column) == column and len(column) <= SHOWN and "`" not in column for column in columns)
    ambiguous = len(columns) > 1 and any("," in column or column != column.strip() for column in columns)
    return setting(name, whole, added=added) if columns and typed and not ambiguous else None


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
