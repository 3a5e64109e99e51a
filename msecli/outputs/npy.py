"""NumPy files of results and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from msecli.outputs.base import Style
from msecli.results.base import Report, number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from msecli.results.values import Keys, Layout


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write the number of the result as a 0-dimensional array, or several as a 1-dimensional one."""
    import numpy as np

    numbers = report.main_numbers()
    np.save(stream, np.array(number(numbers[0]) if len(numbers) == 1 else [number(value) for value in numbers]))


class NpyWriter:
    """Writes a C-ordered little-endian float64 array."""

    def __init__(self, stream: BinaryIO, layout: Layout, style: Style) -> None:
        self._stream = stream
        self._item = layout.item
        self._rows = 0
        self._write_header()

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Write values, shape (rows, ...)."""
        import numpy as np

        self._rows += len(block)
        self._stream.write(np.ascontiguousarray(block).reshape(-1).data.cast("B"))

    def close(self, report: Report | None) -> None:
        """Write the header again, now with the number of rows: NumPy pads it for any number."""
        self._stream.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        import numpy as np

        header = {"descr": "<f8", "fortran_order": False, "shape": (self._rows, *self._item)}
        np.lib.format.write_array_header_1_0(self._stream, header)
