"""Exact, accounted mean squared error of prediction files against target files.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from msecli._version import __version__

TYPE_CHECKING = False
"""Not from `typing`, which takes longer to load than all else here: before `main` runs, Python tells of Ctrl-C."""

if TYPE_CHECKING:
    from typing import Any

    from msecli.api import score
    from msecli.errors import DataError, MsecliError, ReadWriteError, UsageError
    from msecli.functional import mse_loss, mse_loss_grad
    from msecli.learning import LinearResult, MSELoss, iter_batches, linear_loss, norm, penalty
    from msecli.result import Result
    from msecli.sources.base import Reading

_HOMES = {
    "DataError": "msecli.errors",
    "LinearResult": "msecli.learning",
    "MSELoss": "msecli.learning",
    "MsecliError": "msecli.errors",
    "ReadWriteError": "msecli.errors",
    "Reading": "msecli.sources.base",
    "Result": "msecli.result",
    "UsageError": "msecli.errors",
    "iter_batches": "msecli.learning",
    "linear_loss": "msecli.learning",
    "mse_loss": "msecli.functional",
    "mse_loss_grad": "msecli.functional",
    "norm": "msecli.learning",
    "penalty": "msecli.learning",
    "score": "msecli.api",
}

__all__ = [
    "DataError",
    "LinearResult",
    "MSELoss",
    "MsecliError",
    "ReadWriteError",
    "Reading",
    "Result",
    "UsageError",
    "__version__",
    "iter_batches",
    "linear_loss",
    "mse_loss",
    "mse_loss_grad",
    "norm",
    "penalty",
    "score",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'msecli' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
