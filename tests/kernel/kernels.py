"""The kernels under test, and how their results are compared: bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from msecli import kernel
from msecli.kernel import python, python_text
from msecli.kernel.interface import WIDTH, Kernel, Scan, SlotSums, Texts

ARROW = "python, by Arrow whatever the size"


class ByArrow:
    """The pure-Python kernel, which leaves short texts to Arrow, too."""

    def __init__(self) -> None:
        self.__dict__.update({name: getattr(python, name) for name in python.__all__})

    def scan(self, *arguments: Any, **options: Any) -> Scan:
        """See `msecli.kernel.interface.Kernel`."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(python_text, "SHORT", -1)
            return python.scan(*arguments, **options)


# Where there is no native kernel, only the other one is tested; with MSECLI_KERNEL=native that is an error.
KERNELS: dict[str, Kernel] = {kernel.name(): kernel.chosen(), "python": python, ARROW: ByArrow()}  # type: ignore[dict-item]


def bits(found: Any) -> Any:
    """Return a result with its arrays as their types, shapes and bytes; there is one NaN, and slots have sums."""
    if isinstance(found, SlotSums):
        return slot_totals(found), bits(found.special)
    if isinstance(found, np.ndarray):
        found = np.where(np.isnan(found), np.nan, found) if found.dtype == np.float64 else found
        return found.dtype.str, found.shape, found.tobytes()
    if isinstance(found, float):
        return float(found).hex()
    if isinstance(found, tuple):
        return tuple(map(bits, found))
    return found


def slot_totals(sums: SlotSums) -> list[int]:
    """Return the sum of every slot: its digits are chosen by the kernel."""
    return [
        sum(digit << (WIDTH * (sums.level + place)) for place, digit in enumerate(row)) for row in sums.digits.tolist()
    ]


def strings(found: Any) -> list[str]:
    """Return the labels of a column of text."""
    assert isinstance(found.values, Texts)
    return found.values.strings()
