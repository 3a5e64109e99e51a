"""Bare numbers for shell scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from msecli.outputs.base import Style, data_label
from msecli.outputs.delimited import DelimitedWriter
from msecli.results.base import Report, number_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from msecli.results.values import Keys, Layout


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write a single number alone, or several as `label<TAB>number…` lines, all with the same fields."""
    lines = report.lines()
    reserved = {line.label for line in lines if not line.from_data}
    names = list(dict.fromkeys(name for line in lines for name in line.numbers))
    for label, numbers, from_data in lines:
        alone = len(lines) == 1 and not from_data
        fields = [] if alone else [data_label(label, reserved) if from_data else label]
        fields += [number_text(numbers[name]) if name in numbers else "" for name in names]
        stream.write(("\t".join(fields) + "\n").encode())


class PlainWriter(DelimitedWriter):
    """Writes one value per line, in the order of the elements."""

    def __init__(self, stream: BinaryIO, layout: Layout, style: Style) -> None:
        super().__init__(stream, ("value",), "\t", header=False)

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Write values, without their keys."""
        super().append(block.reshape(-1, 1), {})
