"""Markdown tables, for reports and issue comments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import TYPE_CHECKING, Any, BinaryIO

from msecli.errors import escaped
from msecli.outputs.base import Style
from msecli.results.base import Report, finite, number_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from msecli.results.values import Keys, Layout


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write a table with a row per record, and the signature below it."""
    records = report.records()
    names = [name for name in records[0] if name != "signature"]
    _write_header(stream, names)
    for record in records:
        _write_row(stream, (_cell(name, record) for name in names))
    if report.footer:
        stream.write(f"\n`{report.footer}`\n".encode())


class MarkdownWriter:
    """Writes a table with a row per row of values."""

    def __init__(self, stream: BinaryIO, layout: Layout, style: Style) -> None:
        self._stream = stream
        _write_header(stream, (*layout.keys, *layout.names))

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Write values, shape (rows, ...), beside their keys."""
        labels = zip(*(column.to_pylist() for column in keys.values()), strict=True) if keys else repeat(())
        for label, row in zip(labels, block.reshape(len(block), -1).tolist(), strict=False):
            _write_row(self._stream, map(_text, (*label, *row)))

    def close(self, report: Report | None) -> None:
        """Write the metrics below the losses."""
        metrics = {} if report is None else {name: n for name, n in report.numbers().items() if name != "loss"}
        if metrics:
            self._stream.write(b"\n")
            _write_header(self._stream, ("metric", "value"))
            for name, number in metrics.items():
                _write_row(self._stream, (name, number_text(number)))


def _cell(name: str, record: Mapping[str, Any]) -> str:
    """Format a cell: blank without a finite number, except that a loss shows "nan" or "inf"."""
    value, status = finite(record[name]), record.get("status")
    if value is None:
        return str(status) if name == "loss" and status in {"nan", "inf"} else ""
    return _text(value)


def _text(value: Any) -> str:
    return escaped(value) if isinstance(value, str) else number_text(value)


def _write_header(stream: BinaryIO, names: Iterable[str]) -> None:
    names = list(names)
    _write_row(stream, map(escaped, names))
    _write_row(stream, ["---:"] * len(names))


def _write_row(stream: BinaryIO, cells: Iterable[str]) -> None:
    stream.write(("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n").encode())
