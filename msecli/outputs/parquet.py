"""Parquet files of results and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from msecli.outputs.base import Style
from msecli.results.base import Report, finite

if TYPE_CHECKING:
    import numpy as np
    import pyarrow.parquet as pq
    from numpy.typing import NDArray

    from msecli.results.values import Keys, Layout


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write one row per record."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from msecli.outputs.columns import result_column

    records = report.records()
    columns = {name: result_column([finite(record[name]) for record in records]) for name in records[0]}
    pq.write_table(pa.table(columns), stream)


class ParquetWriter:
    """Writes a column for every element of a row; NaN is null."""

    def __init__(self, stream: BinaryIO, layout: Layout, style: Style) -> None:
        self._stream = stream
        self._names = (*layout.keys, *layout.names)
        self._writer: pq.ParquetWriter | None = None

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Write values, shape (rows, ...), as a row group."""
        import pyarrow.parquet as pq

        from msecli.outputs.columns import table

        rows = table(block, keys, self._names, nan_is_null=True)
        self._writer = self._writer or pq.ParquetWriter(self._stream, rows.schema, write_page_checksum=True)
        self._writer.write_table(rows)

    def close(self, report: Report | None) -> None:
        """Write the footer."""
        if self._writer is not None:
            self._writer.close()
