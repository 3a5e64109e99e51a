"""The pure-Python kernel for exact sums: the method is explained in `msecli.core.exact`."""

from __future__ import annotations

import math

import numpy as np

from msecli.arrays import FloatArray, IntArray
from msecli.kernel.interface import MOST_VALUES, WIDTH, SlotSums, Sum

UNIT_EXPONENT, SPAN, BOTTOM_EXPONENT = -1074, 45, -900
ONE = 1 << -UNIT_EXPONENT
LARGEST = math.ldexp(1.0, 970 + SPAN)
BLOCK = 1 << (53 - WIDTH)
MODERATE = 2.0**200
MANTISSA = 53


def exact_sum(values: FloatArray) -> Sum:
    """See `msecli.kernel.interface.Kernel`."""
    units, special = 0, 0.0
    with np.errstate(all="ignore"):
        for start in range(0, values.size, BLOCK):
            x = values[start : start + BLOCK].copy()
            regular = np.abs(x) < LARGEST
            if not regular.all():
                large = x[~regular]
                units += sum(map(_units_of, large[np.isfinite(large)].tolist()))
                special += float(large[~np.isfinite(large)].sum())
                x = x[regular]
            units += _units(x)
    return Sum(units, special)


def _units(x: FloatArray) -> int:
    """Return the sum of values below LARGEST, which are overwritten."""
    units, largest = 0, float(np.abs(x).max(initial=0.0))
    exponent = math.frexp(largest)[1] - SPAN
    while largest and exponent >= BOTTOM_EXPONENT:
        anchor = np.float64(math.ldexp(1.5, exponent + 52))
        shifted = x + anchor
        # 64-bit integers wrap around, and the sum of the multiples fits.
        total = int(np.add.reduce(shifted.view(np.int64))) - x.size * int(anchor.view(np.int64))
        units += ((total + 2**63) % 2**64 - 2**63) << (exponent - UNIT_EXPONENT)
        x -= shifted - anchor
        largest = float(np.abs(x).max())
        exponent -= SPAN + 1
    return units + sum(map(_units_of, x[x != 0].tolist()))


def _units_of(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * (ONE // denominator)


def squared_error(
    prediction: FloatArray, target: FloatArray, weight: FloatArray | None = None
) -> tuple[Sum, ...] | None:
    """See `msecli.kernel.interface.Kernel`."""
    _check_sizes(prediction, target, weight)
    with np.errstate(all="ignore"):
        residual = prediction - target
        if not (np.isfinite(residual).all() and _are_weights(weight)):
            return None
        residual *= residual
        if weight is not None:
            residual *= weight
    return tuple(map(exact_sum, (residual,) if weight is None else (residual, weight)))


def gradient(
    prediction: FloatArray, target: FloatArray, weight: FloatArray | None, denominator: float, out: FloatArray
) -> bool:
    """See `msecli.kernel.interface.Kernel`."""
    _check_sizes(prediction, target, weight, out)
    with np.errstate(all="ignore"):
        residual = prediction - target
        if not (np.abs(residual) < 2.0**1023).all():
            return False
        residual *= 2.0
        if weight is not None:
            if not (_are_weights(weight) and _is_moderate(residual) and _is_moderate(weight)):
                return False
            residual *= weight
        np.divide(residual, denominator, out=out)
    return True


def _check_sizes(first: FloatArray, *others: FloatArray | None) -> None:
    if any(other is not None and other.size != first.size for other in others):
        raise ValueError("the arrays have different sizes")


def _are_weights(weight: FloatArray | None) -> bool:
    return weight is None or bool((np.isfinite(weight) & (weight >= 0)).all())


def _is_moderate(values: FloatArray) -> bool:
    size = np.abs(values[values != 0])
    return bool(((size >= 1 / MODERATE) & (size <= MODERATE)).all())


def sums_by_slot(values: FloatArray, codes: IntArray, slots: int) -> SlotSums:
    """See `msecli.kernel.interface.Kernel`."""
    _check_sizes(values, codes.view(np.float64))
    if values.size > MOST_VALUES:
        raise ValueError("too many values at once")
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < slots:
        raise IndexError("a code is not a slot")
    finite = np.isfinite(values)
    special = None
    if not finite.all():
        special = np.zeros(slots)
        with np.errstate(all="ignore"):
            np.add.at(special, codes[~finite], values[~finite])
    chosen = finite & (values != 0)
    if not chosen.any():
        return SlotSums(0, np.zeros((slots, 0), dtype=np.int64), special)
    fraction, exponent = np.frexp(values[chosen])
    # Not below the subnormals, whose lower digits are zeros.
    position = np.maximum(exponent.astype(np.int64) - MANTISSA - UNIT_EXPONENT, 0)
    mantissa = np.ldexp(fraction, exponent - UNIT_EXPONENT - position).astype(np.int64)
    level, shift = np.divmod(position, WIDTH)
    first = int(level.min())
    levels = int(level.max()) + 3 - first
    size, sign, mask = np.abs(mantissa), np.sign(mantissa), (1 << WIDTH) - 1
    rest = size >> (WIDTH - shift)
    low = (size & ((1 << (WIDTH - shift)) - 1)) << shift
    places = codes[chosen] * levels + (level - first)
    digits = np.zeros(slots * levels, dtype=np.int64)
    for place, digit in enumerate((low, rest & mask, rest >> WIDTH)):
        for start in range(0, places.size, BLOCK):
            rows = slice(start, start + BLOCK)
            # So many digits add up in float64 without rounding.
            weights = (sign[rows] * digit[rows]).astype(np.float64)
            digits += np.bincount(places[rows] + place, weights=weights, minlength=digits.size).astype(np.int64)
    return SlotSums(first, digits.reshape(slots, levels), special)


def squared_error_by_slot(
    prediction: FloatArray, target: FloatArray, weight: FloatArray | None, codes: IntArray, slots: int
) -> tuple[SlotSums, ...] | None:
    """See `msecli.kernel.interface.Kernel`."""
    _check_sizes(prediction, target, weight, codes.view(np.float64))
    with np.errstate(all="ignore"):
        product = prediction - target
        product *= product
        if weight is not None:
            product *= weight
        if not (np.isfinite(product).all() and np.isfinite(prediction - target).all() and _are_weights(weight)):
            return None
    return tuple(sums_by_slot(values, codes, slots) for values in (product, weight) if values is not None)
