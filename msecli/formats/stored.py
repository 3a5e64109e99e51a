"""Arrays in files, whatever the format: rows read by range, and the columns of records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from msecli.arrays import FloatArray
from msecli.core.check import as_float64, check_dtype
from msecli.errors import DataError, NoRowsError, Warned
from msecli.formats.base import ARRAY, ROUNDED, Block, Column, Facts, LabelArray, Selection
from msecli.formats.narrow import NARROW
from msecli.places.base import InputFile
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

PART_ELEMENTS = 524288
"""Elements read at once: 4 MiB of float64, so that threads seldom wait for each other."""

ELEMENT_BYTES = 8
"""A record counts as so many elements as there are float64 numbers in its bytes."""

Arrays: TypeAlias = "dict[str | None, NDArray[Any]]"
"""Rows as they are stored, by the names of columns, or `ARRAY`."""

MOST_COLUMNS = 1 << 18
"""Columns of an array that are named: far more than anyone names, and few enough to be named in no time."""


class Stored(Protocol):
    """What a file holds, by rows. Picklable, and read from any thread.

    Attributes
    ----------
    shape : tuple of int
        Of an array; (rows,) of a table.
    kind : str
        What messages call the type of the numbers of an array.
    columns : tuple of Column, or None
        None for an array whose rows are not one-dimensional.
    item : tuple of int, or None
        The shape of a row of a nameless array; None for a table.
    step : int
        Rows in a part.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def columns(self) -> tuple[Column, ...] | None: ...  # noqa: D102
    @property
    def item(self) -> tuple[int, ...] | None: ...  # noqa: D102
    @property
    def step(self) -> int: ...  # noqa: D102

    def read(self, start: int, stop: int, names: Sequence[str]) -> Arrays:
        """Return these columns of some rows; without names, the rows of the nameless array."""
        ...


class StoredSource:
    """An array, or a table of columns of equal length. See `msecli.formats.base.Source`."""

    divisible = True

    def __init__(self, format: str, file: InputFile, stored: Stored, warnings: Sequence[Warned] = ()) -> None:
        self.format = format
        self.path = file.path
        self._file = file
        self._stored = stored
        self.item = stored.item
        self.columns = stored.columns
        self.rows: int | None = stored.shape[0]
        self.work = stored.shape[0]
        self.warnings = warnings

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[StoredPart]:
        """Return parts of at most `PART_ELEMENTS` elements."""
        rows = range(self.work) if rows is None else rows
        step = self._stored.step
        # They begin at multiples of the step, which chunks of the file may depend on.
        starts = [rows.start, *range(rows.start - rows.start % step + step, rows.stop, step)]
        return [
            StoredPart(self.path, self._stored, selection, start, stop)
            for start, stop in zip(starts, [*starts[1:], rows.stop], strict=True)
        ]

    def cuts(self) -> Sequence[int]:
        """Return the first row of each part, followed by the number of rows."""
        return [*range(0, self.work, self._stored.step), self.work]

    def line(self, row: int, begin: int | None = None) -> None:
        """Return None: there are no lines."""

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        self._file.verify()

    def facts(self) -> Mapping[str | None, Facts]:
        """Return the type of the values of an array without columns."""
        return {} if self.item is None else {ARRAY: Facts(self._stored.kind)}


class StoredPart(NamedTuple):
    """Rows from `start` up to, not including, `stop`. See `msecli.formats.base.Part`."""

    path: str
    stored: Stored
    selection: Selection
    start: int
    stop: int

    def read(self) -> Iterator[Block]:
        """Yield the one block."""
        names = list(dict.fromkeys([*self.selection.numbers, *self.selection.labels]))
        found = self.stored.read(self.start, self.stop, names)
        numbers: dict[str | None, FloatArray] = {}
        warnings: list[Warned] = []
        for name in self.selection.numbers if names else (ARRAY,):
            where = self._where(name)
            numbers[name], rounded = as_float64(_check_numbers(found[name], where), where)
            if rounded:
                warnings.append(Warned("rounded_integers", where, ROUNDED, rounded))
        labels = {name: _labels(found[name], self._where(name)) for name in self.selection.labels}
        rows = self.stop - self.start
        yield Block(rows, numbers, labels, tuple(warnings), work=rows)

    def _where(self, name: str | None) -> str:
        """Return what messages call a column: the columns of an array are of one kind."""
        return self.path if name is None or self.stored.item is not None else f"{self.path}, column {name!r}"


def _check_numbers(values: NDArray[Any], where: str) -> NDArray[Any]:
    """Return values that are not Python's: strings of any length, lists and references come as such."""
    if values.dtype.hasobject:
        raise DataError(f"{where}: it holds text, lists or references, not numbers")
    return values


def _labels(values: NDArray[Any], where: str) -> LabelArray:
    """Return a column as labels, from the stored values rather than from float64."""
    from msecli.arrow.columns import array_labels

    if values.ndim > 1:
        raise DataError(f"{where}: every row holds an array of shape {values.shape[1:]}, which is no label")
    return array_labels(values.astype(values.dtype.newbyteorder("="), copy=False), where)


def rows_of_part(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return how many rows of an array are read at once."""
    size = dtype.itemsize if dtype.names else ELEMENT_BYTES
    return max(1, PART_ELEMENTS * ELEMENT_BYTES // max(1, math.prod(shape[1:]) * size))


class Layout(NamedTuple):
    """Where the numbers of an array lie in its file.

    Parameters
    ----------
    offset : int
    shape : tuple of int
    fortran_order : bool
    dtype : dtype
        As they are stored.
    narrow : str
        The kind of float, in the table `NARROW`, whose bits these integers are.
    """

    offset: int
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    narrow: str = ""

    @property
    def rows(self) -> int:
        """The length of the first dimension."""
        return self.shape[0]

    @property
    def item_size(self) -> int:
        """Numbers in a row."""
        return math.prod(self.shape[1:])

    @property
    def kind(self) -> str:
        """What messages call the type of the numbers."""
        return self.narrow or str(self.dtype)


class FileArray(NamedTuple):
    """An array whose numbers lie in a file as they do in memory. See `Stored`.

    Parameters
    ----------
    file : InputFile
    layout : Layout
    field : tuple of str
        The names on the way to one field of records, in place of the whole.
    """

    file: InputFile
    layout: Layout
    field: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array, or of the field of all rows."""
        return (*self.layout.shape, *self.dtype.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of an element of the array, or of the field."""
        return descend(self.layout.dtype, self.field)

    @property
    def kind(self) -> str:
        """What messages call the type of the numbers."""
        return self.layout.narrow or str(self.dtype.base)

    @property
    def columns(self) -> tuple[Column, ...] | None:
        """The fields of records; those of a 2-D array are named by their numbers from 0."""
        return record_columns(self.dtype) if self.dtype.names else numbered_columns(self.shape, self.kind)

    @property
    def item(self) -> tuple[int, ...] | None:
        """The shape of a row of the nameless array."""
        return None if self.dtype.names else self.shape[1:]

    @property
    def step(self) -> int:
        """Rows in a part."""
        return rows_of_part(self.layout.shape, self.layout.dtype)

    def read(self, start: int, stop: int, names: Sequence[str]) -> Arrays:
        """Return these columns of some rows."""
        rows = _field(_read_rows(self.file, self.layout, start, stop), self.field)
        if self.layout.narrow:
            rows = NARROW[self.layout.narrow][1](rows)
        return columns_of(rows, names)


def columns_of(rows: NDArray[Any], names: Sequence[str]) -> Arrays:
    """Return columns of rows, which are records or those of a 2-D array; without names, the rows."""
    if not names:
        return {ARRAY: rows}
    if rows.dtype.names:
        fields = record_fields(rows.dtype)
        return {name: _field(rows, fields[name]) for name in names}
    return {name: rows[:, int(name)] for name in names}


def _field(rows: NDArray[Any], steps: Sequence[str]) -> NDArray[Any]:
    for step in steps:
        rows = rows[step]
    # Records need not be aligned.
    return np.ascontiguousarray(rows) if steps else rows


def record_fields(dtype: np.dtype[Any], above: tuple[str, ...] = ()) -> Mapping[str, tuple[str, ...]]:
    """Return the fields of records by their paths, such as "out.pred", with the names on the way to each."""
    found: dict[str, tuple[str, ...]] = {}
    for name in dtype.names or ():
        steps = (*above, name)
        inner = dtype[name]
        found |= record_fields(inner, steps) if inner.names else {".".join(steps): steps}
    return found


def record_columns(dtype: np.dtype[Any]) -> tuple[Column, ...]:
    """Return the fields of records as columns."""
    kinds = {path: descend(dtype, steps) for path, steps in record_fields(dtype).items()}
    return tuple(column_of(path, kind) for path, kind in kinds.items())


def column_of(name: str, dtype: np.dtype[Any]) -> Column:
    """Return a column of values, or of arrays of numbers, of a type."""
    numeric = dtype.base.kind in "biuf"
    return Column(name, kind_of(dtype), numeric and not dtype.shape, shape=dtype.shape if numeric else ())


def kind_of(dtype: np.dtype[Any]) -> str:
    """Return what messages call a type."""
    return f"{dtype.base}{list(dtype.shape)}" if dtype.shape else str(dtype)


def numbered_columns(shape: tuple[int, ...], kind: str) -> tuple[Column, ...] | None:
    """Return the columns of a 2-D array, named by their numbers from 0; None of other arrays, and of very wide ones."""
    if len(shape) != 2 or shape[1] > MOST_COLUMNS:
        return None
    return tuple(Column(str(number), kind, numeric=True) for number in range(shape[1]))


def descend(dtype: np.dtype[Any], steps: Sequence[str]) -> np.dtype[Any]:
    """Return the type of a field of records, or of a field of this one."""
    for step in steps:
        dtype = dtype[step]
    return dtype


def field_steps(path: str, dtype: np.dtype[Any], name: str) -> tuple[str, ...]:
    """Return the names on the way to the field of this path.

    Raises
    ------
    DataError
        If there are no fields, or none of this name.
    """
    if not dtype.names:
        raise DataError(f"{path}: the array is not structured, so that it has no field {name!r}; leave out ::{name}")
    found = {**{each: (each,) for each in dtype.names}, **record_fields(dtype)}
    if name not in found:
        from msecli.formats.named import among  # most runs have no need of it

        raise DataError(f"{path}: no field {name!r}; {among(name, found)}")
    return found[name]


def check_numbers(path: str, layout: Layout, steps: Sequence[str] = ()) -> None:
    """Refuse an array that is a single number, has no elements, or elements that are no numbers.

    Raises
    ------
    DataError
    """
    dtype = descend(layout.dtype, steps)
    shape = (*layout.shape, *dtype.shape)
    if not dtype.names:
        check_dtype(dtype.base, path)
    elif len(shape) > 1:
        raise DataError(
            f"{path}: structured records of shape {shape} are no table, which has one dimension; "
            "choose one field, or save it as an array of its own"
        )
    if not shape:
        raise DataError(f"{path}: the array is a single number (0-dimensional); a loss needs at least one row")
    if math.prod(shape) == 0 or dtype.itemsize == 0:
        raise NoRowsError(f"{path}: the array of shape {shape} has no elements; a loss needs at least one")


def _read_rows(file: InputFile, layout: Layout, start: int, stop: int) -> NDArray[Any]:
    rows, size = stop - start, layout.dtype.itemsize
    if not layout.fortran_order or layout.item_size == 1:
        values = np.empty((rows, *layout.shape[1:]), layout.dtype)
        file.fill(values.reshape(-1).view(np.uint8).data, layout.offset + start * layout.item_size * size)
        return values
    # In Fortran order the row index varies fastest: there is one run of rows for each element of a row.
    runs = np.empty((layout.item_size, rows), layout.dtype)
    begins = range(
        layout.offset + start * size, layout.offset + layout.item_size * layout.rows * size, layout.rows * size
    )
    file.expect((begin, begin + rows * size) for begin in begins)
    for number, run in enumerate(runs):
        file.fill(run.view(np.uint8).data, layout.offset + (number * layout.rows + start) * size)
    return runs.reshape(*layout.shape[:0:-1], rows).T
