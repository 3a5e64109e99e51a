"""The versioned JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from msecli.outputs.base import Style
from msecli.results.base import SCHEMA, Report, jsonable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from msecli.results.values import Keys, Layout


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write the document."""
    import json

    stream.write((json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n").encode())


class JsonWriter:
    """Writes values as they arrive, and the document around them."""

    def __init__(self, stream: BinaryIO, layout: Layout, style: Style) -> None:
        self._stream = stream
        self._item = layout.item
        self._rows = 0
        stream.write(f'{{\n  "schema": "{SCHEMA}",\n  "values": ['.encode())

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Write values, shape (rows, ...), row by row."""
        import json

        for row in jsonable(block.tolist()):
            self._stream.write((",\n    " if self._rows else "\n    ").encode())
            self._stream.write(json.dumps(row, allow_nan=False).encode())
            self._rows += 1

    def close(self, report: Report | None) -> None:
        """Write the shape, and the rest of the document."""
        import json

        rest = {"shape": [self._rows, *self._item], **({} if report is None else report.to_dict())}
        rest.pop("schema", None)
        text = json.dumps(rest, indent=2, allow_nan=False)
        self._stream.write(f"\n  ],{text.removeprefix('{')}\n".encode())
