"""Vector norms of any order and any magnitude: of files, of gradients, and of residuals as metrics.

For orders 1 and 2 the sums are exact. For other orders each power is rounded as if exponents were unbounded, and the
sum of the powers is exact. So a norm depends neither on the order of the numbers nor on their blocks, and one pass
suffices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Self

import numpy as np

from msecli.arrays import FloatArray, IntArray
from msecli.core.exact import BLOCK, ONE, Total, ratio
from msecli.core.wide import Wide, WideSum, exact_product

LARGEST_ORDER = 2.0**52
"""At this order a billion numbers change the norm by at most 5e-15 of the largest of them."""
DIRECT = 900
"""Powers between 2**-DIRECT and 2**DIRECT need no scaling."""
DEPTH = 4
"""Powers 2**1500 times smaller than the largest are negligible, so their sums are not kept."""


class NormSums:
    """The sums from which the norms of a vector follow; they merge in any order.

    Parameters
    ----------
    orders : iterable of float
        Each at least 1, or infinity.

    Examples
    --------
    >>> NormSums.of(np.array([1e200, 1e200]), [2.0]).norm(2.0)
    1.414213562373095e+200
    """

    def __init__(self, orders: Iterable[float]) -> None:
        self._sums = {order: power_sum(order) for order in orders if math.isfinite(order)}
        self._largest = 0.0

    @classmethod
    def of(cls, values: FloatArray, orders: Iterable[float]) -> Self:
        """Return the sums of a vector, shape (n,), without NaN."""
        made = cls(orders)
        for start in range(0, values.size, BLOCK):
            made._take(values[start : start + BLOCK])
        return made

    def merge(self, other: Self) -> None:
        """Add other sums of the same orders."""
        for order, sums in other._sums.items():
            self._sums[order].merge(sums)
        self._largest = float(np.maximum(self._largest, other._largest))

    def norm(self, order: float) -> float:
        """Return the norm of one of the orders; it is correctly rounded for 1, 2 and infinity."""
        return self._largest if math.isinf(order) else root_of(self._sums[order].total(), order)

    def _take(self, values: FloatArray) -> None:
        with np.errstate(all="ignore"):
            self._largest = float(np.maximum(self._largest, np.abs(values).max(initial=0.0)))
            for order, sums in self._sums.items():
                for part in powers(values, order):
                    sums.add(part)


def power_sum(order: float, slots: int = 1) -> WideSum:
    """Return an empty sum for the powers of an order."""
    return WideSum(slots, None if order in (1, 2) else DEPTH)


def powers(values: FloatArray, order: float) -> list[Wide]:
    """Return arrays whose sum is abs(x)**order: exactly for the orders 1 and 2, else each power is rounded."""
    if order == 2:
        return exact_product(values, values)
    size = np.abs(values)
    if order == 1:
        return [Wide(size)]
    order = min(order, LARGEST_ORDER)
    bound = 2.0 ** (DIRECT / order)
    scaled = ((size < 1 / bound) & (size != 0)) | ((size > bound) & np.isfinite(size))
    if not scaled.any():
        return [Wide(size**order)]
    exponent = np.zeros(size.shape, dtype=np.int64)
    mantissa, exponent[scaled] = _scaled_powers(size[scaled], order)
    size[scaled] = 1.0
    size **= order
    size[scaled] = mantissa
    return [Wide(size, exponent)]


def _scaled_powers(size: FloatArray, order: float) -> tuple[FloatArray, IntArray]:
    """Return m and n with m * 2**n = size**order and n an integer near order * log2(size)."""
    mantissa, exponent = np.frexp(size)
    # The head of the order has at most 42 bits, so its product with the exponent is exact.
    scaled = order * 2049.0  # 2**11 + 1
    head = scaled - (scaled - order)
    whole = np.rint(exponent * head)
    rest = (exponent * head - whole) + exponent * (order - head) + order * np.log2(mantissa)
    more = np.rint(rest)
    return np.exp2(rest - more), whole.astype(np.int64) + more.astype(np.int64)


def root_of(total: Total, order: float) -> float:
    """Return the norm of an order from the sum of the powers."""
    if order == 1:
        return total.value()
    if order == 2:
        return total.root_over(ONE)
    if total.special != 0 or total.units == 0:
        return total.special
    from fractions import Fraction

    # The sum is mantissa * 2**lift * 2**(whole * order), and the root of the last factor is 2**whole.
    power = min(order, LARGEST_ORDER)
    bits = total.units.bit_length()
    mantissa = ratio(total.units, 1 << bits)
    whole = round(total.bits / Fraction(power))
    lift = float(total.bits - whole * Fraction(power))
    if abs(lift) < 1000:
        scaled = (mantissa * 2.0**lift) ** (1 / power)
    else:
        scaled = mantissa ** (1 / power) * 2.0 ** (lift / power)
    with np.errstate(all="ignore"):
        return float(np.ldexp(scaled, whole))


def norm_of(values: FloatArray, order: float) -> float:
    """Return the norm of an array as one vector; nan if it holds nan."""
    return NormSums.of(values.reshape(-1), [order]).norm(order)
