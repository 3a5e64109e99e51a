"""The kernels under test, and how their results are compared: bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from msecli.kernel import NAMES, python, python_text
from msecli.kernel.interface import Kernel, Scan, Texts

try:
    from msecli.kernel import native
except ImportError:
    native = None  # type: ignore[assignment] # then only the twin is tested

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


KERNELS: dict[str, Kernel] = {"native": native, "python": python, ARROW: ByArrow()}  # type: ignore[dict-item]
assert set(NAMES) < set(KERNELS)
if native is None:
    del KERNELS["native"]


def bits(found: Any) -> Any:
    """Return a result with its arrays as their types, shapes and bytes."""
    if isinstance(found, np.ndarray):
        return found.dtype.str, found.shape, found.tobytes()
    if isinstance(found, float):
        return float(found).hex()
    if isinstance(found, tuple):
        return tuple(map(bits, found))
    return found


def strings(found: Any) -> list[str]:
    """Return the labels of a column of text."""
    assert isinstance(found.values, Texts)
    return found.values.strings()
