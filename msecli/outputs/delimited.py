"""Comma- and tab-separated text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from msecli.outputs.base import Style
from msecli.results.base import Report, finite, number_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from msecli.results.values import Keys, Layout

LINE_END = "\r\n"
"""What `csv.writer` is told to end lines with, so that it quotes fields with either character."""


def write_csv(stream: BinaryIO, report: Report, style: Style, delimiter: str = ",") -> None:
    """Write a header, and a line per record."""
    records = report.records()
    _write_lines(stream, [records[0]], delimiter)
    texts = ((number_text(finite(value), "") for value in record.values()) for record in records)
    _write_lines(stream, texts, delimiter)


def write_tsv(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write the same with tabs."""
    write_csv(stream, report, style, "\t")


class DelimitedWriter:
    """Writes an optional header, and a line per row of values.

    NaN is an empty field if there is a header, and the word nan otherwise.
    """

    def __init__(self, stream: BinaryIO, names: tuple[str, ...], delimiter: str, *, header: bool) -> None:
        self._stream = stream
        self._names = names
        self._delimiter = delimiter
        self._header = header
        if header:
            _write_lines(stream, [names], delimiter)

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Write values, shape (rows, ...), beside their keys."""
        import pyarrow as pa
        import pyarrow.csv as pa_csv

        from msecli.outputs.columns import table

        # Numbered, because two of the names may be equal.
        numbers = [str(number) for number in range(len(self._names))]
        rows = table(block, keys, numbers, nan_is_null=self._header)
        buffer = pa.BufferOutputStream()
        pa_csv.write_csv(rows, buffer, pa_csv.WriteOptions(include_header=False, delimiter=self._delimiter))
        self._stream.write(buffer.getvalue())

    def close(self, report: Report | None) -> None:
        """Do nothing: nothing follows the values."""


def csv_writer(stream: BinaryIO, layout: Layout, style: Style, delimiter: str = ",") -> DelimitedWriter:
    """Return a writer of values beside their keys, below a header."""
    return DelimitedWriter(stream, (*layout.keys, *layout.names), delimiter, header=True)


def tsv_writer(stream: BinaryIO, layout: Layout, style: Style) -> DelimitedWriter:
    """Return the same with tabs."""
    return csv_writer(stream, layout, style, "\t")


def _write_lines(stream: BinaryIO, lines: Iterable[Iterable[str]], delimiter: str) -> None:
    import csv

    written: list[str] = []
    csv.writer(_Text(written), delimiter=delimiter, lineterminator=LINE_END).writerows(lines)
    stream.write("".join(written).encode())


class _Text:
    """Takes lines of a `csv.writer`, and ends them as msecli does."""

    def __init__(self, written: list[str]) -> None:
        self._written = written

    def write(self, line: str) -> None:
        """Take a line."""
        self._written.append(line.removesuffix(LINE_END) + "\n")
