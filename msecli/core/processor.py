"""Floating-point settings: results must not depend on what other libraries in the process have set."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from msecli.errors import Warned

LOST_SUBNORMALS = Warned(
    "subnormal_numbers_lost",
    "this process",
    "the processor is set to flush subnormal numbers, below 2.3e-308, to 0; results that depend on them may be wrong",
)

DEFAULT_ENVIRONMENT = ctypes.c_void_p(-1)
"""FE_DFL_ENV of the C libraries of Linux on the machines named below."""
MACHINES = {"x86_64", "aarch64"}
ENVIRONMENT_BYTES = 1024
"""More than any of these libraries' fenv_t needs."""


RESTORED_SUBNORMALS = Warned(
    "subnormal_numbers_restored",
    "this process",
    "the processor was set to flush subnormal numbers, below 2.3e-308, to 0; this run has kept them",
)


@contextmanager
def arithmetic() -> Iterator[tuple[Warned, ...]]:
    """Compute by IEEE 754, subnormal numbers included and NumPy's warnings off; then restore the caller's settings.

    Yields
    ------
    tuple of Warned
        A warning if the processor was set to flush subnormal numbers to 0.
    """
    with np.errstate(all="ignore"):
        if not _flushes():
            yield ()
            return
        before = ctypes.create_string_buffer(ENVIRONMENT_BYTES)
        library = _library()
        if library is not None:
            library.fegetenv(before)
            library.fesetenv(DEFAULT_ENVIRONMENT)
        try:
            yield (LOST_SUBNORMALS if _flushes() else RESTORED_SUBNORMALS,)
        finally:
            if library is not None:
                library.fesetenv(before)


def _flushes() -> bool:
    """Tell whether this thread flushes subnormal numbers to 0, as PyTorch or -ffast-math may have set it."""
    return not sys.float_info.min * 0.5 > 0


def _library() -> ctypes.CDLL | None:
    """Return the C library, if its floating-point environment is known here."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "fesetenv") else None
