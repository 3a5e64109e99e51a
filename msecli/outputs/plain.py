"""Bare numbers for shell scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from msecli.outputs.base import ENTRY_KINDS, Document, Style, Values, entry_label, number_text


def write_result(stream: BinaryIO, document: Document, style: Style) -> None:
    """Write the loss alone, or `label<TAB>value` lines where there are several values.

    Each entry is a line, with the metrics behind its loss; then come all rows pooled, and the mean of the entries.
    """
    if any(name in document for name in ENTRY_KINDS):
        stream.writelines(("\t".join(line) + "\n").encode() for line in _entry_lines(document))
        return
    loss = number_text(document["loss"], document["status"])
    if not document["metrics"]:
        stream.write(f"{loss}\n".encode())
        return
    lines = [("loss", loss), *((name, number_text(value)) for name, value in document["metrics"].items())]
    stream.write("".join(f"{label}\t{value}\n" for label, value in lines).encode())


def _entry_lines(document: Document) -> Iterator[list[str]]:
    for name, kind in ENTRY_KINDS.items():
        for entry in document.get(name, ()):
            label = ",".join("" if text is None else str(text) for text in entry_label(kind, entry).values())
            running = [number_text(entry["running_mean"])] if kind == "batch" else []
            yield [label, *_numbers(entry), *running]
    yield ["pooled", *_numbers(document)]
    yield ["macro", *map(number_text, document.get("macro", {}).values())]


def _numbers(scored: Any) -> list[str]:
    return [number_text(scored["loss"], scored["status"]), *map(number_text, scored["metrics"].values())]


def write_values(stream: BinaryIO, document: Document | None, values: Values, style: Style) -> None:
    """Write one value per line, in the order of the elements."""
    from msecli.outputs.delimited import write_columns

    write_columns(stream, (([], block.reshape(-1, 1)) for block in values.blocks()), ("value",), "\t", header=False)
