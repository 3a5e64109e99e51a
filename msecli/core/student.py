"""Student's t distribution: two-sided tail probabilities and quantiles.

It needs nothing but `math`: SciPy, which has it too, would take longer to import than most runs take.
"""

from __future__ import annotations

import math
from functools import cache

LARGE = 50.0
"""From here on the series of the quotient of two gamma functions is exact to float64; below, `math.lgamma` is."""

NORMAL_FROM = 1e9
"""With this many degrees of freedom a t distribution is a normal one, up to one part in a billion."""

TINY = 1e-300
"""Keeps the denominators of a continued fraction away from 0."""

SMALLEST_STEP = 4e-16
"""A relative change below which an iteration has converged."""


def two_sided(t: float, freedom: float) -> float:
    """Return the probability that a t-distributed value is at least as far from 0 as `t`.

    Parameters
    ----------
    t : float
    freedom : float
        The degrees of freedom, above 0.

    Notes
    -----
    It is the regularized incomplete beta function I_x(v/2, 1/2) at x = v / (v + t**2) for v degrees of freedom.

    References
    ----------
    NIST Digital Library of Mathematical Functions, 8.17.22 (continued fraction) and 5.11.13 (quotient of gammas).

    Examples
    --------
    >>> two_sided(1.0, 1), round(two_sided(2.228138851986, 10), 12)
    (0.5, 0.05)
    """
    t = abs(t)
    if math.isnan(t) or t == 0 or math.isinf(t):
        return {0.0: 1.0, math.inf: 0.0}.get(t, math.nan)
    if freedom == 1:
        return 2 / math.pi * math.atan(1 / t)
    ratio = t / freedom * t
    if freedom >= NORMAL_FROM:
        return math.erfc(math.sqrt(freedom * math.log1p(ratio) / 2))
    return _beta(ratio, freedom / 2)


def _beta(ratio: float, a: float) -> float:
    """Return I_x(a, 1/2) at x = 1 / (1 + ratio)."""
    b = 0.5
    if math.isinf(ratio):  # x is too small for float64; so is its power
        return 0.0
    x, rest = 1 / (1 + ratio), ratio / (1 + ratio)
    front = math.exp(_log_beta_factor(a) - a * math.log1p(ratio) + b * math.log(rest))
    # The fraction converges fast on this side of the mean of the beta distribution, its mirror image on the other.
    if x < (a + 1) / (a + b + 2):
        return min(1.0, front * _fraction(x, a, b) / a)
    return max(0.0, 1.0 - front * _fraction(rest, b, a) / b)


@cache
def quantile(confidence: float, freedom: float) -> float:
    """Return the t > 0 such that a t-distributed value lies within -t and t with this probability.

    Parameters
    ----------
    confidence : float
        Between 0 and 1, both excluded.
    freedom : float
        The degrees of freedom, above 0.

    Examples
    --------
    >>> round(quantile(0.95, 10), 12), round(quantile(0.95, 1), 10)
    (2.228138851986, 12.7062047362)
    """
    tail = 1 - confidence
    if freedom == 1:
        return 1 / math.tan(math.pi * tail / 2)
    low, high = 0.0, 1.0
    while two_sided(high, freedom) > tail:
        low, high = high, 2 * high
    t = (low + high) / 2
    # Newton's steps, or halves where one would leave the bracket.
    for _ in range(200):
        found = two_sided(t, freedom)
        low, high = (t, high) if found > tail else (low, t)
        after = t + (found - tail) / (2 * _density(t, freedom))
        if not low < after < high:
            after = (low + high) / 2
        if abs(after - t) <= SMALLEST_STEP * t:
            return after
        t = after
    return t


def _density(t: float, freedom: float) -> float:
    # The density is x**(a + 1/2) * gamma(a + 1/2) / (gamma(a) * gamma(1/2) * sqrt(2 a)), x as in `two_sided`.
    a = freedom / 2
    return math.exp(_log_beta_factor(a) - (a + 0.5) * math.log1p(t * t / freedom)) / math.sqrt(freedom)


def _log_beta_factor(a: float) -> float:
    """Return log(gamma(a + 1/2) / (gamma(a) * gamma(1/2))) without the cancellation of two large logarithms."""
    half = math.log(math.pi) / 2
    if a < LARGE:
        return math.lgamma(a + 0.5) - math.lgamma(a) - half
    return math.log(a) / 2 - 1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5) - half


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / _kept_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    step = 0
    while True:
        step += 1
        for numerator in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            d = 1 / _kept_from_zero(1 + numerator * d)
            c = _kept_from_zero(1 + numerator / c)
            value *= c * d
        if abs(c * d - 1) <= SMALLEST_STEP:
            return value


def _kept_from_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY
