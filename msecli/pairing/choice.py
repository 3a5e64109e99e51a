"""The rules that choose the columns to score, and what to do where none of them fits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from msecli.errors import DataError, Warned, many, setting, shown
from msecli.formats.base import Source
from msecli.pairing.candidates import ONLY_IDS, ONLY_NAMED, PREDICTION_NAMES, TARGET_NAMES, Side, side_of
from msecli.pairing.lookup import Lookup, Names, described, find_all, folded_name, listed_setting, split_names

NAMES, SINGLE, SAME, MATRIX = "names", "single", "same", "matrix"
"""The rules that choose columns, in order of precedence."""

ALL = "all"
"""The choice of all columns of a single file, where there are no pairs."""


class UndecidedError(DataError):
    """No rule tells which columns to score.

    Parameters
    ----------
    advice : str
        What to do.
    example : str
        A command that does it, as the end of a sentence; empty if there is none.
    found : str
        The columns that there are, on lines of their own.
    """

    def __init__(self, advice: str, example: str, found: str) -> None:
        super().__init__(f"cannot tell which columns to score; {advice}{example}{found}")
        self.advice, self.found = advice, found


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
        ours, theirs = many(len(found[0]), "prediction column"), many(len(found[1]), "target column")
        pair = setting("pred", found[0][0]), setting("target", found[1][0])
        raise DataError(f"{ours} and {theirs} do not make pairs; score them one by one, as with {' '.join(pair)}")
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
        # Lists are the rows of an array, but of no lone column of numbers.
        fits = other.whole if set(chosen) <= set(known.lists) else other.single
        if len(chosen) == 1 and (fits if two_files else len(rest) == 1):
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
    advice, example = "; ".join(_not_numeric(sides, names)), ""
    if not advice:
        advice, example = _example(sides, names, two_files=two_files)
    if not any(side.candidates for side in sides) and columns:
        why = ONLY_IDS if any(column.data for column in columns) else ONLY_NAMED
        advice, example = f"{why}; use `pred=COLUMN` `target=COLUMN`", ""
    if columns and not any(column.numeric for column in columns):
        advice, example = "none of them holds numbers", ""
    if not all(side.candidates for side in sides) and all(side.lists for side in sides):
        advice, example = _naming_lists(sides, names, two_files=two_files)
    if not two_files and sides[0].source.columns is None:
        advice, example = "an array without columns needs a second file, with the targets", ""
    return UndecidedError(advice, example, described(sources))


def _not_numeric(sides: tuple[Side, Side], names: tuple[Names, Names]) -> Iterator[str]:
    """Yield that a column looks like a side that is to be chosen, but cannot be scored; no example would be right."""
    for side, role, given in zip(sides, ("prediction", "target"), names, strict=True):
        if given or side.known:
            continue
        for column in side.source.columns or ():
            if not column.numeric and folded_name(column.name) in side.known_names:
                yield f"{shown(column.name)} looks like the {role}, but holds no numbers ({column.kind})"


def _example(sides: tuple[Side, Side], names: tuple[Names, Names], *, two_files: bool) -> tuple[str, str]:
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


def _likely(sides: tuple[Side, Side], number: int, taken: Names) -> Names:
    """Return the columns to suggest for a side, likely names first: none taken or known for the other side."""
    side, other = sides[number], sides[1 - number]
    known, left = frozenset(side.known), frozenset(side.candidates).difference(taken)
    count = Counter(column.name for column in side.source.columns or ())
    likely = [
        n
        for n in dict.fromkeys(side.candidates)
        if n in left and folded_name(n) not in other.known_names and count[n] == 1
    ]
    return tuple(sorted(likely, key=lambda name: (name not in known, -_resembles(name, number))))


def _naming_lists(sides: tuple[Side, Side], names: tuple[Names, Names], *, two_files: bool) -> tuple[str, str]:
    """Return advice to name columns of lists, and an example if there is only one that both files have."""
    both = tuple(name for name in sides[0].lists if name in sides[1].lists)
    alone = two_files and len(both) == 1 and not any(names)
    chosen = listed_setting("pred", both, added=True) if alone else None
    advice = "lists are scored only if they are named: use `pred=COLUMN` `target=COLUMN`"
    return advice, f"; for example, {chosen}" if chosen else ""


WORDS = re.compile(r"[^\W_]+")


def _resembles(name: str, number: int) -> int:
    """Return 1 if a name has a word that tells the role of this side (0 or 1), -1 if it tells the other's, else 0.

    A word for predictions tells more: y_pred_ridge is one.
    """
    words = set(WORDS.findall(folded_name(name)))
    if not words.isdisjoint(PREDICTION_NAMES):
        return 1 if number == 0 else -1
    return 0 if words.isdisjoint(TARGET_NAMES) else 1 if number == 1 else -1
