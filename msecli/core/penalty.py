"""Penalties on parameters: l1 * sum(abs(x)) + l2 * sum(x * x), and their gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from msecli.core.exact import ExactSum, FloatArray, two_product
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
            raise UsageError(f"{name}: the factor {factor} is not a finite number of at least 0")


def penalties_of(parameters: Iterable[FloatArray], l1: float, l2: float) -> Penalties:
    """Return the penalties of all parameters together; the sums are exact.

    Raises
    ------
    DataError
        If a parameter is missing.
    """
    absolute, squares = ExactSum(), ExactSum()
    for array in parameters:
        flat = array.reshape(-1)
        if np.isnan(flat).any():
            raise DataError(f"parameter {int(np.isnan(flat).argmax()) + 1} of {flat.size} is missing")
        with np.errstate(over="ignore", invalid="ignore"):
            for part in two_product(flat, flat):
                squares.add(part)
        absolute.add(np.abs(flat))
    # A factor of 0 means no penalty, even where the sum is infinite.
    return Penalties(
        l1 * absolute.total().value() if l1 else 0.0,
        l2 * squares.total().value() if l2 else 0.0,
    )


def penalty_gradient(parameters: FloatArray, l1: float, l2: float) -> FloatArray:
    """Return l1 * sign(x) + 2 * l2 * x; at 0, where the absolute value has no derivative, the subgradient 0."""
    return l1 * np.sign(parameters) + 2 * l2 * parameters
