"""Tables and arrays in memory as sources of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from msecli.core.exact import FloatArray
from msecli.errors import DataError, Warned
from msecli.formats.arrays import as_array
from msecli.formats.base import ARRAY, ROWS_PER_BLOCK, Block, Column, LabelArray, Selection, Source


def open_memory(data: Any, what: str) -> Source:
    """Return a DataFrame, a pyarrow Table, an xarray Dataset or an array-like as a source.

    Parameters
    ----------
    data : pandas.DataFrame, pyarrow.Table, pyarrow.RecordBatch, xarray.Dataset or array_like
    what : str
        The name of the data in messages.

    Raises
    ------
    DataError
        If an array does not hold real numbers, or a table has no rows or two columns of one name.
    """
    library, name = type(data).__module__.partition(".")[0], type(data).__name__
    if library == "pandas" and name == "DataFrame":
        return TableSource(what, _pandas_columns(data))
    if library == "pyarrow" and name in {"Table", "RecordBatch"}:
        return TableSource(what, dict(zip(_unique(what, data.schema.names), data.columns, strict=True)))
    if library == "xarray" and name == "Dataset":
        from msecli.formats.dataset import open_dataset

        return open_dataset(data, what)
    return ArraySource(what, as_array(data, what))


def _pandas_columns(frame: Any) -> dict[str, Any]:
    names = _unique("the DataFrame", [str(name) for name in frame.columns])
    columns = {name: frame.iloc[:, number] for number, name in enumerate(names)}
    # A named index identifies the rows, so it can be a key; an unnamed one only numbers them.
    for level, name in enumerate(frame.index.names):
        if name is not None and str(name) not in columns:
            columns[str(name)] = frame.index.get_level_values(level).to_series()
    return columns


def _unique(what: str, names: Sequence[str]) -> Sequence[str]:
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"{what}: {names.count(repeated)} columns are named {repeated!r}; rename all but one")
    return names


class TableSource:
    """A table in memory, column by column. See `msecli.formats.base.Source`."""

    format = "memory"
    divisible = True

    def __init__(self, path: str, columns: dict[str, Any]) -> None:
        self.path = path
        self._data = columns
        self.item: tuple[int, ...] | None = None
        self.rows: int | None = len(next(iter(columns.values()), ()))
        if not self.rows:
            raise DataError(f"{path}: the table has no rows")
        self.work = self.rows
        self.warnings: Sequence[Warned] = ()
        self.columns: tuple[Column, ...] | None = tuple(
            Column(name, *_kind(column)) for name, column in columns.items()
        )

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[TablePart]:
        """Return parts of `ROWS_PER_BLOCK` rows."""
        rows = range(self.work) if rows is None else rows
        wanted = {name: self._data[name] for name in (*selection.numbers, *selection.labels)}
        return [
            TablePart(self.path, wanted, selection, start, min(start + ROWS_PER_BLOCK, rows.stop))
            for start in rows[::ROWS_PER_BLOCK]
        ]

    def cuts(self) -> Sequence[int]:
        """Return the row at which each part begins, and then the number of rows."""
        return [*range(0, self.work, ROWS_PER_BLOCK), self.work]

    def line(self, row: int, begin: int | None = None) -> None:
        """Return None: there are no lines."""

    def verify(self) -> None:
        """Do nothing: what is in memory is the caller's."""


def _kind(column: Any) -> tuple[str, bool]:
    """Return the type of a column, and whether it is numeric."""
    if type(column).__module__.startswith("pyarrow"):
        from msecli.arrow.columns import is_numeric

        return str(column.type), is_numeric(column.type)
    dtype = column.dtype
    if dtype.kind == "O" and isinstance(next(iter(column.dropna()), None), list | tuple | dict | set):
        return "list", False
    return str(dtype), dtype.kind in "biuf" or bool(getattr(dtype, "_is_numeric", False) and dtype.kind != "c")


class TablePart(NamedTuple):
    """Rows of a table in memory. See `msecli.formats.base.Part`."""

    path: str
    columns: dict[str, Any]
    selection: Selection
    start: int
    stop: int

    def read(self) -> Iterator[Block]:
        """Yield the one block."""
        numbers: dict[str | None, FloatArray] = {
            name: as_array(self._rows(name), f"{self.path}, column {name!r}") for name in self.selection.numbers
        }
        labels = {name: _labels(self._rows(name), f"{self.path}, column {name!r}") for name in self.selection.labels}
        yield Block(self.stop - self.start, numbers, labels, work=self.stop - self.start)

    def _rows(self, name: str) -> Any:
        column = self.columns[name]
        if type(column).__module__.startswith("pyarrow"):
            return column.slice(self.start, self.stop - self.start)
        return column.iloc[self.start : self.stop]


def _labels(column: Any, what: str) -> LabelArray:
    import pyarrow as pa

    from msecli.arrow.columns import labels

    if isinstance(column, pa.ChunkedArray):
        array = column.combine_chunks()
        return labels(pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array, what)
    return labels(column if isinstance(column, pa.Array) else pa.Array.from_pandas(column), what)


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
