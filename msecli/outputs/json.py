"""The versioned JSON document."""

from __future__ import annotations

from typing import BinaryIO

from msecli.outputs.base import Document, Style, Values, nested


def write_result(stream: BinaryIO, document: Document, style: Style) -> None:
    """Write the document."""
    import json

    stream.write((json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


def write_values(stream: BinaryIO, document: Document | None, values: Values, style: Style) -> None:
    """Write the document with the values in it, row after row, so that memory stays bounded."""
    import json

    head = json.dumps({**(document or {}), "shape": list(values.shape)}, indent=2, allow_nan=False)
    stream.write(head.removesuffix("\n}").encode() + b',\n  "values": [')
    separator = "\n    "
    for block in values.blocks():
        rows = json.dumps(nested(block), allow_nan=False)
        stream.write((separator + rows[1:-1]).encode())
        separator = ",\n    "
    stream.write(b"\n  ]\n}\n")
