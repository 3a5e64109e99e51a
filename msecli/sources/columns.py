"""Which columns hold the predictions and the targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msecli.errors import SHOWN, DataError, shown
from msecli.sources.base import INDEX_NAMES, Column, Note, Source

PREDICTION_NAMES = frozenset(
    ("pred", "preds", "prediction", "predictions", "predicted", "y_pred", "ypred", "yhat", "y_hat", "forecast")
)
TARGET_NAMES = frozenset(
    ("target", "targets", "true", "truth", "actual", "y_true", "ytrue", "y", "label", "labels", "observed")
)
"""Names, in any case, by which a column is known for what it is."""

SHOWN_COLUMNS = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """The columns to score, pair by pair; empty for whole arrays without names.

    `index` names the row indexes that both files carry.
    """

    prediction: tuple[str, ...]
    target: tuple[str, ...]
    index: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


class _Side(NamedTuple):
    source: Source
    known_names: frozenset[str]
    option: str
    named: tuple[str, ...]
    candidates: tuple[Column, ...]

    @property
    def known(self) -> tuple[str, ...]:
        """The candidates whose names are known for this side."""
        return tuple(column.name for column in self.candidates if column.name.strip().lower() in self.known_names)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.candidates)

    @property
    def is_array(self) -> bool:
        """Whether this is an array to be taken whole."""
        whole = len(self.candidates) == len(self.source.columns or ())
        return self.source.item is not None and not self.named and whole


def choose_columns(
    prediction: Source,
    target: Source | None,
    named: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
    reserved: Collection[str] = (),
) -> Choice:
    """Return which columns to score, by the first rule that fits.

    Parameters
    ----------
    prediction : Source
    target : Source, optional
        Without it the prediction's file holds both.
    named : (prediction columns, target columns)
        As the user named them; empty where they did not.
    reserved : collection of str
        Columns with another role.

    Raises
    ------
    DataError
        If a column is not there, or no rule fits.
    """
    sides = (
        _side(prediction, PREDICTION_NAMES, "-p", named[0], reserved),
        _side(target or prediction, TARGET_NAMES, "-t", named[1], reserved),
    )
    notes: list[Note] = []
    names = tuple(tuple(_find(side.source, name, notes) for name in side.named) for side in sides)
    if not (names[0] and names[1]):
        names = _complete(sides, names, two_files=target is not None)
    for side, chosen in zip(sides, names, strict=True):
        _check_unique(side.source, chosen)
    if len(names[0]) != len(names[1]) and all(names):
        raise DataError(f"{len(names[0])} prediction columns cannot be paired with {len(names[1])} target columns")
    index = () if target is None else _common_index(prediction, target, {*names[0], *names[1], *reserved})
    return Choice(names[0], names[1], index, tuple(notes))


def choose_inputs(
    inputs: Source,
    target: Source | None,
    named: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
    reserved: Collection[str] = (),
) -> Choice:
    """Return which columns are the inputs of a model, and which are the targets.

    Parameters
    ----------
    inputs : Source
    target : Source, optional
        Without it the inputs' file holds both.
    named : (input columns, target columns)
        As the user named them. Without names the inputs are all numeric columns that have no other part, and the
        targets are the one with a known name, or all numeric columns of a file of their own.
    reserved : collection of str
        Columns with another role.

    Raises
    ------
    DataError
        If a column is not there, or the targets cannot be told.
    """
    notes: list[Note] = []
    there = _side(target or inputs, TARGET_NAMES, "-t", named[1], reserved)
    targets = tuple(_find(there.source, name, notes) for name in named[1])
    if not targets and not there.is_array:
        targets = there.known if len(there.known) == 1 else there.names if target is not None else ()
        if not targets:
            raise DataError(f"{inputs.path}: say which columns are the targets: -t COLUMN{_described([inputs])}")
    here = _side(inputs, frozenset(), "-x", named[0], {*reserved, *(targets if target is None else ())})
    chosen = tuple(_find(inputs, name, notes) for name in named[0]) or (() if here.is_array else here.names)
    if not chosen and not here.is_array:
        raise DataError(f"{inputs.path}: no column is left for the inputs; say -x COLUMN{_described([inputs])}")
    for side, names in ((here, chosen), (there, targets)):
        _check_unique(side.source, names)
    index = () if target is None else _common_index(inputs, target, {*chosen, *targets, *reserved})
    return Choice(chosen, targets, index, tuple(notes))


def _side(
    source: Source, known: frozenset[str], option: str, named: tuple[str, ...], reserved: Collection[str]
) -> _Side:
    candidates = tuple(
        column
        for number, column in enumerate(source.columns or ())
        if column.numeric and column.name not in reserved and not _is_index(number, column)
    )
    return _Side(source, known, option, named, candidates)


def _is_index(number: int, column: Column) -> bool:
    return column.name.strip() in INDEX_NAMES and (column.name.strip() != "" or number == 0)


Names = tuple[tuple[str, ...], ...]


def _complete(sides: tuple[_Side, _Side], names: Names, *, two_files: bool) -> Names:
    prediction, target = sides
    if names[0] or names[1]:
        given, open_side = (names[0], target) if names[0] else (names[1], prediction)
        found = _one_side(open_side, given, two_files=two_files)
        if found is None:
            raise _undecided(sides, two_files=two_files)
        return (given, found) if names[0] else (found, given)
    for rule in _rules(prediction, target, two_files=two_files):
        return rule
    raise _undecided(sides, two_files=two_files)


def _rules(prediction: _Side, target: _Side, *, two_files: bool) -> Iterator[Names]:
    """Yield what each rule that fits would choose, the first one being the answer."""
    if prediction.is_array and target.is_array and two_files:
        yield (), ()
    if len(prediction.known) == 1 and len(target.known) == 1:
        yield prediction.known, target.known
    if not two_files:
        return
    if _single(prediction) and _single(target):
        yield _whole_or_names(prediction), _whole_or_names(target)
    if prediction.names and len(set(prediction.names)) == len(prediction.names):
        if set(prediction.names) == set(target.names):
            yield prediction.names, prediction.names
        array, table = (prediction, target) if prediction.is_array else (target, prediction)
        if array.is_array and not table.is_array and array.source.item == (len(table.names),):
            yield _whole_or_names(prediction), _whole_or_names(target)


def _single(side: _Side) -> bool:
    return side.source.item == () or len(side.names) == 1


def _whole_or_names(side: _Side) -> tuple[str, ...]:
    return () if side.is_array else side.names


def _one_side(side: _Side, given: tuple[str, ...], *, two_files: bool) -> tuple[str, ...] | None:
    """Return the columns of the side that the user did not name, to go with those of the other."""
    if side.is_array and two_files:
        return ()
    if len(side.known) == 1 == len(given):
        return side.known
    if two_files and len(side.names) == 1 == len(given):
        return side.names
    return given if two_files and set(given) <= set(side.names) else None


def find_columns(source: Source, names: tuple[str, ...], notes: list[Note]) -> tuple[str, ...]:
    """Return the columns of these names, as they are written in the file; what is to be said of them goes to `notes`.

    Raises
    ------
    DataError
        If one is not there, is there twice, or is named twice.
    """
    found = tuple(_find(source, name, notes) for name in names)
    _check_unique(source, found)
    return found


def numeric_columns(source: Source) -> tuple[str, ...]:
    """Return the names of a table's numeric columns, without its row index.

    Raises
    ------
    DataError
        If there is none.
    """
    names = tuple(
        column.name
        for number, column in enumerate(source.columns or ())
        if column.numeric and not _is_index(number, column)
    )
    if not names:
        raise DataError(f"{source.path}: no column holds numbers")
    return names


def _find(source: Source, name: str, notes: list[Note]) -> str:
    columns = source.columns
    if columns is None:
        raise DataError(f"{source.path}: the array has no columns, so {name!r} cannot be one")
    found = _look_up(source, name, notes)
    if found is not None:
        return found
    import difflib

    lowered = {_folded(column.name): column.name for column in columns}
    near = difflib.get_close_matches(_folded(name), lowered, n=1)
    hint = f"did you mean {lowered[near[0]]!r}? " if near else ""
    raise DataError(f"{source.path}: no column {name!r}; {hint}the columns are {_listed(columns)}")


def _look_up(source: Source, name: str, notes: list[Note]) -> str | None:
    """Return the column of this name, or the only one whose name differs just in case or in blanks around it.

    Raises
    ------
    DataError
        If there are several such columns.
    """
    columns = source.columns or ()
    if any(column.name == name for column in columns):
        _check_unique(source, (name,))
        return name
    alike = tuple(column for column in columns if _folded(column.name) == _folded(name))
    if len(alike) > 1:
        raise DataError(
            f"{source.path}: no column is named exactly {name!r}, and {len(alike)} differ from it only in case or in "
            f"blanks: {_listed(alike)}; write the name as it is in the file"
        )
    for column in alike:
        meaning = f"column {column.name!r} was taken for {name!r}; the names differ in case or in blanks around them"
        notes.append(Note("column_name_differs", f"{source.path}, column {column.name!r}", meaning, 1))
        return column.name
    return None


def _folded(name: str) -> str:
    return name.strip().casefold()


def _check_unique(source: Source, names: tuple[str, ...]) -> None:
    present, named = Counter(column.name for column in source.columns or ()), Counter(names)
    for name in names:
        if present[name] > 1:
            raise DataError(f"{source.path}: {present[name]} columns are named {name!r}; rename all but one")
        if named[name] > 1:
            raise DataError(f"{source.path}: column {name!r} is named twice")


def _common_index(prediction: Source, target: Source, taken: Collection[str]) -> tuple[str, ...]:
    def indexes(source: Source) -> list[str]:
        columns = enumerate(source.columns or ())
        names = [column.name for number, column in columns if _is_index(number, column) and column.name not in taken]
        return [name for name in names if names.count(name) == 1]

    there = indexes(target)
    return tuple(name for name in indexes(prediction) if name in there)


def _listed(columns: tuple[Column, ...]) -> str:
    listed = [f"{shown(column.name)} ({column.kind})" for column in columns[:SHOWN_COLUMNS]]
    more = len(columns) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more > 0 else "")


def _undecided(sides: tuple[_Side, _Side], *, two_files: bool) -> DataError:
    described = _described([side.source for side in (sides if two_files else sides[:1])])
    for side in sides:
        _check_unique(side.source, side.known)
    first = _example(sides[0], sides, ())
    second = _example(sides[1], sides, (first,) if not two_files and first is not None else ())
    named = [(side.option, name) for side, name in zip(sides, (first, second), strict=True) if name is not None]
    examples = " ".join(f"{option} {_quoted(name)}" for option, name in named)
    advice = f"say -p COLUMN -t COLUMN, for example {examples}" if examples else "there is none besides row indexes"
    if not any(column.numeric for side in sides for column in side.source.columns or ()):
        advice = "none of them holds numbers"
    if not two_files and sides[0].source.columns is None:
        advice = "an array without columns needs a second file: msecli compute PREDICTIONS TARGETS"
    return DataError(f"cannot tell which columns to score; {advice}{described}")


def _described(sources: Sequence[Source]) -> str:
    """Return the columns of some files, a line for each."""
    lines = []
    for source in dict.fromkeys(sources):
        shape = f"an array with rows of shape {source.item}" if source.columns is None else _listed(source.columns)
        lines.append(f"\n  {source.path}: {shape}")
    return "".join(lines)


def _example(side: _Side, sides: tuple[_Side, _Side], taken: tuple[str, ...]) -> str | None:
    """Return a column that could be meant on this side: not a taken one, nor one that is known for the other."""
    other = sides[1] if side is sides[0] else sides[0]
    unlikely = {column.name for column in side.candidates if column.name.strip().lower() in other.known_names}
    unlikely |= set(taken)
    candidates = (name for name in (*side.known, *side.names) if name not in unlikely)
    return next((name for name in candidates if len(name) <= SHOWN and name.isprintable()), None)


def _quoted(name: str) -> str:
    return f'"{name}"' if not name or " " in name else name


def locate(
    sources: Sequence[Source], name: str, option: str, notes: list[Note], *, everywhere: bool = False
) -> list[tuple[int, str]]:
    """Return which of the files have a column of this name, as (number of the file, its name there).

    Parameters
    ----------
    everywhere : bool
        Whether all files must have it. Otherwise, where a file has a column of exactly this name, columns of others
        are not taken for it.

    Raises
    ------
    DataError
        If none has it, or not all where they must, or one has it several times.
    """
    files = range(len(sources))
    exact = [file for file in files if any(column.name == name for column in sources[file].columns or ())]
    looked_up = {file: _look_up(sources[file], name, notes) for file in (files if everywhere else exact or files)}
    found = [(file, match) for file, match in looked_up.items() if match is not None]
    if not found:
        raise DataError(f"{option}: no file has a column {name!r}{_described(sources)}")
    missing = [source.path for file, source in enumerate(sources) if looked_up.get(file) is None]
    if everywhere and missing:
        raise DataError(
            f"{option}: {missing[0]} has no column {name!r}; keys are columns of both files{_described(sources)}"
        )
    return found
