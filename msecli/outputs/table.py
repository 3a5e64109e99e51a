"""Tables for people at a terminal.

No number is ever cut or folded. Where a table is too wide, its labels are shortened; then columns are left out from the
right, and so are rows of very many; a line below says how many, and where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from msecli.errors import escaped
from msecli.outputs.base import Style, data_label
from msecli.results.base import Report, Row, Section, marked, plural, rounded
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from msecli.results.values import Keys, Layout

VALUES_SHOWN = 20
ROWS_SHOWN = 200

GAP = "  "
"""What is between two columns."""

LABEL_WIDTHS = (12, 4, 1)
"""How far labels are shortened before a column is left out; further only for the first column of numbers."""

CODES = {"name": "1", "total": "1", "main": "1", "bad": "1;31"}
"""The escape sequences for the looks of cells. Of the colours only red can be read on dark and on light."""

BAD = frozenset({"nan", "inf", "-inf", "failed"})

ELSEWHERE = {"csv": "use --format csv or -o FILE", "json": "use --format json or -o FILE.json"}
"""Where all of a table is, by the format that holds it."""


class Cell(NamedTuple):
    """A text in the table, and whether it stands to the right."""

    text: str
    look: str = ""
    right: bool = False


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write what the result is of, its sections, rounded, and the footer."""
    _write(stream, style, _title(report, style), *_result(report, style))


class TableWriter:
    """Writes the first values, and how to get the others."""

    def __init__(self, stream: BinaryIO, layout: Layout, style: Style) -> None:
        self._stream = stream
        self._style = style
        self._layout = layout
        self._first: list[Row] = []
        self._rows = 0

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Keep the first values with their keys, and count the others."""
        left = VALUES_SHOWN - len(self._first)
        labels = [column.slice(0, left).to_pylist() for column in keys.values()]
        for number, values in enumerate(block[:left].reshape(len(block[:left]), -1).tolist()):
            named = [str(marked(column[number])) for column in labels]
            self._first.append((str(self._rows + number + 1), *named, *values))
        self._rows += len(block)

    def close(self, report: Report | None) -> None:
        """Write the table, and below it the metrics, the ledger and the signature."""
        section = Section(("row", *self._layout.keys, *self._layout.names), self._first)
        # Beside the loss of every element, files of values have no place for metrics.
        numbers = {} if report is None else report.numbers()
        metrics = len(numbers) > 1 and numbers["loss"] is None
        table = _section(section._replace(complete="json" if metrics else "csv"), self._style, self._rows)
        above = [] if report is None else [_title(report, self._style)]
        _write(self._stream, self._style, *above, table, *([] if report is None else _result(report, self._style)))


def _title(report: Report, style: Style) -> list[str]:
    """Return what a result is of, in as few lines as there is room for."""
    room = _columns(style)
    groups = [_joined([_shortened(escaped(name), room) for name in names], " ", room) for names in report.title]
    groups += [_wrapped(_sentence(report.what, style), room)] if report.what else []
    return _joined([line for lines in groups for line in lines], GAP, room)


def _result(report: Report, style: Style) -> list[list[str]]:
    parts: list[list[str]] = []
    alone = False
    for section in report.sections():
        lines = _section(section, style, len(section.rows))
        follows, alone = alone, section.header is None and not section.rows
        if follows and alone:
            parts[-1] += lines  # sentences that follow each other are a paragraph
        else:
            parts.append(lines)
    footer = report.short_footer if style.terminal else report.footer
    if footer:
        # Elsewhere on one line, for scripts that look for it.
        breaks = report.footer_breaks if style.terminal else ""
        parts.append(_broken(footer, breaks, _columns(style)) if breaks else [footer])
    return parts


def _section(section: Section, style: Style, all_rows: int) -> list[str]:
    """Return the lines of a table, and of what it says below."""
    where = ELSEWHERE[section.complete]
    room, columns = _columns(style), _columns_of(section, style)
    all_columns = len([*section.rows[:1], *section.totals][0]) if columns else 0
    kept, widths = _fitted(columns, room)
    lines = [_line(cells, widths, style) for cells in zip(*columns[:kept], strict=True)] if columns else []
    notes = [_sentence(section.note, style)] if section.note else []
    left_out, names = [], ""
    if more := all_rows - min(len(section.rows), ROWS_SHOWN):
        left_out.append(f"{more:,} more {plural(section.kind, more)}")
    if more := all_columns - kept:
        left_out.append(f"{more:,} more {plural('column', more)}")
        # If there are more of them than fit on a line, not even these do.
        names = ", ".join(map(escaped, section.header[kept : kept + room])) if section.header else ""
    if left_out:
        what = " and ".join(left_out)
        named = f"{what} ({names}); {where}"
        notes.append(named if names and _width(named) <= room else f"{what}; {where}")
    return lines + [line for note in notes for line in ([note] if section.typed else _wrapped(note, room))]


def _columns_of(section: Section, style: Style) -> list[list[Cell]]:
    """Return the cells of a table, column by column; more than the terminal has do not fit anyway."""
    rows = [*section.rows[:ROWS_SHOWN], *section.totals]
    if not rows:
        return []
    taken = {str(row[0]) for row in section.totals}
    first_total = len(rows) - len(section.totals)
    columns: list[list[Cell]] = []
    for place, cells in enumerate(islice(zip(*rows, strict=True), _columns(style))):
        right = any(not isinstance(cell, str) for cell in cells)
        column = [Cell(escaped(section.header[place]), "name", right)] if section.header else []
        verdicts = right or (section.kind == "gate" and place == 0)
        numbers = bool(columns) and not columns[-1][-1].right and right
        for number, cell in enumerate(cells):
            label = isinstance(cell, str) and place == 0
            text = rounded(cell, style.precision)
            if isinstance(cell, str):
                text = data_label(cell, taken) if label and taken and number < first_total else escaped(cell)
            look = "total" if label and (section.headline or number >= first_total) else ""
            if numbers and number == (0 if section.headline else first_total):
                look = "main"
            column.append(Cell(text, "bad" if verdicts and text in BAD else look, right))
        columns.append(column)
    return columns


def _fitted(columns: Sequence[Sequence[Cell]], room: int) -> tuple[int, list[int]]:
    """Return how many columns fit, and their widths; labels and names of columns are shortened if need be."""
    wide = [max(_width(cell.text) for cell in column) for column in columns]
    labels = next((place for place, column in enumerate(columns) if column[-1].right), len(columns))
    kept, narrow = 0, wide
    for least in LABEL_WIDTHS:
        narrow = [_narrowest(column, least) for column in columns]
        kept = len(columns)
        while kept > 1 and sum(narrow[:kept]) + len(GAP) * (kept - 1) > room:
            kept -= 1
        if kept > labels or kept == len(columns):
            break
    wide, narrow = wide[:kept], narrow[:kept]
    room -= len(GAP) * (kept - 1)
    limit = min(room, max(wide, default=0))
    while limit > 1 and sum(_between(widths, limit) for widths in zip(narrow, wide, strict=True)) > room:
        limit -= 1
    return kept, [_between(widths, limit) for widths in zip(narrow, wide, strict=True)]


def _between(widths: tuple[int, int], limit: int) -> int:
    narrow, wide = widths
    return max(narrow, min(wide, limit))


def _narrowest(column: Sequence[Cell], least: int) -> int:
    """Return the least width of a column: that of its numbers, or of shortened texts."""
    return max(
        _width(cell.text) if cell.right and cell.look != "name" else min(_width(cell.text), least) for cell in column
    )


def _line(cells: Sequence[Cell], widths: Sequence[int], style: Style) -> str:
    line, blanks = "", ""
    for cell, width in zip(cells, widths, strict=True):
        text = _shortened(cell.text.rstrip(), width)
        space = " " * (width - _width(text))
        if text:
            line += blanks + (space if cell.right else "") + _painted(text, cell.look, style)
            blanks = ("" if cell.right else space) + GAP
        else:
            blanks += space + GAP
    return line


def _sentence(pieces: Row, style: Style) -> str:
    return "".join(rounded(piece, style.precision) for piece in pieces)


def _painted(text: str, look: str, style: Style) -> str:
    return f"\x1b[{CODES[look]}m{text}\x1b[0m" if look and style.color else text


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _shortened(text: str, width: int) -> str:
    """Return a text with its middle left out, if it is wider than this."""
    if _width(text) <= width:
        return text
    end = _head(text[::-1], (width - 1) // 3)[::-1]
    return f"{_head(text, width - 1 - _width(end))}…{end}"


def _head(text: str, width: int) -> str:
    end = 0
    while end < len(text) and _width(text[: end + 1]) <= width:
        end += 1
    return text[:end]


def _wrapped(text: str, width: int) -> list[str]:
    """Return a sentence in lines; no word is broken."""
    return _joined(text.split(" "), " ", width)


def _broken(footer: str, mark: str, width: int) -> list[str]:
    """Return a footer in lines, broken only before a mark: no field of a signature is."""
    first, *others = footer.split(mark)
    return _joined([first, *(f"{mark}{field}" for field in others)], "", width)


def _joined(words: Iterable[str], blank: str, width: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and _width(lines[-1]) + len(blank) + _width(word) <= width:
            lines[-1] += blank + word
        else:
            lines.append(word)
    return lines


def _columns(style: Style) -> int:
    """Return how many columns the terminal has."""
    import shutil

    return style.width or shutil.get_terminal_size().columns


def _write(stream: BinaryIO, style: Style, *parts: Sequence[str]) -> None:
    text = "\n\n".join("\n".join(lines) for lines in parts if lines)
    stream.write(f"{text}\n".encode())
