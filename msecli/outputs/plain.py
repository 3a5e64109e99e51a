"""Bare numbers for shell scripts."""

from __future__ import annotations

from typing import BinaryIO

from msecli.outputs.base import Document, Style, Values, number_text


def write_result(stream: BinaryIO, document: Document, style: Style) -> None:
    """Write the loss alone, or `label<TAB>value` lines when there are metrics, too."""
    loss = number_text(document["loss"], document["status"])
    if not document["metrics"]:
        stream.write(f"{loss}\n".encode())
        return
    lines = [("loss", loss), *((name, number_text(value)) for name, value in document["metrics"].items())]
    stream.write("".join(f"{label}\t{value}\n" for label, value in lines).encode())


def write_values(stream: BinaryIO, document: Document | None, values: Values, style: Style) -> None:
    """Write one value per line, in the order of the elements."""
    from msecli.outputs.delimited import write_columns

    write_columns(stream, (block.reshape(-1, 1) for block in values.blocks()), ("value",), "\t", header=False)
