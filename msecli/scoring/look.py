"""Look at a file: what its header and footer know, and what its first rows, or all of them, hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from msecli.core.profiles import MOST_DISTINCT, Profile, profile_of
from msecli.engines import Engine
from msecli.errors import DataError, Warned, Warnings, unique
from msecli.formats.base import ARRAY, Block, Part, Selection, Source
from msecli.pairing.candidates import is_identifying
from msecli.pairing.profiles import label_profile
from msecli.pairing.roles import is_comparable
from msecli.scoring.ledger import Progress
from msecli.tuples import NamedTuple

DISTINCT_IN_ALL = 1_000_000
"""Distinct values that are counted in all columns together: of very many columns fewer each."""

FEWEST_DISTINCT = 100


@dataclass
class Look:
    """What was seen in rows of a source.

    Parameters
    ----------
    source : Source
    rows : int
        How many rows were read.
    whole : bool
        Whether these are all.
    about : int, optional
        How many rows there are at a guess, if not all were read and the file does not know.
    numbers, labels : mapping of column name, or `ARRAY`, to Profile
        The columns that were read as numbers, and as labels; some as both.
    problems : mapping of column name to DataError
        The columns that cannot be read as numbers.
    problem : DataError, optional
        Why the rows cannot be read.
    warnings : Warnings
    """

    source: Source
    rows: int = 0
    whole: bool = False
    about: int | None = None
    numbers: dict[str | None, Profile] = field(default_factory=dict)
    labels: dict[str, Profile] = field(default_factory=dict)
    problems: dict[str, DataError] = field(default_factory=dict)
    problem: DataError | None = None
    warnings: Warnings = field(default_factory=Warnings)

    def add(self, seen: Seen) -> None:
        """Take in what further columns hold."""
        self.rows, self.whole, self.about = seen.rows, seen.whole, seen.about
        self.numbers |= seen.numbers
        self.labels |= seen.labels
        self.warnings.add_new(seen.warnings)


class Seen(NamedTuple):
    """What some columns hold in some rows."""

    rows: int
    work: int
    numbers: Mapping[str | None, Profile]
    labels: Mapping[str, Profile]
    warnings: tuple[Warned, ...] = ()
    whole: bool = False
    about: int | None = None

    def joined(self, later: Seen) -> Seen:
        """Return what they hold in these rows and in later ones."""
        return Seen(
            self.rows + later.rows,
            self.work + later.work,
            {name: found.joined(later.numbers[name]) for name, found in self.numbers.items()},
            {name: found.joined(later.labels[name]) for name, found in self.labels.items()},
            (*self.warnings, *later.warnings),
        )


def look_at(source: Source, engine: Engine | None, progress: Progress = lambda _: None) -> Look:
    """Read the first rows of a source; with an engine all of them."""
    selection = readable(source)
    most = min(MOST_DISTINCT, max(FEWEST_DISTINCT, DISTINCT_IN_ALL // max(1, len(selection.numbers))))
    look = Look(source)
    if source.columns is None or selection.numbers or selection.labels:
        read = (
            partial(_first_rows, source, most) if engine is None else partial(_all_rows, source, most, engine, progress)
        )
        _add(look, selection, read)
    return look


def readable(source: Source) -> Selection:
    """Return the columns whose values can be seen: numbers as such, and as labels what identifies rows or is text."""
    columns = source.columns or ()
    count = Counter(column.name for column in columns)
    numbers = [column.name for column in columns if (column.numeric or column.lists) and count[column.name] == 1]
    labels = [
        column.name
        for number, column in enumerate(columns)
        if (is_identifying(number, column) if column.numeric else is_comparable(column.kind))
        and count[column.name] == 1
    ]
    return Selection(tuple(numbers), tuple(labels))


def first_block(source: Source, selection: Selection) -> tuple[Block, bool]:
    """Return the first rows of a source, and whether these are all."""
    parts = source.parts(selection)
    blocks = iter(parts[0].read())
    block = next(blocks)
    if source.rows is not None:
        return block, block.rows == source.rows
    return block, len(parts) == 1 and next(blocks, None) is None


Read = Callable[[Selection], Seen]


def _add(look: Look, selection: Selection, read: Read) -> None:
    """Add what the selected columns hold; if they cannot be read together, find those that cannot."""
    try:
        look.add(read(selection))
    except DataError as error:
        _add_apart(look, selection, read, error)


def _add_apart(look: Look, selection: Selection, read: Read, problem: DataError) -> None:
    if not look.source.columns:
        look.problem = problem
        return
    names = unique((*selection.numbers, *selection.labels))
    if len(names) == 1:
        _add_alone(look, names[0], problem, read, as_number=bool(selection.numbers))
    elif all(_is_of_rows(problem, name, read) for name in (names[0], names[-1])):
        look.problem = problem
    else:
        middle = (len(names) + 1) // 2
        for some in (names[:middle], names[middle:]):
            _add(look, Selection(*(tuple(n for n in each if n in some) for each in selection)), read)


def _add_alone(look: Look, name: str, problem: DataError, read: Read, *, as_number: bool) -> None:
    """Add what a column holds that cannot be read; if it should hold numbers, its values may still be labels."""
    if as_number:
        look.problems[name] = problem
        _add(look, Selection((), (name,)), read)
    elif name in look.problems:
        look.problem = problem
    else:
        look.problems[name] = problem


def _is_of_rows(problem: DataError, name: str, read: Read) -> bool:
    """Tell whether rows cannot be read whatever the column, because even a column of labels has the same problem."""
    try:
        read(Selection((), (name,)))
    except DataError as error:
        return str(error) == str(problem)
    return False


def _first_rows(source: Source, most: int, selection: Selection) -> Seen:
    block, whole = first_block(source, selection)
    return _seen(block, most)._replace(whole=whole, about=None if whole else rows_about(source, block))


def rows_about(source: Source, block: Block) -> int | None:
    """Return how many rows a source has, judging by its first ones; None if it knows, or if that cannot be told."""
    if source.rows is not None or not block.work or not source.work:
        return None
    return _about(block.rows * source.work / block.work)


def _about(rows: float) -> int:
    """Return a number of rows of which no more than two digits are known."""
    return int(float(f"{rows:.1e}"))


def _all_rows(source: Source, most: int, engine: Engine, progress: Progress, selection: Selection) -> Seen:
    seen: Seen | None = None
    for more in engine.run(partial(_of_part, most), source.parts(selection)):
        seen = more if seen is None else seen.joined(more)
        if source.work:
            progress(min(1.0, seen.work / source.work))
    source.verify()
    if seen is None:
        raise DataError(f"{source.path}: there are no rows")
    return seen._replace(whole=True, warnings=Warnings(seen.warnings).all())


def _of_part(most: int, part: Part) -> Iterator[Seen]:
    seen: Seen | None = None
    for block in part.read():
        more = _seen(block, most)
        seen = more if seen is None else seen.joined(more)
    if seen is not None:
        yield seen


def _seen(block: Block, most: int) -> Seen:
    numbers = {name: profile_of(values, most) for name, values in block.numbers.items() if _is_wanted(name, block)}
    labels = {name: label_profile(found, most) for name, found in block.labels.items()}
    return Seen(block.rows, block.work, numbers, labels, block.warnings)


def _is_wanted(name: str | None, block: Block) -> bool:
    """Leave out the whole array that arrays give where only labels of columns are selected."""
    return name is not ARRAY or not block.labels
