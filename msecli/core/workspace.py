"""Scratch arrays that a thread reuses for block after block.

The operating system hands out fresh arrays of this size page by page, which costs more than the arithmetic on them.
"""

from __future__ import annotations

import threading
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

_local = threading.local()


def scratch(name: str, shape: int | tuple[int, ...], dtype: type[Scalar]) -> NDArray[Scalar]:
    """Return this thread's array of that name, uninitialised and valid until the next call with the name."""
    size = shape if isinstance(shape, int) else prod(shape)
    arrays: dict[str, NDArray[Any]] = _local.__dict__
    held = arrays.get(name)
    if held is None or held.size < size or held.dtype != dtype:
        held = arrays[name] = np.empty(size, dtype=dtype)
    return held[:size].reshape(shape)
