"""The table of reductions: what the sum of the per-element losses is divided by."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from msecli.errors import UsageError, meant
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from msecli.core.state import Summary


class Used(NamedTuple):
    """Possible divisors of a loss: used elements, used rows, and the sum of weights in units of 2**-1074."""

    used: int
    rows_used: int
    weight: int | None = None

    @property
    def divisor(self) -> int:
        """The denominator of the mean in units of 2**-1074: the sum of weights, or the number of elements."""
        return self.used * _one(self) if self.weight is None else self.weight


class Reduction(NamedTuple):
    """A reduction of the per-element losses to one number.

    Parameters
    ----------
    name, meaning : str
    divisor : callable
        From the counts of some rows to the divisor of their loss and gradient, in units of 2**-1074.
    unit : str, optional
        What the divisor counts: "elements" (by weight, if there are weights) or "rows"; None without a division.
    keeps_elements : bool
        Whether the result is the loss of every element instead of one number.
    """

    name: str
    meaning: str
    divisor: Callable[[Summary | Used], int]
    unit: str | None = None
    keeps_elements: bool = False

    def loss(self, summary: Summary) -> float:
        """Return the reduced loss, nan if nothing is used."""
        return summary.sums["squared_error"].over(self.divisor(summary)) if summary.used else math.nan


def _one(_: Summary | Used) -> int:
    from msecli.core.exact import ONE

    return ONE


def _elements(used: Summary | Used) -> int:
    return used.divisor


def _rows(used: Summary | Used) -> int:
    return used.rows_used * _one(used)


REDUCTIONS: dict[str, Reduction] = {
    reduction.name: reduction
    for reduction in (
        Reduction(
            "mean",
            "the sum divided by the number of used elements, or by the sum of their weights",
            _elements,
            "elements",
        ),
        Reduction("sum", "the sum", _one),
        Reduction("batchmean", "the sum divided by the number of used rows", _rows, "rows"),
        Reduction("none", "no reduction: the loss of every element", _one, keeps_elements=True),
    )
}


def reduction_named(name: str) -> Reduction:
    """Return the reduction of a name.

    Raises
    ------
    UsageError
        For an unknown name.
    """
    if name not in REDUCTIONS:
        raise UsageError(f"unknown reduction {name!r}; choose from {', '.join(REDUCTIONS)}{meant(name, REDUCTIONS)}")
    return REDUCTIONS[name]


def legacy_reduction(size_average: bool | None, reduce: bool | None) -> str | None:  # noqa: FBT001 - PyTorch's names
    """Translate PyTorch's old flags to a reduction; return None if neither is given.

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
