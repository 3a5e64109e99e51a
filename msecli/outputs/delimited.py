"""Comma- and tab-separated text."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, BinaryIO

from msecli.outputs.base import Document, Style, Values, flat_records, float_column, number_text

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


def result_writer(delimiter: str) -> Callable[[BinaryIO, Document, Style], None]:
    """Return the function that writes a result with a delimiter: a header and a line."""

    def write_result(stream: BinaryIO, document: Document, style: Style) -> None:
        import csv

        records = flat_records(document)
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerow(records[0])
        for record in records:
            writer.writerow("" if value is None else number_text(value) for value in record.values())
        stream.write(text.getvalue().encode())

    return write_result


def values_writer(delimiter: str) -> Callable[[BinaryIO, Document | None, Values, Style], None]:
    """Return the function that writes values with a delimiter: a header, and a line per row."""

    def write_values(stream: BinaryIO, document: Document | None, values: Values, style: Style) -> None:
        write_columns(stream, values.keyed_blocks(), (*values.keys, *values.names), delimiter, header=True)

    return write_values


def write_columns(
    stream: BinaryIO,
    blocks: Iterable[tuple[list[pa.Array], NDArray[np.float64]]],
    names: tuple[str, ...],
    delimiter: str,
    *,
    header: bool,
) -> None:
    """Write rows of keys and numbers; NaN is an empty cell under a header, and the word nan without one."""
    import csv

    import pyarrow as pa
    import pyarrow.csv as pa_csv

    if header:
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(names)
        stream.write(text.getvalue().encode())
    options = pa_csv.WriteOptions(include_header=False, delimiter=delimiter)
    for keys, block in blocks:
        columns = [*keys, *(float_column(column, nan_is_null=header) for column in block.T)]
        table = pa.Table.from_arrays(columns, [str(number) for number in range(len(names))])
        buffer = pa.BufferOutputStream()
        pa_csv.write_csv(table, buffer, options)
        stream.write(buffer.getvalue())
