"""The processor's settings: results must not depend on what other libraries of the process have set."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

LOST = "the processor is set to take subnormal numbers, below 2.3e-308, as 0; what is made of them may be wrong"
RESTORED = "the processor was set to take subnormal numbers, below 2.3e-308, as 0; this run has kept them"
LOST_SUBNORMALS = ("subnormal_numbers_lost", "this process", LOST, 1)
RESTORED_SUBNORMALS = ("subnormal_numbers_restored", "this process", RESTORED, 1)
"""The codes of the warnings, where, what they mean, and how often."""

DEFAULT_ENVIRONMENT = ctypes.c_void_p(-1)
"""FE_DFL_ENV of the C libraries of Linux on the machines named below."""
MACHINES = {"x86_64", "aarch64"}
ENVIRONMENT_BYTES = 1024
"""More than any of these libraries' fenv_t needs."""


@contextmanager
def arithmetic() -> Iterator[tuple[str, str, str, int] | None]:
    """Compute by IEEE 754, subnormal numbers included, without complaints; the caller's settings come back afterwards.

    Yields
    ------
    tuple, optional
        A warning, where the processor was set to take subnormal numbers as 0.
    """
    with np.errstate(all="ignore"):
        if not _flushes():
            yield None
            return
        before = ctypes.create_string_buffer(ENVIRONMENT_BYTES)
        library = _library()
        if library is not None:
            library.fegetenv(before)
            library.fesetenv(DEFAULT_ENVIRONMENT)
        try:
            yield LOST_SUBNORMALS if _flushes() else RESTORED_SUBNORMALS
        finally:
            if library is not None:
                library.fesetenv(before)


def _flushes() -> bool:
    """Tell whether this thread's processor takes subnormal numbers as 0: PyTorch can set it so, and -ffast-math."""
    return not bool(np.all(np.full(8, sys.float_info.min) * 0.5 > 0))


def _library() -> ctypes.CDLL | None:
    """Return the C library, if its floating-point environment is known here."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "fesetenv") else None
