"""Exact, accounted mean squared error of prediction files against target files.

Public names are loaded on first use, so importing the package costs almost nothing.
"""

from __future__ import annotations

from msecli._version import __version__

TYPE_CHECKING = False
"""Not from `typing`, which is slow to import: until `main` runs, Ctrl-C prints Python's own traceback."""

if TYPE_CHECKING:
    from typing import Any

    from msecli.api import batch, compare, diff, gradcheck, inspect, linear, merge, norm, score
    from msecli.errors import DataError, GateError, MsecliError, ReadWriteError, UsageError
    from msecli.functional import LinearResult, linear_loss, mse_loss, mse_loss_grad, penalty, vector_norm
    from msecli.results.batch import Batch
    from msecli.results.compare import Comparison
    from msecli.results.difference import Difference
    from msecli.results.gradcheck import GradCheck
    from msecli.results.inspect import Inspection
    from msecli.results.norm import NormResult
    from msecli.results.score import Result
    from msecli.text.reading import Reading
    from msecli.training import Accumulator, MSELoss, iter_batches

_HOMES = {
    "Accumulator": "msecli.training",
    "Batch": "msecli.results.batch",
    "Comparison": "msecli.results.compare",
    "DataError": "msecli.errors",
    "Difference": "msecli.results.difference",
    "GateError": "msecli.errors",
    "GradCheck": "msecli.results.gradcheck",
    "Inspection": "msecli.results.inspect",
    "LinearResult": "msecli.functional",
    "MSELoss": "msecli.training",
    "MsecliError": "msecli.errors",
    "NormResult": "msecli.results.norm",
    "ReadWriteError": "msecli.errors",
    "Reading": "msecli.text.reading",
    "Result": "msecli.results.score",
    "UsageError": "msecli.errors",
    "batch": "msecli.api",
    "compare": "msecli.api",
    "diff": "msecli.api",
    "gradcheck": "msecli.api",
    "inspect": "msecli.api",
    "iter_batches": "msecli.training",
    "linear": "msecli.api",
    "linear_loss": "msecli.functional",
    "merge": "msecli.api",
    "mse_loss": "msecli.functional",
    "mse_loss_grad": "msecli.functional",
    "norm": "msecli.api",
    "penalty": "msecli.functional",
    "score": "msecli.api",
    "vector_norm": "msecli.functional",
}

__all__ = [
    "Accumulator",
    "Batch",
    "Comparison",
    "DataError",
    "Difference",
    "GateError",
    "GradCheck",
    "Inspection",
    "LinearResult",
    "MSELoss",
    "MsecliError",
    "NormResult",
    "ReadWriteError",
    "Reading",
    "Result",
    "UsageError",
    "__version__",
    "batch",
    "compare",
    "diff",
    "gradcheck",
    "inspect",
    "iter_batches",
    "linear",
    "linear_loss",
    "merge",
    "mse_loss",
    "mse_loss_grad",
    "norm",
    "penalty",
    "score",
    "vector_norm",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'msecli' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
