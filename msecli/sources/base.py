"""What every source of rows offers, whatever its file format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    import pyarrow as pa

    from msecli.core.exact import FloatArray
    from msecli.sources.file import InputFile

ROWS_PER_BLOCK = 131072
"""Rows in a block: 1 MiB per float64 column, enough to make the cost of handing it over vanish."""

INDEX_NAMES = frozenset({"id", "index", "row_id", "Unnamed: 0", "__index_level_0__", ""})
"""Names of columns that say which row it is; they are never taken as data unless named."""

ARRAY = None
"""Stands for a name where a block holds the values of a nameless array; any text may be the name of a column."""


class Column(NamedTuple):
    """A column of a table: its name, what it holds in the words of an error message, and whether it is numeric."""

    name: str
    kind: str
    numeric: bool


class Selection(NamedTuple):
    """What to read of a source: columns as numbers, and columns as labels that are only ever compared.

    An empty `numbers` means the whole nameless array.
    """

    numbers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """Something a user should know of and that is no error: its code, where, what it means, and how often."""

    code: str
    where: str
    meaning: str
    count: int


class Block(NamedTuple):
    """Consecutive rows of a source.

    Parameters
    ----------
    rows : int
    numbers : mapping of column name, or `ARRAY`, to float64 array
        Shape (rows,) for a column of a table, (rows, ...) under the name `ARRAY` for an array; NaN is missing.
    labels : mapping of column name to pyarrow array, shape (rows,)
        Integers or strings.
    notes : tuple of Note
    work : int
        How much of the source's `work` this block stands for.
    """

    rows: int
    numbers: Mapping[Any, FloatArray]
    labels: Mapping[str, pa.Array] = MappingProxyType({})
    notes: tuple[Note, ...] = ()
    work: int = 0

    def slice(self, start: int, stop: int) -> Self:
        """Return the rows from `start` up to, not including, `stop`, as views, without notes and work."""
        return type(self)(
            stop - start,
            {name: values[start:stop] for name, values in self.numbers.items()},
            {name: values.slice(start, stop - start) for name, values in self.labels.items()},
        )


Part = Callable[[], Iterator[Block]]
"""A piece of a source that can be read on its own, in any thread; picklable."""


class Source(Protocol):
    """A readable file of rows.

    Attributes
    ----------
    path : str
        As the user wrote it.
    format : str
        A name of the `FORMATS` table.
    columns : tuple of Column, or None
        None for an array whose rows are not one-dimensional.
    item : tuple of int, or None
        The shape of a row of a nameless array; None for a table.
    rows : int, or None
        The number of rows where the file says so.
    work : int
        The size of the whole, in the unit of `Block.work`.
    notes : sequence of Note
        What was found when the file was opened.
    """

    path: str
    format: str
    columns: tuple[Column, ...] | None
    item: tuple[int, ...] | None
    rows: int | None
    work: int
    notes: Sequence[Note]

    def parts(self, selection: Selection) -> Iterator[Part]:
        """Yield the parts of the file, in the order of its rows."""
        ...

    def verify(self) -> None:
        """Raise `DataError` if the file is no longer the one that was opened."""
        ...


class Reading(NamedTuple):
    """How files are to be read, where they do not say it themselves.

    Parameters
    ----------
    format : str, optional
        A name of the `FORMATS` table; without it the content decides, then the suffix.
    delimiter : str, optional
        Of text files, one character; a comma, or a tab for TSV.
    header : bool, optional
        Whether the first line of text files holds the column names. None: it does, and names that are all numbers
        are refused.
    decimal : str
        The decimal mark of text files.
    na_values : tuple of str
        Cells of text files that mean "missing", besides the usual ones.
    encoding : str, optional
        Of text files; UTF-8.
    comment : str, optional
        Lines of text files that begin with this character are left out.
    """

    format: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    decimal: str = "."
    na_values: tuple[str, ...] = ()
    encoding: str | None = None
    comment: str | None = None


class Format(NamedTuple):
    """A line of the `FORMATS` table.

    `open` opens a file of the format; `magic` is what such files begin with, None for text.
    """

    name: str
    meaning: str
    suffixes: tuple[str, ...]
    open: Callable[[InputFile, Reading], Source]
    magic: bytes | None = None
