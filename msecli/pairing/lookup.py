"""Look up the columns that a user named, and list columns in messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msecli.errors import SHOWN, DataError, Warned, meant, setting, shown, visible
from msecli.formats.base import Column, Source

SHOWN_COLUMNS = 20

Names = tuple[str, ...]


def split_names(tables: Sequence[Source], names: Names) -> Names:
    """Split names at commas: "a,b" means the columns a and b, unless a table has a column "a,b"."""
    if not any("," in name for name in names):
        return names
    columns = {column.name for table in tables for column in table.columns or ()}
    folded = set(map(folded_name, columns))
    found: list[str] = []
    for name in names:
        pieces = [piece if piece in columns else piece.strip() for piece in name.split(",")]
        whole = len(pieces) == 1 or not any(pieces) or folded_name(name) in folded
        found += [name] if whole else [piece for piece in pieces if piece]
    return tuple(found)


class Lookup:
    """The columns of a file by their names."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._exact = Counter(column.name for column in source.columns or ())
        self._folded: dict[str, list[Column]] = {}
        for column in source.columns or ():
            self._folded.setdefault(folded_name(column.name), []).append(column)

    def holds(self, name: str) -> bool:
        """Tell whether a column has this name, up to case and outer blanks."""
        return folded_name(name) in self._folded

    def find(self, name: str, warnings: list[Warned]) -> str | None:
        """Return the column of this name, or the only one that differs from it just in case or outer blanks.

        Raises
        ------
        DataError
            If several columns match.
        """
        path, exact, alike = self._source.path, self._exact[name], self._folded.get(folded_name(name), [])
        if exact > 1:
            raise DataError(f"{path}: {exact} columns are named {shown(name)}; rename all but one")
        if exact:
            return name
        if len(alike) > 1:
            raise DataError(
                f"{path}: no column is named exactly {shown(name)}, and {len(alike)} differ from it only in case or in "
                f"blanks: {listed(alike)}; write the name as it is in the file"
            )
        for column in alike:
            meaning = (
                f"column {column.name!r} was taken for {name!r}; the names differ in case or in blanks around them"
            )
            warnings.append(Warned("column_name_differs", f"{path}, column {column.name!r}", meaning))
            return column.name
        return None


def find_all(source: Source, names: Iterable[str], warnings: list[Warned]) -> Names:
    """Return the columns of these names, each looked up by `Lookup.find`.

    Raises
    ------
    DataError
        If a column does not exist, is ambiguous, or is named twice.
    """
    lookup = Lookup(source)
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


def folded_name(name: str) -> str:
    """Return a name without its case and outer blanks."""
    return name.strip().casefold()


def _near(source: Source, name: str) -> str:
    hint = meant_column([source], name)
    return f"{hint}{' ' if hint else '; '}the columns are {listed(source.columns or ())}"


def meant_column(sources: Iterable[Source], name: str) -> str:
    """Return which column was probably meant, if one has a similar name."""
    return meant(name.strip(), [column.name for source in sources for column in source.columns or ()], spelled=shown)


def described(sources: Iterable[Source]) -> str:
    """Return the columns of some files, a line per file."""
    lines = []
    for source in dict.fromkeys(sources):
        shape = f"an array with rows of shape {source.item}" if source.columns is None else listed(source.columns)
        lines.append(f"\n  {source.path}: {shape}")
    return "".join(lines)


def listed(columns: Sequence[Column]) -> str:
    """Return the columns with their kinds, the first ones of very many."""
    names = [f"{shown(column.name)} ({column.kind})" for column in columns[:SHOWN_COLUMNS]]
    more = len(columns) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def listed_setting(name: str, columns: Sequence[str], *, added: bool = False) -> str | None:
    """Mark a setting of one or several columns for a message; None if they cannot be typed in a line."""
    whole = ",".join(columns)
    typed = all(visible(column) == column and len(column) <= SHOWN and "`" not in column for column in columns)
    ambiguous = len(columns) > 1 and any("," in column or column != column.strip() for column in columns)
    return setting(name, whole, added=added) if columns and typed and not ambiguous else None


def key_name(ours: str, theirs: str) -> str:
    """Return how to name a key of two files: once, or as "a=b" where its names differ."""
    return ours if ours == theirs else f"{ours}={theirs}"
