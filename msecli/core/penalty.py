"""Penalties on parameters: l1 * sum(abs(x)) + l2 * sum(x * x), and their gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from msecli.arrays import FloatArray
from msecli.core.exact import Total, ratio
from msecli.core.norm import power_sum, powers
from msecli.errors import DataError, UsageError


@dataclass(frozen=True, slots=True)
class Penalties:
    """The two penalties, each with its factor."""

    l1: float
    l2: float

    def added_to(self, loss: float) -> float:
        """Return the objective: the loss plus both penalties, rounded once."""
        parts = (loss, self.l1, self.l2)
        return math.fsum(parts) if all(map(math.isfinite, parts)) else sum(parts)


def check_factors(l1: float, l2: float) -> None:
    """Refuse factors that are negative or not finite.

    Raises
    ------
    UsageError
    """
    for name, factor in (("l1", l1), ("l2", l2)):
        if not (math.isfinite(factor) and factor >= 0):
            raise UsageError(f"`{name}`: the factor {factor} is not a finite number of at least 0")


def penalties_of(parameters: Iterable[FloatArray], l1: float, l2: float) -> Penalties:
    """Return the penalties of all parameters together; the sums are exact.

    Raises
    ------
    DataError
        If a parameter is missing.
    """
    factors = {1.0: l1, 2.0: l2}
    sums = {order: power_sum(order) for order in factors}
    for array in parameters:
        flat = array.reshape(-1)
        if np.isnan(flat).any():
            raise DataError(f"parameter {int(np.isnan(flat).argmax()) + 1} of {flat.size} is missing")
        with np.errstate(all="ignore"):
            for order, powers_added in sums.items():
                for part in powers(flat, order):
                    powers_added.add(part)
    return Penalties(*(_product(factors[order], sums[order].total()) for order in factors))


def _product(factor: float, total: Total) -> float:
    """Return the product, rounded once; a factor of 0 means no penalty, even for an infinite sum."""
    if factor == 0 or total.special != 0:
        return factor and total.special
    from fractions import Fraction

    product = Fraction(factor) * total.exact()
    return ratio(product.numerator, product.denominator)


def penalty_gradient(parameters: FloatArray, l1: float, l2: float) -> FloatArray:
    """Return l1 * sign(x) + 2 * l2 * x; at x = 0 the l1 term uses the subgradient 0."""
    with np.errstate(all="ignore"):
        return l1 * np.sign(parameters) + 2 * (l2 * parameters)
