"""Markdown tables, for reports and issue comments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, BinaryIO

from msecli.errors import escaped
from msecli.outputs.base import Style
from msecli.results.base import MISSING_LABEL, Report, marked, number_text, rounded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from msecli.results.values import Keys, Layout


LIMIT = 1 << 20
"""The bytes of the summary of a step that GitHub shows; it shows nothing of a longer one."""

KEPT_FREE = LIMIT // 4
"""What stays free below the rows of a table; a longer signature is shortened."""


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write a table with a row per record, the gates, and the signature below it.

    Of very many rows the first are written, and the totals.
    """
    records = report.records(MISSING_LABEL)
    names = [name for name in records[0] if name != "signature"]
    _write_header(stream, names, [any(isinstance(record[name], str) for record in records) for name in names])
    totals = [record for record in records if record.get("scope") in TOTALS]
    rows = [record for record in records if record.get("scope") not in TOTALS]
    written = 0
    for record in rows:
        if stream.tell() > LIMIT - KEPT_FREE:
            break
        _write_row(stream, _record(record, names, style))
        written += 1
    for record in totals:
        _write_row(stream, _record(record, names, style))
    if more := len(rows) - written:
        stream.write(_left_out(more))
    _write_details(stream, report, style)
    footer = report.footer
    if footer and len(footer.encode()) > KEPT_FREE // 2:
        footer = report.short_footer
    if footer:
        stream.write(f"\n`{footer}`\n".encode())


TOTALS = frozenset({"pooled", "macro"})
"""The records that are over all others."""


def _record(record: Mapping[str, Any], names: Iterable[str], style: Style) -> Iterable[str]:
    return ("" if record[name] is None else _text(record[name], style) for name in names)


def _left_out(rows: int) -> bytes:
    return f"\n{rows:,} more rows; use --format csv or -o FILE\n".encode()


class MarkdownWriter:
    """Writes a table with a row per row of values."""

    def __init__(self, stream: BinaryIO, layout: Layout, style: Style) -> None:
        self._stream = stream
        self._style = style
        self._names = (*layout.keys, *layout.names)
        self._headed = False
        self._left_out = 0

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Write values, shape (rows, ...), beside their keys."""
        self._head(keys)
        labels = zip(*(column.to_pylist() for column in keys.values()), strict=True) if keys else repeat(())
        for label, row in zip(labels, block.reshape(len(block), -1).tolist(), strict=False):
            if self._left_out or self._stream.tell() > LIMIT - KEPT_FREE:
                self._left_out += 1
                continue
            _write_row(self._stream, (_text(value, self._style) for value in (*map(marked, label), *row)))

    def close(self, report: Report | None) -> None:
        """Write the metrics below the losses."""
        self._head({})
        if self._left_out:
            self._stream.write(_left_out(self._left_out))
        metrics = {} if report is None else {name: n for name, n in report.numbers().items() if name != "loss"}
        if metrics:
            self._stream.write(b"\n")
            _write_header(self._stream, ("metric", "value"), (True, False))
            for name, number in metrics.items():
                _write_row(self._stream, (name, _text(number, self._style)))
        if report is not None:
            _write_details(self._stream, report, self._style)

    def _head(self, keys: Keys) -> None:
        """Write the names above the first rows, whose keys tell which columns are texts."""
        if not self._headed:
            texts = [any(isinstance(label, str) for label in column.to_pylist()) for column in keys.values()]
            _write_header(self._stream, self._names, [*texts, *[False] * (len(self._names) - len(texts))])
        self._headed = True


def _write_details(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write the tables that hold what the records do not, with the sentences below them."""
    for section in report.details():
        rows = [*section.rows, *section.totals]
        if rows:
            stream.write(b"\n")
            names = section.header or ("",) * len(rows[0])
            _write_header(
                stream, names, [all(isinstance(cell, str) for cell in cells) for cells in zip(*rows, strict=True)]
            )
        for row in rows:
            _write_row(
                stream, (rounded(cell, style.precision) if not isinstance(cell, str) else escaped(cell) for cell in row)
            )
        if section.note:
            sentence = "".join(rounded(piece, style.precision) for piece in section.note)
            stream.write(f"\n{escaped(sentence)}\n".encode())


def _text(value: Any, style: Style) -> str:
    if isinstance(value, str):
        return escaped(value)
    return rounded(value, style.precision) if isinstance(value, float) else number_text(value)


def _write_header(stream: BinaryIO, names: Sequence[str], texts: Sequence[bool]) -> None:
    _write_row(stream, map(escaped, names))
    _write_row(stream, ["---" if text else "---:" for text in texts])


def _write_row(stream: BinaryIO, cells: Iterable[str]) -> None:
    stream.write(("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n").encode())
