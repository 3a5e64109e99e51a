"""Sums, quotients and roots of float64 numbers, exact and rounded once: `fractions.Fraction` with IEEE's specials."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

Exact = Fraction | float
"""A number, or a float that is nan or infinite."""


def total(values: Iterable[float]) -> Exact:
    """Return the sum of some floats."""
    values = list(map(float, values))
    specials = [value for value in values if not math.isfinite(value)]
    return sum(specials) if specials else sum(map(Fraction, values), Fraction(0))


def rounded(value: Exact) -> float:
    """Return the nearest float64."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def quotient(value: Exact, divisor: Exact) -> float:
    """Return the quotient, rounded once; nan for nothing over nothing."""
    if divisor == 0:
        return math.nan
    return rounded(value / divisor)


def root(value: Exact) -> float:
    """Return the square root, rounded once: 64 bits of it, and one more that says whether any follow."""
    if not isinstance(value, Fraction) or value == 0:
        return float(value)
    shift = 66 + abs(value.numerator.bit_length() - value.denominator.bit_length())
    scaled, rest = divmod(value.numerator << 2 * shift, value.denominator)
    floor = math.isqrt(scaled)
    exact = rest == 0 and floor * floor == scaled
    return rounded(Fraction(2 * floor + (not exact), 2 << shift))


def norm(values: Iterable[float]) -> float:
    """Return the root of the sum of squares, rounded once."""
    values = list(map(float, values))
    whole = all(map(math.isfinite, values))
    return root(sum((Fraction(value) ** 2 for value in values), Fraction(0)) if whole else total(map(abs, values)))
