"""Exact sums of float64 values, and their correctly rounded quotients and roots.

A finite float64 is an integer multiple of 2**-1074, so a sum of float64 values is an integer in that unit. A kernel
adds a block of values; what is kept here are integers, and the digits of many sums side by side.

References
----------
Error-free vector transformation: S. M. Rump, T. Ogita, S. Oishi, "Accurate floating-point summation part I",
SIAM J. Sci. Comput. 31(1), 2008. Superaccumulators: R. M. Neal, "Fast exact summation using small and large
superaccumulators", arXiv:1505.05571.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from msecli import kernel
from msecli.arrays import FloatArray, IntArray
from msecli.kernel.interface import WIDTH, SlotSums, Sum

if TYPE_CHECKING:
    from fractions import Fraction

    from numpy.typing import NDArray

UNIT_EXPONENT = -1074
ONE = 1 << -UNIT_EXPONENT
"""The number 1 in units of 2**-1074."""

BLOCK = 131072
"""Values added at once: few enough that a digit of their sums stays below 2**53, and 1 MiB of them fits the cache."""
MERGES_BEFORE_CARRY = 256
"""A limb grows by less than 2**54 with each block, so 256 of them stay below 2**62."""


FAR = 1 << 16
"""A number this many bits below another is negligible; products of three float64 never lie so far apart."""


@dataclass(frozen=True, slots=True)
class Total:
    """One exact sum: `units` * 2**(-1074 - finer), unless `special` is not zero: then it is inf, -inf or nan.

    Sums of float64 values are multiples of 2**-1074; sums of products may need units that are finer.
    """

    units: int
    special: float = 0.0
    finer: int = 0

    def __add__(self, other: Total) -> Total:
        special = self.special + other.special
        if self.finer == other.finer:
            return Total(self.units + other.units, special, self.finer)
        low, high = sorted((self, other), key=lambda total: (total.units != 0, total.bits))
        if low.units == 0 or high.bits - low.bits > FAR:
            return Total(high.units, special, high.finer)
        finer = max(low.finer, high.finer)
        return Total((low.units << (finer - low.finer)) + (high.units << (finer - high.finer)), special, finer)

    @property
    def bits(self) -> int:
        """The number of bits before the binary point: the magnitude of the sum is below 2**bits."""
        return self.units.bit_length() + UNIT_EXPONENT - self.finer

    def over(self, denominator: int) -> float:
        """Return the correctly rounded quotient by `denominator`, in units of 2**-1074; nan for a denominator of 0."""
        if self.special != 0 or denominator == 0:
            return self.special or math.nan
        return ratio(self.units << max(-self.finer, 0), denominator << max(self.finer, 0))

    def root_over(self, denominator: int) -> float:
        """Return the correctly rounded square root of the quotient by `denominator`, nan for a denominator of 0."""
        if self.special != 0 or denominator == 0:
            return self.special or math.nan
        return root(self.units << max(-self.finer, 0), denominator << max(self.finer, 0))

    def exact(self) -> Fraction:
        """Return the sum as a fraction; it must not be special."""
        from fractions import Fraction

        return Fraction(self.units << max(-self.finer, 0), ONE << max(self.finer, 0))

    def value(self) -> float:
        """Return the correctly rounded sum."""
        return self.over(ONE)


class ExactSum:
    """Exact sums of float64 values, one for each of `slots` slots.

    Adding and merging commute and associate: the same values give the same sums in any order and any split.

    Parameters
    ----------
    slots : int
        How many sums are kept side by side.

    Examples
    --------
    >>> import numpy as np
    >>> total = ExactSum()
    >>> total.add(np.array([1e16, 1.0, 1.0]))
    >>> total.total().value()
    1.0000000000000002e+16
    """

    __slots__ = ("_additions", "_extra", "_limbs", "_special", "slots")

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        self._limbs: dict[int, IntArray] = {}
        self._additions = 0
        self._extra: dict[int, int] = {}
        self._special = np.zeros(slots)

    def add(self, values: FloatArray, codes: IntArray | None = None, *, slot: int = 0) -> None:
        """Add 1-D values.

        Parameters
        ----------
        values : ndarray of float64, shape (n,)
        codes : ndarray of int64, shape (n,), optional
            The slot of each value.
        slot : int
            The slot of all values, if there are no codes.
        """
        if codes is None:
            self.add_total(kernel.chosen().exact_sum(values), slot)
            return
        for start in range(0, values.size, BLOCK):
            rows = slice(start, start + BLOCK)
            self.add_slots(kernel.chosen().sums_by_slot(values[rows], codes[rows], self.slots))

    def add_total(self, total: Sum, slot: int = 0) -> None:
        """Add an exact sum."""
        self._add_units(slot, total.units)
        if total.special != 0:
            self._special[slot] = float(self._special[slot]) + total.special

    def add_slots(self, sums: SlotSums, values: int = BLOCK) -> None:
        """Add exact sums of every slot, of so many values together."""
        for place, digits in enumerate(sums.digits.T):
            self._limb(sums.level + place)[: self.slots] += digits
        if sums.special is not None:
            with np.errstate(invalid="ignore"):
                self._special[: self.slots] += sums.special
        self._count_additions(-(-values // BLOCK))

    def merge(self, other: Self, slots: IntArray | None = None) -> None:
        """Add the sums of `other`.

        Parameters
        ----------
        other : ExactSum
        slots : ndarray of int64, shape (other.slots,), optional
            The slot here for each slot of `other`, without duplicates; by default the same.
        """
        here = np.arange(other.slots) if slots is None else slots
        for level, limb in other._limbs.items():
            self._limb(level)[here] += limb[: other.slots]
        for slot, units in other._extra.items():
            self._add_units(int(here[slot]), units)
        with np.errstate(invalid="ignore"):
            self._special[here] += other._special[: other.slots]
        self._count_additions(max(other._additions, 1))

    def grow(self, slots: int) -> None:
        """Keep at least this many sums; new ones begin at 0."""
        self.slots = max(self.slots, slots)
        if self.slots > self._special.size:
            # Twice as many as required, so that growing one by one does not copy everything every time.
            more = 2 * self.slots - self._special.size
            self._special = np.concatenate([self._special, np.zeros(more)])
            for level, limb in self._limbs.items():
                self._limbs[level] = np.concatenate([limb, np.zeros(more, dtype=np.int64)])

    def totals(self) -> list[Total]:
        """Return the sum of every slot."""
        units: NDArray[np.object_] = np.zeros(self.slots, dtype=object)
        for level, limb in self._limbs.items():
            units += limb[: self.slots].astype(object) << (WIDTH * level)
        for slot, extra in self._extra.items():
            units[slot] += extra
        return [Total(int(u), s) for u, s in zip(units, self._special[: self.slots].tolist(), strict=True)]

    def total(self) -> Total:
        """Return the sum over all slots."""
        return sum(self.totals(), Total(0))

    def _add_units(self, slot: int, units: int) -> None:
        self._extra[slot] = self._extra.get(slot, 0) + units

    def _limb(self, level: int) -> IntArray:
        if level not in self._limbs:
            self._limbs[level] = np.zeros(self._special.size, dtype=np.int64)
        return self._limbs[level]

    def _count_additions(self, number: int) -> None:
        self._additions += number
        if self._additions >= MERGES_BEFORE_CARRY:
            self._carry()
            self._additions = 1

    def _carry(self) -> None:
        """Carry every limb into [0, 2**WIDTH), except the highest, which keeps the sign."""
        level = min(self._limbs, default=0)
        while level < max(self._limbs, default=0) or np.any(np.abs(self._limb(level)) >> (2 * WIDTH - 20)):
            limb = self._limb(level)
            self._limb(level + 1)[:] += limb >> WIDTH
            limb &= (1 << WIDTH) - 1
            level += 1


def units_of(value: float) -> int:
    """Return a finite float64 as an integer in units of 2**-1074.

    Examples
    --------
    >>> units_of(5e-324), units_of(1.0) == ONE
    (1, True)
    """
    numerator, denominator = value.as_integer_ratio()
    return numerator * (ONE // denominator)


def ratio(numerator: int, denominator: int) -> float:
    """Return the correctly rounded quotient of two integers, infinite where it leaves the range of float64.

    Examples
    --------
    >>> ratio(37, 9)
    4.111111111111111
    """
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if (numerator > 0) == (denominator > 0) else -math.inf


def root(numerator: int, denominator: int) -> float:
    """Return the correctly rounded square root of a quotient of two integers, numerator >= 0 < denominator.

    The integer root is taken with at least 55 bits and its last bit is set when anything was cut off (rounding to
    odd), so the one division at the end rounds as the infinite expansion would.

    Examples
    --------
    >>> root(2, 1)
    1.4142135623730951
    """
    shift = max(0, 2 * 56 - numerator.bit_length() + denominator.bit_length())
    shift += shift % 2
    quotient, rest = divmod(numerator << shift, denominator)
    whole = math.isqrt(quotient)
    inexact = rest != 0 or whole * whole != quotient
    return ratio(2 * whole + inexact, 1 << (shift // 2 + 1))
