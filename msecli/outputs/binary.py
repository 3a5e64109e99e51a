"""NumPy and Parquet files of results and values."""

from __future__ import annotations

from typing import BinaryIO

from msecli.outputs.base import Document, Style, Values, flat_records, float_column, numbers_of, result_column


def write_npy_result(stream: BinaryIO, document: Document, style: Style) -> None:
    """Write the loss as a 0-dimensional array, or the numbers of another document as a 1-dimensional one."""
    import numpy as np

    numbers = [document["loss"]] if "loss" in document else list(numbers_of(document).values())
    word = document["status"] if document["status"] in ("nan", "inf") else "nan"
    array = np.array([float(word) if number is None else number for number in numbers])
    np.save(stream, array[0] if "loss" in document else array)


def write_npy_values(stream: BinaryIO, document: Document | None, values: Values, style: Style) -> None:
    """Write a C-ordered little-endian float64 array of the values' shape."""
    import numpy as np

    header = {"descr": "<f8", "fortran_order": False, "shape": values.shape}
    np.lib.format.write_array_header_1_0(stream, header)
    stream.writelines(np.ascontiguousarray(block).data.cast("B") for block in values.blocks())


def write_parquet_result(stream: BinaryIO, document: Document, style: Style) -> None:
    """Write one row per record."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = flat_records(document)
    columns = [result_column([record[name] for record in records]) for name in records[0]]
    pq.write_table(pa.Table.from_arrays(columns, list(records[0])), stream)


def write_parquet_values(stream: BinaryIO, document: Document | None, values: Values, style: Style) -> None:
    """Write a column for every element of a row; NaN is null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [*values.keys, *values.names]
    writer: pq.ParquetWriter | None = None
    try:
        for keys, block in values.keyed_blocks():
            columns = [*keys, *(float_column(column, nan_is_null=True) for column in block.T)]
            batch = pa.RecordBatch.from_arrays(columns, names)
            writer = writer or pq.ParquetWriter(stream, batch.schema, write_page_checksum=True)
            writer.write_batch(batch)
    finally:
        if writer is not None:
            writer.close()
