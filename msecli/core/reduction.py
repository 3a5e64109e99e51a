"""The table of reductions: what the sum of the per-element losses is divided by."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from msecli.errors import UsageError

if TYPE_CHECKING:
    from msecli.core.state import Summary


class Used(NamedTuple):
    """What a loss may be divided by: counts of what is used, and the sum of the weights in units of 2**-1074."""

    used: int
    rows_used: int
    weight: int | None = None

    @property
    def divisor(self) -> int:
        """The denominator of the mean in units of 2**-1074: the sum of the weights, else the number of elements."""
        return self.used * _one(self) if self.weight is None else self.weight


class Reduction(NamedTuple):
    """A reduction of the per-element losses to one number.

    `divisor` gives the denominator in units of 2**-1074; `unit` says what it counts, None where nothing is divided.
    Elements count with their weights, where they have any; rows do not.
    """

    name: str
    meaning: str
    divisor: Callable[[Summary | Used], int]
    unit: str | None = None


def _one(_: Summary | Used) -> int:
    from msecli.core.exact import ONE

    return ONE


def _rows(summary: Summary | Used) -> int:
    return summary.rows_used * _one(summary)


REDUCTIONS: dict[str, Reduction] = {
    reduction.name: reduction
    for reduction in (
        Reduction("mean", "the sum divided by the number of used elements, or by the sum of their weights",
                  lambda summary: summary.divisor, "elements"),
        Reduction("sum", "the sum", _one),
        Reduction("batchmean", "the sum divided by the number of used rows", _rows, "rows"),
        Reduction("none", "no reduction: the loss of every element", _one),
    )
}  # fmt: skip


def reduction_named(name: str) -> Reduction:
    """Return the reduction of a name.

    Raises
    ------
    UsageError
        For an unknown name.
    """
    if name not in REDUCTIONS:
        raise UsageError(f"unknown reduction {name!r}; choose from {', '.join(REDUCTIONS)}")
    return REDUCTIONS[name]


def legacy_reduction(size_average: bool | None, reduce: bool | None) -> str | None:  # noqa: FBT001 - PyTorch's names
    """Return the reduction that PyTorch's old flags mean, or None if neither is given.

    Warns
    -----
    DeprecationWarning
        If one is given.

    References
    ----------
    ``torch.nn.MSELoss``: `reduce` False gives the loss of every element whatever `size_average` is; otherwise
    `size_average` False sums, and True, its default, averages.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     legacy_reduction(False, None), legacy_reduction(True, False)
    ('sum', 'none')
    """
    if size_average is None and reduce is None:
        return None
    name = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(f"size_average and reduce are deprecated; use reduction={name!r}", DeprecationWarning, stacklevel=3)
    return name
