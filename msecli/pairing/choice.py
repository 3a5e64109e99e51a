"""The rules that choose the columns to score, and what to do where none of them fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from msecli.errors import DataError, Warned
from msecli.formats.base import Source
from msecli.pairing.candidates import PREDICTION_NAMES, TARGET_NAMES, Side, side_of
from msecli.pairing.lookup import Lookup, Names, described, find_all, listed_setting, split_names

NAMES, SINGLE, SAME, MATRIX = "names", "single", "same", "matrix"
"""The rules that choose columns, in order of precedence."""

ALL = "all"
"""The choice of all columns of a single file, where there are no pairs."""


class UndecidedError(DataError):
    """No rule tells which columns to score; `columns` lists those that there are."""

    def __init__(self, message: str, columns: str = "") -> None:
        super().__init__(message + columns)
        self.columns = columns


def choose_columns(
    tables: Sequence[Source], pred: Names, target: Names, taken: Collection[str], warnings: list[Warned]
) -> tuple[tuple[Names, Names], str]:
    """Return the columns to score, and the rule that chose them: the ones named, or the choice of the first rule."""
    sides = (
        side_of(tables[0], PREDICTION_NAMES, "pred", taken),
        side_of(tables[-1], TARGET_NAMES, "target", taken),
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
        raise DataError(f"{len(found[0])} prediction columns cannot be paired with {len(found[1])} target columns")
    return found, rule


def _same_names(source: Source, names: Names, warnings: list[Warned]) -> Names:
    """Return the columns of these names if the source has them all, else none."""
    lookup = Lookup(source)
    names = split_names([source], names)
    return find_all(source, names, warnings) if all(map(lookup.holds, names)) else ()


def _rules(prediction: Side, target: Side, *, two_files: bool) -> Iterator[tuple[tuple[Names, Names], str]]:
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


def _other_side(side: Side, given: Names, *, two_files: bool) -> Names | None:
    """Return the columns of the side that the user did not name, to pair with the `given` ones."""
    if side.whole and two_files:
        return ()
    if len(side.known) == 1 == len(given) and (two_files or side.known != given):
        return side.known
    if two_files and len(side.candidates) == 1 == len(given):
        return side.candidates
    return given if two_files and set(given) <= set(side.candidates) else None


def choose_inputs(
    tables: Sequence[Source], pred: Names, target: Names, taken: Collection[str], warnings: list[Warned]
) -> tuple[tuple[Names, Names], str]:
    """Return the columns of a model's inputs and targets, and no rule.

    Unless the user names them, the inputs are all numeric columns without another role; the target is the column with
    a known name, or in a file of their own the targets are all numeric columns.
    """
    first, two_files = tables[0], len(tables) > 1
    target_side = side_of(tables[-1], TARGET_NAMES, "target", taken)
    targets = find_all(target_side.source, target, warnings)
    if not targets and not target_side.whole:
        known = target_side.known
        targets = known if len(known) == 1 else target_side.candidates if two_files else ()
        if not targets:
            raise DataError(f"{first.path}: name the columns of the targets: use `target=COLUMN`{described([first])}")
    input_side = side_of(first, frozenset(), "inputs", {*taken, *(() if two_files else targets)})
    inputs = find_all(first, pred, warnings) or input_side.all
    if not inputs and not input_side.whole:
        raise DataError(f"{first.path}: no column is left for the inputs; use `inputs=COLUMN`{described([first])}")
    return (find_all(first, inputs, []), find_all(target_side.source, targets, [])), ""


def _undecided(sides: tuple[Side, Side], names: tuple[Names, Names], *, two_files: bool) -> UndecidedError:
    """Return an error that lists the columns, with a command that runs if there is one to show."""
    for side in sides:
        find_all(side.source, side.known, [])
    sources = [side.source for side in (sides if two_files else sides[:1])]
    columns = [column for source in sources for column in source.columns or ()]
    advice = _example(sides, names, two_files=two_files)
    if not any(side.candidates for side in sides) and columns:
        advice = "the only numeric columns look like row ids; use `pred=COLUMN` `target=COLUMN`"
    if columns and not any(column.numeric for column in columns):
        advice = "none of them holds numbers"
    if not two_files and sides[0].source.columns is None:
        advice = "an array without columns needs a second file: msecli compute PREDICTIONS TARGETS"
    return UndecidedError(f"cannot tell which columns to score; {advice}", described(sources))


def _example(sides: tuple[Side, Side], names: tuple[Names, Names], *, two_files: bool) -> str:
    """Return advice to name columns, for example some that can be scored."""
    advice = "use `pred=COLUMN` `target=COLUMN`"
    theirs = frozenset(sides[1].candidates)
    common = tuple(name for name in sides[0].candidates if name in theirs)
    if two_files and common and not any(names) and not any(side.known for side in sides):
        chosen = listed_setting("pred", common, added=True)
        return f"{advice}; to score the columns of both files, {chosen}" if chosen else advice
    first, second = names[0] or _likely(sides, 0, names[1] if not two_files else ())[:1], names[1]
    second = second or _likely(sides, 1, first if not two_files else ())[: len(first)]
    if sides[0].whole and two_files:
        first, second = (), _likely(sides, 1, ())[:1] if sides[0].source.item in {(), (1,)} else ()
    elif sides[1].whole and two_files:
        first, second = first if sides[1].source.item in {(), (1,)} else (), ()
    elif len(first) != len(second):
        return advice
    added = [listed_setting("pred", first, added=True)] if first else []
    added += [listed_setting("target", second, added=not first)] if second else []
    return f"{advice}; for example, {' '.join(map(str, added))}" if added and all(added) else advice


def _likely(sides: tuple[Side, Side], number: int, taken: Names) -> Names:
    """Return the columns to suggest for a side, known names first: none taken or known for the other side."""
    side, other = sides[number], sides[1 - number]
    left = frozenset(side.candidates).difference(taken)
    likely = {name: None for name in side.candidates if name in left and name.strip().lower() not in other.known_names}
    count = Counter(column.name for column in side.source.columns or ())
    return tuple(dict.fromkeys(n for n in (*side.known, *likely) if n in likely and count[n] == 1))
