"""The inner loops, compiled or in pure Python: delimited text to arrays, and arrays to exact sums.

`msecli.kernel.interface` says what both do. They give the same results, down to the last bit.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from msecli.errors import UsageError

if TYPE_CHECKING:
    from msecli.kernel.interface import Kernel

VARIABLE = "MSECLI_KERNEL"
NAMES = ("native", "python")


def name() -> str:
    """Return which kernel is used: "native" or "python". This is cheap: it does not load NumPy.

    Raises
    ------
    UsageError
        If the environment asks for a kernel that there is not.
    """
    wanted = os.environ.get(VARIABLE) or None
    if wanted not in (None, *NAMES):
        raise UsageError(f"{VARIABLE}={wanted}: there is no such kernel; choose from {', '.join(NAMES)}")
    if wanted == "python":
        return wanted
    reason = _unavailable()
    if reason is None:
        return "native"
    if wanted is not None:
        raise UsageError(f"{VARIABLE}=native: msecli was installed without its native kernel ({reason})")
    return "python"


def chosen() -> Kernel:
    """Return the kernel that is used.

    Raises
    ------
    UsageError
        As `name` does.
    """
    return _loaded(name())


def available(name: str) -> bool:
    """Tell whether this installation has a kernel."""
    return name == "python" or _unavailable() is None


@cache
def _loaded(name: str) -> Kernel:
    return cast("Kernel", import_module(f"msecli.kernel.{name}"))


@cache
def _unavailable() -> str | None:
    """Return why there is no native kernel, or None if there is one."""
    try:
        import msecli.kernel._native  # noqa: F401
    except ImportError as error:
        return str(error)
    return None
