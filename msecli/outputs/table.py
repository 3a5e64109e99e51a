"""Tables for people at a terminal: the loss, the ledger, the signature."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO

from msecli.errors import escaped
from msecli.outputs.base import ENTRY_KINDS, Document, Style, Values, entry_label, flat_records, number_text, numbers_of

if TYPE_CHECKING:
    from rich.table import Table

VALUES_SHOWN = 20
ENTRIES_SHOWN = 200

ROW_WORDS = {
    "prediction": "in the prediction file",
    "target": "in the target file",
    "matched": "paired",
    "unmatched_prediction": "predictions without a target",
    "unmatched_target": "targets without a prediction",
    "dropped": "dropped",
    "used": "used",
}
ELEMENT_WORDS = {
    "total": "paired",
    "ignored": "ignored",
    "nan_target": "target missing",
    "nan_prediction": "prediction missing",
    "infinite": "infinite",
    "used": "used",
}


def write_result(stream: BinaryIO, document: Document, style: Style) -> None:
    """Write the loss and the metrics, rounded, above the ledger and the signature."""
    if "loss" not in document:
        _print(stream, style, _records(document, style))
        return
    entries = [_entries(kind, document[name], style) for name, kind in ENTRY_KINDS.items() if name in document]
    _print(stream, style, *entries, _losses(document, style), _ledger(document), document["signature"])


def _records(document: Document, style: Style) -> Table:
    from rich.table import Table

    records = flat_records(document)
    table = Table(*records[0], box=None, pad_edge=False, header_style="bold")
    for record in records:
        table.add_row(*(rounded(value, style) for value in record.values()))
    return table


def _entries(kind: str, entries: Sequence[Document], style: Style) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in entry_label(kind, entries[0]):
        table.add_column(escaped(name), overflow="fold")
    for name in (*numbers_of(entries[0]), "used"):
        table.add_column(name.replace("_", " "), justify="right", overflow="fold")
    for entry in entries[:ENTRIES_SHOWN]:
        labels = ["" if label is None else escaped(str(label)) for label in entry_label(kind, entry).values()]
        texts = _texts(entry, style).values()
        table.add_row(*labels, *texts, f"{entry['elements']['used']:,}")
    if len(entries) > ENTRIES_SHOWN:
        table.add_row(f"… {len(entries) - ENTRIES_SHOWN:,} more: use a pipe, --format or -o FILE")
    return table


def write_values(stream: BinaryIO, document: Document | None, values: Values, style: Style) -> None:
    """Write the first values, and how to get the others."""
    from rich.table import Table

    table = Table("row", *map(escaped, values.names), title="losses")
    rows = chain.from_iterable(block.reshape(-1, len(values.names)).tolist() for block in values.blocks())
    for number, row in enumerate(islice(rows, VALUES_SHOWN), start=1):
        table.add_row(str(number), *(rounded(value, style) for value in row))
    more = values.rows - VALUES_SHOWN
    note = [f"and {more} more rows; for all of them use a pipe, --format or -o FILE"] if more > 0 else []
    below = [*_metrics(document, style), _ledger(document), document["signature"]] if document else []
    _print(stream, style, table, *note, *below)


def rounded(value: Any, style: Style, missing: str = "nan") -> str:
    """Return a number with the style's significant digits; another word for None."""
    return f"{value:.{style.precision}g}" if isinstance(value, float) else number_text(value, missing)


def _texts(scored: Document, style: Style) -> dict[str, str]:
    words = scored.get("not_finite", {})
    return {name: rounded(value, style, words.get(name, "nan")) for name, value in numbers_of(scored).items()}


def _losses(document: Document, style: Style) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", overflow="fold")
    table.add_column(justify="right", overflow="fold")
    table.add_column(style="dim", overflow="fold")
    denominator = document["denominator"]
    name = document["denominator_name"]
    divided = "" if denominator is None else f"÷ {denominator:,} {'(sum of weights)' if name == 'weights' else name}"
    macro = document.get("macro", {})
    pooled = "pooled " if macro else ""
    texts = _texts(document, style)
    loss = Text(texts.pop("loss"), style="bold green")
    table.add_row(f"{pooled}loss", loss, f"mse, {document['reduction']} {divided}".rstrip())
    for number, text in texts.items():
        table.add_row(f"{pooled}{number.replace('_', ' ')}", text)
    for number, value in macro.items():
        table.add_row(f"macro {number}", rounded(value, style), "plain mean of the entries" if number == "loss" else "")
    return table


def _metrics(document: Document, style: Style) -> list[Table]:
    """Return a table of the metrics, which stand beside values, if there are any."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in _texts(document, style).items():
        if name in document["metrics"]:
            table.add_row(name.replace("_", " "), text)
    return [table] if document["metrics"] else []


def _ledger(document: Document) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("rows", overflow="fold")
    table.add_column("", justify="right", overflow="fold")
    table.add_column("elements", overflow="fold")
    table.add_column("", justify="right", overflow="fold")
    rows, elements = _present(document["rows"], ROW_WORDS), _present(document["elements"], ELEMENT_WORDS)
    for number in range(max(len(rows), len(elements))):
        cells = [pairs[number] if number < len(pairs) else ("", "") for pairs in (rows, elements)]
        table.add_row(*cells[0], *cells[1])
    return table


def _present(counts: dict[str, int], words: dict[str, str]) -> list[tuple[str, str]]:
    """The first and the last count always, those between when there is something to say."""
    always = {"prediction", "target", "matched", "total", "used"}
    return [(word, f"{counts[name]:,}") for name, word in words.items() if counts[name] or name in always]


def _print(stream: BinaryIO, style: Style, *parts: Any) -> None:
    import shutil

    from rich.console import Console

    text = io.StringIO()
    width = style.width or shutil.get_terminal_size().columns
    console = Console(
        file=text, width=width, force_terminal=style.terminal, no_color=not style.color, highlight=False, emoji=False
    )
    for number, part in enumerate(parts):
        if number:
            console.print()
        console.print(
            part, style="dim" if isinstance(part, str) else None, soft_wrap=isinstance(part, str), markup=False
        )
    stream.write(text.getvalue().encode())
