"""Write values to files as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from msecli.outputs.base import Renderer, Style, ValuesWriter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from msecli.results.base import Report
    from msecli.results.values import Keys, Layout


class StreamSink:
    """Writes values to a stream in a format. See `msecli.scoring.values.Sink`."""

    def __init__(self, stream: BinaryIO, renderer: Renderer, style: Style) -> None:
        self._stream, self._renderer, self._style = stream, renderer, style
        self._writer: ValuesWriter | None = None

    def begin(self, layout: Layout) -> None:
        """Write what precedes the values."""
        if self._renderer.values_writer is not None:
            self._writer = self._renderer.values(self._stream, layout, self._style)

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Write values, shape (rows, ...)."""
        if self._writer is not None:
            self._writer.append(block, keys)

    def write(self, array: NDArray[np.float64], layout: Layout) -> None:
        """Write all values at once."""
        self.begin(layout)
        self.append(array, {})
        self.finish(None)

    def finish(self, report: Report | None) -> None:
        """Write what follows the values, or a whole result without values."""
        if self._writer is not None:
            self._writer.close(report)
        elif report is not None:
            self._renderer.result(self._stream, report, self._style)


class StreamSinks:
    """Writes the same values to several sinks. See `msecli.scoring.values.Sink`."""

    def __init__(self, sinks: Sequence[StreamSink]) -> None:
        self._sinks = sinks

    def begin(self, layout: Layout) -> None:
        """Write what precedes the values."""
        for sink in self._sinks:
            sink.begin(layout)

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Write values, shape (rows, ...)."""
        for sink in self._sinks:
            sink.append(block, keys)

    def finish(self, report: Report | None) -> None:
        """Write what follows the values, or a whole result without values."""
        for sink in self._sinks:
            sink.finish(report)
