"""Products beyond the range of float64, and their exact sums.

A wide number is a float64 times its own power of two, so nothing over- or underflows on the way. An ordinary block
has no exponents at all: its range decides, and no bit of a result depends on the decision.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from msecli.arrays import BoolArray, FloatArray, IntArray
from msecli.core.exact import ONE, UNIT_EXPONENT, ExactSum, Total, ratio
from msecli.core.workspace import scratch
from msecli.kernel.interface import SlotSums, Sum
from msecli.tuples import NamedTuple

MODERATE = 2.0**200
"""The product of three values between its inverse and itself is a normal number down to its last bit."""
HALF_OF_LARGEST = 2.0**1023
STEP = 512
"""Exponents are rounded to multiples of STEP; each multiple has its own sum, of normal values."""


class Wide(NamedTuple):
    """The numbers values * 2**exponent, or just the values without an exponent."""

    values: FloatArray
    exponent: IntArray | None = None

    def mantissas(self) -> tuple[FloatArray, IntArray]:
        """Return mantissas and exponents; a mantissa is in [1/2, 1) in magnitude, 0, or not finite."""
        mantissa, exponent = np.frexp(self.values)
        return mantissa, exponent.astype(np.int64) + (0 if self.exponent is None else self.exponent)

    def doubled(self) -> Wide:
        """Return the numbers times two, exactly."""
        if self.exponent is None and max(self.values.max(initial=0.0), -self.values.min(initial=0.0)) < HALF_OF_LARGEST:
            return Wide(self.values * 2.0)
        mantissa, exponent = self.mantissas()
        return Wide(mantissa, exponent + 1)

    def times(self, factor: FloatArray) -> Wide:
        """Return the products, each rounded as if exponents were unbounded."""
        if self.exponent is None and is_moderate(self.values) and is_moderate(factor):
            return Wide(self.values * factor)
        (a, a_exponent), (b, b_exponent) = self.mantissas(), Wide(factor).mantissas()
        return Wide(a * b, a_exponent + b_exponent)

    def reshaped(self, shape: tuple[int, ...]) -> Wide:
        """Return the same numbers in another shape."""
        return Wide(self.values.reshape(shape), None if self.exponent is None else self.exponent.reshape(shape))

    def at(self, index: Any) -> Wide:
        """Return some of the numbers."""
        return Wide(self.values[index], None if self.exponent is None else self.exponent[index])

    def over(self, divisor: int) -> FloatArray:
        """Return the quotients by a divisor in units of 2**-1074, as float64."""
        denominator = ratio(divisor, ONE)
        if self.exponent is None and sys.float_info.min <= denominator < math.inf:
            return self.values / denominator
        bits = divisor.bit_length() - 1
        exponent = np.int64(0) if self.exponent is None else self.exponent
        return np.ldexp(self.values / ratio(divisor, 1 << bits), exponent - (bits + UNIT_EXPONENT))


def is_moderate(values: FloatArray) -> bool:
    """Tell whether all finite non-zero values are far from both ends of the range."""
    size = np.abs(values, out=scratch("size", values.shape, np.float64))
    if size.min(initial=1.0) >= 1 / MODERATE and size.max(initial=1.0) <= MODERATE:
        return True
    np.putmask(size, (size == 0) | ~np.isfinite(size), 1.0)
    return bool(size.min(initial=1.0) >= 1 / MODERATE and size.max(initial=1.0) <= MODERATE)


def exact_product(*factors: FloatArray) -> list[Wide]:
    """Return arrays whose sum is exactly the product of two or three factors."""
    different = {id(factor): factor for factor in factors}
    if all(map(is_moderate, different.values())):
        return [Wide(part) for part in _parts(factors)]
    scaled = {key: Wide(factor).mantissas() for key, factor in different.items()}
    exponent = np.add.reduce([scaled[id(factor)][1] for factor in factors])
    return [Wide(part, exponent) for part in _parts([scaled[id(factor)][0] for factor in factors])]


def _parts(factors: Sequence[FloatArray]) -> list[FloatArray]:
    parts = [factors[0]]
    for factor in factors[1:]:
        parts = [part for value in parts for part in two_product(value, factor)]
    return parts


def two_product(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (high, low) with high + low = a * b exactly, for moderate values.

    References
    ----------
    T. J. Dekker, "A floating-point technique for extending the available precision", Numer. Math. 18, 1971.
    """
    high = a * b
    a_head, a_tail = _split(a)
    b_head, b_tail = _split(b)
    low = ((a_head * b_head - high) + a_head * b_tail + a_tail * b_head) + a_tail * b_tail
    # A product that is not finite lies entirely in the high part.
    return high, np.where(np.isfinite(low), low, 0.0)


def _split(a: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Split each value into two of at most 26 bits each, so that their products are exact."""
    scaled = a * 134217729.0  # 2**27 + 1
    head = scaled - (scaled - a)
    return head, a - head


class WideSum:
    """Exact sums of wide numbers, one for each of `slots` slots; they merge like those of `ExactSum`.

    Parameters
    ----------
    slots : int
    depth : int, optional
        Leave numbers out of a sum if they are more than `depth` multiples of STEP below its largest. This depends on
        the numbers alone, not on their blocks, so the sums still merge in any order.

    Examples
    --------
    >>> import numpy as np
    >>> squares = WideSum()
    >>> for part in exact_product(np.array([1e-200]), np.array([1e-200])):
    ...     squares.add(part)
    >>> squares.total().root_over(ONE)
    1e-200
    """

    def __init__(self, slots: int = 1, depth: int | None = None) -> None:
        self.slots = slots
        self._depth = depth
        self._sums = {0: ExactSum(slots)}

    def add(self, numbers: Wide, codes: IntArray | None = None, *, slot: int = 0) -> None:
        """Add 1-D numbers, as `ExactSum.add` does; their values are used as scratch space."""
        values, exponent = numbers
        if exponent is None:
            self._sums[0].add(values, codes, slot=slot)
            return
        steps = np.rint(exponent / STEP).astype(np.int64)
        kept = values != 0
        if self._depth is not None:
            # What is not finite has no exponent of its own.
            kept &= (steps >= _highest(steps, kept, codes) - self._depth) | ~np.isfinite(values)
        for step in np.unique(steps[kept]).tolist():
            chosen = kept & (steps == step)
            scaled = np.ldexp(values[chosen], exponent[chosen] - step * STEP)
            self._of(step).add(scaled, None if codes is None else codes[chosen], slot=slot)

    def add_total(self, total: Sum) -> None:
        """Add an exact sum to that of slot 0."""
        self._sums[0].add_total(total)

    def add_slots(self, sums: SlotSums, values: int) -> None:
        """Add exact sums of every slot, of so many values together."""
        self._sums[0].add_slots(sums, values)

    def merge(self, other: Self, slots: IntArray | None = None) -> None:
        """Add the sums of `other`, as `ExactSum.merge` does."""
        for step, sums in other._sums.items():
            self._of(step).merge(sums, slots)

    def grow(self, slots: int) -> None:
        """Keep at least this many sums; new ones begin at 0."""
        self.slots = max(self.slots, slots)
        for sums in self._sums.values():
            sums.grow(self.slots)

    def totals(self) -> list[Total]:
        """Return the sum of every slot."""
        if len(self._sums) == 1:
            return self._sums[0].totals()
        steps = sorted(self._sums)
        by_step = [self._sums[step].totals() for step in steps]
        return [self._total(dict(zip(steps, parts, strict=True))) for parts in zip(*by_step, strict=True)]

    def total(self) -> Total:
        """Return the sum over all slots."""
        return sum(self.totals(), Total(0))

    def by_step(self) -> list[dict[int, Total]]:
        """Return what to `restore` for every slot: the same for the same numbers, however they were cut and merged.

        Without a depth that is the one exact sum; with it the sums of those steps that the depth leaves.
        """
        if self._depth is None:
            return [{0: total} for total in self.totals()]
        found: list[dict[int, Total]] = [{} for _ in range(self.slots)]
        for step in sorted(self._sums):
            for parts, total in zip(found, self._sums[step].totals(), strict=True):
                if total.units or total.special:
                    parts[step] = total
        return [_deep_enough(parts, self._depth) for parts in found]

    def restore(self, slot: int, step: int, total: Total) -> None:
        """Add a sum that `by_step` has returned."""
        lower = max(0, -(-total.finer // STEP))
        units = total.units << (STEP * lower - total.finer)
        self._of(step - lower).add_total(Sum(units, total.special), slot)

    def _total(self, parts: dict[int, Total]) -> Total:
        steps = [step for step, part in parts.items() if part.units]
        lowest = min(steps, default=0)
        if self._depth is not None:
            lowest = max(lowest, max(steps, default=0) - self._depth)
        units = sum(parts[step].units << (STEP * (step - lowest)) for step in steps if step >= lowest)
        special, finer = sum(part.special for part in parts.values()), -STEP * lowest
        if units == 0 or self._depth is not None:
            return Total(units, special, finer if units else 0)
        # The coarsest unit that is fine enough, so that equal sums are equal totals.
        spare = min(finer, (units & -units).bit_length() - 1)
        return Total(units >> spare if spare > 0 else units << -spare, special, finer - spare)

    def _of(self, step: int) -> ExactSum:
        if step not in self._sums:
            self._sums[step] = ExactSum(self.slots)
        return self._sums[step]


def _deep_enough(parts: dict[int, Total], depth: int) -> dict[int, Total]:
    """Return the sums of the steps that the depth leaves; of a sum that is not finite only this."""
    special = sum(part.special for part in parts.values())
    if special != 0:
        return {0: Total(0, special)}
    return {step: part for step, part in parts.items() if step >= max(parts) - depth}


def _highest(steps: IntArray, kept: BoolArray, codes: IntArray | None) -> IntArray:
    """Return the highest step in the slot of each number."""
    codes = np.zeros(steps.shape, dtype=np.int64) if codes is None else codes
    highest = np.full(int(codes.max(initial=0)) + 1, np.iinfo(np.int64).min // 2)
    np.maximum.at(highest, codes[kept], steps[kept])
    each: IntArray = highest[codes]
    return each
