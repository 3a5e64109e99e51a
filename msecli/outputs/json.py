"""The versioned JSON document."""

from __future__ import annotations

import json
import math
from typing import Any, BinaryIO

from msecli.outputs.base import Document, Style, Values


def write_result(stream: BinaryIO, document: Document, style: Style) -> None:
    """Write the document."""
    stream.write((json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


def write_values(stream: BinaryIO, document: Document | None, values: Values, style: Style) -> None:
    """Write the document with the values in it, row after row, so that memory stays bounded."""
    head = json.dumps({**(document or {}), "shape": list(values.shape)}, indent=2, allow_nan=False)
    stream.write(head.removesuffix("\n}").encode() + b',\n  "values": [')
    separator = "\n    "
    for block in values.blocks():
        for row in block.tolist():
            stream.write((separator + json.dumps(_without_nan(row), allow_nan=False)).encode())
            separator = ",\n    "
    stream.write(b"\n  ]\n}\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value if math.isfinite(value) else None
