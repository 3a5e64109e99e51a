"""Tables of any library that shares its columns, through Arrow's PyCapsule interface or the interchange protocol.

What NumPy can take as a whole is in memory, and stays there; everything else that gives record batches is read as they
come, unless there are others and its library allows only one reader at a time. Arrays are told from tables by their
schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from msecli.arrays import FloatArray
from msecli.errors import DataError, Warned
from msecli.formats.arrays import as_array
from msecli.formats.base import ROWS_PER_BLOCK, Block, Column, Selection, Source
from msecli.formats.batches import BatchesSource, Kept
from msecli.formats.columnar import Table, Wanted
from msecli.formats.memory import ArraySource, unique_names
from msecli.tuples import NamedTuple

ONE_READER = frozenset({"duckdb"})
"""Libraries of which a connection has one result at a time: it begins none, or ends that of the other side."""


def open_exchanged(data: Any, what: str, *, beside: bool = False) -> Source:
    """Return a table or an array that another library shares as a source.

    Parameters
    ----------
    data : object with ``__arrow_c_stream__``, ``__arrow_c_array__`` or ``__dataframe__``
    what : str
        The name of the data in messages.
    beside : bool
        Whether others may be read at the same time.

    Raises
    ------
    DataError
        If it fails to share it.
    """
    try:
        if hasattr(data, "__arrow_c_stream__"):
            return _of_stream(data, what, beside=beside)
        if hasattr(data, "__arrow_c_array__"):
            return _of_array(data, what)
        from pyarrow.interchange import from_dataframe

        return TableSource(what, from_dataframe(data))
    except DataError:
        raise
    except Exception as error:  # whoever shares the data may raise anything
        reason = " ".join(str(error).split())
        raise DataError(f"{what}: the {type(data).__name__} cannot be read ({reason})") from error


def _of_stream(data: Any, what: str, *, beside: bool) -> Source:
    if isinstance(data, pa.Table):
        return TableSource(what, data)
    try:
        reader = data if isinstance(data, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(data)
    except pa.ArrowInvalid:
        # No table: the stream is of a single column.
        return ArraySource(what, as_array(pa.chunked_array(data), what))
    if hasattr(data, "__array__") or (beside and type(data).__module__.partition(".")[0] in ONE_READER):
        return TableSource(what, reader.read_all())
    unique_names(what, reader.schema.names)
    return BatchesSource(what, "memory", reader.schema, Table.of(reader.schema), Kept(what, reader))


def _of_array(data: Any, what: str) -> Source:
    array = data if isinstance(data, pa.Array) else pa.array(data)
    if isinstance(array, pa.StructArray):
        return TableSource(what, pa.Table.from_batches([pa.RecordBatch.from_struct_array(array)]))
    return ArraySource(what, as_array(array, what))


def open_columns(data: Mapping[Any, Any], what: str) -> Source:
    """Return arrays by the names of columns as a source.

    Raises
    ------
    DataError
        If they have different lengths, or one is no array.
    """
    columns = {str(name): _arrow_column(values, f"{what}, column {str(name)!r}") for name, values in data.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise DataError(f"{what}: the columns have different numbers of rows: {listed}")
    return TableSource(what, pa.table(columns))


def _arrow_column(values: Any, what: str) -> Any:
    """Return an array-like as an Arrow array; one of more dimensions as lists of a fixed length."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    try:
        return pa.chunked_array(values) if hasattr(values, "__arrow_c_stream__") else pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):
        numbers = as_array(values, what)
    if numbers.ndim == 0 or numbers.size == 0:
        raise DataError(f"{what}: the array of shape {numbers.shape} has no rows")
    return _lists(numbers)


def _lists(numbers: FloatArray) -> pa.Array:
    array = pa.array(numbers.reshape(-1))
    for length in numbers.shape[:0:-1]:
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array


class TableSource:
    """An Arrow table in memory. See `msecli.formats.base.Source`."""

    format = "memory"
    divisible = True

    def __init__(self, path: str, table: pa.Table) -> None:
        self.path = path
        self._table = table
        unique_names(path, table.schema.names)
        columns, self._steps = Table.of(table.schema)
        self.columns: tuple[Column, ...] | None = columns
        self.item: tuple[int, ...] | None = None
        self.rows: int | None = table.num_rows
        if not table.num_rows:
            raise DataError(f"{path}: the table has no rows")
        self.work = table.num_rows
        self.warnings: Sequence[Warned] = ()

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[TablePart]:
        """Return parts of `ROWS_PER_BLOCK` rows."""
        rows = range(self.work) if rows is None else rows
        wanted = Wanted.of(self.path, self.columns or (), self._steps, selection)
        table = self._table.select(wanted.fields(self._table.schema))
        return [
            TablePart(wanted, table.slice(start, min(ROWS_PER_BLOCK, rows.stop - start)), start)
            for start in rows[::ROWS_PER_BLOCK]
        ]

    def cuts(self) -> Sequence[int]:
        """Return the row at which each part begins, and then the number of rows."""
        return [*range(0, self.work, ROWS_PER_BLOCK), self.work]

    def line(self, row: int, begin: int | None = None) -> None:
        """Return None: there are no lines."""

    def verify(self) -> None:
        """Do nothing: what is in memory is the caller's."""


class TablePart(NamedTuple):
    """Rows of a table in memory. See `msecli.formats.base.Part`."""

    wanted: Wanted
    table: pa.Table
    first_row: int

    def read(self) -> Iterator[Block]:
        """Yield the rows, chunk by chunk as they lie in memory."""
        row = self.first_row
        for batch in self.table.to_batches():
            yield from self.wanted.blocks(batch, row)
            row += batch.num_rows
