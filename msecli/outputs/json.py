"""The versioned JSON document, by itself or as a line of a file of them."""

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


def write_line(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write the document on one line, in a history with the time."""
    import json

    stream.write((json.dumps({**_time(style), **report.to_dict()}, allow_nan=False) + "\n").encode())


def _time(style: Style) -> dict[str, str]:
    return {} if style.time is None else {"time": style.time}


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


class LineWriter:
    """Writes the same on one line."""

    def __init__(self, stream: BinaryIO, layout: Layout, style: Style) -> None:
        import json

        self._stream = stream
        self._item = layout.item
        self._rows = 0
        start = json.dumps({"schema": SCHEMA, **_time(style)})
        stream.write(f'{start.removesuffix("}")}, "values": ['.encode())

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Write values, shape (rows, ...)."""
        import json

        text = json.dumps(jsonable(block.tolist()), allow_nan=False)[1:-1]
        self._stream.write(f"{', ' if self._rows and text else ''}{text}".encode())
        self._rows += len(block)

    def close(self, report: Report | None) -> None:
        """Write the shape, and the rest of the document."""
        import json

        rest = {"shape": [self._rows, *self._item], **({} if report is None else report.to_dict())}
        rest.pop("schema", None)
        self._stream.write(f"], {json.dumps(rest, allow_nan=False).removeprefix('{')}\n".encode())
