"""Exact, accounted mean squared error of prediction files against target files.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from msecli._version import __version__

if TYPE_CHECKING:
    from msecli.api import score
    from msecli.errors import DataError, MsecliError, ReadWriteError, UsageError
    from msecli.functional import mse_loss, mse_loss_grad
    from msecli.result import Result
    from msecli.sources.base import Reading

_HOMES = {
    "DataError": "msecli.errors",
    "MsecliError": "msecli.errors",
    "ReadWriteError": "msecli.errors",
    "Reading": "msecli.sources.base",
    "Result": "msecli.result",
    "UsageError": "msecli.errors",
    "mse_loss": "msecli.functional",
    "mse_loss_grad": "msecli.functional",
    "score": "msecli.api",
}

__all__ = [
    "DataError",
    "MsecliError",
    "ReadWriteError",
    "Reading",
    "Result",
    "UsageError",
    "__version__",
    "mse_loss",
    "mse_loss_grad",
    "score",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'msecli' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
