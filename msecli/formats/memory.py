"""DataFrames and arrays in memory as sources of rows; tables of other libraries are in `exchange`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from msecli.arrays import FloatArray
from msecli.errors import DataError, Warned, numbered
from msecli.formats.arrays import as_array
from msecli.formats.base import ARRAY, ROWS_PER_BLOCK, Block, Column, LabelArray, Selection, Source
from msecli.tuples import NamedTuple

SHARED = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__")
"""How libraries share their tables."""


def open_memory(data: Any, what: str, *, beside: bool = False) -> Source:
    """Return a DataFrame, a table, a reader of record batches or an array-like as a source.

    Parameters
    ----------
    data : DataFrame, xarray.Dataset, object with one of the attributes `SHARED`, dict of arrays, or array_like
    what : str
        The name of the data in messages.
    beside : bool
        Whether others may be read at the same time.

    Raises
    ------
    DataError
        If an array does not hold real numbers, or a table has no rows or two columns of one name.
    """
    library, name = type(data).__module__.partition(".")[0], type(data).__name__
    if library == "pandas" and name == "DataFrame":
        return FrameSource(what, data)
    if library == "xarray" and name == "Dataset":
        from msecli.formats.dataset import open_dataset

        return open_dataset(data, what)
    if library == "xarray" and name == "DataArray":
        # What it shares by Arrow is a table of its elements, whose shape would be lost.
        return ArraySource(what, as_array(data.to_numpy(), what))
    if isinstance(data, list | tuple) and data and hasattr(data[0], "columns"):
        raise DataError(f"{what}: a list of tables is no table; concatenate them, as pandas.concat does")
    if library != "pandas" and any(hasattr(data, name) for name in SHARED):
        from msecli.formats.exchange import open_exchanged

        return open_exchanged(data, what, beside=beside)
    if hasattr(data, "collect") and not hasattr(data, "__array__"):
        raise DataError(f"{what}: a {name} is yet to be computed; pass what its collect() returns")
    if isinstance(data, dict):
        from msecli.formats.exchange import open_columns

        return open_columns(data, what)
    return ArraySource(what, as_array(data, what))


def _pandas_columns(frame: Any) -> dict[str, Any]:
    names = unique_names("the DataFrame", [str(name) for name in frame.columns])
    columns = {name: frame.iloc[:, number] for number, name in enumerate(names)}
    # A named index identifies the rows, so it can be a key; an unnamed one only numbers them.
    for level, name in enumerate(frame.index.names):
        if name is not None and str(name) not in columns:
            columns[str(name)] = frame.index.get_level_values(level).to_series()
    return columns


def unique_names(what: str, names: Sequence[str]) -> Sequence[str]:
    """Return the names of columns, no two of which may be equal."""
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"{what}: {names.count(repeated)} columns are named {repeated!r}; rename all but one")
    return names


class FrameSource:
    """A pandas DataFrame, column by column. See `msecli.formats.base.Source`."""

    format = "memory"
    divisible = True

    def __init__(self, path: str, frame: Any) -> None:
        self.path = path
        self._data = _pandas_columns(frame)
        self.item: tuple[int, ...] | None = None
        self.rows: int | None = len(frame)
        if not self.rows or not self._data:
            raise DataError(f"{path}: the table has no rows")
        self.work = self.rows
        self.warnings: Sequence[Warned] = ()
        self.columns: tuple[Column, ...] | None = tuple(_column(name, column) for name, column in self._data.items())

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[FramePart]:
        """Return parts of `ROWS_PER_BLOCK` rows, of fewer if these are lists."""
        rows = range(self.work) if rows is None else rows
        wanted = {name: self._data[name] for name in (*selection.numbers, *selection.labels)}
        shapes = {column.name: column.shape or () for column in self.columns or () if column.name in wanted}
        return [
            FramePart(self.path, wanted, shapes, selection, start, min(start + ROWS_PER_BLOCK, rows.stop))
            for start in rows[::ROWS_PER_BLOCK]
        ]

    def cuts(self) -> Sequence[int]:
        """Return the row at which each part begins, and then the number of rows."""
        return [*range(0, self.work, ROWS_PER_BLOCK), self.work]

    def line(self, row: int, begin: int | None = None) -> None:
        """Return None: there are no lines."""

    def verify(self) -> None:
        """Do nothing: what is in memory is the caller's."""


def _column(name: str, values: Any) -> Column:
    """Return the description of a column."""
    dtype = values.dtype
    if dtype.kind == "O":
        first = next(iter(values.dropna()), None)
        if isinstance(first, LISTS):
            return Column(name, "list", numeric=False, shape=_shape(first))
        if isinstance(first, dict | set):
            return Column(name, "list", numeric=False)
    numeric = dtype.kind in "biuf" or bool(getattr(dtype, "_is_numeric", False) and dtype.kind != "c")
    return Column(name, str(dtype), numeric=numeric)


LISTS = (list, tuple, np.ndarray)
"""What pandas holds in a row of lists."""


def _shape(first: Any) -> tuple[int, ...]:
    """Return the shape of rows that hold such lists; () if they hold no numbers."""
    try:
        return _list_array(first, "").shape
    except DataError:
        return ()


def _list_array(values: Any, what: str) -> FloatArray:
    """Return a list, also one of arrays, as an array."""
    return as_array(_nested(values), what)


def _nested(values: Any) -> Any:
    """Return an array of arrays as lists, which NumPy takes for more dimensions."""
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values
    return [_nested(value) if isinstance(value, LISTS) else value for value in values]


class FramePart(NamedTuple):
    """Rows of a DataFrame. See `msecli.formats.base.Part`."""

    path: str
    columns: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    selection: Selection
    start: int
    stop: int

    def read(self) -> Iterator[Block]:
        """Yield the rows, in blocks of bounded memory."""
        widest = max((math.prod(self.shapes[name]) for name in self.selection.numbers), default=1)
        step = max(1, ROWS_PER_BLOCK // max(1, widest))
        for start in range(self.start, self.stop, step):
            yield self._block(start, min(start + step, self.stop))

    def _block(self, start: int, stop: int) -> Block:
        numbers: dict[str | None, FloatArray] = {
            name: self._numbers(name, start, stop) for name in self.selection.numbers
        }
        labels = {
            name: _labels(self.columns[name].iloc[start:stop], f"{self.path}, column {name!r}")
            for name in self.selection.labels
        }
        return Block(stop - start, numbers, labels, work=stop - start)

    def _numbers(self, name: str, start: int, stop: int) -> FloatArray:
        values, what, shape = self.columns[name].iloc[start:stop], f"{self.path}, column {name!r}", self.shapes[name]
        if not shape:
            return as_array(values, what)
        rows = np.full((stop - start, *shape), np.nan)
        for number, value in enumerate(values):
            if not isinstance(value, LISTS):
                continue  # None, NaN or NA
            found = _list_array(value, what)
            if found.shape != shape:
                raise DataError(
                    f"{what}: {numbered(start + number)} holds a list of shape {found.shape}, but the first list has "
                    f"{shape}; all rows must hold as many"
                )
            rows[number] = found
        return rows


def _labels(column: Any, what: str) -> LabelArray:
    import pyarrow as pa

    from msecli.arrow.columns import labels

    array = pa.Array.from_pandas(column)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return labels(pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array, what)


class ArraySource:
    """An array in memory; rows are its first dimension. See `msecli.formats.base.Source`."""

    format = "memory"
    divisible = True

    def __init__(self, path: str, values: FloatArray) -> None:
        if values.ndim == 0:
            raise DataError(f"{path}: a single number (0-dimensional) has no rows")
        if values.size == 0:
            raise DataError(f"{path}: the array of shape {values.shape} has no elements")
        self.path = path
        self._values = values
        self.item: tuple[int, ...] | None = values.shape[1:]
        self.rows: int | None = len(values)
        self.work = len(values)
        self.warnings: Sequence[Warned] = ()
        self.columns: tuple[Column, ...] | None = None
        if values.ndim == 2:
            self.columns = tuple(Column(str(n), "float64", numeric=True) for n in range(values.shape[1]))

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[ArrayPart]:
        """Return parts of about `ROWS_PER_BLOCK` elements."""
        rows = range(self.work) if rows is None else rows
        starts = rows[:: self._step]
        return [ArrayPart(self._values[i : min(i + self._step, rows.stop)], selection) for i in starts]

    def cuts(self) -> Sequence[int]:
        """Return the row at which each part begins, and then the number of rows."""
        return [*range(0, self.work, self._step), self.work]

    @property
    def _step(self) -> int:
        """Rows in a part."""
        return max(1, ROWS_PER_BLOCK * self.work // self._values.size)

    def line(self, row: int, begin: int | None = None) -> None:
        """Return None: there are no lines."""

    def verify(self) -> None:
        """Do nothing: what is in memory is the caller's."""


class ArrayPart(NamedTuple):
    """Rows of an array in memory. See `msecli.formats.base.Part`."""

    values: FloatArray
    selection: Selection

    def read(self) -> Iterator[Block]:
        """Yield the one block."""
        names = self.selection.numbers
        numbers: dict[str | None, FloatArray] = {ARRAY: self.values}
        if names:
            numbers = {name: self.values[:, int(name)] for name in names}
        labels: dict[str, LabelArray] = {}
        if self.selection.labels:
            from msecli.arrow.columns import number_labels

            labels = {name: number_labels(self.values[:, int(name)], "array") for name in self.selection.labels}
        yield Block(len(self.values), numbers, labels, work=len(self.values))
