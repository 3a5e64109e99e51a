"""Exact sums of float64 values, and their correctly rounded quotients and roots.

A finite float64 is an integer multiple of 2**-1074, so a sum of float64 values is an integer in that unit. The
values are cut, a block at a time, into multiples of 2**g for falling exponents g. Adding the constant
M = 1.5 * 2**(g + 52) to x rounds x to a multiple of 2**g, because that is the spacing of float64 around M; taking
M away again leaves q, the rounded x, and x - q is exact. What is left of x is cut again, until nothing is left.

One sum: the bits of x + M, as an integer, are those of M plus q in units of 2**g. With |x| <= 2**(g + SPAN) the
q of fewer than 2**(63 - SPAN) values add up without overflow, and g follows from the largest of the values.

A sum for each of many slots, which `numpy.bincount` adds in float64: g is on a fixed ladder, so that the sums of
all blocks are in the same units. With |x| <= 2**(g + WIDTH) every q is an integer of at most WIDTH + 1 bits in
units of 2**g, so float64 adds 2**(53 - WIDTH) of them without rounding, in any order.

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
from numpy.typing import NDArray

from msecli.core.workspace import scratch

if TYPE_CHECKING:
    from fractions import Fraction

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

UNIT_EXPONENT = -1074
ONE = 1 << -UNIT_EXPONENT
"""The number 1 in units of 2**-1074."""

SPAN, WIDTH = 45, 36
BLOCK = 131072
"""Values cut at once: at most 2**(53 - WIDTH) for exactness; 1 MiB, so that threads seldom wait for each other."""

# M = 1.5 * 2**(g + 52) must be finite, so the highest step has g <= 970.
TOP_LEVEL = (970 - UNIT_EXPONENT) // WIDTH
LARGEST = math.ldexp(1.0, UNIT_EXPONENT + WIDTH * (TOP_LEVEL + 1) - 1)
# Far above the subnormals, so that a processor told to flush them to zero cannot change a sum.
BOTTOM_EXPONENT = -900
BOTTOM_LEVEL = (BOTTOM_EXPONENT - UNIT_EXPONENT) // WIDTH
MERGES_BEFORE_CARRY = 256
"""A limb grows by less than 2**54 with each block, so 256 of them stay below 2**62."""
SPARSE = 4
"""Leftovers are gathered into a smaller array once fewer than one in SPARSE is non-zero."""
SAMPLE = 64
"""Values, spread over a block, that tell whether gathering may be worthwhile."""


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
        """Add 1-D values; `values` serves as scratch space and is overwritten.

        Parameters
        ----------
        values : ndarray of float64, shape (n,)
        codes : ndarray of int64, shape (n,), optional
            The slot of each value.
        slot : int
            The slot of all values, if there are no codes.
        """
        for start in range(0, values.size, BLOCK):
            rows = slice(start, start + BLOCK)
            if codes is None:
                self._add_to(slot, values[rows])
            else:
                self._add_block(values[rows], codes[rows])

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

    def _add_to(self, slot: int, x: FloatArray) -> None:
        x, _, largest = self._regular(x, np.broadcast_to(np.int64(slot), x.shape))
        if largest == 0:
            return
        exponent, units = math.frexp(largest)[1] - SPAN, 0
        while x.size and exponent >= BOTTOM_EXPONENT:
            units += _cut_units(x, exponent) << (exponent - UNIT_EXPONENT)
            # At most half a unit is left of each value.
            exponent -= 1 + SPAN
            if (left := _left(x)) is not None:
                x = x[left]
        self._add_units(slot, units + sum(map(units_of, x.tolist())))

    def _add_block(self, x: FloatArray, codes: IntArray) -> None:
        x, codes, largest = self._regular(x, codes)
        if largest == 0:
            return
        level = -((UNIT_EXPONENT + WIDTH - math.frexp(largest)[1]) // WIDTH)
        while x.size and level >= BOTTOM_LEVEL:
            anchor = math.ldexp(1.5, UNIT_EXPONENT + WIDTH * level + 52)
            cut = np.add(x, anchor, out=scratch("cut", x.size, np.float64))
            cut -= anchor
            sums = np.bincount(codes, weights=cut, minlength=self._special.size)
            self._limb(level)[:] += np.ldexp(sums, -(UNIT_EXPONENT + WIDTH * level)).astype(np.int64)
            x -= cut
            level -= 1
            if (left := _left(x)) is not None:
                x, codes = x[left], codes[left]
        self._add_one_by_one(x, codes)
        self._count_additions(1)

    def _regular(self, x: FloatArray, codes: IntArray) -> tuple[FloatArray, IntArray, float]:
        """Add the values too large to be cut; return the others, and the largest magnitude among them."""
        largest = max(float(x.max()), -float(x.min()))
        if largest < LARGEST:
            return x, codes, largest
        regular = np.abs(x) < LARGEST
        self._add_one_by_one(x[~regular], codes[~regular])
        x, codes = x[regular], codes[regular]
        return x, codes, float(np.abs(x).max(initial=0.0))

    def _add_one_by_one(self, x: FloatArray, codes: IntArray) -> None:
        for value, slot in zip(x.tolist(), codes.tolist(), strict=True):
            if math.isfinite(value):
                self._add_units(slot, units_of(value))
            else:
                self._special[slot] = float(self._special[slot]) + value

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


def _cut_units(x: FloatArray, exponent: int) -> int:
    """Take a multiple of 2**exponent from every value, and return the sum of these multiples."""
    anchor = np.float64(math.ldexp(1.5, exponent + 52))
    cut = np.add(x, anchor, out=scratch("cut", x.size, np.float64))
    # 64-bit integers wrap around, so intermediate overflow is harmless if the final sum fits.
    total = int(np.add.reduce(cut.view(np.int64))) - x.size * int(anchor.view(np.int64))
    cut -= anchor
    x -= cut
    return (total + 2**63) % 2**64 - 2**63


def _left(x: FloatArray) -> BoolArray | None:
    """Return which values are non-zero, or None if too many are to be worth gathering."""
    sample = x[:: x.size // SAMPLE + 1]
    if 2 * np.count_nonzero(sample) > sample.size:
        return None
    left = np.not_equal(x, 0.0, out=scratch("left", x.size, np.bool_))
    return None if SPARSE * np.count_nonzero(left) > x.size else left


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
