"""The protocols of sources of rows, whatever their format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, runtime_checkable

from msecli.errors import DataError, ReadWriteError, Warned
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

    from msecli.arrays import FloatArray, IntArray
    from msecli.places.base import InputFile
    from msecli.text.reading import Reading

LabelArray: TypeAlias = "IntArray | pa.Array"
"""Labels: an array of int64 if all are such integers and none is missing; otherwise Arrow's integers or strings."""

ROWS_PER_BLOCK = 131072
"""Rows in a block: 1 MiB per float64 column, so the cost of handing it over is negligible."""

ARRAY = None
"""The name of a nameless array's values in a block; any string may be a column's name."""

OVERFLOWED = "numbers too large for float64 were read as infinite"
ROUNDED = "integers beyond 2**53 were rounded to the nearest float64"


STRUCT_FIELD = "struct field"
"""The kind of a column in a struct, or in an object of JSON."""


class Column(NamedTuple):
    """A column of a table.

    Parameters
    ----------
    name : str
    kind : str
        What error messages call its type.
    numeric : bool
    like_data : bool
        Whether the name, taken from the first line, is a number like those below it, so that it may be data.
    numbered : bool
        Whether the text has no names, so that the name is only a number, which says nothing of what the column holds.
    outside : bool
        Whether the values are not in the file, but in the names of the folders that it is in: they tell of its rows
        what they are, and are data only if they are named.
    shape : tuple of int, optional
        The shape of a row: () unless the column holds lists of numbers; None if their length is yet to be learnt.
    aside : bool
        Whether it is no column of its own, but a field of a struct, or says where values are: data only if it is named.
    """

    name: str
    kind: str
    numeric: bool
    like_data: bool = False
    numbered: bool = False
    outside: bool = False
    shape: tuple[int, ...] | None = ()
    aside: bool = False

    @property
    def data(self) -> bool:
        """Whether it holds numbers that may be scored without being named."""
        return self.numeric and not (self.outside or self.aside)

    @property
    def lists(self) -> bool:
        """Whether it holds lists of numbers, each of which is a row of more than one element."""
        return self.shape != ()


class Selection(NamedTuple):
    """What to read from a source: columns as numbers, and columns as labels, which are only compared.

    An empty `numbers` means the whole nameless array.
    """

    numbers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


class Block(NamedTuple):
    """Consecutive rows of a source.

    Parameters
    ----------
    rows : int
    numbers : mapping of column name, or `ARRAY`, to float64 array
        Shape (rows,) for a column of a table, (rows, ...) for one of lists, and under the name `ARRAY` for an array;
        NaN is missing.
    labels : mapping of column name to LabelArray, shape (rows,)
    warnings : tuple of Warned
    work : int
        The share of the source's `work` in this block.
    begin : int, optional
        The byte at which the first row begins, in text.
    """

    rows: int
    numbers: Mapping[str | None, FloatArray]
    labels: Mapping[str, LabelArray] = MappingProxyType({})
    warnings: tuple[Warned, ...] = ()
    work: int = 0
    begin: int | None = None

    def slice(self, start: int, stop: int) -> Self:
        """Return views of the rows from `start` up to, not including, `stop`, without warnings and work."""
        return type(self)(
            stop - start,
            {name: values[start:stop] for name, values in self.numbers.items()},
            {name: values[start:stop] for name, values in self.labels.items()},
        )

    def take(self, rows: IntArray) -> Self:
        """Return these rows, without warnings and work."""
        labels: dict[str, pa.Array] = {}
        if self.labels:
            from msecli.arrow.functions import take

            labels = {name: take(values, rows) for name, values in self.labels.items()}
        return type(self)(len(rows), {name: values[rows] for name, values in self.numbers.items()}, labels)


class Facts(NamedTuple):
    """What a file knows of all values of a column without reading them; None is what it does not know.

    Parameters
    ----------
    kind : str, optional
        The type of the values of an array, which has no columns that would say it.
    missing : int, optional
        How many values are missing, NaN included.
    minimum, maximum : int, float or str, optional
        The smallest and the largest value; numbers if the column is numeric, otherwise labels.
    """

    kind: str | None = None
    missing: int | None = None
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None


class Part(Protocol):
    """A description of some rows of a source; whoever runs it reads them. Picklable."""

    def read(self) -> Iterator[Block]:
        """Open, read and parse the rows."""
        ...


class Source(Protocol):
    """A file or data in memory to read rows from; picklable.

    Attributes
    ----------
    path : str
        As the user wrote it, or the name of data in memory in messages.
    format : str
        A name in the `FORMATS` table, or "memory".
    columns : tuple of Column, or None
        None for an array whose rows are not one-dimensional.
    item : tuple of int, or None
        The shape of a row of a nameless array; None for a table.
    rows : int, or None
        The number of rows, if it is known before they are read.
    work : int, or None
        The size of the whole source, in the unit of `Block.work`, as far as it is known or can be told.
    warnings : sequence of Warned
        Warnings from opening the source.
    divisible : bool
        Whether parts can begin at any row.
    """

    path: str
    format: str
    columns: tuple[Column, ...] | None
    item: tuple[int, ...] | None
    rows: int | None
    warnings: Sequence[Warned]
    divisible: bool

    @property
    def work(self) -> int | None:
        """See above."""
        ...

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[Part]:
        """Return the parts of the source in order; if it is divisible, only those of these rows."""
        ...

    def cuts(self) -> Sequence[int] | None:
        """Return the first row of each part, followed by the number of rows; None if these are unknown."""
        ...

    def line(self, row: int, begin: int | None = None) -> int | str | None:
        """Return the line of text, from 1, on which a row begins; None if the source has no lines, or not this row.

        A source of several files returns the file, and where the row is in it, in words.

        Rows are counted from 0, beginning with that at the byte `begin`, which by default is the first one.
        """
        ...

    def verify(self) -> None:
        """Raise `DataError` if the source has changed since it was opened."""
        ...


class FileCount(NamedTuple):
    """How many files a source is made of, and how many were passed over because their names are those of no data."""

    files: int = 1
    skipped: int = 0


def file_count(source: Source) -> FileCount:
    """Return how many files a source is made of."""
    found: FileCount = getattr(source, "file_count", FileCount())
    return found


def see(source: Source) -> None:
    """See that the files of a source that another process has opened are the same here; of very many, look at two.

    Raises
    ------
    MsecliError
    """
    look: Callable[[], None] = getattr(source, "see", source.verify)
    look()


@runtime_checkable
class Knowing(Protocol):
    """A source whose file knows more of its columns than their names and types."""

    def facts(self) -> Mapping[str | None, Facts]:
        """Return what is known from headers and footers alone, by the names of columns or under `ARRAY`."""
        ...


def facts_of(source: Source) -> Mapping[str | None, Facts]:
    """Return what the file of a source knows of its columns, by their names or under `ARRAY`; most know nothing."""
    return source.facts() if isinstance(source, Knowing) else {}


@runtime_checkable
class ReadOnce(Protocol):
    """A source whose rows may come only once, and need not be kept where its parts are read only once more."""

    def once(self) -> None:
        """From now on the parts are read once, in order."""
        ...


def read_once(sources: Iterable[Source]) -> None:
    """Say that from now on the parts of sources are read once, in order."""
    for source in sources:
        if isinstance(source, ReadOnce):
            source.once()


def shape_of(source: Source, name: str) -> tuple[int, ...]:
    """Return the shape of a row of a column; for lists of any length that of the first one, which the source then has.

    Raises
    ------
    DataError
        If no list holds a value.
    """
    column = next(column for column in source.columns or () if column.name == name)
    if column.shape is not None:
        return column.shape
    blocks = (block for part in source.parts(Selection((name,))) for block in part.read())
    found = next((block.numbers[name].shape[1:] for block in blocks if block.numbers[name].size), None)
    if found is None:
        raise DataError(f"{source.path}, column {name!r}: no list holds a value")
    source.columns = tuple(each._replace(shape=found) if each.name == name else each for each in source.columns or ())
    return found


def warnings_by_position(source: Source) -> Sequence[Warned]:
    """Return what a source warns of if its rows are paired by position: that they have no order."""
    found: Sequence[Warned] = getattr(source, "if_by_position", ())
    return found


@runtime_checkable
class Countable(Protocol):
    """A source that can count the rows of its parts before they are read.

    Attributes
    ----------
    streamed : bool
        Whether a file of it can be read only from its beginning, and is then one part.
    """

    @property
    def streamed(self) -> bool:
        """See above."""
        ...

    def stretches(self) -> Sequence[Any]:
        """Return the pieces whose rows would be counted apart; none if they have been counted."""
        ...

    def count(self, run: Callable[..., Iterator[Any]]) -> None:
        """Have `run` count the rows, so that `cuts`, and without a fault also `rows`, are known.

        `run` yields what a function yields for each of some items, in order, wherever it calls it. Where a fault is
        found, parts end with the one that holds it, and whoever reads this raises the error.
        """
        ...


class Format(NamedTuple):
    """A line of the `FORMATS` table.

    Parameters
    ----------
    name, meaning : str
    suffixes : tuple of str
    module, opener : str
        A module of `msecli.formats`, loaded when a file of the format is opened, and the callable in it that turns an
        `InputFile` and a `Reading` into a `Source`; with `inner` also the name after "::", or "".
    magic : bytes, optional
        What every file of the format holds at the byte `at`; None for delimited text.
    at : int
    pattern : bytes
        A regular expression that matches the first bytes, where others share the magic number.
    delimited : bool
        Whether the settings of delimited text apply.
    inner : str
        What a name after "::" means: an array, a table, a sheet; "" if a file of the format holds only one.
    extra : str
        The extra of msecli that installs what the module needs.
    """

    name: str
    meaning: str
    suffixes: tuple[str, ...]
    module: str
    opener: str
    magic: bytes | None = None
    at: int = 0
    pattern: bytes = b""
    delimited: bool = False
    inner: str = ""
    extra: str = ""

    def recognises(self, start: bytes) -> bool:
        """Tell whether a file that begins with these bytes is of this format, as far as its content tells."""
        if self.magic is None or not start.startswith(self.magic, self.at):
            return False
        return not self.pattern or re.match(self.pattern, start, re.DOTALL) is not None

    def names(self, file: InputFile) -> Sequence[str]:
        """Return the names that may stand after "::", if the module has a function `names` that lists them."""
        names: Callable[[InputFile], Sequence[str]] = getattr(self._module(file), "names", lambda _: ())
        return names(file)

    def open(self, file: InputFile, reading: Reading, inner: str = "") -> Source:
        """Return the source of a file of this format.

        Raises
        ------
        DataError
            If a name is given in a file that holds only one table.
        ReadWriteError
            If a library is missing.
        """
        if inner and not self.inner:
            raise DataError(
                f"{file.path}: a {self.name} file holds nothing that has a name of its own; leave out ::{inner}"
            )
        opener = getattr(self._module(file), self.opener)
        source: Source = opener(file, reading, inner) if self.inner else opener(file, reading)
        return source

    def _module(self, file: InputFile) -> ModuleType:
        try:
            return import_module(f"msecli.formats.{self.module}")
        except ModuleNotFoundError as error:
            if not self.extra:
                raise
            raise ReadWriteError(
                f"{file.path}: {self.name} needs another library; run: pip install 'msecli[{self.extra}]'"
            ) from error
