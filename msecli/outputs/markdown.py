"""Markdown tables, for reports and issue comments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any, BinaryIO

from msecli.errors import escaped
from msecli.outputs.base import Document, Style, Values, flat_records, number_text, number_texts


def write_result(stream: BinaryIO, document: Document, style: Style) -> None:
    """Write a table with a row per record, and the signature below it."""
    records = flat_records(document)
    names = [name for name in records[0] if name != "signature"]
    _write_header(stream, names)
    for record in records:
        _write_row(stream, (_cell(name, record) for name in names))
    if "signature" in document:
        stream.write(f"\n`{document['signature']}`\n".encode())


def write_values(stream: BinaryIO, document: Document | None, values: Values, style: Style) -> None:
    """Write a table with a row per row of values."""
    _write_header(stream, (*values.keys, *values.names))
    for keys, block in values.keyed_blocks():
        labels = zip(*(column.to_pylist() for column in keys), strict=True) if keys else repeat(())
        for label, row in zip(labels, block.tolist(), strict=False):
            _write_row(stream, map(number_text, (*label, *row)))
    if document is not None and document["metrics"]:
        stream.write(b"\n")
        _write_header(stream, ("metric", "value"))
        texts = number_texts(document)
        for name in document["metrics"]:
            _write_row(stream, (name, texts[name]))


def _cell(name: str, record: Mapping[str, Any]) -> str:
    """Return what a cell shows: nothing where nothing is, but for a loss that is no number."""
    value, status = record[name], record.get("status")
    if value is None:
        return str(status) if name == "loss" and status in ("nan", "inf") else ""
    return number_text(value)


def _write_header(stream: BinaryIO, names: Iterable[str]) -> None:
    names = list(names)
    _write_row(stream, names)
    _write_row(stream, ["---:"] * len(names))


def _write_row(stream: BinaryIO, cells: Iterable[str]) -> None:
    stream.write(("| " + " | ".join(escaped(cell).replace("|", "\\|") for cell in cells) + " |\n").encode())
