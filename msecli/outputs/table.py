"""Tables for people at a terminal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO

from msecli.errors import escaped
from msecli.outputs.base import Style
from msecli.results.base import Report, Section, number_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from msecli.results.values import Keys, Layout

VALUES_SHOWN = 20
ROWS_SHOWN = 200


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write the sections of a result, rounded, and the footer."""
    _print(stream, style, *(_table(section, style) for section in report.sections()), report.footer)


class TableWriter:
    """Writes the first values, and how to get the others."""

    def __init__(self, stream: BinaryIO, layout: Layout, style: Style) -> None:
        self._stream = stream
        self._style = style
        self._names = layout.names
        self._first: list[list[float]] = []
        self._rows = 0

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Keep the first values, and count the others."""
        left = VALUES_SHOWN - len(self._first)
        self._first += block[:left].reshape(len(block[:left]), -1).tolist()
        self._rows += len(block)

    def close(self, report: Report | None) -> None:
        """Write the table, and below it the ledger and the signature."""
        from rich.table import Table

        table = Table("row", *map(escaped, self._names), title="losses")
        for number, row in enumerate(self._first, start=1):
            table.add_row(str(number), *(_text(value, self._style) for value in row))
        more = self._rows - len(self._first)
        note = f"and {more} more rows; for all of them use a pipe, --format or -o FILE" if more else None
        below = [] if report is None else [*(_table(each, self._style) for each in report.sections()), report.footer]
        _print(self._stream, self._style, table, note, *below)


def _table(section: Section, style: Style) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=section.header is not None, pad_edge=False, header_style="bold")
    rows = section.rows[:ROWS_SHOWN]
    for number in range(len(section.header or rows[0])):
        numeric = any(not isinstance(row[number], str) for row in rows)
        table.add_column(
            escaped(section.header[number]) if section.header else "",
            justify="right" if numeric else "left",
            overflow="fold",
        )
    for place, row in enumerate(rows):
        cells: list[str | Text] = [_text(cell, style) for cell in row]
        if section.headline:
            cells[0] = Text(str(cells[0]), style="bold")
            cells[1] = Text(str(cells[1]), style="bold green" if place == 0 else "")
            cells[2] = Text(str(cells[2]), style="dim")
        table.add_row(*cells)
    if len(section.rows) > ROWS_SHOWN:
        table.add_row(f"… {len(section.rows) - ROWS_SHOWN:,} more: use a pipe, --format or -o FILE")
    return table


def _text(cell: str | float | None, style: Style) -> str:
    if isinstance(cell, float):
        return f"{cell:.{style.precision}g}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return escaped(cell) if isinstance(cell, str) else number_text(cell)


def _print(stream: BinaryIO, style: Style, *parts: Any) -> None:
    import shutil

    from rich.console import Console

    text = io.StringIO()
    width = style.width or shutil.get_terminal_size().columns
    console = Console(
        file=text, width=width, force_terminal=style.terminal, no_color=not style.color, highlight=False, emoji=False
    )
    for number, part in enumerate(part for part in parts if part is not None):
        if number:
            console.print()
        console.print(
            part, style="dim" if isinstance(part, str) else None, soft_wrap=isinstance(part, str), markup=False
        )
    stream.write(text.getvalue().encode())
