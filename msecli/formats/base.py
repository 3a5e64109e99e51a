"""The protocols of sources of rows, whatever their format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeAlias, runtime_checkable

from msecli.errors import DataError, ReadWriteError, Warned

if TYPE_CHECKING:
    import pyarrow as pa

    from msecli.core.exact import FloatArray, IntArray
    from msecli.places.base import InputFile
    from msecli.text.reading import Reading

LabelArray: TypeAlias = "IntArray | pa.Array"
"""Labels: an array of int64 if all are such integers and none is missing; otherwise Arrow's integers or strings."""

ROWS_PER_BLOCK = 131072
"""Rows in a block: 1 MiB per float64 column, so the cost of handing it over is negligible."""

ARRAY = None
"""The name of a nameless array's values in a block; any string may be a column's name."""

ROUNDED = "integers beyond 2**53 were rounded to the nearest float64"


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
    """

    name: str
    kind: str
    numeric: bool
    like_data: bool = False
    numbered: bool = False


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
        Shape (rows,) for a column of a table, (rows, ...) under the name `ARRAY` for an array; NaN is missing.
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
    work : int
        The size of the whole source, in the unit of `Block.work`.
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
    work: int
    warnings: Sequence[Warned]
    divisible: bool

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[Part]:
        """Return the parts of the source in order; if it is divisible, only those of these rows."""
        ...

    def cuts(self) -> Sequence[int] | None:
        """Return the first row of each part, followed by the number of rows; None if these are unknown."""
        ...

    def line(self, row: int, begin: int | None = None) -> int | None:
        """Return the line of text, from 1, on which a row begins; None if the source has no lines, or not this row.

        Rows are counted from 0, beginning with that at the byte `begin`, which by default is the first one.
        """
        ...

    def verify(self) -> None:
        """Raise `DataError` if the source has changed since it was opened."""
        ...


@runtime_checkable
class Countable(Protocol):
    """A source that can count the rows of its parts before they are read."""

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
        try:
            opener = getattr(import_module(f"msecli.formats.{self.module}"), self.opener)
        except ModuleNotFoundError as error:
            if not self.extra:
                raise
            raise ReadWriteError(
                f"{file.path}: {self.name} needs another library; run: pip install 'msecli[{self.extra}]'"
            ) from error
        source: Source = opener(file, reading, inner) if self.inner else opener(file, reading)
        return source
